"""Copies a shader node's settings to another node of its type, in another tree."""

import bpy

_BASE = {each.identifier for each in bpy.types.Node.bl_rna.properties}
"""Settings that every node has, such as its place."""


def copy_settings(node: bpy.types.Node, copy: bpy.types.Node) -> None:
    """Gives ``copy`` the settings of ``node``, its own values of inputs and outputs, and its curves."""
    _copy_properties(node, copy, _BASE)
    copy.mute = node.mute
    for name in ("image_user", "texture_mapping"):
        if hasattr(node, name):
            _copy_properties(getattr(node, name), getattr(copy, name), {"rna_type"})
    if hasattr(node, "color_ramp"):
        _copy_color_ramp(node.color_ramp, copy.color_ramp)
    if hasattr(node, "mapping") and hasattr(node.mapping, "curves"):
        _copy_curves(node.mapping, copy.mapping)
    for sockets, own in ((node.inputs, copy.inputs), (node.outputs, copy.outputs)):
        for one, other in zip(sockets, own, strict=True):
            if hasattr(one, "default_value") and one.type != "SHADER":
                other.default_value = one.default_value


def _copy_properties(one, other, skipped: set[str]) -> None:
    for each in one.bl_rna.properties:
        if each.identifier not in skipped and not each.is_readonly:
            setattr(other, each.identifier, getattr(one, each.identifier))


def _copy_color_ramp(ramp: bpy.types.ColorRamp, copy: bpy.types.ColorRamp) -> None:
    _copy_properties(ramp, copy, {"rna_type", "elements"})
    while len(copy.elements) < len(ramp.elements):
        copy.elements.new(1.0)
    while len(copy.elements) > len(ramp.elements):
        copy.elements.remove(copy.elements[-1])
    for one, other in zip(ramp.elements, copy.elements, strict=True):
        other.position, other.color = one.position, one.color


def _copy_curves(mapping: bpy.types.CurveMapping, copy: bpy.types.CurveMapping) -> None:
    _copy_properties(mapping, copy, {"rna_type", "curves"})
    for curve, own in zip(mapping.curves, copy.curves, strict=True):
        while len(own.points) < len(curve.points):
            own.points.new(1.0, 1.0)
        for one, other in zip(curve.points, own.points, strict=True):
            other.location, other.handle_type = one.location, one.handle_type
    copy.update()
