"""The material of a result with more than a base colour, in Blender and in the glTF that Blender exports."""

import json
import struct
from pathlib import Path

import addon_utils
import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.objects import mesh_io, takes
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

from tests.blender import make

pytestmark = pytest.mark.every_blender


def make_take(**grey: int) -> tuple[bpy.types.Object, bpy.types.Material]:
    """A cube with a take that has more textures, each of one grey, and the take's material."""
    obj = make.cube()
    target = mesh_io.read_mesh(obj)
    takes.add_take([obj], target, make.result(target, new_uvs=False, **grey), Settings())
    return obj, obj.orbit_texture.takes[0].material


def driver(material: bpy.types.Material, socket: str) -> bpy.types.Node | None:
    """The node that drives a socket of the Principled shader."""
    principled = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    links = principled.inputs[socket].links
    return links[0].from_node if links else None


def export_gltf(obj: bpy.types.Object, folder: Path) -> tuple[dict, list[np.ndarray]]:
    """Exports an object to a GLB and returns its material and the image (16, 16, 4) float32 of each texture,
    without any colour conversion."""
    addon_utils.enable("io_scene_gltf2")
    make.select(obj)
    path = folder / "exported.glb"
    bpy.ops.export_scene.gltf(filepath=str(path), use_selection=True, export_format="GLB")
    data = path.read_bytes()
    length = struct.unpack("<I", data[12:16])[0]
    gltf, binary = json.loads(data[20 : 20 + length]), data[28 + length :]
    images = []
    for number, image in enumerate(gltf["images"]):
        view = gltf["bufferViews"][image["bufferView"]]
        file = folder / f"{number}.png"
        file.write_bytes(binary[view.get("byteOffset", 0) :][: view["byteLength"]])
        loaded = bpy.data.images.load(str(file))
        loaded.colorspace_settings.name = "Non-Color"
        images.append(np.array(loaded.pixels[:]).reshape(16, 16, 4))
    images_by_texture = [images[texture["source"]] for texture in gltf["textures"]]
    return gltf["materials"][0], images_by_texture


def test_metallic_and_roughness_drive_the_shader_and_leave_it_opaque():
    _, material = make_take(metallic=50, roughness=200)
    for socket, name in (("Metallic", "metallic"), ("Roughness", "roughness")):
        assert driver(material, socket).name == name
        assert driver(material, socket).image.colorspace_settings.name == "Non-Color"
    assert driver(material, "Alpha") is None
    assert material.surface_render_method == "DITHERED"
    assert not material.node_tree.nodes["coverage"].outputs["Color"].links


def test_a_base_color_alone_keeps_the_shaders_default_values():
    _, material = make_take()
    assert [driver(material, socket) for socket in ("Metallic", "Roughness", "Alpha")] == [None] * 3
    assert material.surface_render_method == "DITHERED"


def test_alpha_makes_the_material_blend():
    _, material = make_take(metallic=0, roughness=200, alpha=100)
    assert driver(material, "Alpha").name == "alpha"
    assert driver(material, "Alpha").image.colorspace_settings.name == "Non-Color"
    assert material.surface_render_method == "BLENDED"


def test_metallic_and_roughness_are_in_the_gltf_that_blender_exports(tmp_path):
    obj, _ = make_take(metallic=50, roughness=200)
    material, images = export_gltf(obj, tmp_path)
    packed = images[material["pbrMetallicRoughness"]["metallicRoughnessTexture"]["index"]]
    assert packed[8, 8, 1] == pytest.approx(200 / 255, abs=0.01)
    assert packed[8, 8, 2] == pytest.approx(50 / 255, abs=0.01)
    assert material.get("alphaMode", "OPAQUE") == "OPAQUE"


def test_alpha_is_in_the_gltf_that_blender_exports(tmp_path):
    obj, _ = make_take(metallic=0, roughness=200, alpha=100)
    material, images = export_gltf(obj, tmp_path)
    color = images[material["pbrMetallicRoughness"]["baseColorTexture"]["index"]]
    assert color[8, 8, 3] == pytest.approx(100 / 255, abs=0.01)
    assert color[8, 8, 0] == pytest.approx(200 / 255, abs=0.02)
    assert material["alphaMode"] == "BLEND"


def test_a_take_with_all_textures_is_removed_completely():
    obj = make.cube()
    before = make.block_counts()
    target = mesh_io.read_mesh(obj)
    takes.add_take(
        [obj], target, make.result(target, new_uvs=False, metallic=50, roughness=200, alpha=100), Settings()
    )
    assert len(bpy.data.images) == before["images"] + 6
    takes.remove_take(obj, 0)
    assert make.block_counts() == before
