"""Runs a manifest of jobs over many .blend files, see docs/batch.md. A second run skips what is done."""

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import bpy

from ...backend.api.errors import InvalidSettings, OrbitError, StorageError
from ...backend.api.settings import IRRELEVANT_SETTINGS, Settings
from ..jobs import reference
from ..objects import mesh_io
from ..objects.report import round_report
from . import contact_sheet, rules, texturing
from .contact_sheet import Row
from .picture_sources import NOTHING, from_files
from .rules import Plan, Rule

_REFERENCE_KEYS = {"image", "images", "pictures", "folder", "rule", "own_references"}
"""A job of the manifest needs at least one of these."""

_JOB_KEYS = {"blend", "objects", "output", "mask", "masks", *_REFERENCE_KEYS, *rules.SETTING_NAMES}
"""All keys that a job of the manifest may have."""

_KINDS = {
    **dict.fromkeys(("blend", "output", "image", "mask", "folder"), rules.A_PATH),
    **dict.fromkeys(("images", "masks"), rules.PATHS),
    "objects": rules.NAMES,
    "pictures": rules.PATH_LIST,
    "rule": rules.TABLES,
    "own_references": rules.A_SWITCH,
}
"""What the values of a job must be, but for the settings."""


@dataclass(frozen=True)
class BatchJob:
    """One job of the manifest.

    Attributes:
        blend: the file to open; it is never changed.
        output: the .blend to write; its report is beside it as ``.json``.
        objects: names, or None for every visible mesh.
        pictures: the reference and the other pictures of the objects that get no other ones; or empty.
        mask: which pixels of that reference show the object, or None.
        folder: contains an image per object, with the object's name; or None.
        rules: references and settings of some objects.
        settings: the settings before collections, objects and rules override them.
    """

    blend: Path
    output: Path
    objects: tuple[str, ...] | None
    pictures: tuple[Path, ...]
    mask: Path | None
    folder: Path | None
    rules: tuple[Rule, ...]
    settings: Settings

    @property
    def plan(self) -> Plan:
        """The reference and settings of each object."""
        common = from_files(self.pictures) if self.pictures else NOTHING
        return Plan(
            base=lambda obj: self.settings,
            common=replace(common, mask=self.mask and (lambda: reference.from_file(self.mask, "mask"))),
            folder=str(self.folder or ""),
            rules=self.rules,
        )

    @property
    def report(self) -> Path:
        """The JSON file with the outcome of each object."""
        return self.output.with_suffix(".json")


def read_manifest(file: Path) -> list[BatchJob]:
    """The jobs of a manifest; its paths are relative to it.

    Raises:
        InvalidSettings: the manifest is missing, not TOML, has an unknown or a missing key or a value of the
            wrong kind.
    """
    data = rules.read_toml(file)
    if unknown := sorted(set(data) - {"output", "defaults", "job"}):
        raise InvalidSettings(
            f"The manifest has no key called '{unknown[0]}'. Its keys are: output, defaults, job."
        )
    kinds = {"output": rules.A_PATH, "defaults": rules.A_TABLE, "job": rules.TABLES}
    rules.check_kinds(data, kinds, "The manifest's")
    folder = file.resolve().parent
    defaults, output = data.get("defaults", {}), folder / data.get("output", "textured")
    jobs = [_read_job(defaults | entry, folder, output) for entry in data.get("job", [])]
    if not jobs:
        raise InvalidSettings(f"The manifest {file} has no [[job]].")
    outputs = [job.output for job in jobs]
    if twice := [output for output in outputs if outputs.count(output) > 1]:
        raise InvalidSettings(f"Two jobs of the manifest write {twice[0]}. Give each an output of its own.")
    return jobs


def run(jobs: list[BatchJob], listener: texturing.Listener, keep: bool = True) -> list[str]:
    """Runs jobs one after another; returns the codes of all errors. A failed job does not stop the others.

    Args:
        keep: write a job's output with the takes that succeeded; else write it only if all succeeded.
    """
    codes = []
    for job in jobs:
        try:
            codes += _run_job(job, listener, keep)
        except OrbitError as error:
            listener({"event": "error", "blend": str(job.blend), **error.to_dict()})
            codes.append(error.code)
    return codes


def report_rows(jobs: list[BatchJob]) -> list[Row]:
    """Rows of the report page: the takes in the outputs of jobs, and the failures of the last run. Opens each
    output."""
    found = []
    for job in jobs:
        if job.output.is_file():
            bpy.ops.wm.open_mainfile(filepath=str(job.output), load_ui=False)
            found += contact_sheet.collect_rows(mesh_io.mesh_objects(bpy.context.scene.objects))
        outcomes = load_report(job.report).get("objects", {})
        found += [
            contact_sheet.failure_row(name, job.output.name, outcome["error"]["message"])
            for name, outcome in outcomes.items()
            if outcome["error"]
        ]
    return found


def _read_job(entry: dict, folder: Path, output: Path) -> BatchJob:
    if unknown := sorted(set(entry) - _JOB_KEYS):
        raise InvalidSettings(
            f"A job of the manifest has no key called '{unknown[0]}'. Its keys are: "
            f"{', '.join(sorted(_JOB_KEYS))}."
        )
    if "blend" not in entry or not _REFERENCE_KEYS & set(entry):
        raise InvalidSettings(
            "Every job of the manifest needs a 'blend', and an 'image', 'images', 'pictures', a 'folder', a "
            "[[job.rule]], or own_references = true if the objects have their own."
        )
    rules.check_kinds(entry, _KINDS, "A job's")
    rules.check_pictures(entry, "A job")
    blend = folder / entry["blend"]
    images, masks = entry.get("images", {}), entry.get("masks", {})
    named = [
        {"objects": [name]}
        | {key: files[name] for key, files in (("image", images), ("mask", masks)) if name in files}
        for name in images | masks
    ]
    return BatchJob(
        blend=blend,
        output=folder / entry["output"] if "output" in entry else output / blend.name,
        objects=tuple(entry["objects"]) if "objects" in entry else None,
        pictures=tuple(
            folder / file for file in entry.get("pictures", [entry["image"]] if "image" in entry else [])
        ),
        mask=folder / entry["mask"] if "mask" in entry else None,
        folder=folder / entry["folder"] if "folder" in entry else None,
        rules=rules.read_rules([*named, *entry.get("rule", [])], folder),
        settings=Settings.from_dict(
            {name: value for name, value in entry.items() if name in rules.SETTING_NAMES}
        ),
    )


def _run_job(job: BatchJob, listener: texturing.Listener, keep: bool) -> list[str]:
    """Textures the objects that are missing in the job's output; returns the codes of the errors."""
    if not job.blend.is_file():
        raise StorageError(f"There is no file {job.blend}. Correct the manifest.")
    if job.output.resolve() == job.blend.resolve():
        raise InvalidSettings(f"A job would overwrite its own input, {job.blend}. Give it another output.")
    texturing.check_output(job.output)
    # Skip what an earlier run with the same inputs has finished.
    key = _hash_inputs(job)
    known, complete = _read_report(job, key)
    done = {name for name, outcome in known.items() if outcome["state"] == "finished"}
    for name in sorted(done):
        listener({"event": "skipped", "object": name, "file": str(job.output)})
    if complete and len(done) == len(known):
        return []
    # The takes of an earlier run are in its output, so the other ones are added there.
    bpy.ops.wm.open_mainfile(filepath=str(job.output if done else job.blend), load_ui=False)
    objects = [obj for obj in texturing.find_objects(job.objects) if obj.name not in done]

    def record_and_report(event: dict) -> None:
        if keep and event["event"] == "object":
            outcome = {key: value for key, value in event.items() if key != "event"}
            known.update({name: outcome for name in event["objects"]})
            _write_report(job, key, known, complete=False)
        listener(event)

    outcomes = texturing.run_into(job.output, objects, job.plan, record_and_report, keep)
    known |= {name: outcome for outcome in outcomes for name in outcome["objects"]}
    _write_report(job, key, known, complete=True)
    return [outcome["error"]["code"] for outcome in outcomes if outcome["error"]]


def _hash_inputs(job: BatchJob) -> str:
    """A hash of everything that the result depends on: the contents of the files, the objects and the
    relevant settings."""
    folder = sorted(job.folder.iterdir()) if job.folder and job.folder.is_dir() else []
    images = [
        *job.pictures,
        job.mask,
        *(file for rule in job.rules for file in (rule.image, rule.mask, *rule.pictures)),
        *(file for file in folder if file.suffix in reference.EXTENSIONS),
    ]
    inputs = [
        _hash_file(job.blend),
        job.objects,
        [asdict(rule) | {"settings": _relevant(rule.settings)} for rule in job.rules],
        job.settings.relevant(),
        [(str(file), _hash_file(file)) for file in images if file],
    ]
    return hashlib.sha256(json.dumps(inputs, default=str).encode()).hexdigest()


def _relevant(settings: dict) -> dict:
    return {name: value for name, value in settings.items() if name not in IRRELEVANT_SETTINGS}


def _hash_file(file: Path) -> str:
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_report(job: BatchJob, key: str) -> tuple[dict[str, dict], bool]:
    """``(outcomes by object, complete)`` of an earlier run with the same inputs: ``complete`` if it was not
    interrupted. Empty if there was no such run or its output is gone."""
    report = load_report(job.report) if job.output.is_file() else {}
    return (report["objects"], report["complete"]) if report.get("key") == key else ({}, False)


def load_report(file: Path) -> dict:
    """The report of an earlier run of a job; empty if there is none, or it is damaged."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        report = json.loads(file.read_text(encoding="utf-8"))
        errors = [outcome["error"] for outcome in report["objects"].values()]
        if isinstance(report["complete"], bool) and all(
            error is None or isinstance(error["message"], str) for error in errors
        ):
            return report
    return {}


def _write_report(job: BatchJob, key: str, outcomes: dict[str, dict], complete: bool) -> None:
    partial = job.report.with_suffix(".json.part")
    report = {"key": key, "blend": str(job.blend), "complete": complete, "objects": outcomes}
    try:
        job.report.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(round_report(report), indent=2), encoding="utf-8")
        os.replace(partial, job.report)
    except OSError as error:
        raise StorageError(f"{job.report} cannot be written: {error}") from error
