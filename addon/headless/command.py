"""The command line inside Blender: ``blender -b scene.blend --command orbit_texture …``, see
docs/headless.md."""

import argparse
import contextlib
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import bpy

from ...backend.api.command_help import CommandParser, DefaultsHelpFormatter, describe_default
from ...backend.api.errors import Cancelled, DoubtfulView, InvalidSettings, InvalidTarget, OrbitError
from ...backend.api.exit_codes import DOUBTFUL, FAILURE, SUCCESS, find_exit_code
from ...backend.api.faults import explain_fault
from ...backend.api.settings import Settings
from ...backend.api.stage_names import name_stage
from ...backend.api.weights import MODELS, format_size
from ..jobs import reference
from ..jobs.queue import queue
from ..objects import export, region, takes
from ..objects.report import round_report
from ..setup import doctor
from . import batch, contact_sheet, reference_check, rules, texturing
from .picture_sources import NOTHING, from_files
from .rules import Plan


def main(arguments: list[str]) -> int:
    """Runs what the arguments say; returns the exit code."""
    listener = _print_json if "--json" in arguments else _print_text
    try:
        options = _create_parser().parse_args(arguments)
        with _interruptible():
            return options.run(options, listener)
    except SystemExit as stop:  # argparse has printed the help
        return int(stop.code or SUCCESS)
    except KeyboardInterrupt:
        error: OrbitError = Cancelled("Interrupted.")
    except OrbitError as problem:
        error = problem
    except Exception as problem:
        fault = explain_fault(problem)
        if fault is None:
            raise
        error = fault
    finally:
        queue.close()
    listener({"event": "error", **error.to_dict()})
    return find_exit_code(error)


def _texture(options: argparse.Namespace, listener: texturing.Listener) -> int:
    plan = _read_plan(options)
    if options.region:
        plan = replace(plan, marked=region.read_mask_file(Path(options.region).expanduser().resolve()))
    output = Path(options.output).expanduser().resolve()
    objects = texturing.find_objects(options.objects)
    texturing.check_output(output)
    _check_report(options.report)
    outcomes = texturing.run_into(output, objects, plan, listener, options.partial == "keep")
    failed = [outcome for outcome in outcomes if outcome["state"] != "finished"]
    if options.report:
        rows = contact_sheet.collect_rows(objects) + [
            contact_sheet.failure_row(outcome["object"], output.name, outcome["error"]["message"])
            for outcome in failed
            if outcome["error"]
        ]
        _write_report(options.report, output.stem, rows, listener)
    return _exit_code([outcome["error"]["code"] for outcome in failed if outcome["error"]])


def _check(options: argparse.Namespace, listener: texturing.Listener) -> int:
    plan = _read_plan(options)
    folder = Path(options.output).expanduser().resolve()
    objects = texturing.find_objects(options.objects)
    texturing.check_writable(folder / "report.json")
    outcomes = reference_check.run(objects, plan, folder, listener)
    codes = [outcome["error"]["code"] for outcome in outcomes if outcome["error"]]
    codes += [
        DoubtfulView.code
        for outcome in outcomes
        if outcome["doubt"] and outcome["report"]["settings"]["on_doubt"] == "stop"
    ]
    return _exit_code(codes)


def _read_plan(options: argparse.Namespace) -> Plan:
    """The references and settings that the options give."""
    given = {
        entry.name: value for entry in fields(Settings) if (value := getattr(options, entry.name)) is not None
    }
    settings = Settings.from_dict(given)
    files = [reference.from_file(file) for file in options.image or []]
    mask = options.mask and reference.from_file(options.mask, "mask")
    common = from_files(files) if files else NOTHING
    return Plan(
        base=lambda obj: settings,
        common=replace(common, mask=mask and (lambda: mask)),
        folder=options.folder,
        rules=rules.read_file(Path(options.rules)) if options.rules else (),
    )


def _exit_code(codes: list[str]) -> int:
    """The exit code for the codes of all errors."""
    if not codes:
        return SUCCESS
    return DOUBTFUL if set(codes) == {DoubtfulView.code} else FAILURE


def _batch(options: argparse.Namespace, listener: texturing.Listener) -> int:
    jobs = batch.read_manifest(Path(options.manifest))
    _check_report(options.report)
    codes = batch.run(jobs, listener, options.partial == "keep")
    if options.report:
        _write_report(options.report, Path(options.manifest).stem, batch.report_rows(jobs), listener)
    return _exit_code(codes)


def _export(options: argparse.Namespace, listener: texturing.Listener) -> int:
    if not (options.textures or options.glb):
        raise InvalidSettings("Give --textures FOLDER, --glb FOLDER, or both.")
    objects = texturing.find_objects(options.objects)
    texturing.enter_object_mode()
    succeeded = True
    for obj in objects if options.objects else [obj for obj in objects if takes.find_shown_index(obj) >= 0]:
        try:
            files = _export_one(obj, options)
        except OrbitError as error:
            listener({"event": "error", "object": obj.name, **error.to_dict()})
            succeeded, files = False, []
        for file in files:
            listener({"event": "saved", "file": str(file)})
    return SUCCESS if succeeded else FAILURE


def _export_one(obj: bpy.types.Object, options: argparse.Namespace) -> list[Path]:
    """Writes the files of one object that the options select; returns them."""
    names = [take.name for take in obj.orbit_texture.takes]
    index = (
        names.index(options.take)
        if options.take in names
        else -1
        if options.take
        else takes.find_shown_index(obj)
    )
    if index < 0:
        raise InvalidTarget(
            f"'{obj.name}' has no take called '{options.take}'."
            if options.take
            else f"'{obj.name}' shows no take."
        )
    files = []
    if options.textures:
        folder = Path(options.textures).expanduser().resolve()
        files += export.write_textures(obj, index, folder, options.format, options.naming, options.pack)
    if options.glb:
        files.append(Path(options.glb).expanduser().resolve() / export.glb_file_name(obj, index))
        for text in export.write_glb(obj, index, files[-1]):
            print(text, file=sys.stderr)
    return files


def _check_report(file: str | None) -> None:
    """Raises :class:`StorageError` if the report could not be written after the work."""
    if file:
        texturing.check_writable(Path(file).expanduser().resolve())


def _write_report(file: str, title: str, rows: list[contact_sheet.Row], listener: texturing.Listener) -> None:
    path = Path(file).expanduser().resolve()
    contact_sheet.write_page(path, title, rows)
    listener({"event": "saved", "file": str(path)})


def _doctor(options: argparse.Namespace, listener: texturing.Listener) -> int:
    findings = doctor.examine()
    for finding in findings:
        listener({"event": "finding", **finding})
    return FAILURE if any(finding["state"] == "problem" for finding in findings) else SUCCESS


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
            f"Nothing was downloaded. The download is {format_size(needs.size)}; it needs "
            f"{format_size(needs.peak)} of disk space while it runs and {format_size(needs.installed_size)} "
            "afterwards. If you agree to the terms above, add --yes."
        )
    if not bpy.app.online_access:
        raise InvalidSettings(
            "Blender is offline. Start it with --online-mode, or allow online access in the preferences."
        )
    return SUCCESS if texturing.download(needs.name, listener)["state"] == "finished" else FAILURE


def _create_parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="blender -b --command orbit_texture",
        description="Texture meshes of a .blend from reference images.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    def add_command(name: str, run: Callable, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name, help=text, description=text, formatter_class=DefaultsHelpFormatter
        )
        command.add_argument("--json", action="store_true", help="print events as JSON, one per line")
        command.set_defaults(run=run)
        return command

    _add_texture_options(add_command("texture", _texture, "texture objects of the open file"))
    _add_check_options(
        add_command("check", _check, "find the object and the view in references, and texture nothing")
    )
    _add_batch_options(add_command("batch", _batch, "run the jobs of a manifest, skipping finished ones"))
    _add_export_options(add_command("export", _export, "export takes of the open file as files"))
    add_command("doctor", _doctor, "show what is installed, what is missing and how to fix it")
    _add_download_options(add_command("download", _download, "download a model's weights"))
    return parser


def _add_texture_options(command: argparse.ArgumentParser) -> None:
    _add_plan_options(command)
    command.add_argument(
        "--region",
        metavar="FILE",
        help="mask on the UV map of the take that an object shows: only where it is not black, "
        "the take is repainted, as a new take",
    )
    command.add_argument("--output", required=True, help=".blend to write")
    _add_result_options(command)


def _add_check_options(command: argparse.ArgumentParser) -> None:
    _add_plan_options(command)
    command.add_argument(
        "--output",
        required=True,
        metavar="FOLDER",
        help="folder for a folder per object with the mask, an image of the object for each view that its "
        "reference may show, and report.json",
    )


def _add_plan_options(command: argparse.ArgumentParser) -> None:
    """Adds the objects, their references and their settings."""
    command.add_argument(
        "--image",
        action="append",
        metavar="FILE",
        help="reference for the objects that have none of their own; give it again for each further picture "
        "of them. The first leads. Of several, a word at the end of the name, as in hat.back.png, says where "
        "the view is looked for first: front, back, left, right, top, bottom",
    )
    command.add_argument(
        "--mask",
        metavar="FILE",
        help="image of the size of the first --image, bright where that shows the object",
    )
    command.add_argument(
        "--folder",
        default="",
        help="folder with the images of each object, with its name, and perhaps a mask: Hat.png, "
        "Hat.back.png, Hat.mask.png",
    )
    command.add_argument(
        "--rules",
        metavar="FILE",
        help="TOML file with settings of some objects, see docs/batch.md",
    )
    command.add_argument(
        "--objects", nargs="+", metavar="NAME", help="objects to texture (default: every visible mesh)"
    )
    _add_settings(command)


def _add_batch_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--manifest", required=True, help="TOML file, see docs/batch.md")
    _add_result_options(command)


def _add_result_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--partial",
        choices=("keep", "discard"),
        default="keep",
        help="keep or discard the finished takes if other objects fail (default: %(default)s)",
    )
    command.add_argument(
        "--report", metavar="FILE", help="HTML page to write, with an image of every textured object"
    )


def _add_export_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--objects",
        nargs="+",
        metavar="NAME",
        help="objects to export (default: every visible one that shows a take)",
    )
    command.add_argument(
        "--take", metavar="NAME", help="take to export (default: the one that each object shows)"
    )
    command.add_argument("--textures", metavar="FOLDER", help="folder for the textures")
    command.add_argument(
        "--format",
        choices=export.FORMATS,
        default="png8",
        help="file format of the textures (default: %(default)s)",
    )
    command.add_argument(
        "--naming", default=export.DEFAULT_NAMING, help="file names of the textures (default: %(default)s)"
    )
    command.add_argument(
        "--pack", action="store_true", help="write metallic and roughness as one image, as glTF expects"
    )
    command.add_argument("--glb", metavar="FOLDER", help="folder for a GLB of each object with its take")


def _add_download_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", choices=MODELS)
    command.add_argument("--yes", action="store_true", help="agree to the size and the licences")


def _add_settings(command: argparse.ArgumentParser) -> None:
    """Adds an option per field of :class:`Settings`."""
    for setting in fields(Settings):
        limits = setting.metadata
        names = [f"--{setting.name.replace('_', '-')}"]
        names += ["--size"] if setting.name == "texture_size" else []
        kind = float if setting.default is None else type(setting.default)
        how = (
            {"action": argparse.BooleanOptionalAction}
            if kind is bool
            else {"type": kind, "choices": limits["choices"] or None}
        )
        command.add_argument(
            *names,
            dest=setting.name,
            default=None,
            help=describe_default(limits["doc"], setting.default),
            **how,
        )


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Makes Ctrl-C raise KeyboardInterrupt, which Blender in the background would ignore."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)


def _print_json(event: dict) -> None:
    print(json.dumps(round_report(event)), flush=True)


def _print_text(event: dict) -> None:
    match event["event"]:
        case "progress":
            doing = name_stage(event["stage"]) or event["state"].capitalize()
            print(f"\r{event['object']}: {doing} {event['fraction']:.0%}   ", end="", flush=True)
        case "object" | "checked":
            lines = [event["error"]["message"] if event["error"] else "done   "]
            if event["event"] == "checked" and event["report"]:
                lines += event["report"]["notes"]
            elif event["doubt"] and not event["error"]:
                lines.append(event["doubt"]["message"])
            print(f"\r{event['object']}: {' '.join(lines)}", flush=True)
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
                f"\r{event['error']['message'] if event['error'] else 'The weights are installed.'}   ",
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
