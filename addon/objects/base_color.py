"""The base colour of a material, where its nodes say it plainly: an image, a colour, or a colour
attribute."""

from dataclasses import dataclass

import bpy
import numpy as np

from .transparency import find_link

BASE_COLOR_INPUTS = {
    "BSDF_PRINCIPLED": "Base Color",
    "BSDF_DIFFUSE": "Color",
    "EMISSION": "Color",
    "BSDF_GLOSSY": "Color",
}
"""By the type of a shader node, the name of the input that is its base colour."""


@dataclass(frozen=True)
class BaseColor:
    """A base colour that is read without computing nodes: one of the three.

    Attributes:
        image: an image, by the UV map of this name ("" for the mesh's own), placed by the matrix.
        uv_map: see above.
        placement: (2, 3) float64: (u, v, 1) of the UV map to those of the image.
        constant: (3,) float32, linear.
        attribute: name of a colour attribute; "" for the mesh's default one.
    """

    image: bpy.types.Image | None = None
    uv_map: str = ""
    placement: np.ndarray | None = None
    constant: np.ndarray | None = None
    attribute: str | None = None


def read_base_color(material: bpy.types.Material) -> BaseColor | None:
    """A material's base colour; None if only a bake can tell."""
    if material.node_tree is None or not material.use_nodes:
        return BaseColor(constant=np.array(material.diffuse_color[:3], np.float32))
    socket = find_base_color_input(material.node_tree)
    if socket is None:
        return None
    source = follow(socket)
    if source is None:
        return BaseColor(constant=np.array(socket.default_value[:3], np.float32))
    node = source.node
    if node.mute:
        return None
    if node.type == "RGB":
        return BaseColor(constant=np.array(source.default_value[:3], np.float32))
    if node.type == "VERTEX_COLOR" and source.name == "Color":
        return BaseColor(attribute=node.layer_name)
    if node.type == "ATTRIBUTE" and source.name == "Color" and node.attribute_type == "GEOMETRY":
        return BaseColor(attribute=node.attribute_name)
    if node.type == "TEX_IMAGE" and source.name == "Color":
        return _read_image(node)
    return None


def find_base_color_input(tree: bpy.types.NodeTree) -> bpy.types.NodeSocket | None:
    """The input of the base colour of the one shader that shows; None if several are mixed, or another
    one."""
    output = next(
        (node for node in tree.nodes if node.type == "OUTPUT_MATERIAL" and node.is_active_output), None
    )
    source = output and follow(output.inputs["Surface"])
    if source is None or source.node.mute:
        return None
    name = BASE_COLOR_INPUTS.get(source.node.type)
    return name and source.node.inputs[name]


def follow(socket: bpy.types.NodeSocket) -> bpy.types.NodeSocket | None:
    """The output that feeds an input, through reroutes; None if nothing does."""
    link = find_link(socket)
    while link and link.from_node.type == "REROUTE":
        link = find_link(link.from_node.inputs[0])
    return link and link.from_socket


def _read_image(node: bpy.types.Node) -> BaseColor | None:
    image = node.image
    plain = node.projection == "FLAT" and node.extension == "REPEAT"
    if image is None or image.source not in {"FILE", "GENERATED"} or not plain:
        return None
    placed = _read_placement(node.inputs["Vector"])
    return placed and BaseColor(image, *placed)


def _read_placement(socket: bpy.types.NodeSocket) -> tuple[str, np.ndarray] | None:
    """The UV map and the placement of what feeds a vector input; None if it is neither."""
    source = follow(socket)
    if source is None:
        return "", np.eye(3)[:2]
    node = source.node
    if node.mute:
        return None
    if node.type == "UVMAP" and not node.from_instancer:
        return node.uv_map, np.eye(3)[:2]
    if node.type == "TEX_COORD" and source.name == "UV" and not node.from_instancer:
        return "", np.eye(3)[:2]
    if node.type != "MAPPING" or node.vector_type != "POINT" or follow(node.inputs["Vector"]) is None:
        return None
    inner = _read_placement(node.inputs["Vector"])
    moved, turned, scaled = (node.inputs[name] for name in ("Location", "Rotation", "Scale"))
    if inner is None or any(each.is_linked for each in (moved, turned, scaled)):
        return None
    if abs(turned.default_value[0]) + abs(turned.default_value[1]) > 1e-6:
        return None
    uv_map, placement = inner
    angle, (x, y) = turned.default_value[2], scaled.default_value[:2]
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([(cos * x, -sin * y), (sin * x, cos * y)])
    shift = np.column_stack([np.zeros((2, 2)), moved.default_value[:2]])
    return uv_map, matrix @ placement + shift
