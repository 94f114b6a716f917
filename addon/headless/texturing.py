"""Texturing without a window, for scripts and the command line: a plain loop without timers."""

import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import bpy

from ...backend.api.errors import DoubtfulView, InvalidSettings, InvalidTarget, OrbitError, StorageError
from ...backend.api.settings import Settings
from ...backend.api.weights import MODELS
from ..jobs import reference
from ..jobs.entry import JobEntry
from ..jobs.queue import queue
from ..objects import mesh_io
from .picture_sources import PictureSource
from .rules import Plan

POLL_INTERVAL = 0.05
"""Seconds between two polls of the queue."""

CANCEL_SECONDS = 3.0
"""The longest wait for the server to confirm that jobs were cancelled."""

Listener = Callable[[dict], None]
"""Receives an event that can be written as JSON, see docs/headless.md; its ``event`` gives the kind."""


def texture(
    objects: Iterable[bpy.types.Object],
    image: bpy.types.Image | str | Path,
    settings: Settings | None = None,
    listener: Listener = lambda event: None,
    mask: str | Path | None = None,
) -> list[dict]:
    """Textures objects from one image and waits until all are done. It uses the same queue and operator as
    the button.

    Args:
        image: an image of the .blend, or a file.
        mask: an image file of the same size, bright where that shows the object.

    Returns:
        One dict per mesh: ``object``, ``objects`` (those that share the mesh), ``state`` (finished, failed,
        cancelled), ``error`` (code, message and fix, or None), ``report`` (of the take, or None), and
        ``doubt`` (if the reference's view may be wrong: message and candidates; else None).

    Raises:
        InvalidImage: the image is missing or not a still image.
        KeyboardInterrupt: Ctrl-C; the jobs were cancelled.
    """
    source = reference.from_image(image) if isinstance(image, bpy.types.Image) else reference.from_file(image)
    mask_file = mask and reference.from_file(mask, "mask")
    plan = Plan(
        base=lambda obj: settings or Settings(),
        common=PictureSource(lambda: source, mask_file and (lambda: mask_file)),
    )
    return run(objects, plan, listener)


def run(objects: Iterable[bpy.types.Object], plan: Plan, listener: Listener, keep: bool = True) -> list[dict]:
    """Like :func:`texture`, with the reference and settings that the plan gives each object.

    Args:
        keep: keep the finished takes if an object fails; else they are removed, and returned as
            ``discarded``.
    """
    objects = list(objects)
    enter_object_mode()
    for note in plan.list_unused_rules(objects):
        listener({"event": "note", "message": note})
    entries = queue.add_each(objects, plan.inputs_of)
    return _run(entries, lambda entry: _outcome(entry, objects), listener, keep)


def run_into(
    output: Path, objects: Iterable[bpy.types.Object], plan: Plan, listener: Listener, keep: bool = True
) -> list[dict]:
    """Like :func:`run`; also saves the open file with its new takes as a copy.

    Args:
        keep: save after each object, before that object's event, so that finished takes are not lost
            whatever happens later; else save once at the end, and only if no object failed; see :func:`run`.

    Raises:
        StorageError: it cannot be written.
    """
    saved = False

    def save_and_report(event: dict) -> None:
        nonlocal saved
        if keep and event["event"] == "object" and event["state"] == "finished":
            save_copy(output)
            saved = True
        listener(event)

    try:
        outcomes = run(objects, plan, save_and_report, keep)
        if not keep and all(outcome["state"] == "finished" for outcome in outcomes):
            save_copy(output)
            saved = True
    finally:
        if saved:
            listener({"event": "saved", "file": str(output)})
    return outcomes


def wait(entries: list[JobEntry]) -> None:
    """Waits until jobs are settled; Ctrl-C cancels them. An entry whose result cannot be applied right now
    has failed."""
    try:
        _wait(entries, lambda entry: {}, lambda event: None)
    except KeyboardInterrupt:
        _cancel(entries)


def download(model: str, listener: Listener) -> dict:
    """Downloads a model's weights like the button, and waits for them; the user has agreed to it.

    Returns:
        ``download`` (the model), ``state`` (finished, failed, cancelled) and ``error``.
    """
    [outcome] = _run(
        [queue.download(model, f"{MODELS[model].title}'s weights")],
        lambda entry: {"download": entry.download, "state": _state(entry), "error": _error(entry)},
        listener,
    )
    return outcome


def find_objects(names: Iterable[str] | None) -> list[bpy.types.Object]:
    """The named objects of the open file, or every visible mesh object. Instances of collections are replaced
    by the mesh objects in them.

    Raises:
        InvalidTarget: there is no such object, or no mesh at all.
    """
    if names is None:
        if found := mesh_io.mesh_objects(mesh_io.visible_objects()):
            return found
        raise InvalidTarget("The file has no visible mesh object.")
    if missing := [name for name in names if name not in bpy.data.objects]:
        raise InvalidTarget(
            f"The file has no object called '{missing[0]}'. Its mesh objects are: "
            f"{', '.join(obj.name for obj in bpy.data.objects if obj.type == 'MESH') or 'none'}."
        )
    named = [bpy.data.objects[name] for name in names]
    return list(dict.fromkeys(inner for obj in named for inner in (mesh_io.mesh_objects([obj]) or [obj])))


def enter_object_mode() -> None:
    """Leaves Edit, Sculpt, Paint and every other mode that the file was saved in, since without a window
    nobody else can. In a window the modes are the user's, and nothing is done."""
    if not bpy.app.background:
        return
    shown = bpy.context.view_layer.objects
    before = shown.active
    for obj in [obj for obj in shown if obj.mode != "OBJECT"]:
        shown.active = obj
        with contextlib.suppress(RuntimeError):  # one that is linked cannot leave its mode
            bpy.ops.object.mode_set(mode="OBJECT")
    shown.active = before if before is None or before.mode == "OBJECT" else None


def check_output(output: Path) -> None:
    """Like :func:`check_writable`, for a ``.blend``.

    Raises:
        InvalidSettings: the output's name does not end with ``.blend``.
        StorageError: it cannot be written.
    """
    if output.suffix != ".blend":
        raise InvalidSettings(f"The output must be a .blend file, not {output.name}.")
    check_writable(output)


def check_writable(file: Path) -> None:
    """Creates the folder of a file, so that a job of hours does not fail at the end.

    Raises:
        StorageError: the folder cannot be written, or has the name of the file.
    """
    if file.is_dir():
        raise StorageError(f"{file} is a folder. Choose another name for the file.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=file.parent).close()
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror}. Choose another folder.") from error


def save_copy(output: Path) -> None:
    """Saves the open file as a copy.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        bpy.ops.wm.save_as_mainfile(filepath=str(output), copy=True, check_existing=False)
    except RuntimeError as error:
        raise StorageError(f"{output} cannot be written: {str(error).strip()}") from error


def _run(
    entries: list[JobEntry], outcome_of: Callable[[JobEntry], dict], listener: Listener, keep: bool = True
) -> list[dict]:
    """Waits for jobs, removes them from the queue, and returns the outcome of each."""
    try:
        _wait(entries, outcome_of, listener)
        outcomes = [outcome_of(entry) for entry in entries]
    except (KeyboardInterrupt, OrbitError):
        _cancel(entries)
        if not keep:
            _discard_takes(entries)
        raise
    finally:
        queue.entries = [entry for entry in queue.entries if entry not in entries]
    if keep or all(entry.applied for entry in entries):
        return outcomes
    _discard_takes(entries)
    return [
        outcome | {"state": "discarded"} if outcome["state"] == "finished" else outcome
        for outcome in outcomes
    ]


def _discard_takes(entries: list[JobEntry]) -> None:
    for entry in entries:
        if entry.applied:
            queue.discard_take(entry)


def _wait(entries: list[JobEntry], outcome_of: Callable[[JobEntry], dict], listener: Listener) -> None:
    """Polls until every entry is settled, and sends its progress and outcome to the listener. An entry whose
    result cannot be applied right now has failed, since nobody can change that here."""
    last_progress: dict[int, dict] = {}
    unsettled = list(entries)
    while unsettled:
        queue.poll()
        for entry in list(unsettled):
            progress = entry.event.to_dict()
            if not entry.error and last_progress.get(id(entry)) != progress:
                last_progress[id(entry)] = progress
                listener({"event": "progress", "object": entry.name, **progress})
            if entry.obstacle:
                entry.error = InvalidTarget(entry.obstacle)
            if entry.is_settled:
                unsettled.remove(entry)
                listener({"event": "download" if entry.download else "object", **outcome_of(entry)})
        time.sleep(POLL_INTERVAL)


def _cancel(entries: list[JobEntry]) -> None:
    """Cancels the unsettled jobs and waits until the server has confirmed it."""
    for entry in entries:
        if not entry.is_settled:
            queue.cancel(entry)
    deadline = time.monotonic() + CANCEL_SECONDS
    while queue.busy and time.monotonic() < deadline:
        queue.poll()
        time.sleep(POLL_INTERVAL)


def _outcome(entry: JobEntry, objects: list[bpy.types.Object]) -> dict:
    first = next(obj for obj in objects if obj.name_full == entry.name)
    sharing = [obj for obj in objects if obj == first or (obj.data and obj.data == first.data)]
    report = json.loads(first.orbit_texture.takes[-1].report) if entry.applied else None
    return {
        "object": entry.name,
        "objects": [obj.name_full for obj in sharing],
        "state": _state(entry),
        "error": _error(entry),
        "report": report,
        "doubt": find_doubt(entry.error, report),
    }


def find_doubt(error: OrbitError | None, report: dict | None) -> dict | None:
    """Why a reference's view may be wrong, and the candidates for it: from the error of a job that stopped
    for that, or from the report."""
    if isinstance(error, DoubtfulView):
        return {"message": error.message, "candidates": error.candidates}
    if report and report.get("doubtful"):
        return {"message": " ".join(report["doubts"]), "candidates": report["candidates"]}
    return None


def _state(entry: JobEntry) -> str:
    return "finished" if entry.applied else "cancelled" if entry.error.code == "cancelled" else "failed"


def _error(entry: JobEntry) -> dict | None:
    return entry.error.to_dict() if entry.error else None
