"""What the viewport shows of an object once its modifiers have worked. They may set other materials, make a
mesh without the UV map, or only instance something; then a take is not seen, and the user has to be told."""

from dataclasses import dataclass
from itertools import islice

import bpy
import numpy as np
from bpy.app.translations import pgettext_rpt as rpt_

MAX_INSTANCES = 5_000
"""Instances of the scene among which those of an object are looked for; a scene may have millions."""

_FEW = 0.005
"""A share of the faces too small to be told."""


@dataclass(frozen=True)
class Appearance:
    """The mesh that the viewport shows of an object.

    Attributes:
        modifiers: names of the modifiers that the viewport applies, in their order.
        faces: their number.
        foreign: by the name of a material that is not the object's, "" for none, the share of the faces that
            wear it.
        lacks_uv_map: the mesh has no UV map of the name that was asked for.
        unmapped: the share of the faces that have no area in that UV map, beyond the share without modifiers.
        exceeds_slots: faces have a material slot that the object does not have.
        has_instances: beside the mesh there are instances of something.
    """

    modifiers: tuple[str, ...]
    faces: int
    foreign: dict[str, float]
    lacks_uv_map: bool
    unmapped: float
    exceeds_slots: bool
    has_instances: bool


def read_appearance(
    obj: bpy.types.Object, layer: str, own: set[bpy.types.Material | None]
) -> Appearance | None:
    """What the viewport shows of an object; None if no modifier works on it, so that it shows the object's
    own mesh.

    Args:
        layer: name of the UV map of the texture; "" if there is none yet.
        own: the materials that are the object's own.
    """
    if not find_modifiers(obj):
        return None
    seen = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = seen.data
    slots = [slot.material and slot.material.original for slot in seen.material_slots]
    numbers = _read_slot_numbers(mesh)
    has_uv_map = layer in mesh.uv_layers
    return Appearance(
        find_modifiers(obj),
        len(mesh.polygons),
        _share_of_foreign_materials(numbers, slots, own),
        bool(layer) and not has_uv_map,
        max(0.0, _share_without_area(mesh, layer) - _share_without_area(obj.data, layer))
        if has_uv_map
        else 0.0,
        bool(slots) and bool((numbers >= len(slots)).any()),
        has_instances(obj),
    )


def describe_appearance(seen: Appearance, layer: str) -> list[str]:
    """Sentences about where the viewport does not show the texture, and what to do about it."""
    names, found = ", ".join(seen.modifiers), []
    if seen.has_instances:
        found.append(
            rpt_(
                "The instances that the modifiers ({}) make are not textured, only the object's own mesh is. "
                "Add a Realize Instances node to texture them, too, or texture the instanced object."
            ).format(names)
        )
    if seen.faces == 0:
        text = rpt_(
            "The modifiers ({}) leave no faces, so the viewport does not show the texture while they are "
            "switched on."
        )
        return [*found, text.format(names)]
    found += [
        rpt_(
            "The modifiers ({}) set the material '{}' on {}, so the viewport does not show the texture "
            "there. Switch off the Set Material node, or give it the take's material."
        ).format(names, name or rpt_("none"), _share_in_words(share))
        for name, share in seen.foreign.items()
    ]
    if seen.exceeds_slots:
        found.append(
            rpt_(
                "The modifiers ({}) give faces a material slot that the object does not have. Blender shows "
                "the last slot there; other programs may not."
            ).format(names)
        )
    if seen.lacks_uv_map:
        found.append(
            rpt_(
                "The modifiers ({}) make a mesh that has no UV map '{}', so the viewport shows the texture "
                "only while they are switched off. Apply them, then texture the object."
            ).format(names, layer)
        )
    if seen.unmapped >= _FEW:
        found.append(
            rpt_(
                "The modifiers ({}) give {} no area in the UV map '{}', so each of these shows a single "
                "colour."
            ).format(names, _share_in_words(seen.unmapped), layer)
        )
    return found


def find_modifiers(obj: bpy.types.Object) -> tuple[str, ...]:
    """Names of the modifiers that the viewport applies."""
    return tuple(modifier.name for modifier in obj.modifiers if modifier.show_viewport)


def shows_only_instances(obj: bpy.types.Object) -> bool:
    """Whether the viewport shows copies of other things in place of the object's mesh."""
    if obj.is_instancer and not obj.show_instancer_for_viewport:
        return True
    if not find_modifiers(obj):
        return False
    seen = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return len(seen.data.polygons) == 0 and has_instances(obj)


def has_instances(obj: bpy.types.Object) -> bool:
    """Whether geometry nodes of the object instance a mesh or an object; only the first instances of the
    scene are looked at."""
    if not any(modifier.type == "NODES" and modifier.show_viewport for modifier in obj.modifiers):
        return False
    # Volumes and curves that the nodes make are listed, too: as instances of the object itself.
    return any(
        instance.is_instance
        and instance.parent
        and instance.parent.original == obj
        and instance.object.type not in {"VOLUME", "CURVES", "POINTCLOUD"}
        for instance in islice(bpy.context.evaluated_depsgraph_get().object_instances, MAX_INSTANCES)
    )


def _share_in_words(share: float) -> str:
    return rpt_("all faces") if share == 1 else rpt_("{:.0%} of the faces").format(share)


def _read_slot_numbers(mesh: bpy.types.Mesh) -> np.ndarray:
    """(P,) int32, the number of each polygon's material slot."""
    numbers = np.zeros(len(mesh.polygons), np.int32)
    if attribute := mesh.attributes.get("material_index"):
        attribute.data.foreach_get("value", numbers)
    return numbers


def _share_of_foreign_materials(
    numbers: np.ndarray, slots: list[bpy.types.Material | None], own: set[bpy.types.Material | None]
) -> dict[str, float]:
    """By the name of each material that is not among ``own`` the share of the faces that wear it. Blender
    shows the last slot where a number is too high."""
    found = {}
    if slots:
        counts = np.bincount(np.clip(numbers, 0, len(slots) - 1), minlength=len(slots))
        for material, count in zip(slots, counts, strict=True):
            if count and material not in own:
                name = material.name if material else ""
                found[name] = found.get(name, 0.0) + count / len(numbers)
    return found


def _share_without_area(mesh: bpy.types.Mesh, layer: str) -> float:
    """The share of the faces whose corners all lie on one place of a UV map: where nodes leave faces without
    UVs, or give those of a point to all of an instance. 0 if the mesh has no such UV map."""
    if layer not in mesh.uv_layers or len(mesh.polygons) == 0:
        return 0.0
    uvs, starts = np.empty((len(mesh.loops), 2), np.float32), np.empty(len(mesh.polygons), np.int32)
    mesh.attributes[layer].data.foreach_get("vector", uvs.ravel())
    mesh.polygons.foreach_get("loop_start", starts)
    extents = np.maximum.reduceat(uvs, starts) - np.minimum.reduceat(uvs, starts)
    return 1.0 - float(extents.any(axis=1).mean())
