"""Finds materials that let one see through a surface: a take is opaque, so the user has to be told."""

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

_SEE_THROUGH = {"BSDF_TRANSPARENT", "BSDF_GLASS", "BSDF_REFRACTION", "HOLDOUT"}
"""Types of shader nodes that let light through."""


def describe_transparency(materials: set[bpy.types.Material | None]) -> list[str]:
    """A sentence about those of the materials that are transparent anywhere; none if there are none."""
    names = sorted(material.name for material in materials if material and is_transparent(material))
    if not names:
        return []
    text = rpt_(
        "The transparency of the material '{}' is lost: the take is opaque. To cut the leaves or glass out "
        "again, link what drives the alpha there to Alpha in the take's material."
    )
    return [text.format("', '".join(names))]


def is_transparent(material: bpy.types.Material) -> bool:
    """Whether nodes that reach the material's output make it transparent, inside of groups too."""
    tree = material.node_tree
    if tree is None:
        return False
    outputs = [node for node in tree.nodes if node.type == "OUTPUT_MATERIAL" and node.is_active_output]
    return any(_lets_light_through(node, set()) for node in outputs)


def _lets_light_through(node: bpy.types.Node, seen: set) -> bool:
    """Whether a node, or one that feeds its shader inputs, is transparent."""
    if node in seen or node.mute:
        return False
    seen.add(node)
    if node.type in _SEE_THROUGH or (node.type == "BSDF_PRINCIPLED" and _has_alpha(node)):
        return True
    if node.type == "GROUP" and node.node_tree:
        inner = (each for each in node.node_tree.nodes if each.type == "GROUP_OUTPUT")
        if any(_lets_light_through(each, seen) for each in inner):
            return True
    shaders = (socket for socket in node.inputs if socket.type == "SHADER" and socket.enabled)
    # A reroute has the type of what it leads.
    sources = (link.from_node for socket in shaders for link in socket.links)
    return any(_lets_light_through(source, seen) for source in sources)


def _has_alpha(principled: bpy.types.Node) -> bool:
    """Whether a Principled shader has an alpha, or lets light through."""
    alpha = principled.inputs["Alpha"]
    transmission = principled.inputs.get("Transmission Weight")
    is_glass = transmission is not None and not transmission.is_linked and transmission.default_value > 0.5
    return alpha.is_linked or alpha.default_value < 0.999 or is_glass
