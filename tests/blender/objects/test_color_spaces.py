"""Colour spaces are those of the roles of the OpenColorIO configuration, whatever it calls them."""

import os
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs import reference
from bl_ext.user_default.orbit_texture.addon.objects import export, mask_correction, material, region
from bl_ext.user_default.orbit_texture.addon.objects.strokes import Stroke
from bl_ext.user_default.orbit_texture.backend.api.errors import InvalidImage

from tests.blender import make

pytestmark = pytest.mark.every_blender

STUDIO = """ocio_profile_version: 2
roles: {default: Plate, scene_linear: Plate, rendering: Plate, default_float: Plate,
  default_byte: Paint, default_sequencer: Paint, color_picking: Paint, data: As Is, texture_paint: Paint,
  matte_paint: Paint, compositing_log: Plate,
  aces_interchange: Plate, cie_xyz_d65_interchange: XYZ}
displays:
  Monitor:
    - !<View> {name: Standard, colorspace: Paint}
    - !<View> {name: Raw, colorspace: As Is}
active_displays: [Monitor]
active_views: [Standard, Raw]
view_transforms: []
colorspaces:
  - !<ColorSpace> {name: Plate, family: Linear, isdata: false}
  - !<ColorSpace> {name: XYZ, family: Linear, isdata: false, to_scene_reference: !<MatrixTransform> {matrix:
      [3.2409, -1.5373, -0.4986, 0, -0.9692, 1.8759, 0.0415, 0, 0.0556, -0.2039, 1.0569, 0, 0, 0, 0, 1]}}
  - !<ColorSpace>
    name: Paint
    family: Display
    isdata: false
    to_scene_reference: !<ExponentWithLinearTransform>
      {gamma: [2.4, 2.4, 2.4, 1], offset: [0.055, 0.055, 0.055, 0]}
  - !<ColorSpace> {name: As Is, family: Raw, isdata: true}
"""
"""A configuration in which no space has the name that it has in Blender's own."""

BYTE = "Paint" if "OCIO" in os.environ else "sRGB"


def test_a_takes_colours_and_data_are_read_as_such():
    obj = make.cube(uvs=False)
    entry = make.apply(obj, sheet=make.png(), textures={"metallic": make.png(color=(9,))})
    assert entry.applied, entry.error
    found = {
        name: material.find_image(obj.orbit_texture.takes[0].material, name).colorspace_settings
        for name in ("base_color", "sheet", "metallic", "confidence")
    }
    assert [settings.name for settings in found.values()][:2] == [BYTE] * 2
    assert [settings.is_data for settings in found.values()] == [False, False, True, True]


def test_udim_tiles_are_read_as_such():
    obj = make.cube()
    tiles = {
        f"{name}.{1001 + n}": make.png(color=(9,)) for name in ("roughness", "base_color") for n in (0, 1)
    }
    make.apply(obj, new_uvs=False, textures=tiles)
    shader = obj.orbit_texture.takes[0].material
    assert material.find_image(shader, "roughness").colorspace_settings.is_data
    assert material.find_image(shader, "base_color").colorspace_settings.name == BYTE


def test_masks_are_data():
    obj = make.cube()
    image = bpy.data.images.new("Reference", 8, 8)
    mask_correction.add_stroke(obj, image, Stroke("ADD", ((0.5, 0.5),), 0.1), make.png(color=(255,)))
    assert obj.orbit_texture.mask.colorspace_settings.is_data
    make.apply(obj, new_uvs=False)
    assert region.find_or_create_mask(obj, obj.orbit_texture.takes[0]).colorspace_settings.is_data


@pytest.mark.parametrize("name", export.FORMATS)
def test_exported_files_hold_the_takes_colours(tmp_path, name):
    obj = make.cube()
    make.apply(obj, new_uvs=False, textures={"base_color": make.png(color=(200, 90, 30))})
    file = next(file for file in export.write_textures(obj, 0, tmp_path, name) if "base_color" in file.name)
    image = bpy.data.images.load(str(file))
    color = np.array(image.pixels[:3])
    if image.is_float:  # Blender has made it linear
        color = np.where(color <= 0.0031308, color * 12.92, 1.055 * color ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(255 * color, (200, 90, 30), atol=0.6)


def test_a_float_image_is_followed_or_refused_with_a_sentence(tmp_path):
    image = bpy.data.images.new("glow", 8, 8, float_buffer=True)
    image.pixels.foreach_set(np.tile(np.float32([0.5, 0.5, 0.5, 1]), 64))
    scenes = len(bpy.data.scenes)
    if os.environ.get("VIEW") == "Film Look":
        with pytest.raises(InvalidImage, match=r"'glow'.*OpenColorIO.*8 bits"):
            reference.from_image(image)
    else:
        assert reference.from_image(image)()[0, 0, 0] == pytest.approx(0.7354, abs=0.01)
    assert len(bpy.data.scenes) == scenes


@pytest.mark.skipif("OCIO" in os.environ, reason="runs within itself")
@pytest.mark.parametrize("view", ["Standard", "Un-tone-mapped", "Film Look"])
def test_another_configuration_changes_nothing_of_that(tmp_path, view):
    (tmp_path / "config.ocio").write_text(STUDIO.replace("Standard", view))
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        cwd=Path(__file__).parents[3],
        env=os.environ | {"OCIO": str(tmp_path / "config.ocio"), "VIEW": view},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr
