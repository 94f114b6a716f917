"""The transparency of the old materials is told where a take does not keep it."""

import json
from collections.abc import Callable

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.checks import preflight
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

from tests.blender import make

pytestmark = pytest.mark.every_blender


def make_material(build: Callable) -> bpy.types.Material:
    material = bpy.data.materials.new("leaf")
    material.use_nodes = True
    nodes = material.node_tree.nodes
    build(material.node_tree, nodes["Principled BSDF"], nodes["Material Output"].inputs["Surface"])
    return material


def image_alpha(tree, principled, _surface):
    image = tree.nodes.new("ShaderNodeTexImage")
    tree.links.new(image.outputs["Alpha"], principled.inputs["Alpha"])


def alpha_through_math(tree, principled, _surface):
    image, math = tree.nodes.new("ShaderNodeTexImage"), tree.nodes.new("ShaderNodeMath")
    tree.links.new(image.outputs["Color"], math.inputs[0])
    tree.links.new(math.outputs[0], principled.inputs["Alpha"])


def alpha_value(_tree, principled, _surface):
    principled.inputs["Alpha"].default_value = 0.3


def mixed_with_transparent(tree, principled, surface):
    mix, reroute = tree.nodes.new("ShaderNodeMixShader"), tree.nodes.new("NodeReroute")
    tree.links.new(principled.outputs[0], mix.inputs[1])
    tree.links.new(tree.nodes.new("ShaderNodeBsdfTransparent").outputs[0], reroute.inputs[0])
    tree.links.new(reroute.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], surface)


def in_a_group(tree, _principled, surface):
    group = bpy.data.node_groups.new("Group", "ShaderNodeTree")
    group.interface.new_socket("Shader", in_out="OUTPUT", socket_type="NodeSocketShader")
    mixed_with_transparent(
        group, group.nodes.new("ShaderNodeBsdfPrincipled"), group.nodes.new("NodeGroupOutput").inputs[0]
    )
    node = tree.nodes.new("ShaderNodeGroup")
    node.node_tree = group
    tree.links.new(node.outputs[0], surface)


def glass(tree, _principled, surface):
    tree.links.new(tree.nodes.new("ShaderNodeBsdfGlass").outputs[0], surface)


def unused_transparent(tree, _principled, _surface):
    tree.nodes.new("ShaderNodeBsdfTransparent")


def alpha_through_a_group(value: float) -> Callable:
    def build(tree, _principled, surface):
        group = bpy.data.node_groups.new("Group", "ShaderNodeTree")
        group.interface.new_socket("Shader", in_out="OUTPUT", socket_type="NodeSocketShader")
        group.interface.new_socket("Opacity", in_out="INPUT", socket_type="NodeSocketFloat")
        principled = group.nodes.new("ShaderNodeBsdfPrincipled")
        group.links.new(group.nodes.new("NodeGroupInput").outputs[0], principled.inputs["Alpha"])
        group.links.new(principled.outputs[0], group.nodes.new("NodeGroupOutput").inputs[0])
        node = tree.nodes.new("ShaderNodeGroup")
        node.node_tree = group
        node.inputs[0].default_value = value
        tree.links.new(node.outputs[0], surface)

    return build


def opaque_image(tree, principled, _surface):
    image_alpha(tree, principled, _surface)
    tree.nodes["Image Texture"].image = bpy.data.images.new("opaque", 4, 4, alpha=False)
    tree.nodes["Image Texture"].image.alpha_mode = "NONE"


def jpeg_image(tree, principled, _surface):
    image_alpha(tree, principled, _surface)
    tree.nodes["Image Texture"].image = image = bpy.data.images.new("photo", 4, 4)
    image.source, image.filepath = "FILE", "/photo.jpg"


def looped_reroutes(tree, principled, _surface):
    first, second = tree.nodes.new("NodeReroute"), tree.nodes.new("NodeReroute")
    tree.links.new(first.outputs[0], second.inputs[0])
    tree.links.new(second.outputs[0], first.inputs[0])
    tree.links.new(second.outputs[0], principled.inputs["Alpha"])


def full_value(tree, principled, _surface):
    value, reroute = tree.nodes.new("ShaderNodeValue"), tree.nodes.new("NodeReroute")
    value.outputs[0].default_value = 1
    tree.links.new(value.outputs[0], reroute.inputs[0])
    tree.links.new(reroute.outputs[0], principled.inputs["Alpha"])


def layered(tree, principled, surface):
    """Mix Shaders whose inputs are the same one below, so deep that there are a trillion ways through."""
    shader = principled.outputs[0]
    for _ in range(40):
        mix = tree.nodes.new("ShaderNodeMixShader")
        for socket in mix.inputs[1:]:
            tree.links.new(shader, socket)
        shader = mix.outputs[0]
    tree.links.new(shader, surface)


def muted_link(tree, principled, _surface):
    image_alpha(tree, principled, _surface)
    principled.inputs["Alpha"].links[0].is_muted = True


def mixed_by(factor: float) -> Callable:
    def build(tree, principled, surface):
        mixed_with_transparent(tree, principled, surface)
        tree.nodes["Mix Shader"].inputs[0].default_value = factor

    return build


@pytest.mark.parametrize(
    ("build", "is_told"),
    [
        (image_alpha, False),
        (alpha_through_math, False),
        (alpha_value, False),
        (mixed_with_transparent, False),
        (in_a_group, False),
        (glass, True),
        (alpha_through_a_group(0.3), False),
        (mixed_by(1), True),
        (unused_transparent, False),
        (alpha_through_a_group(1), False),
        (opaque_image, False),
        (jpeg_image, False),
        (looped_reroutes, True),
        (full_value, False),
        (layered, False),
        (muted_link, False),
        (mixed_by(0), False),
        (lambda *_: None, False),
    ],
)
def test_lost_transparency_is_told_before_and_after(build, is_told):
    obj = make.cube()
    obj.data.materials.append(make_material(build))
    told = [notice.text for notice in preflight.notices(obj, Settings(), None)]
    make.apply(obj)
    notes = json.loads(obj.orbit_texture.takes[-1].report)["notes"]
    again = [notice.text for notice in preflight.notices(obj, Settings(), None)]
    for sentences in (told, notes, again):
        assert any("transparency of the material 'leaf' is lost" in text for text in sentences) == is_told
