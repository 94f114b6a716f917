"""The Blenders on this machine: installed programs, and Blender as a Python module in a private
environment."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.api import paths

from .environment import InstallError, Step, ensure_environment

OLDEST = (4, 2, 0)
"""The oldest supported version."""

MODULES = {"4.2.23": "3.11", "4.5.15": "3.11", "5.0.1": "3.11", "5.2.3": "3.13"}
"""The pinned versions of the Blender module, and the Python version of each."""

MODULE_GIGABYTES = 2.5
"""Disk space that the environment of a module needs."""


@dataclass(frozen=True)
class Blender:
    """A Blender that can be run.

    Attributes:
        program: Blender itself, or the Python interpreter that can import it.
        version: ``(5, 0, 1)``.
        module: whether it is a Python module.
    """

    program: Path
    version: tuple[int, int, int]
    module: bool = False

    def __str__(self) -> str:
        return (
            f"Blender {'.'.join(map(str, self.version))} "
            f"({'module in ' if self.module else ''}{self.program})"
        )

    def script_command(self, script: Path, arguments: Sequence[str]) -> list[str]:
        """The command line that runs a Python script in it, without a window and without the user's
        settings."""
        if self.module:
            return [str(self.program), str(script), *arguments]
        options = ["--background", "--factory-startup", "--python-exit-code", "1"]
        return [str(self.program), *options, "--python", str(script), "--", *arguments]

    def extension_command(self, *arguments: str) -> list[str]:
        """The command line of Blender's own tool that builds and validates extensions."""
        if not self.module:
            return [str(self.program), "--factory-startup", "--command", "extension", *arguments]
        tool = next(
            self.program.parents[1].glob("[Ll]ib/**/bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py")
        )
        return [str(self.program), str(tool), *arguments]


def find_blender(given: str = "") -> Blender | None:
    """The Blender that the user named, or the newest that is installed, or None.

    Raises:
        InstallError: what the user named is not a Blender, or is too old.
    """
    if not given:
        return max(find_all(), key=lambda blender: blender.version, default=None)
    program = Path(shutil.which(given) or given).expanduser()
    version = _blender_version(program)
    if version is None:
        raise InstallError(
            f"{given} is not a Blender that runs. Give the path of Blender's program itself (blender, "
            "blender.exe, or Blender.app/Contents/MacOS/Blender)."
        )
    if version < OLDEST:
        raise InstallError(
            f"{given} is Blender {'.'.join(map(str, version))}; Orbit Texture needs "
            f"{'.'.join(map(str, OLDEST))} or newer."
        )
    return Blender(program, version)


def find_all() -> list[Blender]:
    """All supported Blenders on the PATH and in the usual folders."""
    programs = [Path(found)] if (found := shutil.which("blender")) else []
    for folder, pattern in _usual_places():
        programs += sorted(folder.glob(pattern))
    unique = {program.resolve(): program for program in programs}.values()
    found = [
        Blender(program, version) for program in unique if (version := _blender_version(program)) is not None
    ]
    return [blender for blender in found if blender.version >= OLDEST]


def install_module(version: str, python: str) -> Blender:
    """Installs Blender as a Python module unless it is installed; this takes about a minute and a
    gigabyte."""
    lock = paths.ROOT / "requirements" / f"bpy-{version}.txt"
    interpreter = ensure_environment(
        module_folder(version),
        [Step(f"Blender {version} as a Python module", lock=lock)],
        python=python,
        variant=f"bpy {version}",
        imports="bpy",
        gigabytes=MODULE_GIGABYTES,
    )
    return Blender(interpreter, tuple(map(int, version.split("."))), module=True)


def module_folder(version: str) -> Path:
    """The folder of the module's environment."""
    return paths.home() / f"blender-{version}"


def newest_module() -> Blender:
    """The newest Blender module that a Python on this machine can run.

    Raises:
        InstallError: there is neither Python 3.11 nor 3.13.
    """
    here = "{}.{}".format(*sys.version_info[:2])
    for version, wanted in sorted(MODULES.items(), key=lambda item: (item[1] == here, item[0]), reverse=True):
        if python := find_python(wanted):
            return install_module(version, python)
    raise InstallError(
        "There is no Blender on this machine, and Blender as a Python module needs Python 3.11 or 3.13. "
        "Install Blender 4.2 or newer, or one of these Pythons, and run the same command again."
    )


def find_python(version: str) -> str | None:
    """An interpreter of exactly this minor version, ``3.11``: the running one, on the PATH, in pyenv, or from
    the py launcher."""
    if "{}.{}".format(*sys.version_info[:2]) == version:
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    installed = [[str(path)] for path in sorted(pyenv.glob(f"versions/{version}.*/bin/python"))]
    question = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    for command in ([f"python{version}"], *installed, ["py", f"-{version}"]):
        try:
            done = subprocess.run([*command, "-c", question], capture_output=True, text=True, check=False)
        except OSError:
            continue
        if done.returncode == 0 and done.stdout.startswith(version + " "):
            return done.stdout.strip().split(" ", 1)[1]
    return None


def _usual_places() -> list[tuple[Path, str]]:
    """The folders where Blender is usually installed on this platform, with a glob pattern for its
    program."""
    if sys.platform == "win32":
        return [
            (
                Path(os.environ.get("PROGRAMFILES", r"C:\Program Files")),
                "Blender Foundation/Blender*/blender.exe",
            ),
            (
                Path(os.environ.get("PROGRAMFILES(X86)", r"C:\Program Files (x86)")),
                "Steam/steamapps/common/Blender/blender.exe",
            ),
        ]
    if sys.platform == "darwin":
        return [
            (place, "Blender*.app/Contents/MacOS/Blender")
            for place in (Path("/Applications"), Path.home() / "Applications")
        ]
    return [
        (Path("/opt"), "blender*/blender"),
        (Path("/usr/local"), "blender*/blender"),
        (Path.home(), "blender*/blender"),
        (Path("/snap/bin"), "blender"),
        (Path.home(), ".local/share/Steam/steamapps/common/Blender/blender"),
    ]


def _blender_version(program: Path) -> tuple[int, int, int] | None:
    try:
        done = subprocess.run(
            [str(program), "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"^Blender (\d+)\.(\d+)(?:\.(\d+))?", done.stdout, re.MULTILINE)
    return tuple(int(part or 0) for part in found.groups()) if found else None
