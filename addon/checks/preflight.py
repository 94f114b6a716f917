"""Notices about an object before a job: what is wrong, what will happen, and the operator that fixes it.
Fast enough for a panel to draw."""

import math
from dataclasses import dataclass, fields, replace

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ...backend.api.errors import OrbitError
from ...backend.api.settings import Settings
from ..objects import mesh_io, region, slots
from ..objects.appearance import describe_appearance, read_appearance
from ..objects.cut_out import describe_transparency
from ..setup import devices, weights
from . import estimate
from .mesh_check import MeshCheck

_TEXTURE_SIZES = sorted(
    next(entry for entry in fields(Settings) if entry.name == "texture_size").metadata["choices"],
    reverse=True,
)

_MAX_LOOPS = 200_000
"""Loops of the largest mesh whose materials and UVs are read whenever a panel is drawn; what modifiers make
of the texture on a larger one is left to the notes of its take."""


@dataclass(frozen=True)
class Notice:
    """One notice to the user.

    Attributes:
        topic: what it is about, in a word.
        text: what was found, and what will happen.
        fix: the operator ``orbit_texture.<fix>`` that fixes it; "" if there is nothing to fix or no operator
            for it.
        urgent: the user should do something about it before the job.
    """

    topic: str
    text: str
    fix: str = ""
    urgent: bool = False


def notices(obj: bpy.types.Object, settings: Settings, checked: MeshCheck | None) -> list[Notice]:
    """All notices about texturing an object with these settings.

    Args:
        checked: the result of the check of its faces and UV map; None if it was not checked.
    """
    try:
        mesh_io.check_object(obj)
    except OrbitError as error:
        if error.fix == "object_mode" and region.has_selected_faces(obj):
            return [*_check_painter(settings), _describe_selection(obj)]
        return [*_check_painter(settings), Notice(error.code, error.message, error.fix, urgent=True)]
    return [
        *_check_painter(settings),
        *_check_memory(obj, settings),
        *_check_faces(checked),
        *_check_uv_map(obj, checked),
        *_check_modifiers(obj),
        *_check_materials(obj),
        *_check_scale(obj),
    ]


def _describe_selection(obj: bpy.types.Object) -> Notice:
    take = region.get_shown_take(obj)
    text = rpt_("Repaint Region paints the selected faces anew and keeps the rest of '{}'.")
    return Notice("selection", text.format(take.name))


def _check_painter(settings: Settings) -> list[Notice]:
    found = []
    if settings.networks and devices.all_devices() and not devices.resolve(settings.device):
        text = rpt_("This computer has no device '{}'. Choose another in the preferences.")
        found.append(Notice("device", text.format(settings.device), urgent=True))
    return found + [
        Notice(
            "weights",
            rpt_("{}'s weights are not on this computer.").format(needs.title),
            "download_weights",
            urgent=True,
        )
        for needs in weights.missing(settings)
    ]


def _check_memory(obj: bpy.types.Object, settings: Settings) -> list[Notice]:
    triangles = mesh_io.triangle_count(obj.data)
    fix = "use_less_memory" if lighter_settings(triangles, settings) else ""
    return [Notice("memory", text, fix, urgent=True) for text in _memory_shortages(triangles, settings)]


def lighter_settings(triangles: int, settings: Settings) -> dict:
    """The first change of settings, by name, with which a job fits into memory; empty if none does, or if it
    fits already."""
    sizes = [size for size in _TEXTURE_SIZES if size < settings.texture_size]
    changes = [
        {"quality": "fast"},
        {"refine_resolution": 512},
        *({"texture_size": size} for size in sizes),
        {"refine": False},
        {"painter": "draft"},
        {"painter": "draft", "refine": False},
    ]
    if not _memory_shortages(triangles, settings):
        return {}
    return next(
        (change for change in changes if not _memory_shortages(triangles, replace(settings, **change))), {}
    )


def describe_cost(triangles: int, settings: Settings) -> str:
    """The time and memory that a job will take, in a few words; "" if unknown."""
    if cost := estimate.cost(triangles, settings):
        return rpt_("About {} min, {:.0f} GB of memory").format(
            max(1, round(cost.seconds / 60)), cost.gigabytes
        )
    device = devices.resolve(settings.device)
    if device is None:
        return ""
    gpu, ram = estimate.peak_memory(triangles, settings, device, estimate.total_memory() or math.inf)
    return (
        rpt_("GPU {:.0f} GB, memory {:.0f} GB").format(gpu, ram)
        if gpu
        else rpt_("About {:.0f} GB of memory").format(ram)
    )


def _memory_shortages(triangles: int, settings: Settings) -> list[str]:
    """A notice for each memory that is too small for a job."""
    total_ram = estimate.total_memory()
    cost, device = estimate.cost(triangles, settings), devices.resolve(settings.device)
    found = []
    # The stages without a model, as far as they were measured.
    if total_ram is not None and cost is not None and cost.gigabytes > total_ram:
        found.append(
            rpt_(
                "A job like this takes about {:.1f} GB of memory, and this computer has {:.1f} GB. "
                "Choose a smaller texture."
            ).format(cost.gigabytes, total_ram)
        )
    # The models, which run one after another.
    total_ram = math.inf if total_ram is None else total_ram
    for model in estimate.model_memory(settings, device, total_ram) if device else ():
        if model.gpu > device.free:
            found.append(
                rpt_(
                    "{} needs at least {:.1f} GB of graphics memory. {} had {:.1f} GB free when the "
                    "installation was last checked. Close other programs that use the graphics card and "
                    "check again, or use less memory."
                ).format(model.model, model.gpu, devices.display_name(device), device.free)
            )
        elif model.ram > total_ram:
            found.append(
                rpt_(
                    "{} needs at least {:.1f} GB of memory on this device, and this computer has {:.1f} GB."
                ).format(model.model, model.ram, total_ram)
            )
    return found


def _check_faces(checked: MeshCheck | None) -> list[Notice]:
    if checked and checked.inside_out:
        text = rpt_("All faces point inwards, so the painter would see the mesh from inside.")
    elif checked and checked.flipped_edges:
        text = rpt_("Some faces are flipped relative to their neighbours ({} edges between them).").format(
            checked.flipped_edges
        )
    else:
        return []
    return [Notice("normals", text, "recalculate_normals", urgent=True)]


def _check_uv_map(obj: bpy.types.Object, checked: MeshCheck | None) -> list[Notice]:
    layer, name = mesh_io.job_uv_layer(obj), mesh_io.UV_LAYER
    if not layer:
        text = rpt_("The mesh has no UV map. A new one called '{}' is added with the texture.")
        return [Notice("uv_map", text.format(name))]
    if not checked or not (checked.uvs_overlap or checked.uvs_leave_tiles):
        return []
    defect = (
        rpt_("Faces overlap in the UV map '{}'.")
        if checked.uvs_overlap
        else rpt_(
            "Faces in the UV map '{}' cross the border of the unit square or of a UDIM tile: it reaches "
            "{:.4g}."
        )
    ).format(layer, checked.uv_reach)
    if len(obj.data.uv_layers) >= mesh_io.MAX_UV_LAYERS:
        text = rpt_("The texture needs its own UV map, but Blender allows no more on this mesh. Remove one.")
        return [Notice("uv_map", f"{defect} {text}", urgent=True)]
    text = (
        rpt_("It is kept if they are copies of one another; else a new UV map called '{}' is added.")
        if checked.uvs_overlap
        else rpt_("It is not changed; a new UV map called '{}' is added with the texture.")
    ).format(name)
    return [Notice("uv_map", f"{defect} {text}")]


def _check_modifiers(obj: bpy.types.Object) -> list[Notice]:
    if not any(modifier.show_viewport for modifier in obj.modifiers):
        return []
    layer = mesh_io.job_uv_layer(obj)
    seen = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    found = _check_appearance(obj, layer) if len(seen.loops) <= _MAX_LOOPS else []
    is_same_size = (len(seen.vertices), len(seen.loops)) == (len(obj.data.vertices), len(obj.data.loops))
    if is_same_size or (layer and layer not in seen.uv_layers):
        return found
    names = ", ".join(modifier.name for modifier in obj.modifiers if modifier.show_viewport)
    if layer:
        text = rpt_(
            "The geometry that modifiers add ({}) is textured too if the UV map is still usable on it."
        )
    else:
        text = rpt_(
            "The mesh has no UV map, so it is textured without its modifiers ({}), which then repeat the "
            "texture."
        )
    return [*found, Notice("modifiers", text.format(names))]


def _check_appearance(obj: bpy.types.Object, layer: str) -> list[Notice]:
    """What the modifiers will make of the texture."""
    seen = read_appearance(obj, layer, {slot.material for slot in obj.material_slots} | {None})
    return (
        [Notice("modifiers", text, urgent=True) for text in describe_appearance(seen, layer)] if seen else []
    )


def _check_materials(obj: bpy.types.Object) -> list[Notice]:
    """What is lost of the materials that the object would wear without takes."""
    return [Notice("materials", text) for text in describe_transparency(slots.find_own_materials(obj))]


def _check_scale(obj: bpy.types.Object) -> list[Notice]:
    scale = obj.matrix_world.to_scale()
    if max(scale) - min(scale) <= 1e-3 * max(map(abs, scale)) and obj.matrix_world.determinant() > 0:
        return []
    return [
        Notice(
            "scale",
            rpt_(
                "The scale is non-uniform or negative. The object is textured as it appears in the viewport."
            ),
        )
    ]
