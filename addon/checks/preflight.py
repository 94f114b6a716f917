"""What to know before a job: what is wrong with an object, what becomes of it, and the operator that mends
it. Cheap enough to be drawn."""

import math
from dataclasses import dataclass, fields, replace

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ...backend.api.errors import OrbitError
from ...backend.api.settings import Settings
from ..objects import mesh_io
from ..setup import devices, weights
from . import estimate
from .mesh_check import MeshCheck

_SIZES = sorted(
    next(entry for entry in fields(Settings) if entry.name == "texture_size").metadata["choices"],
    reverse=True,
)


@dataclass(frozen=True)
class Finding:
    """One thing to know.

    Attributes:
        name: what it is about, in a word.
        sentence: what is so, and what becomes of it.
        fix: the operator ``orbit_texture.<fix>`` that mends it; "" where nothing needs to be done, or no
            button can.
        urgent: something should be done about it first.
    """

    name: str
    sentence: str
    fix: str = ""
    urgent: bool = False


def findings(obj: bpy.types.Object, settings: Settings, checked: MeshCheck | None) -> list[Finding]:
    """What there is to know about texturing an object.

    Args:
        checked: what is known about its faces and UV map, if anything is.
    """
    try:
        mesh_io.check(obj)
    except OrbitError as error:
        return [*_of_painter(settings), Finding(error.code, error.message, error.fix, urgent=True)]
    return [
        *_of_painter(settings),
        *_of_memory(obj, settings),
        *_of_faces(checked),
        *_of_uv_map(obj, checked),
        *_of_modifiers(obj),
        *_of_scale(obj),
    ]


def _of_painter(settings: Settings) -> list[Finding]:
    absent = settings.networks and devices.all_devices() and not devices.resolve(settings.device)
    device = (
        [
            Finding(
                "device",
                rpt_("This computer has no device '{}'. Choose another in the preferences.").format(
                    settings.device
                ),
                urgent=True,
            )
        ]
        if absent
        else []
    )
    return device + [
        Finding(
            "weights",
            rpt_("{}'s weights are not on this computer.").format(needs.title),
            "download_weights",
            urgent=True,
        )
        for needs in weights.missing(settings)
    ]


def _of_memory(obj: bpy.types.Object, settings: Settings) -> list[Finding]:
    triangles = mesh_io.triangle_count(obj.data)
    fix = "use_less_memory" if lighter(triangles, settings) else ""
    return [Finding("memory", sentence, fix, urgent=True) for sentence in _shortages(triangles, settings)]


def lighter(triangles: int, settings: Settings) -> dict:
    """The first change of settings with which the memory suffices, by name; empty if none does or it suffices
    already."""
    sizes = [size for size in _SIZES if size < settings.texture_size]
    changes = [
        {"quality": "fast"},
        {"refine_resolution": 512},
        *({"texture_size": size} for size in sizes),
        {"refine": False},
        {"painter": "draft"},
        {"painter": "draft", "refine": False},
    ]
    if not _shortages(triangles, settings):
        return {}
    return next((change for change in changes if not _shortages(triangles, replace(settings, **change))), {})


def forecast(triangles: int, settings: Settings) -> str:
    """What a job will cost, in a few words; "" if nobody knows."""
    if cost := estimate.cost(triangles, settings):
        return rpt_("About {} min, {:.0f} GB of memory").format(
            max(1, round(cost.seconds / 60)), cost.gigabytes
        )
    device = devices.resolve(settings.device)
    if device is None:
        return ""
    card, memory = estimate.peak_memory(triangles, settings, device, estimate.total_memory() or math.inf)
    return (
        rpt_("About {:.0f} GB of the card, {:.0f} GB of memory").format(card, memory)
        if card
        else rpt_("About {:.0f} GB of memory").format(memory)
    )


def _shortages(triangles: int, settings: Settings) -> list[str]:
    """A sentence for each memory that is too small."""
    there, cost, device = (
        estimate.total_memory(),
        estimate.cost(triangles, settings),
        devices.resolve(settings.device),
    )
    found = []
    if there is not None and cost is not None and cost.gigabytes > there:
        found.append(
            rpt_(
                "A job like this takes about {:.1f} GB of memory, and this computer has {:.1f}. "
                "Choose a smaller texture."
            ).format(cost.gigabytes, there)
        )
    there = math.inf if there is None else there
    for load in estimate.model_memory(settings, device, there) if device else ():
        if load.card > device.free:
            found.append(
                rpt_(
                    "{} takes at least {:.1f} GB of the card's memory, and of {} {:.1f} GB were free when "
                    "the installation was checked. Close other programs that use it and check again, or use "
                    "less."
                ).format(load.who, load.card, devices.display_name(device), device.free)
            )
        elif load.memory > there:
            found.append(
                rpt_(
                    "{} takes at least {:.1f} GB of memory on this device, and this computer has {:.1f}."
                ).format(load.who, load.memory, there)
            )
    return found


def _of_faces(checked: MeshCheck | None) -> list[Finding]:
    if checked and checked.inside_out:
        sentence = rpt_("All faces point inwards, so the painter would see the mesh from inside.")
    elif checked and checked.flipped_edges:
        sentence = rpt_(
            "Some faces point the other way than their neighbours ({} edges between them)."
        ).format(checked.flipped_edges)
    else:
        return []
    return [Finding("normals", sentence, "recalculate_normals", urgent=True)]


def _of_uv_map(obj: bpy.types.Object, checked: MeshCheck | None) -> list[Finding]:
    layer, name = mesh_io.layer_to_send(obj), mesh_io.UV_LAYER
    if not layer:
        return [Finding("uv_map", rpt_("There is no UV map. The texture brings one, '{}'.").format(name))]
    if not checked or not (checked.uvs_overlap or checked.uvs_leave_tiles):
        return []
    what = (
        rpt_("Faces overlap in the UV map '{}'.")
        if checked.uvs_overlap
        else rpt_("The UV map '{}' leaves the unit square.")
    )
    if len(obj.data.uv_layers) >= mesh_io.MAX_UV_LAYERS:
        return [
            Finding(
                "uv_map",
                what.format(layer)
                + " "
                + rpt_("The texture needs one of its own, and there is no room for another. Remove one."),
                urgent=True,
            )
        ]
    return [
        Finding(
            "uv_map",
            what.format(layer)
            + " "
            + rpt_("It stays as it is; the texture brings its own, '{}'.").format(name),
        )
    ]


def _of_modifiers(obj: bpy.types.Object) -> list[Finding]:
    if not any(modifier.show_viewport for modifier in obj.modifiers):
        return []
    seen = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    if (len(seen.vertices), len(seen.loops)) == (len(obj.data.vertices), len(obj.data.loops)):
        return []
    names = ", ".join(modifier.name for modifier in obj.modifiers if modifier.show_viewport)
    if mesh_io.layer_to_send(obj):
        sentence = rpt_("What the modifiers add ({}) is textured too, if the UV map is usable through them.")
    else:
        sentence = rpt_(
            "Without a UV map the mesh is textured without its modifiers ({}); the texture shows through "
            "them."
        )
    return [Finding("modifiers", sentence.format(names))]


def _of_scale(obj: bpy.types.Object) -> list[Finding]:
    scale = obj.matrix_world.to_scale()
    if max(scale) - min(scale) <= 1e-3 * max(map(abs, scale)) and obj.matrix_world.determinant() > 0:
        return []
    return [
        Finding(
            "scale",
            rpt_("The scale is uneven or negative and not applied. The object is textured as you see it."),
        )
    ]
