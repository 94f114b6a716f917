"""Finds the object and the view in the references of many objects, and writes what was found to look at.
Nothing is textured and no object is changed. The server keeps what it found for a job with the same input."""

import json
import time
from collections.abc import Iterable
from pathlib import Path

import bpy

from ...backend.api import paths
from ...backend.api.errors import OrbitError, StorageError
from ...backend.api.job import Result
from ..jobs.client import Client
from ..jobs.submission import make_check_request
from ..objects import mesh_io
from ..objects.file_names import object_file_name
from ..objects.report import round_report
from .rules import Plan
from .texturing import CANCEL_SECONDS, POLL_INTERVAL, Listener, enter_object_mode, find_doubt


def run(objects: Iterable[bpy.types.Object], plan: Plan, folder: Path, listener: Listener) -> list[dict]:
    """Checks the references of objects, and waits until all are done.

    Args:
        objects: the objects.
        plan: their references, masks and settings.
        folder: gets a folder per object, with ``mask.png``, ``outline.png``, ``candidate.0.png`` … and
            ``report.json``.
        listener: receives ``progress`` events, and a ``checked`` event for each object.

    Returns:
        One dict per object: ``object``, ``state`` (finished, failed), ``folder``, ``error`` (code, message
        and fix, or None), ``report`` (or None) and ``doubt`` (message and candidates, or None).

    Raises:
        StorageError: the folder cannot be written.
        KeyboardInterrupt: Ctrl-C; the jobs were cancelled.
    """
    objects = list(objects)
    enter_object_mode()
    for note in plan.list_unused_rules(objects):
        listener({"event": "note", "message": note})
    client = Client(paths.run_directory(), paths.environment_python(paths.backend_environment()))
    outcomes, waiting = [], {}

    def settle(obj: bpy.types.Object, error: OrbitError | None, result: Result | None) -> None:
        outcomes.append(_write_outcome(obj, error, result, folder / object_file_name(obj)))
        listener({"event": "checked", **outcomes[-1]})

    try:
        for obj in objects:
            try:
                waiting[_submit(client, obj, plan)] = obj
            except OrbitError as error:
                settle(obj, error, None)
        while waiting:
            for event in client.poll():
                if obj := waiting.get(event.job):
                    listener({"event": "progress", "object": obj.name_full, **event.to_dict()})
                    if event.state.final:
                        settle(waiting.pop(event.job), event.error, event.result)
            time.sleep(POLL_INTERVAL)
    finally:
        _cancel(client, waiting)
        client.close()
    return outcomes


def _submit(client: Client, obj: bpy.types.Object, plan: Plan) -> str:
    """Starts the check of an object's reference; returns the job's id."""
    mesh_io.check_object(obj)
    request = make_check_request(obj, plan.inputs_of(obj))
    client.submit(request)
    return request.job_id


def _write_outcome(
    obj: bpy.types.Object, error: OrbitError | None, result: Result | None, folder: Path
) -> dict:
    report = result and result.report
    if result:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob("candidate.*.png"):
                old.unlink()
            for name, data in result.textures.items():
                data.tofile(folder / f"{name}.png")
            (folder / "report.json").write_text(json.dumps(round_report(report), indent=1), encoding="utf-8")
        except OSError as problem:
            raise StorageError(f"{folder} cannot be written: {problem}. Choose another folder.") from problem
    return {
        "object": obj.name_full,
        "state": "finished" if result else "failed",
        "folder": str(folder) if result else None,
        "error": error.to_dict() if error else None,
        "report": report,
        "doubt": find_doubt(error, report),
    }


def _cancel(client: Client, jobs: Iterable[str]) -> None:
    """Cancels jobs and waits until the server has confirmed it."""
    unfinished = set(jobs)
    for job in unfinished:
        client.cancel(job)
    deadline = time.monotonic() + CANCEL_SECONDS
    while unfinished and time.monotonic() < deadline:
        unfinished -= {event.job for event in client.poll() if event.state.final}
        time.sleep(POLL_INTERVAL)
