"""Takes: results on an object, kept side by side. Adding, showing and removing one never touches the mesh's
own data."""

import json
from collections.abc import Iterable

import bpy
import numpy as np

from ...backend.api.errors import InvalidTarget, OrbitError
from ...backend.api.job import Result
from ...backend.api.settings import Settings
from . import fingerprint, material, mesh_io, slots
from .active_uv_map import activate_uv_map, rendered_before, restore_uv_map
from .appearance import describe_appearance, read_appearance
from .cut_out import describe_transparency, keep_cut_out
from .report import round_report
from .undo_on_error import undo_on_error


def add_take(
    objects: Iterable[bpy.types.Object],
    target: mesh_io.TargetMesh,
    result: Result,
    settings: Settings,
    thumbnail: np.ndarray | None = None,
    title: str = "",
) -> None:
    """Adds a result to objects that share one mesh, as a new take on each, and shows it. After any error
    everything is as it was before.

    Args:
        thumbnail: (S, S, 3) uint8 sRGB image of the textured object, if there is one.
        title: the take's name; it gets a number if the object has a take of that name, and is only a number
            if empty.

    Raises:
        OrbitError: the result does not fit or cannot be read.
    """
    objects = list(objects)
    _check_fits(objects[0], target, result)
    with undo_on_error(objects):
        _add_take(objects, target, result, settings, thumbnail, title)


def _add_take(
    objects: list[bpy.types.Object],
    target: mesh_io.TargetMesh,
    result: Result,
    settings: Settings,
    thumbnail: np.ndarray | None,
    title: str,
) -> None:
    first, mesh = objects[0], objects[0].data
    # Add the UV layer and the material; nothing else of the mesh may change.
    before = fingerprint.read_state(objects)
    new_layer = (
        "" if result.corner_uvs is None else mesh_io.add_uv_layer(mesh, target.loops, result.corner_uvs)
    )
    layer = new_layer or target.uv_layer
    sheet = {} if result.sheet is None else {material.SHEET: result.sheet}
    take_material = material.build(f"{first.name} {_free_name(first, title)}", result.textures | sheet, layer)
    if not fingerprint.is_same(before, fingerprint.read_state(objects, ignore=new_layer)):
        raise OrbitError(
            f"The texture was not applied to '{first.name}', because its mesh would have changed. Please "
            "report this."
        )
    if "alpha" not in result.textures:
        keep_cut_out(take_material, slots.list_own_materials(first), rendered_before(first))
    if thumbnail is not None:
        material.set_preview(take_material, thumbnail)

    # Record the take on each object.
    owns_layer = bool(new_layer) or any(
        take.owns_uv_layer and take.uv_layer == layer for take in _takes_on(mesh)
    )
    layout = mesh_io.layout_fingerprint(mesh, layer)
    for obj in objects:
        slots.add_missing_slot(obj)
        name = _free_name(obj, title)
        take = obj.orbit_texture.takes.add()
        take.name = name
        take.material, take.uv_layer, take.owns_uv_layer = take_material, layer, owns_layer
        take.own_topology, take.layout = target.loops is not None, layout
        take.settings = json.dumps(settings.to_dict())
        show_take(obj, len(obj.orbit_texture.takes) - 1)

    # What modifiers make of it is only known now that all of them wear it.
    for obj, object_fingerprint in zip(objects, fingerprint.fingerprints(before), strict=True):
        seen = read_appearance(obj, layer, {take_material})
        notes = describe_appearance(seen, layer) if seen else []
        if "alpha" not in result.textures:
            notes += describe_transparency(slots.find_own_materials(obj))
        report = result.report | {
            "mesh": "untouched",
            "fingerprint": object_fingerprint,
            "notes": [*result.report.get("notes", []), *target.notes, *notes],
        }
        obj.orbit_texture.takes[-1].report = json.dumps(round_report(report))


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
    """Assigns the take's material to every slot of the object, and makes its UV map the active one. The mesh
    keeps its own materials, and each face its slot."""
    slots.save_slots(obj)
    for slot in obj.material_slots:
        slot.link = "OBJECT"
        slot.material = obj.orbit_texture.takes[index].material
    activate_uv_map(obj, obj.orbit_texture.takes[index].uv_layer)


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
    materials and its active UV map from before the first.
    """
    own, mesh = obj.orbit_texture, obj.data
    was_shown = find_shown_index(obj) == index
    take_material, layer, owns_layer = (
        own.takes[index].material,
        own.takes[index].uv_layer,
        own.takes[index].owns_uv_layer,
    )
    if len(own.takes) == 1:
        slots.restore_slots(obj)
    elif was_shown:
        show_take(obj, index - 1 if index else 1)
    own.takes.remove(index)
    if len(own.takes) == 0:
        own.slots.clear()
        slots.remove_added_slot(obj)
        restore_uv_map(obj, layer)
    if owns_layer and layer in mesh.uv_layers and not any(take.uv_layer == layer for take in _takes_on(mesh)):
        mesh.uv_layers.remove(mesh.uv_layers[layer])
    if take_material:
        material.remove(take_material)


def _takes_on(mesh: bpy.types.Mesh):
    return (take for obj in slots.mesh_users(mesh) for take in obj.orbit_texture.takes)


def _free_name(obj: bpy.types.Object, title: str) -> str:
    """The first of "Spot.png", "Spot.png 2", … that no take of the object has; of "Take 1", "Take 2", …
    without a title."""
    names = {take.name for take in obj.orbit_texture.takes}
    if title and title not in names:
        return title
    numbers = range(2 if title else 1, len(names) + 3)
    return next(name for number in numbers if (name := f"{title or 'Take'} {number}") not in names)
