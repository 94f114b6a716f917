"""The cut-out of the materials that a take replaces, such as leaves on cards: the nodes that drive their
alpha are copied into the take's material, and read the UV map that they read before."""

from collections.abc import Iterator
from contextlib import contextmanager

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from .node_copies import copy_settings
from .transparency import find_link, is_transparent

FRAME = "Cut-Out"
"""Name of the frame around the copied nodes."""

Alpha = bpy.types.NodeSocket | float
"""An output that gives an alpha, or one value for all."""

_SEE_THROUGH = {"BSDF_GLASS", "BSDF_REFRACTION", "HOLDOUT", "ADD_SHADER", "BSDF_TOON", "SCRIPT"}
"""Types of shader nodes whose transparency no alpha can stand for."""

_RENDER_SETTINGS = ("surface_render_method", "blend_method", "alpha_threshold", "use_transparency_overlap")
"""Settings of a material that say how its alpha is drawn."""


class CannotKeep(Exception):
    """The transparency of a material is no alpha, or its nodes cannot be copied."""


def describe_transparency(materials: set[bpy.types.Material | None]) -> list[str]:
    """A sentence about those of the materials whose transparency a take loses; none if there are none."""
    lost = (each for each in materials if each and is_transparent(each) and not can_keep(each))
    names = sorted(material.name for material in lost)
    if not names:
        return []
    text = rpt_(
        "The transparency of the material '{}' is lost: the take is opaque. To see through it again, link "
        "what drives the alpha there to Alpha in the take's material."
    )
    return [text.format("', '".join(names))]


def can_keep(material: bpy.types.Material) -> bool:
    """Whether a take can be cut out as a material is. Nothing is made to find out: panels ask, too."""
    try:
        alpha = _Copier(None, "").copy_alpha(material)
    except CannotKeep:
        return False
    return alpha != 0.0


def keep_cut_out(
    take_material: bpy.types.Material, materials: list[bpy.types.Material | None], uv_layer: str
) -> None:
    """Cuts a take's material out as the materials of an object's slots are; nothing where they are opaque, or
    where that cannot be kept.

    Args:
        take_material: of :func:`.material.build`.
        materials: those that the take replaces, by slot.
        uv_layer: name of the UV map that they read by default.
    """
    tree = take_material.node_tree
    copier, alphas = _Copier(tree, uv_layer), {}
    for material in materials:
        if material not in alphas:
            alphas[material] = _copy_or_opaque(copier, material)
    if all(isinstance(alpha, float) and alpha > 0.999 for alpha in alphas.values()):
        copier.remove_all()
        return
    principled = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    copier.set_input(principled.inputs["Alpha"], copier.choose_by_slot([alphas[each] for each in materials]))
    cut = next(material for material in materials if alphas[material] != 1.0)
    for name in _RENDER_SETTINGS:
        if hasattr(cut, name):
            setattr(take_material, name, getattr(cut, name))


@contextmanager
def cut_out_for_gltf(take_material: bpy.types.Material, uv_layer: str) -> Iterator[bool]:
    """Leaves out, while an export lasts, a cut-out that glTF cannot hold: its alpha is in the base color's
    texture, so it has to be an image on the same UV map. Gives whether nothing was left out."""
    tree = take_material.node_tree
    principled = next((node for node in tree.nodes if node.type == "BSDF_PRINCIPLED"), None)
    link = find_link(principled.inputs["Alpha"]) if principled and FRAME in tree.nodes else None
    if link is None or _lies_on(link.from_node, uv_layer):
        yield True
        return
    source, socket = link.from_socket, principled.inputs["Alpha"]
    before, socket.default_value = socket.default_value, 1.0
    tree.links.remove(link)
    try:
        yield False
    finally:
        socket.default_value = before
        tree.links.new(source, socket)


def _lies_on(node: bpy.types.Node, uv_layer: str) -> bool:
    """Whether a node is an image on a UV map."""
    if node.type != "TEX_IMAGE":
        return False
    link = find_link(node.inputs["Vector"])
    return link is not None and link.from_node.type == "UVMAP" and link.from_node.uv_map == uv_layer


def _copy_or_opaque(copier: "_Copier", material: bpy.types.Material | None) -> Alpha:
    is_kept = material is not None and is_transparent(material) and can_keep(material)
    return copier.copy_alpha(material) if is_kept else 1.0


class _Copier:
    """Copies what drives an alpha into a tree, under a frame.

    Args:
        tree: of the take's material; None copies nothing and only finds out what can be copied.
        uv_layer: name of the UV map that nodes read by default.
    """

    def __init__(self, tree: bpy.types.NodeTree | None, uv_layer: str):
        self.tree, self.uv_layer = tree, uv_layer
        if tree is not None:
            self.frame = tree.nodes.new("NodeFrame")
            self.frame.name = self.frame.label = FRAME
        self._copies: dict[tuple, bpy.types.Node] = {}
        self._alphas: dict[tuple, Alpha] = {}
        self._uv_map = None

    def remove_all(self) -> None:
        """Removes all that was copied."""
        for node in [node for node in self.tree.nodes if node.parent == self.frame]:
            self.tree.nodes.remove(node)
        self.tree.nodes.remove(self.frame)

    def copy_alpha(self, material: bpy.types.Material) -> Alpha:
        """The alpha of a material. Raises :class:`CannotKeep`."""
        tree = material.node_tree
        if tree is None:
            return 1.0
        outputs = [node for node in tree.nodes if node.type == "OUTPUT_MATERIAL" and node.is_active_output]
        return self._copy_shader_alpha(outputs[0].inputs["Surface"], ()) if outputs else 1.0

    def choose_by_slot(self, alphas: list[Alpha]) -> Alpha:
        """The alpha of each face's material slot; the last one counts for all numbers beyond."""
        if all(alpha == alphas[0] for alpha in alphas):
            return alphas[0]
        number = self._new("ShaderNodeAttribute")
        number.attribute_name = "material_index"
        result = alphas[0]
        for slot, alpha in enumerate(alphas[1:], start=1):
            later = self._math("GREATER_THAN", number.outputs["Fac"], slot - 0.5)
            result = self._mix(result, alpha, later)
        return result

    def set_input(self, socket: bpy.types.NodeSocket, value: Alpha) -> None:
        """Links or sets an input."""
        if self.tree is None:
            return
        if isinstance(value, float):
            is_number = isinstance(socket.default_value, float | int)
            socket.default_value = value if is_number else [value] * len(socket.default_value)
        else:
            self.tree.links.new(value, socket)

    def _copy_shader_alpha(self, socket: bpy.types.NodeSocket, groups: tuple) -> Alpha:
        """The alpha of the shader that is linked to an input."""
        link = find_link(socket)
        if link is None:
            return 1.0
        key = link.from_node, link.from_socket.identifier, groups
        if key not in self._alphas:
            self._alphas[key] = self._find_shader_alpha(link.from_node, link.from_socket, groups)
        return self._alphas[key]

    def _find_shader_alpha(self, node: bpy.types.Node, source: bpy.types.NodeSocket, groups: tuple) -> Alpha:
        if node.type == "REROUTE":
            return self._copy_shader_alpha(_fed_input(node), groups)
        if node.type == "GROUP" and node.node_tree:
            return self._copy_shader_alpha(_inner_socket(node, source), (*groups, node))
        if node.type == "GROUP_INPUT" and groups:
            return self._copy_shader_alpha(_outer_socket(groups[-1], source), groups[:-1])
        if node.mute or node.type in _SEE_THROUGH:
            raise CannotKeep
        if node.type == "BSDF_TRANSPARENT":
            return 0.0
        if node.type == "MIX_SHADER":
            first, second = (self._copy_shader_alpha(each, groups) for each in node.inputs[1:3])
            return self._mix(first, second, self._copy_value(node.inputs[0], groups))
        if node.type == "BSDF_PRINCIPLED":
            transmission = node.inputs["Transmission Weight"]
            if find_link(transmission) or transmission.default_value > 0.5:
                raise CannotKeep
            return self._copy_value(node.inputs["Alpha"], groups)
        return 1.0

    def _copy_value(self, socket: bpy.types.NodeSocket, groups: tuple) -> Alpha:
        """What an input is given: an output in the tree, or its own value."""
        link = find_link(socket)
        if link is None:
            value = socket.default_value
            return float(value) if isinstance(value, float | int) else sum(value[:3]) / 3
        node, source = link.from_node, link.from_socket
        if node.type == "REROUTE":
            return self._copy_value(_fed_input(node), groups)
        if node.type == "GROUP" and node.node_tree:
            return self._copy_value(_inner_socket(node, source), (*groups, node))
        if node.type == "GROUP_INPUT" and groups:
            return self._copy_value(_outer_socket(groups[-1], source), groups[:-1])
        if node.type == "TEX_COORD" and source.name == "UV" and not node.from_instancer:
            return self._default_uvs()
        copy = self._copy_node(node, groups)
        return next(each for each in copy.outputs if each.identifier == source.identifier)

    def _copy_node(self, node: bpy.types.Node, groups: tuple) -> bpy.types.Node:
        if (node, groups) in self._copies:
            return self._copies[node, groups]
        if node.type in {"BSDF_PRINCIPLED", "SCRIPT", "SHADERTORGB"}:
            raise CannotKeep
        copy = self._copies[node, groups] = node if self.tree is None else self._new(node.bl_idname)
        if self.tree is not None:
            copy_settings(node, copy)
            if node.type == "UVMAP" and not node.uv_map:
                copy.uv_map = self.uv_layer
        for socket, own in zip(node.inputs, copy.inputs, strict=True):
            if find_link(socket) is not None:
                self.set_input(own, self._copy_value(socket, groups))
            elif node.type == "TEX_IMAGE" and socket.name == "Vector":
                self.set_input(own, self._default_uvs())
        return copy

    def _default_uvs(self) -> Alpha:
        if self.tree is None:
            return 0.5
        if self._uv_map is None:
            self._uv_map = self._new("ShaderNodeUVMap")
            self._uv_map.uv_map = self.uv_layer
        return self._uv_map.outputs["UV"]

    def _mix(self, first: Alpha, second: Alpha, factor: Alpha) -> Alpha:
        """``first * (1 - factor) + second * factor``."""
        if isinstance(factor, float):
            factor = min(max(factor, 0.0), 1.0)
        if first == second or factor == 0.0:
            return first
        if factor == 1.0:
            return second
        left = self._math("MULTIPLY", first, self._math("SUBTRACT", 1.0, factor))
        return self._math("ADD", left, self._math("MULTIPLY", second, factor))

    def _math(self, operation: str, one: Alpha, other: Alpha) -> Alpha:
        if operation == "MULTIPLY" and 0.0 in (one, other):
            return 0.0
        if operation == "MULTIPLY" and 1.0 in (one, other):
            return other if one == 1.0 else one
        if operation == "ADD" and 0.0 in (one, other):
            return other if one == 0.0 else one
        if self.tree is None:
            return 0.5
        node = self._new("ShaderNodeMath")
        node.operation = operation
        for socket, value in zip(node.inputs, (one, other), strict=False):
            self.set_input(socket, value)
        return node.outputs[0]

    def _new(self, name: str) -> bpy.types.Node:
        node = self.tree.nodes.new(name)
        node.parent = self.frame
        return node


def _fed_input(reroute: bpy.types.Node) -> bpy.types.NodeSocket:
    """The input of a reroute. Raises :class:`CannotKeep` if nothing leads there."""
    if find_link(reroute.inputs[0]) is None:
        raise CannotKeep
    return reroute.inputs[0]


def _inner_socket(group: bpy.types.Node, output: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    """The input, in a group's tree, of what one of its outputs gives."""
    inner = next(
        node for node in group.node_tree.nodes if node.type == "GROUP_OUTPUT" and node.is_active_output
    )
    return next(each for each in inner.inputs if each.identifier == output.identifier)


def _outer_socket(group: bpy.types.Node, source: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    """The input of a group node that an output of its inner Group Input node gives."""
    return next(each for each in group.inputs if each.identifier == source.identifier)
