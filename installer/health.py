"""The doctor: checks with the standard library alone, then the checks of the backend's environment."""

import json
import subprocess
import sys
from collections.abc import Iterator

from backend.api import paths
from backend.api.shell_commands import install_command
from backend.doctor import OK, PROBLEM, WARNING, Finding, print_findings

from . import backend, blenders
from .environment import free_gigabytes, read_stamp


def run_doctor(as_json: bool) -> int:
    """Runs all checks and prints the findings. Returns the exit status: 1 if there is a problem."""
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
            "none found on the PATH or in the usual folders",
            f"Install Blender 4.2 or newer, or name yours: {install_command('addon', '--blender', 'PATH')}",
        )


def _environment() -> Iterator[Finding]:
    folder = paths.backend_environment()
    details = {
        "absent": "is not installed",
        "unfinished": f"an installation was interrupted in {folder}",
        "outdated": f"{folder} was installed from other requirements",
    }
    state = backend.find_state()
    if state in details:
        yield Finding("backend", PROBLEM, details[state], install_command("backend"))
    else:
        yield Finding("backend", OK, f"{folder} ({read_stamp(folder).get('variant', 'incomplete')})")
        yield from _backend_findings()


def _backend_findings() -> Iterator[Finding]:
    """The findings of ``python -m backend doctor`` in the backend's environment."""
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
            "backend", PROBLEM, f"its Python does not run: {error}", install_command("backend", "--anew")
        )
