"""The job that an object waits for, stored with the object, so that a file that is opened again gets its
result."""

import json

import bpy

from ...backend.api.events import JobEvent, State
from ...backend.api.settings import Settings
from ..objects import identity
from .entry import JobEntry


def store_pending(entry: JobEntry) -> None:
    """Stores on the objects in the open file their keys, and on the first whether it waits for the entry's
    job."""
    for key in entry.keys:
        if obj := identity.find(key):
            obj.orbit_texture.id = key.id
    if obj := identity.find(entry.keys[0]):
        pending_job = json.loads(obj.orbit_texture.pending or "{}").get("job")
        if not entry.is_settled:
            obj.orbit_texture.pending = json.dumps(
                {
                    "job": entry.job,
                    "objects": [key.id for key in entry.keys],
                    "settings": entry.settings.to_dict(),
                    "topology": entry.target_topology,
                    "own_topology": entry.own_topology,
                    "layer": entry.layer,
                    "title": entry.title,
                }
            )
        elif pending_job == entry.job:
            obj.orbit_texture.pending = ""
    entry.is_pending_stored = True


def clear_pending(entry: JobEntry) -> None:
    """The objects in the open file wait for nothing any more."""
    if obj := identity.find(entry.keys[0]):
        obj.orbit_texture.pending = ""


def read_pending() -> list[JobEntry]:
    """An entry for each job that objects of the open file were waiting for when it was saved."""
    return [_read_entry(obj) for obj in bpy.data.objects if obj.orbit_texture.pending]


def _read_entry(obj: bpy.types.Object) -> JobEntry:
    record = json.loads(obj.orbit_texture.pending)
    return JobEntry(
        obj.name,
        Settings.from_dict(record["settings"]),
        tuple(identity.ObjectKey(key, 0) for key in record["objects"]),
        topology=record["topology"],
        own_topology=record["own_topology"],
        layer=record.get("layer", ""),
        title=record.get("title", ""),
        event=JobEvent(record["job"], State.QUEUED),
    )
