"""The command line inside Blender: ``blender -b scene.blend --command orbit_texture …``, see
docs/headless.md."""

import argparse
import contextlib
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import bpy

from ...backend.api.errors import InvalidSettings, InvalidTarget, OrbitError, StorageError
from ...backend.api.settings import Settings
from ...backend.api.weights import MODELS, format_size
from ..jobs import reference
from ..jobs.queue import queue
from ..objects import export, region, takes
from ..setup import doctor
from . import batch, contact_sheet, rules, texturing
from .rules import Plan

GOOD, SOME_FAILED, BAD_ARGUMENTS, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""


def main(arguments: list[str]) -> int:
    """Runs what the arguments say; returns the exit code."""
    parser = _parser()
    try:
        options = parser.parse_args(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    listener = _print_json if options.json else _print_text
    try:
        with _interruptible():
            return options.run(options, listener)
    except KeyboardInterrupt:
        listener({"event": "error", "code": "cancelled", "message": "Interrupted.", "fix": ""})
        return INTERRUPTED
    except OrbitError as error:
        listener({"event": "error", **error.to_dict()})
        return SOME_FAILED if isinstance(error, StorageError) else BAD_ARGUMENTS
    finally:
        queue.close()


def _texture(options: argparse.Namespace, listener: texturing.Listener) -> int:
    given = {
        entry.name: value for entry in fields(Settings) if (value := getattr(options, entry.name)) is not None
    }
    settings, picture = Settings.from_dict(given), options.image and reference.from_file(options.image)
    plan = Plan(
        lambda obj: settings,
        picture and (lambda: picture),
        options.folder,
        rules.read_file(Path(options.rules)) if options.rules else (),
        region.read_file(Path(options.region).expanduser().resolve()) if options.region else None,
    )
    output = Path(options.output).expanduser().resolve()
    texturing.check_output(output)
    objects = texturing.find_objects(options.objects)
    outcomes = texturing.run_into(output, objects, plan, listener, options.partial == "keep")
    failed = [outcome for outcome in outcomes if outcome["state"] != "finished"]
    if options.report:
        rows = contact_sheet.rows(objects) + [
            contact_sheet.failure(outcome["object"], output.name, outcome["error"]["message"])
            for outcome in failed
            if outcome["error"]
        ]
        _write_report(options.report, output.stem, rows, listener)
    return SOME_FAILED if failed else GOOD


def _batch(options: argparse.Namespace, listener: texturing.Listener) -> int:
    jobs = batch.read_manifest(Path(options.manifest))
    good = batch.run(jobs, listener, options.partial == "keep")
    if options.report:
        _write_report(options.report, Path(options.manifest).stem, batch.report_rows(jobs), listener)
    return GOOD if good else SOME_FAILED


def _export(options: argparse.Namespace, listener: texturing.Listener) -> int:
    if not (options.textures or options.glb):
        raise InvalidSettings("Say what to write: --textures FOLDER, --glb FOLDER, or both.")
    objects = texturing.find_objects(options.objects)
    good = True
    for obj in objects if options.objects else [obj for obj in objects if takes.shown(obj) >= 0]:
        try:
            files = _export_one(obj, options)
        except OrbitError as error:
            listener({"event": "error", "object": obj.name, **error.to_dict()})
            good, files = False, []
        for file in files:
            listener({"event": "saved", "file": str(file)})
    return GOOD if good else SOME_FAILED


def _export_one(obj: bpy.types.Object, options: argparse.Namespace) -> list[Path]:
    """Writes what the options ask for of an object; returns the files."""
    names = [take.name for take in obj.orbit_texture.takes]
    index = names.index(options.take) if options.take in names else -1 if options.take else takes.shown(obj)
    if index < 0:
        raise InvalidTarget(
            f"'{obj.name}' has no take called '{options.take}'."
            if options.take
            else f"'{obj.name}' wears no take."
        )
    files = []
    if options.textures:
        folder = Path(options.textures).expanduser().resolve()
        files += export.textures(obj, index, folder, options.format, options.naming, options.pack)
    if options.glb:
        files.append(Path(options.glb).expanduser().resolve() / export.glb_name(obj, index))
        export.glb(obj, index, files[-1])
    return files


def _write_report(file: str, title: str, rows: list[contact_sheet.Row], listener: texturing.Listener) -> None:
    path = Path(file).expanduser().resolve()
    contact_sheet.write(path, title, rows)
    listener({"event": "saved", "file": str(path)})


def _doctor(options: argparse.Namespace, listener: texturing.Listener) -> int:
    findings = doctor.examine()
    for finding in findings:
        listener({"event": "finding", **finding})
    return SOME_FAILED if any(finding["state"] == "problem" for finding in findings) else GOOD


def _download(options: argparse.Namespace, listener: texturing.Listener) -> int:
    needs = MODELS[options.model]
    for source in needs.sources:
        listener(
            {
                "event": "source",
                "repository": source.repository,
                "size": source.size,
                "license": source.license,
                "terms": source.terms,
            }
        )
    if not options.yes:
        raise InvalidSettings(
            f"Nothing was downloaded. It would be {format_size(needs.size)}, of which "
            f"{format_size(needs.installed_size)} stay, and {format_size(needs.peak)} are taken on the way. "
            "If you agree to the terms above, add --yes."
        )
    if not bpy.app.online_access:
        raise InvalidSettings(
            "Blender is offline. Start it with --online-mode, or allow online access in its preferences."
        )
    return GOOD if texturing.download(needs.name, listener)["state"] == "finished" else SOME_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="orbit_texture", description="Texture meshes of a .blend from reference images."
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, run: Callable, text: str) -> argparse.ArgumentParser:
        entry = commands.add_parser(name, help=text, description=text)
        entry.add_argument("--json", action="store_true", help="print events as JSON, one a line")
        entry.set_defaults(run=run)
        return entry

    one = command("texture", _texture, "texture objects of the open file")
    one.add_argument("--image", help="reference for the objects that have none of their own")
    one.add_argument("--folder", default="", help="folder with a picture per object, called like it")
    one.add_argument(
        "--rules", metavar="FILE", help="TOML file that says what some objects get, see docs/batch.md"
    )
    one.add_argument(
        "--objects", nargs="+", metavar="NAME", help="objects to texture; every visible mesh if not given"
    )
    one.add_argument(
        "--region",
        metavar="FILE",
        help="mask on the UV map of the take that an object wears: only what is not black there "
        "is painted anew, as a new take",
    )
    one.add_argument("--output", required=True, help=".blend to write")
    _add_settings(one)
    many = command("batch", _batch, "run the jobs of a manifest, skipping those that are done")
    many.add_argument("--manifest", required=True, help="TOML file, see docs/batch.md")
    for entry in (one, many):
        entry.add_argument(
            "--partial",
            choices=("keep", "discard"),
            default="keep",
            help="what becomes of the objects that went well when others did not (%(default)s)",
        )
        entry.add_argument(
            "--report", metavar="FILE", help="HTML page to write, with a picture of every textured object"
        )
    out = command("export", _export, "write takes of the open file as files")
    out.add_argument(
        "--objects",
        nargs="+",
        metavar="NAME",
        help="objects to export; every visible one that wears a take if not given",
    )
    out.add_argument("--take", metavar="NAME", help="the take that each object wears if not given")
    out.add_argument("--textures", metavar="FOLDER", help="folder for the textures")
    out.add_argument("--format", choices=export.FORMATS, default="png8", help="of the textures (%(default)s)")
    out.add_argument("--naming", default=export.NAMING, help="of the textures (%(default)s)")
    out.add_argument(
        "--pack", action="store_true", help="metallic and roughness as one image, as glTF wants them"
    )
    out.add_argument("--glb", metavar="FOLDER", help="folder for a GLB of each object with its take")
    command("doctor", _doctor, "say what is installed, what is missing and how to mend it")
    bring = command("download", _download, "bring a model's weights")
    bring.add_argument("model", choices=MODELS)
    bring.add_argument("--yes", action="store_true", help="agree to the size and the licences")
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    for entry in fields(Settings):
        limits = entry.metadata
        names = [f"--{entry.name.replace('_', '-')}"] + (["--size"] if entry.name == "texture_size" else [])
        kind = float if entry.default is None else type(entry.default)
        how = (
            {"action": argparse.BooleanOptionalAction}
            if kind is bool
            else {"type": kind, "choices": limits["choices"] or None}
        )
        parser.add_argument(*names, dest=entry.name, default=None, help=limits["doc"], **how)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt here; Blender in the background would ignore it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)


def _print_json(event: dict) -> None:
    print(json.dumps(event), flush=True)


def _print_text(event: dict) -> None:
    match event["event"]:
        case "progress":
            print(
                f"\r{event['object']}: {event['stage'] or event['state']} {event['fraction']:.0%}   ",
                end="",
                flush=True,
            )
        case "object":
            print(
                f"\r{event['object']}: {event['error']['message'] if event['error'] else 'done'}   ",
                flush=True,
            )
        case "saved":
            print(f"Wrote {event['file']}", flush=True)
        case "skipped":
            print(f"{event['object']}: already done in {event['file']}", flush=True)
        case "finding":
            fix = f"\n{'':22}{event['fix']}" if event["fix"] else ""
            print(f"{event['state']:8} {event['name']:12} {event['detail']}{fix}", flush=True)
        case "source":
            print(
                f"{event['repository']:40} {format_size(event['size']):>9}  {event['license']}\n  "
                f"{event['terms']}",
                flush=True,
            )
        case "download":
            print(
                f"\r{event['error']['message'] if event['error'] else 'The weights are there.'}   ",
                flush=True,
            )
        case "note" | "error":
            print(event["message"], file=sys.stderr, flush=True)


_command = None


def register() -> None:
    global _command
    _command = bpy.utils.register_cli_command("orbit_texture", main)


def unregister() -> None:
    bpy.utils.unregister_cli_command(_command)
