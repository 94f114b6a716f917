"""End to end: a real server, a real worker process, real textures, the queue polled as Blender's timer
does."""

import json

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.addon.objects.fingerprint import fingerprint

from tests.blender import make

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


def test_an_object_on_udim_tiles_gets_a_texture_per_tile(tmp_path):
    obj = make.cube()
    uvs = obj.data.attributes["UVMap"].data
    corners = np.array([(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)], np.float32)
    uvs.foreach_set(
        "vector",
        np.concatenate([np.add(corners, (face % 3, face // 3)) for face in range(6)])
        .astype(np.float32)
        .ravel(),
    )
    settings = bpy.context.scene.orbit_texture
    settings.image = bpy.data.images.load(str(make.reference(tmp_path)))
    settings.texture_size, settings.voxel_resolution = "1024", "128"
    before = fingerprint(obj)
    bpy.ops.orbit_texture.texture_selected()
    make.poll_until_settled(queue)
    assert queue.entries[0].applied, queue.entries[0].error
    take = obj.orbit_texture.takes[0]
    assert take.uv_layer == "UVMap"
    assert fingerprint(obj) == before
    for name in ("base_color", "confidence", "coverage"):
        image = take.material.node_tree.nodes[name].image
        assert [tile.number for tile in image.tiles] == [1001, 1002, 1003, 1011, 1012, 1013]
        assert all(tuple(tile.size) == (1024, 1024) for tile in image.tiles)
    assert "6 UDIM tiles" in take.report
