"""Takes: results on an object, kept side by side. Adding, showing and removing one never touches the mesh's
own data."""

import json
from collections.abc import Iterable

import bpy
import numpy as np

from ...backend.api.errors import InvalidTarget, OrbitError
from ...backend.api.job import Result
from ...backend.api.settings import Settings
from . import fingerprint, material, mesh_io


def add_take(
    objects: Iterable[bpy.types.Object],
    target: mesh_io.TargetMesh,
    result: Result,
    settings: Settings,
    thumbnail: np.ndarray | None = None,
) -> None:
    """Adds a result to objects that share one mesh, as a new take on each, and shows it.

    Args:
        thumbnail: (S, S, 3) uint8 sRGB image of the textured object, if there is one.

    Raises:
        OrbitError: the result does not fit or cannot be read; nothing was changed.
    """
    objects = list(objects)
    first = objects[0]
    mesh = first.data
    _check_fits(first, target, result)

    # Add the UV layer and the material, and undo both if anything else of the mesh changed.
    before = fingerprint.read_state(objects)
    new_layer = (
        "" if result.corner_uvs is None else mesh_io.add_uv_layer(mesh, target.loops, result.corner_uvs)
    )
    layer = new_layer or target.uv_layer
    try:
        sheet = {} if result.sheet is None else {material.SHEET: result.sheet}
        take_material = material.build(
            f"{first.name} {_next_take_name(first)}", result.textures | sheet, layer
        )
        if not fingerprint.is_same(before, fingerprint.read_state(objects, ignore=new_layer)):
            material.remove(take_material)
            raise OrbitError(
                f"The texture was not applied to '{first.name}', because its mesh would have changed. Please "
                "report this."
            )
    except OrbitError:
        if new_layer:
            mesh.uv_layers.remove(mesh.uv_layers[new_layer])
        raise

    # Record the take on each object.
    if thumbnail is not None:
        material.set_preview(take_material, thumbnail)
    owns_layer = bool(new_layer) or any(
        take.owns_uv_layer and take.uv_layer == layer for take in _takes_on(mesh)
    )
    layout = mesh_io.layout_fingerprint(mesh, layer)
    for obj, object_fingerprint in zip(objects, fingerprint.fingerprints(before), strict=True):
        report = result.report | {
            "mesh": "untouched",
            "fingerprint": object_fingerprint,
            "notes": [*result.report.get("notes", []), *target.notes],
        }
        _add_missing_slot(obj)
        take = obj.orbit_texture.takes.add()
        take.name = _next_take_name(obj)
        take.material, take.uv_layer, take.owns_uv_layer = take_material, layer, owns_layer
        take.own_topology, take.layout = target.loops is not None, layout
        take.settings, take.report = json.dumps(settings.to_dict()), json.dumps(report)
        show_take(obj, len(obj.orbit_texture.takes) - 1)


def _check_fits(obj: bpy.types.Object, target: mesh_io.TargetMesh, result: Result) -> None:
    """Raises :class:`InvalidTarget` if the result has UVs for another mesh, or its UV layer is gone."""
    if result.corner_uvs is not None and (
        target.loops is None or len(result.corner_uvs) != len(target.loops)
    ):
        raise InvalidTarget(f"The texture's UVs do not fit the mesh of '{obj.name}'. Texture it again.")
    if result.corner_uvs is None and target.uv_layer not in obj.data.uv_layers:
        raise InvalidTarget(
            f"The UV map '{target.uv_layer}' of the texture no longer exists on '{obj.name}'. Texture it "
            "again."
        )


def show_take(obj: bpy.types.Object, index: int) -> None:
    """Assigns the take's material to every slot of the object. The mesh keeps its own materials, and each
    face its slot."""
    _save_slots(obj)
    for slot in obj.material_slots:
        slot.link = "OBJECT"
        slot.material = obj.orbit_texture.takes[index].material


def find_shown_index(obj: bpy.types.Object) -> int:
    """Index of the take that the object shows, -1 if none."""
    first_material = obj.material_slots[0].material if obj.material_slots else None
    return next(
        (
            index
            for index, take in enumerate(obj.orbit_texture.takes)
            if first_material and take.material == first_material
        ),
        -1,
    )


def remove_take(obj: bpy.types.Object, index: int) -> None:
    """Removes a take with its material, images, UV layer and slot, unless another take uses them.

    If it was the shown one, the take before it is shown next. After the last take, the object gets back its
    materials from before the first.
    """
    own, mesh = obj.orbit_texture, obj.data
    was_shown = find_shown_index(obj) == index
    take_material, layer, owns_layer = (
        own.takes[index].material,
        own.takes[index].uv_layer,
        own.takes[index].owns_uv_layer,
    )
    if len(own.takes) == 1:
        _restore_slots(obj)
    elif was_shown:
        show_take(obj, index - 1 if index else 1)
    own.takes.remove(index)
    if len(own.takes) == 0:
        own.slots.clear()
        _remove_added_slot(obj)
    if owns_layer and layer in mesh.uv_layers and not any(take.uv_layer == layer for take in _takes_on(mesh)):
        mesh.uv_layers.remove(mesh.uv_layers[layer])
    if take_material:
        material.remove(take_material)


def mesh_users(mesh: bpy.types.Mesh) -> list[bpy.types.Object]:
    """The objects that share the mesh."""
    return [obj for obj in bpy.data.objects if obj.data == mesh]


def _takes_on(mesh: bpy.types.Mesh):
    return (take for obj in mesh_users(mesh) for take in obj.orbit_texture.takes)


def _next_take_name(obj: bpy.types.Object) -> str:
    """The first name of "Take 1", "Take 2", … that is free."""
    names = {take.name for take in obj.orbit_texture.takes}
    return next(name for number in range(1, len(names) + 2) if (name := f"Take {number}") not in names)


def _shows_take(obj: bpy.types.Object, slot: bpy.types.MaterialSlot) -> bool:
    return slot.material is not None and any(
        take.material == slot.material for take in obj.orbit_texture.takes
    )


def _save_slots(obj: bpy.types.Object) -> None:
    """Saves the materials in the slots that show no take, also if the user has changed them since the last
    take."""
    saved = obj.orbit_texture.slots
    while len(saved) < len(obj.material_slots):
        saved.add()
    for slot, kept in zip(obj.material_slots, saved, strict=False):
        if not _shows_take(obj, slot):
            kept.link = slot.link
            slot.link = "OBJECT"  # reveals the object's own material, which a slot linked to the mesh hides
            kept.material = slot.material
            slot.link = kept.link


def _restore_slots(obj: bpy.types.Object) -> None:
    for slot, kept in zip(obj.material_slots, obj.orbit_texture.slots, strict=False):
        if _shows_take(obj, slot):
            slot.material = kept.material
            slot.link = kept.link


def _add_missing_slot(obj: bpy.types.Object) -> None:
    """Adds a material slot to a mesh without one, and marks it as ours on all objects that share the mesh."""
    if not obj.material_slots:
        obj.data.materials.append(None)
        for user in mesh_users(obj.data):
            user.orbit_texture.owns_slot = True


def _remove_added_slot(obj: bpy.types.Object) -> None:
    """Removes the added slot once no object needs it. The faces keep their slot numbers."""
    mesh, users = obj.data, mesh_users(obj.data)
    needed = any(user.orbit_texture.takes or slot.material for user in users for slot in user.material_slots)
    if not obj.orbit_texture.owns_slot or needed or len(mesh.materials) != 1:
        return
    numbers = [0] * len(mesh.polygons)
    mesh.polygons.foreach_get("material_index", numbers)
    mesh.materials.pop(index=0)
    if any(numbers):
        mesh.polygons.foreach_set("material_index", numbers)
    for user in users:
        user.orbit_texture.owns_slot = False
        user.data = mesh  # makes the object update its slots
