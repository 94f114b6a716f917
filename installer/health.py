"""The doctor: what can be said with the standard library alone, then what the backend's environment says
about itself."""

import json
import subprocess
import sys
from collections.abc import Iterator

from backend.api import paths
from backend.doctor import OK, PROBLEM, WARNING, Finding, print_findings

from . import backend, blenders
from .environment import free_gigabytes, read_stamp


def report(as_json: bool) -> int:
    """Prints everything that was found. Returns the exit status: 1 if there is a problem."""
    return print_findings([*_before_installation(), *_blenders(), *_environment()], as_json)


def _before_installation() -> Iterator[Finding]:
    yield Finding("Orbit Texture", OK, f"{paths.VERSION} in {paths.ROOT}")
    yield Finding("Python", OK, f"{sys.version.split()[0]} ({sys.executable})")
    yield Finding("folder", OK, f"{paths.home()} ({free_gigabytes(paths.home()):.1f} GB free)")


def _blenders() -> Iterator[Finding]:
    found = blenders.find_all()
    for blender in found:
        yield Finding("Blender", OK, str(blender))
    modules = [
        version for version in blenders.MODULES if "complete" in read_stamp(blenders.module_folder(version))
    ]
    for version in modules:
        yield Finding("Blender", OK, f"{version} as a Python module ({blenders.module_folder(version)})")
    if not found and not modules:
        yield Finding(
            "Blender",
            WARNING,
            "none on the PATH or in the usual places",
            "Install Blender 4.2 or newer, or name yours: python3 install.py addon --blender PATH",
        )


def _environment() -> Iterator[Finding]:
    folder = paths.backend_environment()
    found = {
        "absent": "is not installed",
        "unfinished": f"an installation was cut short in {folder}",
        "outdated": f"{folder} was installed from other requirements than these",
    }
    condition = backend.condition()
    if condition in found:
        yield Finding("backend", PROBLEM, found[condition], "python3 install.py backend")
    else:
        yield Finding("backend", OK, f"{folder} ({read_stamp(folder)['variant']})")
        yield from _examined_inside()


def _examined_inside() -> Iterator[Finding]:
    command = [
        str(paths.environment_python(paths.backend_environment())),
        "-m",
        "backend",
        "doctor",
        "--json",
    ]
    try:
        done = subprocess.run(
            command, cwd=paths.ROOT, capture_output=True, text=True, timeout=180, check=False
        )
        yield from (Finding(**entry) for entry in json.loads(done.stdout))
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        yield Finding(
            "backend", PROBLEM, f"its Python does not run: {error}", "python3 install.py backend --anew"
        )
