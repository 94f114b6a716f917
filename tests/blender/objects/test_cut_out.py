"""The cut-out of the materials that a take replaces goes on in the take, and comes back with them."""

import json
from collections.abc import Callable

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.objects import export, takes

from tests.blender import make

pytestmark = pytest.mark.every_blender

SIZE = 32
"""Pixels along the sides of the renders."""


def mask_image(name: str, left: float) -> bpy.types.Image:
    """An image whose left half has an alpha, and grey, of ``left``, and its right half of 1 - ``left``."""
    image = bpy.data.images.new(name, 16, 16, alpha=True)
    image.colorspace_settings.name = "Non-Color"
    image.alpha_mode = "CHANNEL_PACKED"
    value = np.where(np.arange(16) < 8, left, 1 - left)
    image.pixels.foreach_set(np.tile(value[None, :, None], (16, 1, 4)).astype(np.float32).ravel())
    image.update()
    return image


def add_mask(tree, left: float) -> bpy.types.Node:
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image, node.interpolation = mask_image("mask", left), "Closest"
    return node


def by_alpha(tree, left):
    tree.links.new(add_mask(tree, left).outputs["Alpha"], tree.nodes["Principled BSDF"].inputs["Alpha"])


def by_math_and_ramp(tree, left):
    """The mask turned over twice, by a node and by a ramp, through a reroute."""
    turned, ramp, reroute = (
        tree.nodes.new(name) for name in ("ShaderNodeMath", "ShaderNodeValToRGB", "NodeReroute")
    )
    turned.operation, turned.inputs[0].default_value = "SUBTRACT", 1
    ramp.color_ramp.elements[0].color, ramp.color_ramp.elements[1].color = (1, 1, 1, 1), (0, 0, 0, 1)
    tree.links.new(add_mask(tree, left).outputs["Color"], turned.inputs[1])
    tree.links.new(turned.outputs[0], ramp.inputs[0])
    tree.links.new(ramp.outputs["Color"], reroute.inputs[0])
    tree.links.new(reroute.outputs[0], tree.nodes["Principled BSDF"].inputs["Alpha"])


def by_mix_shader(tree, left):
    """Transparent as the second shader, so that the factor is what is cut away."""
    mix = tree.nodes.new("ShaderNodeMixShader")
    tree.links.new(add_mask(tree, 1 - left).outputs["Color"], mix.inputs[0])
    tree.links.new(tree.nodes["Principled BSDF"].outputs[0], mix.inputs[1])
    tree.links.new(tree.nodes.new("ShaderNodeBsdfTransparent").outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], tree.nodes["Material Output"].inputs["Surface"])


def by_coordinates(tree, left):
    coordinates, mask = tree.nodes.new("ShaderNodeTexCoord"), add_mask(tree, left)
    tree.links.new(coordinates.outputs["UV"], mask.inputs["Vector"])
    tree.links.new(mask.outputs["Alpha"], tree.nodes["Principled BSDF"].inputs["Alpha"])


def in_a_group(tree, left):
    group = bpy.data.node_groups.new("Leaf", "ShaderNodeTree")
    group.interface.new_socket("Shader", in_out="OUTPUT", socket_type="NodeSocketShader")
    group.interface.new_socket("Mask", in_out="INPUT", socket_type="NodeSocketFloat")
    mix, inside = group.nodes.new("ShaderNodeMixShader"), group.nodes.new("NodeGroupInput")
    group.links.new(inside.outputs[0], mix.inputs[0])
    group.links.new(group.nodes.new("ShaderNodeBsdfTransparent").outputs[0], mix.inputs[1])
    group.links.new(group.nodes.new("ShaderNodeBsdfDiffuse").outputs[0], mix.inputs[2])
    group.links.new(mix.outputs[0], group.nodes.new("NodeGroupOutput").inputs[0])
    node = tree.nodes.new("ShaderNodeGroup")
    node.node_tree = group
    tree.links.new(add_mask(tree, left).outputs["Color"], node.inputs[0])
    tree.links.new(node.outputs[0], tree.nodes["Material Output"].inputs["Surface"])


def leaf(build: Callable, left: float = 0.0) -> bpy.types.Material:
    material = bpy.data.materials.new("leaf")
    material.use_nodes = True
    material.surface_render_method = "BLENDED"
    build(material.node_tree, left)
    return material


def card(*materials: bpy.types.Material) -> bpy.types.Object:
    """A strip of squares in the plane of x and z, each with its own slot and the whole of the UV map."""
    mesh = bpy.data.meshes.new("card")
    count = len(materials)
    corners = [(x / count, 0, z) for x in range(count + 1) for z in (0, 1)]
    mesh.from_pydata(corners, [], [(2 * k, 2 * k + 2, 2 * k + 3, 2 * k + 1) for k in range(count)])
    layer = mesh.uv_layers.new(name="Leaves")
    layer.uv.foreach_set("vector", np.tile(np.float32([0, 0, 1, 0, 1, 1, 0, 1]), count))
    for number, material in enumerate(materials):
        mesh.materials.append(material)
        mesh.polygons[number].material_index = number
    obj = bpy.data.objects.new("card", mesh)
    bpy.context.collection.objects.link(obj)
    make.select(obj)
    return obj


def render_alpha(obj: bpy.types.Object, folder) -> np.ndarray:
    """(SIZE, SIZE) float32 alpha of the card as Cycles shows it from the front, row 0 at the bottom."""
    scene = bpy.data.scenes.new("look")
    scene.collection.objects.link(obj)
    camera = bpy.data.objects.new("eye", bpy.data.cameras.new("eye"))
    scene.collection.objects.link(camera)
    camera.location, camera.rotation_euler = (0.5, -2, 0.5), (np.pi / 2, 0, 0)
    camera.data.type, camera.data.ortho_scale = "ORTHO", 1
    scene.camera, scene.render.engine = camera, "CYCLES"
    scene.cycles.samples, scene.cycles.device, scene.render.film_transparent = 1, "CPU", True
    scene.cycles.use_denoising, scene.cycles.pixel_filter_type = False, "BOX"
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    scene.render.filepath = str(folder / "look.png")
    bpy.ops.render.render(write_still=True, scene=scene.name)
    bpy.data.scenes.remove(scene)
    bpy.data.objects.remove(camera)
    image = bpy.data.images.load(str(folder / "look.png"))
    pixels = np.empty((SIZE, SIZE, 4), np.float32)
    image.pixels.foreach_get(pixels.ravel())
    bpy.data.images.remove(image)
    return pixels[..., 3]


def expected(*lefts: float) -> np.ndarray:
    """The alpha of a card whose masks have ``lefts``."""
    wide = SIZE // len(lefts)
    row = [np.where(np.arange(wide) < wide // 2, left, 1 - left) for left in lefts]
    return np.tile(np.concatenate(row), (SIZE, 1))


@pytest.mark.parametrize(
    "build", [by_alpha, by_math_and_ramp, by_mix_shader, by_coordinates, in_a_group], ids=lambda f: f.__name__
)
def test_a_take_is_cut_out_as_the_old_material_on_its_old_uv_map(build, tmp_path):
    obj = card(leaf(build))
    np.testing.assert_allclose(render_alpha(obj, tmp_path), expected(0.0), atol=0.01)
    make.apply(obj)
    assert obj.data.uv_layers.active.name != "Leaves"
    np.testing.assert_allclose(render_alpha(obj, tmp_path), expected(0.0), atol=0.01)
    assert obj.material_slots[0].material.surface_render_method == "BLENDED"


def test_each_face_keeps_the_cut_out_of_its_own_material(tmp_path):
    obj = card(leaf(by_alpha, 0.0), leaf(by_mix_shader, 1.0))
    make.apply(obj)
    np.testing.assert_allclose(render_alpha(obj, tmp_path), expected(0.0, 1.0), atol=0.01)


def read_gltf(file) -> dict:
    data = file.read_bytes()
    return json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])


@pytest.mark.parametrize(
    ("build", "new_uvs", "is_kept"),
    [(by_alpha, False, True), (by_alpha, True, False), (by_mix_shader, False, False)],
)
def test_a_glb_is_cut_out_where_it_can_hold_that_and_else_says_so(build, new_uvs, is_kept, tmp_path):
    obj = card(leaf(build))
    make.apply(obj, new_uvs=new_uvs)
    told = export.write_glb(obj, 0, tmp_path / "leaf.glb")
    (material,) = read_gltf(tmp_path / "leaf.glb")["materials"]
    assert (material.get("alphaMode", "OPAQUE") != "OPAQUE") == is_kept
    assert any("cut-out" in text for text in told) != is_kept
    np.testing.assert_allclose(render_alpha(obj, tmp_path), expected(0.0), atol=0.01)


def test_a_second_take_is_cut_out_too_and_removing_both_gives_back_what_was():
    obj = card(leaf(by_alpha))
    before = make.block_counts()
    worn, active = obj.material_slots[0].material, obj.data.uv_layers.active.name
    make.apply(obj)
    make.apply(obj)
    for take in obj.orbit_texture.takes:
        principled = next(n for n in take.material.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
        assert principled.inputs["Alpha"].is_linked
    takes.show_take(obj, 0)
    takes.remove_take(obj, 1)
    takes.remove_take(obj, 0)
    assert make.block_counts() == before
    assert obj.material_slots[0].material == worn
    assert obj.data.uv_layers.active.name == active


def test_an_opaque_material_leaves_the_take_opaque():
    obj = card(bpy.data.materials.new("wood"))
    make.apply(obj)
    nodes = obj.material_slots[0].material.node_tree.nodes
    assert not any(node.type == "FRAME" for node in nodes)
    assert obj.material_slots[0].material.surface_render_method != "BLENDED"
