"""A manifest of jobs over many .blend files, see docs/batch.md. A second run skips what is done."""

import hashlib
import json
import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

import bpy

from ..backend.api.errors import InvalidImage, InvalidSettings, OrbitError, StorageError
from ..backend.api.settings import Settings
from . import headless, reference

_SETTING_NAMES = {entry.name for entry in fields(Settings)}
_JOB_NAMES = {"blend", "objects", "image", "images", "output"} | _SETTING_NAMES


@dataclass(frozen=True)
class BatchJob:
    """One entry of the manifest.

    Attributes:
        blend: the file to open; it is never written.
        output: the .blend to write; its report lies beside it as ``.json``.
        objects: names, or None for every visible mesh.
        image: reference for the objects that ``images`` does not name, or None.
        images: reference by object name.
        settings: how to texture.
    """

    blend: Path
    output: Path
    objects: tuple[str, ...] | None
    image: Path | None
    images: dict[str, Path]
    settings: Settings

    @property
    def report(self) -> Path:
        return self.output.with_suffix(".json")


def read_manifest(file: Path) -> list[BatchJob]:
    """The jobs of a manifest; its paths are relative to it.

    Raises:
        InvalidSettings: the manifest is missing, not TOML, or has an unknown or a missing key.
    """
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidSettings(f"The manifest {file} cannot be read: {error}") from error
    if unknown := sorted(set(data) - {"output", "defaults", "job"}):
        raise InvalidSettings(f"The manifest has no key called '{unknown[0]}'. Its keys are: output, defaults, job.")
    folder = file.resolve().parent
    defaults, output = data.get("defaults", {}), folder / data.get("output", "textured")
    jobs = [_read_job(defaults | entry, folder, output) for entry in data.get("job", [])]
    if not jobs:
        raise InvalidSettings(f"The manifest {file} has no [[job]].")
    outputs = [job.output for job in jobs]
    if twice := [output for output in outputs if outputs.count(output) > 1]:
        raise InvalidSettings(f"Two jobs of the manifest write {twice[0]}. Give each an output of its own.")
    return jobs


def run(manifest: Path, listener: headless.Listener) -> bool:
    """Runs the jobs of a manifest one after another; returns whether all went well. One job's failure does not stop the rest.

    Raises:
        InvalidSettings: as :func:`read_manifest` says; nothing was run.
    """
    good = True
    for job in read_manifest(manifest):
        try:
            good &= _run_job(job, listener)
        except OrbitError as error:
            listener({"event": "error", "blend": str(job.blend), **error.to_dict()})
            good = False
    return good


def _read_job(entry: dict, folder: Path, output: Path) -> BatchJob:
    if unknown := sorted(set(entry) - _JOB_NAMES):
        raise InvalidSettings(f"A job of the manifest has no key called '{unknown[0]}'. Its keys are: {', '.join(sorted(_JOB_NAMES))}.")
    if "blend" not in entry or not ("image" in entry or "images" in entry):
        raise InvalidSettings("Every job of the manifest needs a 'blend', and an 'image' or 'images'.")
    blend = folder / entry["blend"]
    return BatchJob(
        blend=blend,
        output=folder / entry["output"] if "output" in entry else output / blend.name,
        objects=tuple(entry["objects"]) if "objects" in entry else None,
        image=folder / entry["image"] if "image" in entry else None,
        images={name: folder / file for name, file in entry.get("images", {}).items()},
        settings=Settings.from_dict({name: value for name, value in entry.items() if name in _SETTING_NAMES}))


def _run_job(job: BatchJob, listener: headless.Listener) -> bool:
    """Textures what is missing in the job's output; returns whether everything is there now."""
    if not job.blend.is_file():
        raise StorageError(f"There is no file {job.blend}. Correct the manifest.")
    if job.output.resolve() == job.blend.resolve():
        raise InvalidSettings(f"A job would write over its own source, {job.blend}. Give it another output.")
    headless.check_output(job.output)
    key = _key(job)
    earlier = _read_report(job, key)
    done = {name for name, outcome in earlier.items() if outcome["state"] == "finished"}
    for name in sorted(done):
        listener({"event": "skipped", "object": name, "file": str(job.output)})
    if earlier and len(done) == len(earlier):
        return True
    # What an earlier run finished is in its output, so the rest is added there.
    bpy.ops.wm.open_mainfile(filepath=str(job.output if done else job.blend), load_ui=False)
    objects = [obj for obj in headless.find_objects(job.objects) if obj.name not in done]
    outcomes = headless.run(objects, lambda obj: _reference(job, obj), job.settings, listener)
    if any(outcome["state"] == "finished" for outcome in outcomes):
        headless.save(job.output)
        listener({"event": "saved", "file": str(job.output)})
    _write_report(job, key, earlier | {name: outcome for outcome in outcomes for name in outcome["objects"]})
    return all(outcome["state"] == "finished" for outcome in outcomes)


def _reference(job: BatchJob, obj: bpy.types.Object) -> Path:
    if file := job.images.get(obj.name, job.image):
        return reference.from_file(file)
    raise InvalidImage(f"The manifest names no image for '{obj.name}'. Add it to the job's images, or give the job an image for all.")


def _key(job: BatchJob) -> str:
    """Changes with anything that the result depends on: the contents of the files, the objects, the settings."""
    images = {name: _content(file) for name, file in sorted(job.images.items())}
    inputs = [_content(job.blend), job.objects, _content(job.image) if job.image else "", images, job.settings.to_dict()]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()


def _content(file: Path) -> str:
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_report(job: BatchJob, key: str) -> dict[str, dict]:
    """The outcomes of an earlier run over the same inputs, by object; none if there was no such run or its output is gone."""
    if not job.report.is_file() or not job.output.is_file():
        return {}
    try:
        report = json.loads(job.report.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return report["objects"] if report.get("key") == key else {}


def _write_report(job: BatchJob, key: str, outcomes: dict[str, dict]) -> None:
    partial = job.report.with_suffix(".json.part")
    try:
        job.report.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({"key": key, "blend": str(job.blend), "objects": outcomes}, indent=2), encoding="utf-8")
        os.replace(partial, job.report)
    except OSError as error:
        raise StorageError(f"{job.report} cannot be written: {error}") from error
