"""What to know before a job: what is wrong with an object, what becomes of it, and the operator that mends it. Cheap enough to be drawn."""

from dataclasses import dataclass

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ..backend.api.errors import OrbitError
from ..backend.api.settings import Settings
from . import estimate, scene, weights
from .mesh_check import MeshCheck


@dataclass(frozen=True)
class Finding:
    """One thing to know.

    Attributes:
        name: what it is about, in a word.
        sentence: what is so, and what becomes of it.
        fix: the operator ``orbit_texture.<fix>`` that mends it; "" where nothing needs to be done, or no button can.
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
        scene.check(obj)
    except OrbitError as error:
        return [*_of_painter(settings), Finding(error.code, error.message, error.fix, urgent=True)]
    return [*_of_painter(settings), *_of_memory(obj, settings), *_of_faces(checked), *_of_uv_map(obj, checked), *_of_modifiers(obj),
            *_of_scale(obj)]


def _of_painter(settings: Settings) -> list[Finding]:
    return [Finding("weights", rpt_("{}'s weights are not on this computer.").format(needs.title), "download_weights", urgent=True)
            for needs in weights.missing(settings)]


def _of_memory(obj: bpy.types.Object, settings: Settings) -> list[Finding]:
    there, cost = estimate.memory(), estimate.cost(scene.triangle_count(obj.data), settings)
    if there is None or cost is None or cost.gigabytes <= there:
        return []
    return [Finding("memory", rpt_("A job like this takes about {:.1f} GB of memory, and this computer has {:.1f}. "
                                   "Choose a smaller texture.").format(cost.gigabytes, there), urgent=True)]


def _of_faces(checked: MeshCheck | None) -> list[Finding]:
    if checked and checked.inside_out:
        sentence = rpt_("All faces point inwards, so the painter would see the mesh from inside.")
    elif checked and checked.flipped_edges:
        sentence = rpt_("Some faces point the other way than their neighbours ({} edges between them).").format(checked.flipped_edges)
    else:
        return []
    return [Finding("normals", sentence, "recalculate_normals", urgent=True)]


def _of_uv_map(obj: bpy.types.Object, checked: MeshCheck | None) -> list[Finding]:
    layer, name = scene.layer_to_send(obj), scene.UV_LAYER
    if not layer:
        return [Finding("uv_map", rpt_("There is no UV map. The texture brings one, '{}'.").format(name))]
    if not checked or not (checked.uvs_overlap or checked.uvs_leave_tiles):
        return []
    what = rpt_("Faces overlap in the UV map '{}'.") if checked.uvs_overlap else rpt_("The UV map '{}' leaves the unit square.")
    if len(obj.data.uv_layers) >= scene.MAX_UV_LAYERS:
        return [Finding("uv_map", what.format(layer) + " " + rpt_(
            "The texture needs one of its own, and there is no room for another. Remove one."), urgent=True)]
    return [Finding("uv_map", what.format(layer) + " " + rpt_("It stays as it is; the texture brings its own, '{}'.").format(name))]


def _of_modifiers(obj: bpy.types.Object) -> list[Finding]:
    if not any(modifier.show_viewport for modifier in obj.modifiers):
        return []
    seen = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    if (len(seen.vertices), len(seen.loops)) == (len(obj.data.vertices), len(obj.data.loops)):
        return []
    names = ", ".join(modifier.name for modifier in obj.modifiers if modifier.show_viewport)
    if scene.layer_to_send(obj):
        sentence = rpt_("What the modifiers add ({}) is textured too, if the UV map is usable through them.")
    else:
        sentence = rpt_("Without a UV map the mesh is textured without its modifiers ({}); the texture shows through them.")
    return [Finding("modifiers", sentence.format(names))]


def _of_scale(obj: bpy.types.Object) -> list[Finding]:
    scale = obj.matrix_world.to_scale()
    if max(scale) - min(scale) <= 1e-3 * max(map(abs, scale)) and obj.matrix_world.determinant() > 0:
        return []
    return [Finding("scale", rpt_("The scale is uneven or negative and not applied. The object is textured as you see it."))]
