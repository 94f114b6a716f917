"""Private Python environments: creates them, completes an interrupted installation, or recreates them if that
is not possible."""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.api import paths

_NO_NETWORK = (
    "The package index cannot be reached. Check the network (or HTTPS_PROXY) and run the same command "
    "again; it continues."
)

PIP_ADVICE = (
    (
        "No space left on device",
        "The disk is full. Free some space and run the same command again; it continues where it stopped.",
    ),
    (
        "DO NOT MATCH THE HASHES",
        "A downloaded file is not the one that was pinned. Run the same command again. If the error remains, "
        "the package index that pip uses serves other files than those in the lock file.",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "pip does not trust the server's certificate. Behind a company proxy, set PIP_CERT to its file.",
    ),
    ("Connection", _NO_NETWORK),
    ("name resolution", _NO_NETWORK),
    (
        "No matching distribution found",
        "The package index has no binary package for this Python and this system. Use Python 3.11, 3.12 "
        "or 3.13, 64-bit, on Linux, Windows or an Apple-silicon Mac.",
    ),
    (
        "Permission denied",
        "A file cannot be written. Close Blender and every Orbit Texture worker, and check who owns the "
        "folder.",
    ),
)
"""What to do about a failed run of pip: (pattern in its output, advice); the first match counts."""


class InstallError(Exception):
    """An installation error; its message tells the user what is wrong and what to do."""


@dataclass(frozen=True)
class Step:
    """One run of ``pip install``.

    Attributes:
        label: what is installed, for the printed status.
        arguments: for pip.
        lock: a requirements file with hashes, added as ``--require-hashes -r lock``; or None.
    """

    label: str
    arguments: tuple[str, ...] = ()
    lock: Path | None = None

    def pip_arguments(self) -> list[str]:
        """The arguments for ``pip install``."""
        return [*self.arguments, *(("--require-hashes", "-r", str(self.lock)) if self.lock else ())]

    def fingerprint(self) -> list[str]:
        """Data that differs between two steps that install different packages."""
        content = self.lock.read_bytes() if self.lock else b""
        return [*self.arguments, hashlib.sha256(content).hexdigest()]


def print_status(text: str) -> None:
    """Prints a line at once, so that it comes before the output of the next subprocess."""
    print(text, flush=True)


def ensure_environment(
    folder: Path,
    steps: Sequence[Step],
    *,
    python: str = sys.executable,
    variant: str = "",
    imports: str = "",
    gigabytes: float = 0.0,
) -> Path:
    """Creates or completes a virtual environment, so that it contains what the steps install.

    The stamp is written before the first step without a fingerprint, and again after the last step with it,
    so that the next run recognises and completes an interrupted one. An environment with another Python or
    variant is recreated.

    Args:
        folder: the environment.
        steps: what to install, in order.
        python: the interpreter to create it with.
        variant: what cannot be changed by installing over it, such as the torch build.
        imports: modules that must import at the end, as ``"numpy, torch"``.
        gigabytes: disk space that a new environment needs.

    Returns:
        The environment's interpreter.

    Raises:
        InstallError: there is no space or network, or a package does not import.
    """
    # What is there: complete, to be completed, or to be recreated.
    interpreter = paths.environment_python(folder)
    identity = {"python": _version_of(python), "variant": variant}
    finished = identity | {"complete": fingerprint(steps)}
    stamp = read_stamp(folder)
    if stamp == finished and interpreter.exists():
        return interpreter
    if {name: stamp.get(name) for name in identity} == identity and _has_pip(interpreter):
        print_status(f"Finishing {folder}")
    else:
        _check_space(folder, gigabytes)
        _create(folder, python)
    # The stamp has no fingerprint until all steps have succeeded.
    _write_stamp(folder, identity)
    for step in steps:
        print_status(f"  installing {step.label}")
        _pip_install(interpreter, step.pip_arguments())
    if imports:
        _check_imports(interpreter, imports)
    _write_stamp(folder, finished)
    return interpreter


def fingerprint(steps: Sequence[Step]) -> str:
    """The value of ``complete`` in the stamp of an environment that these steps installed."""
    return hashlib.sha256(json.dumps([step.fingerprint() for step in steps]).encode()).hexdigest()


def read_stamp(folder: Path) -> dict:
    """The stamp of an environment; {} if there is none. It contains ``complete`` only after all steps."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        stamp = json.loads((folder / paths.ENVIRONMENT_STAMP).read_text(encoding="utf-8"))
        if isinstance(stamp, dict):
            return stamp
    return {}


def find_pip_advice(output: str) -> str:
    """What a user can do about a failed run of pip, chosen by its output."""
    return next(
        (advice for pattern, advice in PIP_ADVICE if pattern in output),
        "Read the lines above; docs/troubleshooting.md lists the known causes.",
    )


def pip_install_options() -> list[str]:
    """Options so that pip never compiles and never asks."""
    return ["--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--quiet"]


def run_pip(interpreter: Path, arguments: Sequence[str]) -> None:
    """Runs the pip of an environment. Raises :class:`InstallError` with the end of its output and advice."""
    # Isolated from PYTHONPATH and from a configured PIP_USER: the packages belong into this environment.
    done = subprocess.run(
        [str(interpreter), "-I", "-m", "pip", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=os.environ | {"PIP_USER": "0"},
        check=False,
    )
    if done.returncode:
        tail = "\n".join(
            line for line in done.stdout.splitlines() if not line.startswith("WARNING: Location")
        )[-2000:]
        raise InstallError(f"{tail}\n{find_pip_advice(done.stdout)}")


def _pip_install(interpreter: Path, arguments: Sequence[str]) -> None:
    run_pip(interpreter, ["install", *pip_install_options(), *arguments])


def delete_environment(folder: Path) -> None:
    """Deletes an environment. Raises :class:`InstallError` if a file is in use or belongs to another user."""
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise InstallError(
            f"{folder} cannot be replaced or removed ({error.strerror}). Close Blender and every Orbit "
            "Texture worker, check who owns the folder, and run the same command again."
        ) from error


def _create(folder: Path, python: str) -> None:
    print_status(f"Creating {folder}")
    if folder.exists():
        delete_environment(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InstallError(
            f"{folder.parent} cannot be created ({error.strerror}). Check who owns the folder above it, or "
            "set ORBIT_TEXTURE_HOME to another folder, and run the same command again."
        ) from error
    done = subprocess.run([python, "-m", "venv", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(
            f"{(done.stdout + done.stderr)[-1000:]}\n{python} cannot create virtual environments. On Debian "
            f"and Ubuntu: sudo apt install python{_version_of(python)}-venv"
        )


def _check_space(folder: Path, gigabytes: float) -> None:
    free = free_gigabytes(folder)
    if free < gigabytes:
        raise InstallError(
            f"{folder} needs {gigabytes:g} GB, but only {free:.1f} GB are free. Free some space, or set "
            "ORBIT_TEXTURE_HOME to a folder on a larger disk."
        )


def free_gigabytes(folder: Path) -> float:
    """Free disk space where the folder is or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free / 1e9


def _check_imports(interpreter: Path, modules: str) -> None:
    done = subprocess.run(
        [str(interpreter), "-c", f"import {modules}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise InstallError(
            f"{done.stderr[-1500:]}\nThe packages are installed but do not import. A missing lib*.so is a "
            "package of the system: docs/troubleshooting.md names it. Otherwise delete the environment and "
            "run the same command again."
        )


def _version_of(python: str) -> str:
    """The minor version of an interpreter, ``3.11``. A change of the patch version is harmless."""
    code = "import sys; print('.'.join(map(str, sys.version_info[:2])))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=False).stdout.strip()


def _has_pip(interpreter: Path) -> bool:
    try:
        return (
            subprocess.run(
                [str(interpreter), "-m", "pip", "--version"], capture_output=True, check=False
            ).returncode
            == 0
        )
    except OSError:
        return False


def _write_stamp(folder: Path, content: dict) -> None:
    (folder / paths.ENVIRONMENT_STAMP).write_text(json.dumps(content), encoding="utf-8")
