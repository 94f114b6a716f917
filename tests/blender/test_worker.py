"""End to end: a real server, a real worker process, real textures, the queue polled as Blender's timer does."""

import json

import bpy
import make
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.fingerprint import fingerprint
from bl_ext.user_default.orbit_texture.addon.queue import queue

pytestmark = [pytest.mark.worker, pytest.mark.every_blender]


def test_texture_selected_puts_a_take_on_the_object(tmp_path):
    obj = make.suzanne(uvs=False)
    settings = bpy.context.scene.orbit_texture
    settings.image = bpy.data.images.load(str(make.reference(tmp_path)))
    settings.texture_size, settings.voxel_resolution = "1024", "128"
    before = fingerprint(obj)
    bpy.ops.orbit_texture.texture_selected()
    make.poll_until_settled(queue)
    assert queue.entries[0].applied, queue.entries[0].error
    take = obj.orbit_texture.takes[0]
    assert fingerprint(obj, ignore=take.uv_layer) == before
    assert json.loads(take.report)["coverage"] > 0.5
    image = take.material.node_tree.nodes["base_color"].image
    assert tuple(image.size) == (1024, 1024)
    pixels = np.empty(1024 * 1024 * 4, np.float32)
    image.pixels.foreach_get(pixels)
    assert pixels.reshape(-1, 4)[:, :3].std(axis=0).max() > 0.02
