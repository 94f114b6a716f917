"""Puts the result of a job on its objects, as soon as Blender's state allows it."""

import json
import traceback

import bpy
from bpy.app.translations import pgettext_rpt as rpt_

from ...backend.api.errors import InvalidTarget, OrbitError
from ..checks import estimate
from ..objects import identity, mesh_io, takes
from .entry import JobEntry


def find_obstacle(entry: JobEntry) -> str:
    """Why the result cannot be applied right now, "" if it can."""
    if identity.find(entry.keys[0]) is None:
        return rpt_("Finished. Open the file that contains '{}' to apply the texture.").format(entry.name)
    if bpy.context.mode != "OBJECT":
        return "Finished. Return to Object Mode to apply the texture."
    blocking = (
        operator
        for window in bpy.context.window_manager.windows
        for operator in window.modal_operators
        if "BLOCKING" in operator.bl_options
    )
    return "Finished. Confirm or cancel the running tool to apply the texture." if any(blocking) else ""


def apply_result(entry: JobEntry) -> None:
    """Adds a take to those of the entry's objects that still share the mesh that was sent. The entry then
    drops everything that only a retry would need.

    Raises:
        OrbitError: the result does not fit, or an error that nobody expected; the entry has it, nothing was
            changed and the result is kept for a retry.
    """
    try:
        objects = _add_take(entry)
    except OrbitError as error:
        entry.error = error
        raise
    except Exception as error:
        traceback.print_exc()
        entry.error = OrbitError(
            f"The texture could not be put on '{entry.name}' because of an error that nobody expected "
            f"({type(error).__name__}: {error}). Nothing was changed and the texture is kept: retry, or save "
            "the file, open it again and retry. Please report this.",
            fix="retry",
        )
        raise entry.error from error
    for obj in objects:
        obj.orbit_texture.takes[-1].job = entry.job
    objects[0].orbit_texture.pending = ""
    entry.applied, entry.report = True, json.loads(objects[0].orbit_texture.takes[-1].report)
    entry.result = entry.target = entry.fallback = entry.reference = None
    entry.mask = entry.kept = entry.correction = None


def _add_take(entry: JobEntry) -> list[bpy.types.Object]:
    """Adds the take; returns the objects that have it."""
    objects = [obj for key in entry.keys if (obj := identity.find(key))]
    target = entry.target or mesh_io.read_mesh(objects[0], entry.own_topology, entry.layer)
    if mesh_io.topology_fingerprint(objects[0], target) != entry.target_topology:
        raise InvalidTarget(
            f"The mesh of '{objects[0].name}' was changed while it was being textured, so the "
            "texture does not fit. Undo the change and retry, or texture it again.",
            fix="retry",
        )
    objects = [obj for obj in objects if obj.data == objects[0].data]
    estimate.learn_pace(entry.result.report)
    takes.add_take(objects, target, entry.result, entry.settings, entry.thumbnail, entry.title)
    return objects
