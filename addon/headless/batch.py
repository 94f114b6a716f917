"""A manifest of jobs over many .blend files, see docs/batch.md. A second run skips what is done."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import bpy

from ...backend.api.errors import InvalidSettings, OrbitError, StorageError
from ...backend.api.settings import Settings
from ..jobs import reference
from ..objects import mesh_io
from . import contact_sheet, rules, texturing
from .contact_sheet import Row
from .rules import Plan, Rule

_REFERENCES = {"image", "images", "folder", "rule", "own_references"}
_JOB_NAMES = {"blend", "objects", "output", *_REFERENCES, *rules.SETTINGS}


@dataclass(frozen=True)
class BatchJob:
    """One entry of the manifest.

    Attributes:
        blend: the file to open; it is never written.
        output: the .blend to write; its report lies beside it as ``.json``.
        objects: names, or None for every visible mesh.
        image: reference for the objects for which nothing else names one, or None.
        folder: with a picture per object, or None.
        rules: what some objects get.
        settings: how to texture those for which nothing else is said.
    """

    blend: Path
    output: Path
    objects: tuple[str, ...] | None
    image: Path | None
    folder: Path | None
    rules: tuple[Rule, ...]
    settings: Settings

    @property
    def plan(self) -> Plan:
        return Plan(
            lambda obj: self.settings,
            self.image and (lambda: reference.from_file(self.image)),
            str(self.folder or ""),
            self.rules,
        )

    @property
    def report(self) -> Path:
        return self.output.with_suffix(".json")


def read_manifest(file: Path) -> list[BatchJob]:
    """The jobs of a manifest; its paths are relative to it.

    Raises:
        InvalidSettings: the manifest is missing, not TOML, or has an unknown or a missing key.
    """
    data = rules.read_toml(file)
    if unknown := sorted(set(data) - {"output", "defaults", "job"}):
        raise InvalidSettings(
            f"The manifest has no key called '{unknown[0]}'. Its keys are: output, defaults, job."
        )
    folder = file.resolve().parent
    defaults, output = data.get("defaults", {}), folder / data.get("output", "textured")
    jobs = [_read_job(defaults | entry, folder, output) for entry in data.get("job", [])]
    if not jobs:
        raise InvalidSettings(f"The manifest {file} has no [[job]].")
    outputs = [job.output for job in jobs]
    if twice := [output for output in outputs if outputs.count(output) > 1]:
        raise InvalidSettings(f"Two jobs of the manifest write {twice[0]}. Give each an output of its own.")
    return jobs


def run(jobs: list[BatchJob], listener: texturing.Listener, keep: bool = True) -> bool:
    """Runs jobs one after another; returns whether all went well. One job's failure does not stop the rest.

    Args:
        keep: the output of a job holds what went well; else there is none unless all went well.
    """
    good = True
    for job in jobs:
        try:
            good &= _run_job(job, listener, keep)
        except OrbitError as error:
            listener({"event": "error", "blend": str(job.blend), **error.to_dict()})
            good = False
    return good


def report_rows(jobs: list[BatchJob]) -> list[Row]:
    """What the outputs of jobs hold, and what failed in the last run, for a report. Opens each output."""
    found = []
    for job in jobs:
        if job.output.is_file():
            bpy.ops.wm.open_mainfile(filepath=str(job.output), load_ui=False)
            found += contact_sheet.collect_rows(mesh_io.meshes(bpy.context.scene.objects))
        outcomes = (
            json.loads(job.report.read_text(encoding="utf-8"))["objects"] if job.report.is_file() else {}
        )
        found += [
            contact_sheet.failure_row(name, job.output.name, outcome["error"]["message"])
            for name, outcome in outcomes.items()
            if outcome["error"]
        ]
    return found


def _read_job(entry: dict, folder: Path, output: Path) -> BatchJob:
    if unknown := sorted(set(entry) - _JOB_NAMES):
        raise InvalidSettings(
            f"A job of the manifest has no key called '{unknown[0]}'. Its keys are: "
            f"{', '.join(sorted(_JOB_NAMES))}."
        )
    if "blend" not in entry or not _REFERENCES & set(entry):
        raise InvalidSettings(
            "Every job of the manifest needs a 'blend', and an 'image', 'images', a 'folder', a "
            "[[job.rule]], or own_references = true if the objects bring their own."
        )
    blend = folder / entry["blend"]
    named = [{"objects": [name], "image": file} for name, file in entry.get("images", {}).items()]
    return BatchJob(
        blend=blend,
        output=folder / entry["output"] if "output" in entry else output / blend.name,
        objects=tuple(entry["objects"]) if "objects" in entry else None,
        image=folder / entry["image"] if "image" in entry else None,
        folder=folder / entry["folder"] if "folder" in entry else None,
        rules=rules.read([*named, *entry.get("rule", [])], folder),
        settings=Settings.from_dict({name: value for name, value in entry.items() if name in rules.SETTINGS}),
    )


def _run_job(job: BatchJob, listener: texturing.Listener, keep: bool) -> bool:
    """Textures what is missing in the job's output; returns whether everything is there now."""
    if not job.blend.is_file():
        raise StorageError(f"There is no file {job.blend}. Correct the manifest.")
    if job.output.resolve() == job.blend.resolve():
        raise InvalidSettings(f"A job would write over its own source, {job.blend}. Give it another output.")
    texturing.check_output(job.output)
    key = _key(job)
    known, complete = _read_report(job, key)
    done = {name for name, outcome in known.items() if outcome["state"] == "finished"}
    for name in sorted(done):
        listener({"event": "skipped", "object": name, "file": str(job.output)})
    if complete and len(done) == len(known):
        return True
    # What an earlier run finished is in its output, so the rest is added there.
    bpy.ops.wm.open_mainfile(filepath=str(job.output if done else job.blend), load_ui=False)
    objects = [obj for obj in texturing.find_objects(job.objects) if obj.name not in done]

    def told(event: dict) -> None:
        if keep and event["event"] == "object":
            outcome = {key: value for key, value in event.items() if key != "event"}
            known.update({name: outcome for name in event["objects"]})
            _write_report(job, key, known, complete=False)
        listener(event)

    outcomes = texturing.run_into(job.output, objects, job.plan, told, keep)
    known |= {name: outcome for outcome in outcomes for name in outcome["objects"]}
    _write_report(job, key, known, complete=True)
    return all(outcome["state"] == "finished" for outcome in outcomes)


def _key(job: BatchJob) -> str:
    """Changes with anything that the result depends on: the contents of the files, the objects, the
    settings."""
    folder = sorted(job.folder.iterdir()) if job.folder and job.folder.is_dir() else []
    pictures = [
        job.image,
        *(rule.image for rule in job.rules),
        *(file for file in folder if file.suffix in reference.EXTENSIONS),
    ]
    inputs = [
        _content(job.blend),
        job.objects,
        [asdict(rule) for rule in job.rules],
        job.settings.to_dict(),
        [(str(file), _content(file)) for file in pictures if file],
    ]
    return hashlib.sha256(json.dumps(inputs, default=str).encode()).hexdigest()


def _content(file: Path) -> str:
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_report(job: BatchJob, key: str) -> tuple[dict[str, dict], bool]:
    """The outcomes of an earlier run over the same inputs, by object, and whether it came to its end.

    None if there was no such run or its output is gone.
    """
    if not job.report.is_file() or not job.output.is_file():
        return {}, False
    try:
        report = json.loads(job.report.read_text(encoding="utf-8"))
    except ValueError:
        return {}, False
    return (report["objects"], report["complete"]) if report.get("key") == key else ({}, False)


def _write_report(job: BatchJob, key: str, outcomes: dict[str, dict], complete: bool) -> None:
    partial = job.report.with_suffix(".json.part")
    report = {"key": key, "blend": str(job.blend), "complete": complete, "objects": outcomes}
    try:
        job.report.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(report, indent=2), encoding="utf-8")
        os.replace(partial, job.report)
    except OSError as error:
        raise StorageError(f"{job.report} cannot be written: {error}") from error
