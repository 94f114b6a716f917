"""A running job's preview images, as icons beside its progress."""

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs import previews
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue

from tests.blender import make


def test_preview_images_become_upright_icons():
    images = np.zeros((2, 4, 4, 3), np.uint8)
    images[:, 0, :, 0] = 255
    previews.store("a", images)
    assert len(previews.icon_ids("a")) == 2
    shown = np.array(previews._icons["a.1"].image_pixels_float[:]).reshape(4, 4, 4)
    np.testing.assert_array_equal(shown[-1], [[1, 0, 0, 1]] * 4)
    np.testing.assert_array_equal(shown[0], [[0, 0, 0, 1]] * 4)
    previews.store("a", images[:1])
    assert len(previews.icon_ids("a")) == 1
    previews.discard("a")
    assert previews.icon_ids("a") == []
    assert not previews._icons


@pytest.mark.worker
def test_a_job_has_preview_icons_until_it_is_done(tmp_path):
    make.suzanne()
    settings = bpy.context.scene.orbit_texture
    settings.image = bpy.data.images.load(str(make.reference(tmp_path)))
    settings.texture_size = "1024"
    bpy.ops.orbit_texture.texture_selected()
    job = queue.entries[0].job
    counts = []
    make.poll_until_settled(queue, lambda: counts.append(len(previews.icon_ids(job))))
    assert queue.entries[0].applied, queue.entries[0].error
    assert max(counts) == 8
    assert previews.icon_ids(job) == []
