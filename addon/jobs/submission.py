"""From objects, and what the user has given for them, to an entry of the queue; and from an entry to what the
client sends."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from uuid import uuid4

import bpy
import numpy as np

from ...backend.api.events import JobEvent, State
from ...backend.api.settings import Settings
from ..objects import identity, mask_correction, mesh_io
from ..objects.region import RegionRepaint
from ..objects.snapshot import TargetMesh
from .entry import JobEntry
from .reference import find_correction, name_of
from .request import JobRequest, PictureRequest, Reference

_MAX_PICTURE = 32
"""Characters of a picture's name in that of a take."""


@dataclass(frozen=True)
class JobInputs:
    """What a job needs besides the objects.

    Attributes:
        reference: the image.
        settings: how to texture the objects.
        repaint: given if only a region of a take is repainted.
        mask: which pixels of the reference show the object; None if that is to be found.
        uses_pins: whether the objects' pins place the camera.
        side: the side that the reference is said to show, or None.
        more: the other pictures of the objects.
    """

    reference: Reference
    settings: Settings
    repaint: RegionRepaint | None = None
    mask: Reference | None = None
    uses_pins: bool = False
    side: str | None = None
    more: tuple[PictureRequest, ...] = ()


def group_by_mesh(objects: Iterable[bpy.types.Object]) -> list[list[bpy.types.Object]]:
    """The objects in groups that share one mesh."""
    groups: dict[bpy.types.ID, list[bpy.types.Object]] = {}
    for obj in objects:
        groups.setdefault(obj.data or obj, []).append(obj)
    return list(groups.values())


def prepare_entry(objects: list[bpy.types.Object], inputs: JobInputs) -> JobEntry:
    """The entry of a job for objects that share one mesh: the first is read, and all get the take. They
    remember the settings.

    Raises:
        OrbitError: the object cannot be textured; nothing was changed.
    """
    first, repaint = objects[0], inputs.repaint
    entry = JobEntry(first.name_full, inputs.settings, reference=inputs.reference, mask=inputs.mask)
    entry.side, entry.more = inputs.side, inputs.more
    entry.title = name_take(inputs)
    if repaint:
        entry.kept, entry.layer, entry.own_topology = repaint.kept, repaint.layer, repaint.own_topology
    read_target(entry, first)
    entry.pins = read_pins(first, entry.target) if inputs.uses_pins else None
    dropped = mask_correction.drop_unfit_correction(first)
    entry.correction = find_correction(first, inputs.reference) if inputs.mask is None else None
    if dropped:
        entry.target = replace(entry.target, notes=(*entry.target.notes, dropped))
    entry.keys = tuple(map(identity.key_of, objects))
    for obj in objects:
        obj.orbit_texture.last = json.dumps(inputs.settings.to_dict())
    return entry


def name_take(inputs: JobInputs) -> str:
    """The name of the take that a job makes: "Spot.png · draft", or "repaint: Spot.png"."""
    picture, settings = name_of(inputs.reference), inputs.settings
    if len(picture) > _MAX_PICTURE:
        picture = f"{picture[: _MAX_PICTURE - 1]}…"
    kind = {"draft": "draft", "orbitpainter": f"OrbitPainter {settings.quality}", "trellis2": "TRELLIS.2"}[
        settings.painter
    ]
    if inputs.repaint:
        return f"repaint: {picture or kind}"
    return " · ".join(filter(None, [picture, kind, "refined" if settings.refine else ""]))


def read_target(entry: JobEntry, obj: bpy.types.Object) -> None:
    """Reads the mesh that is sent, and the one to send instead if its UV layer cannot be used.

    Raises:
        OrbitError: the object cannot be textured.
    """
    settings = entry.settings
    with_paint = settings.start_from == "present" and settings.present_weight > 0 and settings.paints_views
    if entry.kept:
        entry.target = mesh_io.read_mesh(obj, entry.own_topology, entry.layer, with_paint)
        return
    entry.target = mesh_io.read_mesh(obj, with_paint=with_paint)
    entry.fallback = (
        mesh_io.read_mesh(obj, own_topology=True, with_paint=with_paint)
        if entry.target.is_evaluated
        else None
    )
    entry.own_topology = False


def read_pins(obj: bpy.types.Object, target: TargetMesh) -> np.ndarray:
    """(N, 5) float32: an object's pins as a job with this mesh takes them."""
    pins = obj.orbit_texture.pins
    points = np.array([pin.point for pin in pins], np.float64).reshape(-1, 3)
    places = np.array([pin.place for pin in pins], np.float64).reshape(-1, 2)
    matrix = target.snapshot.matrix
    sent = points @ matrix[:3, :3].T + matrix[:3, 3]
    return np.column_stack([sent, places[:, 0], 1 - places[:, 1]]).astype(np.float32)


def make_check_request(obj: bpy.types.Object, inputs: JobInputs) -> JobRequest:
    """What the client sends to find the object and the view in a reference, as a job with these inputs
    would.

    Raises:
        OrbitError: the object cannot be textured.
    """
    correction = find_correction(obj, inputs.reference) if inputs.mask is None else None
    target = mesh_io.read_mesh(obj)
    return JobRequest(
        uuid4().hex,
        obj.name_full,
        target.mesh_data,
        inputs.reference,
        inputs.settings,
        mask=correction.mask if correction else inputs.mask,
        strokes=correction and correction.rasterize,
        check_reference=True,
        pins=read_pins(obj, target) if inputs.uses_pins else None,
    )


def make_request(entry: JobEntry) -> JobRequest:
    """What the client sends, as a new job of the entry."""
    entry.event = JobEvent(uuid4().hex, State.QUEUED)
    entry.error, entry.is_pending_stored = None, False
    correction = entry.correction
    return JobRequest(
        entry.job,
        entry.name,
        entry.target.mesh_data,
        entry.reference,
        entry.settings,
        entry.kept,
        correction.mask if correction else entry.mask,
        correction and correction.rasterize,
        pins=entry.pins,
        side=entry.side,
        more=entry.more,
        present=entry.target.present_paint,
    )
