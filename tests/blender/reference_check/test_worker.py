"""A check end to end: a real server and a real worker find object and view in a rendered reference."""

import json
from math import radians
from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.addon.reference_check.checks import checks
from bl_ext.user_default.orbit_texture.backend.api import paths
from mathutils import Euler, Vector

from tests.blender import make

pytestmark = [pytest.mark.worker, pytest.mark.every_blender]

AZIMUTH, ELEVATION = 35, 12


def render_reference(file: Path) -> None:
    """Renders the scene on white from the front, at the azimuth and elevation."""
    scene = bpy.context.scene
    camera = bpy.data.objects.new("Eye", bpy.data.cameras.new("Eye"))
    bpy.context.collection.objects.link(camera)
    camera.rotation_euler = Euler((radians(90 - ELEVATION), 0, radians(AZIMUTH)))
    camera.location = camera.rotation_euler.to_matrix() @ Vector((0, 0, 8))
    scene.camera, scene.render.engine = camera, "BLENDER_WORKBENCH"
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 320, 240, 100
    scene.render.film_transparent = True
    scene.render.filepath = str(file)
    bpy.ops.render.render(write_still=True)
    # Onto white.
    image = bpy.data.images.load(str(file))
    pixels = np.empty((240, 320, 4), np.float32)
    image.pixels.foreach_get(pixels.ravel())
    pixels[..., :3] = pixels[..., :3] * pixels[..., 3:] + 1 - pixels[..., 3:]
    pixels[..., 3] = 1
    image.pixels.foreach_set(pixels.ravel())
    image.save()
    bpy.data.images.remove(image)
    bpy.data.objects.remove(camera)


def check_now():
    bpy.ops.orbit_texture.check_reference()
    make.poll_until(queue, lambda: not queue.is_checking())
    check = checks.find(bpy.context.object, bpy.context.scene.orbit_texture)
    assert check.report, check.error
    return check


def test_a_check_finds_the_view_and_a_job_continues_from_it(graphics, tmp_path):
    checks.clear()
    make.suzanne(uvs=False)
    render_reference(tmp_path / "reference.png")
    panel = bpy.context.scene.orbit_texture
    panel.image = bpy.data.images.load(str(tmp_path / "reference.png"))
    panel.texture_size, panel.voxel_resolution = "1024", "128"
    found = check_now()
    best = found.report["candidates"][0]
    assert (best["azimuth"], best["elevation"]) == pytest.approx((AZIMUTH, ELEVATION), abs=4)
    assert found.outline.shape == (240, 320, 3)
    assert (found.mask[:20] == 0).all()
    assert 0.1 < (found.mask > 127).mean() < 0.5

    # A stroke over the middle of the object says that this is ground.
    bpy.ops.orbit_texture.mask_stroke(kind="GROUND", points=json.dumps([[0.5, 0.5]]))
    corrected = check_now()
    assert (corrected.mask[119:121, 159:161] == 0).all()
    assert (found.mask[119:121, 159:161] == 255).all()

    # The job uses the corrected mask, and finds nothing again.
    bpy.ops.orbit_texture.texture_selected()
    [entry] = queue.entries
    make.poll_until(queue, lambda: entry.event.stage == "render" or entry.is_settled)
    bpy.ops.orbit_texture.cancel(job=entry.job)
    make.poll_until_settled(queue)
    jobs = paths.run_directory() / "jobs"
    # The seconds it took are in it.
    outputs = [(jobs / job / "register.npz").read_bytes() for job in (corrected.job, entry.job)]
    assert outputs[0] == outputs[1]
