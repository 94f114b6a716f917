"""Finds materials that let one see through a surface."""

from pathlib import Path

import bpy

_SEE_THROUGH = {"BSDF_TRANSPARENT", "BSDF_GLASS", "BSDF_REFRACTION", "HOLDOUT"}
"""Types of shader nodes that let light through."""

_OPAQUE_FORMATS = {".jpg", ".jpeg", ".hdr"}
"""Suffixes of image files that have no alpha."""

_OPAQUE_DEPTHS = {24, 96}
"""Bits per pixel of images of three channels."""


def is_transparent(material: bpy.types.Material) -> bool:
    """Whether nodes that reach the material's output make it transparent, inside of groups too."""
    tree = material.node_tree
    if tree is None:
        return False
    outputs = [node for node in tree.nodes if node.type == "OUTPUT_MATERIAL" and node.is_active_output]
    return any(_lets_light_through(node, (), set()) for node in outputs)


def _lets_light_through(node: bpy.types.Node, groups: tuple[bpy.types.Node, ...], seen: set) -> bool:
    """Whether a node, or one that feeds its shader inputs, is transparent.

    Args:
        groups: the group nodes that the node is in, the outermost first.
        seen: nodes with their groups that need not be looked at again.
    """
    if node.mute or (node, groups) in seen:
        return False
    seen.add((node, groups))
    if node.type in _SEE_THROUGH or (node.type == "BSDF_PRINCIPLED" and _has_alpha(node, groups)):
        return True
    if node.type == "GROUP" and node.node_tree:
        inner = (each for each in node.node_tree.nodes if each.type == "GROUP_OUTPUT")
        if any(_lets_light_through(each, (*groups, node), seen) for each in inner):
            return True
    # A reroute has the type of what it leads.
    links = (find_link(socket) for socket in _find_used_shaders(node))
    return any(_lets_light_through(link.from_node, groups, seen) for link in links if link)


def _find_used_shaders(node: bpy.types.Node) -> list[bpy.types.NodeSocket]:
    """The shader inputs that show: of a Mix Shader with a factor of 0 or 1 only one."""
    shaders = [socket for socket in node.inputs if socket.type == "SHADER" and socket.enabled]
    if node.type == "MIX_SHADER" and not find_link(node.inputs[0]):
        factor = node.inputs[0].default_value
        return shaders[int(factor >= 1) :][: 1 if factor in {0, 1} else 2]
    return shaders


def _has_alpha(principled: bpy.types.Node, groups: tuple[bpy.types.Node, ...]) -> bool:
    """Whether a Principled shader has an alpha, or lets light through."""
    transmission = principled.inputs.get("Transmission Weight")
    is_glass = transmission is not None and not transmission.is_linked and transmission.default_value > 0.5
    return is_glass or not _is_one(principled.inputs["Alpha"], groups)


def _is_one(socket: bpy.types.NodeSocket, groups: tuple[bpy.types.Node, ...]) -> bool:
    """Whether a value is 1 everywhere, as far as can be told without computing what nodes do."""
    link = find_link(socket)
    if link is None:
        return socket.default_value > 0.999
    node, source = link.from_node, link.from_socket
    if node.type == "REROUTE":
        return bool(find_link(node.inputs[0])) and _is_one(node.inputs[0], groups)
    if node.type == "GROUP_INPUT" and groups:
        outer = next(each for each in groups[-1].inputs if each.identifier == source.identifier)
        return _is_one(outer, groups[:-1])
    if node.type == "TEX_IMAGE" and source.name == "Alpha":
        return node.image is not None and _lacks_alpha(node.image)
    return node.type == "VALUE" and source.default_value > 0.999


def _lacks_alpha(image: bpy.types.Image) -> bool:
    """Whether an image is known to be opaque without loading it."""
    if image.alpha_mode == "NONE" or Path(image.filepath).suffix.lower() in _OPAQUE_FORMATS:
        return True
    return image.has_data and image.depth in _OPAQUE_DEPTHS


def find_link(socket: bpy.types.NodeSocket) -> bpy.types.NodeLink | None:
    """The link of an input that counts: neither muted nor part of a loop."""
    return next((link for link in socket.links if link.is_valid and not link.is_muted), None)
