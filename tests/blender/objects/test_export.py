"""Exporting a take to files."""

import json
import struct
from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.headless import command
from bl_ext.user_default.orbit_texture.addon.objects import export, mesh_io, takes
from bl_ext.user_default.orbit_texture.addon.objects.fingerprint import fingerprint
from bl_ext.user_default.orbit_texture.backend.api.errors import InvalidSettings, InvalidTarget, StorageError
from bl_ext.user_default.orbit_texture.backend.api.job import Result
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

from tests.blender import make

pytestmark = pytest.mark.every_blender
COLOR, METALLIC, ROUGHNESS = (200, 90, 30), 50, 220
MAPS = {
    "base_color": make.png(color=COLOR),
    "metallic": make.png(color=(METALLIC,)),
    "roughness": make.png(color=(ROUGHNESS,)),
}


def make_textured_cube(maps: dict = MAPS) -> bpy.types.Object:
    obj = make.cube()
    make.apply(obj, textures=maps, new_uvs=not any("." in name for name in maps))
    return obj


def read_first_pixel(file: Path) -> np.ndarray:
    """(4,) values of a file's first pixel, without any colour conversion."""
    image = bpy.data.images.load(str(file))
    image.colorspace_settings.name = "Non-Color"
    found = np.array(image.pixels[:4])
    bpy.data.images.remove(image)
    return found


def test_8_bit_png_files_are_copies_of_the_takes_files(tmp_path):
    obj = make_textured_cube()
    files = export.write_textures(obj, 0, tmp_path / "new")
    assert {file.name: file.read_bytes() for file in files} == {
        f"Cube_Take_1_{name}.png": png for name, png in MAPS.items()
    }


@pytest.mark.parametrize("format_name", ["png16", "exr"])
def test_16_bit_files_ignore_the_view_transform_and_leave_no_data_blocks(tmp_path, format_name):
    obj = make_textured_cube()
    bpy.context.scene.view_settings.exposure = 3
    before = make.block_counts()
    files = {
        file.stem.removeprefix("Cube_Take_1_"): file
        for file in export.write_textures(obj, 0, tmp_path, format_name)
    }
    assert make.block_counts() == before
    encoded = np.array(COLOR) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    assert read_first_pixel(files["base_color"])[:3] == pytest.approx(
        linear if format_name == "exr" else encoded, abs=1e-3
    )
    assert read_first_pixel(files["roughness"])[:3] == pytest.approx([ROUGHNESS / 255] * 3, abs=1e-3)
    if format_name == "png16":
        assert files["base_color"].read_bytes()[24] == 16


@pytest.mark.parametrize("format_name", ["png8", "exr"])
def test_gltf_packing_has_roughness_in_green_and_metallic_in_blue(tmp_path, format_name):
    files = {
        file.stem: file
        for file in export.write_textures(make_textured_cube(), 0, tmp_path, format_name, "{map}", pack=True)
    }
    assert set(files) == {"base_color", "metallic_roughness"}
    assert read_first_pixel(files["metallic_roughness"])[:3] == pytest.approx(
        [1, ROUGHNESS / 255, METALLIC / 255], abs=1e-3
    )


def test_packing_a_take_without_metallic_writes_its_color(tmp_path):
    obj = make_textured_cube({"base_color": MAPS["base_color"]})
    assert [file.name for file in export.write_textures(obj, 0, tmp_path, pack=True)] == [
        "Cube_Take_1_base_color.png"
    ]


def test_udim_tiles_have_their_numbers_in_their_names(tmp_path):
    tiles = {"base_color.1001": make.png(color=(200, 0, 0)), "base_color.1002": make.png(color=(0, 200, 0))}
    obj = make.cube()
    target = mesh_io.read_mesh(obj)
    textures = {name: np.frombuffer(png, np.uint8) for name, png in tiles.items()}
    takes.add_take([obj], target, Result(None, textures, {}), Settings())
    files = export.write_textures(obj, 0, tmp_path)
    assert {file.name: file.read_bytes() for file in files} == {
        f"Cube_Take_1_{name}.png": png for name, png in tiles.items()
    }
    exr = {file.name: read_first_pixel(file)[:3] for file in export.write_textures(obj, 0, tmp_path, "exr")}
    assert exr["Cube_Take_1_base_color.1002.exr"].argmax() == 1
    with pytest.raises(InvalidSettings, match="same name"):
        export.write_textures(obj, 0, tmp_path / "no", naming="{map}")
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("naming", ["{nobody}", "{object", "{object.x}", "{0}"])
def test_an_invalid_naming_is_reported(tmp_path, naming):
    with pytest.raises(InvalidSettings, match=r"can contain \{object\}"):
        export.write_textures(make_textured_cube(), 0, tmp_path, naming=naming)


def test_textures_that_cannot_be_exported_are_reported(tmp_path):
    obj = make_textured_cube()
    (tmp_path / "file").write_text("")
    for format_name in export.FORMATS:
        with pytest.raises(StorageError, match="cannot be written"):
            export.write_textures(obj, 0, tmp_path / "file" / "folder", format_name)
    image = obj.orbit_texture.takes[0].material.node_tree.nodes["base_color"].image
    image.pixels[0] = 0.0
    with pytest.raises(InvalidTarget, match="painted over"):
        export.write_textures(obj, 0, tmp_path)
    obj.orbit_texture.takes[0].material.node_tree.nodes["base_color"].image = None
    with pytest.raises(InvalidTarget, match="are missing"):
        export.write_textures(obj, 0, tmp_path)
    obj.hide_set(True)
    with pytest.raises(InvalidTarget, match="is hidden"):
        export.write_glb(obj, 0, tmp_path / "cube.glb")


def read_gltf(file: Path) -> dict:
    data = file.read_bytes()
    length = struct.unpack("<I", data[12:16])[0]
    return json.loads(data[20 : 20 + length])


def test_a_glb_has_the_object_with_the_take_and_restores_the_scene(tmp_path):
    other, obj = make.cube(), make_textured_cube()
    make.apply(obj, textures=MAPS)
    make.select(other)
    export.write_glb(obj, 0, tmp_path / "new" / "cube.glb")
    assert (bpy.context.selected_objects, takes.find_shown_index(obj)) == ([other], 1)
    content = read_gltf(tmp_path / "new" / "cube.glb")
    assert [node["name"] for node in content["nodes"]] == [obj.name]
    [material] = content["materials"]
    assert material["name"] == obj.orbit_texture.takes[0].material.name
    assert {"baseColorTexture", "metallicRoughnessTexture"} <= set(material["pbrMetallicRoughness"])
    assert len(content["images"]) == 2


def test_a_glb_has_the_texture_on_the_first_uv_map_and_the_mesh_stays_as_it_was(tmp_path):
    obj = make.suzanne()
    obj.data.uv_layers.new(name="Second")
    obj.shape_key_add(name="Basis")
    obj.shape_key_add(name="Open").data[0].co.x = 3.0
    make.apply(obj)
    before, mesh, name = fingerprint(obj), obj.data, obj.data.name
    export.write_glb(obj, 0, tmp_path / "suzanne.glb")
    content = read_gltf(tmp_path / "suzanne.glb")
    [material] = content["materials"]
    assert material["pbrMetallicRoughness"]["baseColorTexture"].get("texCoord", 0) == 0
    assert content["meshes"][0]["name"] == name
    assert len(content["meshes"][0]["primitives"][0]["targets"]) == 1
    assert {"TEXCOORD_0", "TEXCOORD_1", "TEXCOORD_2"} <= set(
        content["meshes"][0]["primitives"][0]["attributes"]
    )
    assert (fingerprint(obj), obj.data, len(bpy.data.meshes)) == (before, mesh, 1)


def test_the_export_operators_write_the_shown_take_of_the_active_object(tmp_path):
    make.cube()
    with pytest.raises(RuntimeError, match="shows no take"):
        bpy.ops.orbit_texture.export_textures(directory=str(tmp_path))
    obj = make_textured_cube()
    make.select(obj)
    bpy.ops.orbit_texture.export_textures(directory=str(tmp_path), naming="{map}", pack=True)
    bpy.ops.orbit_texture.export_glb(filepath=str(tmp_path / "cube"))
    assert {file.name for file in tmp_path.iterdir()} == {
        "base_color.png",
        "metallic_roughness.png",
        "cube.glb",
    }
    with pytest.raises(RuntimeError, match=r"can contain \{object\}"):
        bpy.ops.orbit_texture.export_textures(directory=str(tmp_path), naming="{nobody}")


def test_the_command_exports_every_object_that_shows_a_take(tmp_path, capsys):
    obj = make_textured_cube()
    obj.name = "Hat"
    make.cube().name = "Bare"
    where = ["--textures", str(tmp_path / "maps"), "--format", "png16", "--glb", str(tmp_path)]
    assert command.main(["export", *where, "--json"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert {event["event"] for event in said} == {"saved"}
    assert [Path(event["file"]).name for event in said] == [
        "Hat_Take_1_base_color.png",
        "Hat_Take_1_metallic.png",
        "Hat_Take_1_roughness.png",
        "Hat_Take_1.glb",
    ]
    assert all(Path(event["file"]).is_file() for event in said)
    assert command.main(["export", *where, "--objects", "Bare", "Hat"]) == 1
    assert "'Bare' shows no take" in capsys.readouterr().err
    assert command.main(["export", *where, "--take", "Best"]) == 1
    assert "no take called 'Best'" in capsys.readouterr().err
    assert command.main(["export"]) == 2
    assert "--textures FOLDER" in capsys.readouterr().err
