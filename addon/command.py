"""The command line inside Blender: ``blender -b scene.blend --command orbit_texture …``, see docs/headless.md."""

import argparse
import contextlib
import json
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import bpy

from ..backend.api.errors import OrbitError, StorageError
from ..backend.api.settings import Settings
from . import batch, headless
from .queue import queue

GOOD, SOME_FAILED, BAD_ARGUMENTS, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""


def main(arguments: list[str]) -> int:
    """Runs ``texture`` or ``batch``; returns the exit code."""
    parser = _parser()
    try:
        options = parser.parse_args(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    listener = _print_json if options.json else _print_text
    try:
        with _interruptible():
            if options.command == "batch":
                return GOOD if batch.run(Path(options.manifest), listener) else SOME_FAILED
            return _run_texture(options, listener)
    except KeyboardInterrupt:
        listener({"event": "error", "code": "cancelled", "message": "Interrupted.", "fix": ""})
        return INTERRUPTED
    except OrbitError as error:
        listener({"event": "error", **error.to_dict()})
        return SOME_FAILED if isinstance(error, StorageError) else BAD_ARGUMENTS
    finally:
        queue.close()


def _run_texture(options: argparse.Namespace, listener: headless.Listener) -> int:
    given = {entry.name: value for entry in fields(Settings) if (value := getattr(options, entry.name)) is not None}
    settings = Settings.from_dict(given)
    output = Path(options.output).expanduser().resolve()
    headless.check_output(output)
    outcomes = headless.texture(headless.find_objects(options.objects), options.image, settings, listener)
    if any(outcome["state"] == "finished" for outcome in outcomes):
        headless.save(output)
        listener({"event": "saved", "file": str(output)})
    return GOOD if all(outcome["state"] == "finished" for outcome in outcomes) else SOME_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="orbit_texture", description="Texture meshes of a .blend from reference images.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("texture", help="texture objects of the open file after one image")
    one.add_argument("--image", required=True, help="reference image")
    one.add_argument("--objects", nargs="+", metavar="NAME", help="objects to texture; every visible mesh if not given")
    one.add_argument("--output", required=True, help=".blend to write")
    for entry in fields(Settings):
        limits = entry.metadata
        names = [f"--{entry.name.replace('_', '-')}"] + (["--size"] if entry.name == "texture_size" else [])
        kind = float if entry.default is None else type(entry.default)
        one.add_argument(*names, dest=entry.name, type=kind, choices=limits["choices"] or None, help=limits["doc"])
    many = commands.add_parser("batch", help="run the jobs of a manifest, skipping those that are done")
    many.add_argument("--manifest", required=True, help="TOML file, see docs/batch.md")
    for command in (one, many):
        command.add_argument("--json", action="store_true", help="print events as JSON, one a line")
    return parser


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
            print(f"\r{event['object']}: {event['stage'] or event['state']} {event['fraction']:.0%}   ", end="", flush=True)
        case "object":
            print(f"\r{event['object']}: {event['error']['message'] if event['error'] else 'done'}   ", flush=True)
        case "saved":
            print(f"Wrote {event['file']}", flush=True)
        case "skipped":
            print(f"{event['object']}: already done in {event['file']}", flush=True)
        case "error":
            print(event["message"], file=sys.stderr, flush=True)


_command = None


def register() -> None:
    global _command
    _command = bpy.utils.register_cli_command("orbit_texture", main)


def unregister() -> None:
    bpy.utils.unregister_cli_command(_command)
