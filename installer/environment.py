"""Private Python environments: made, finished where a run was cut short, remade where they cannot be
finished."""

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

STAMP = "orbit-texture.json"

_NO_NETWORK = (
    "The package index cannot be reached. Check the network (or HTTPS_PROXY) and run the same command "
    "again; it continues."
)

ADVICE = (
    (
        "No space left on device",
        "The disk is full. Free some space and run the same command again; it continues where it stopped.",
    ),
    (
        "DO NOT MATCH THE HASHES",
        "A downloaded file is not the one that was pinned. Run the same command again; if it stays so, the "
        "package index that pip uses serves other files than the lock was made from.",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "pip does not trust the server's certificate. Behind a company proxy, set PIP_CERT to its file.",
    ),
    ("Connection", _NO_NETWORK),
    ("name resolution", _NO_NETWORK),
    (
        "No matching distribution found",
        "The package index has no ready-made file for this Python and this system. Use Python 3.11, 3.12 "
        "or 3.13, 64-bit, on Linux, Windows or an Apple-silicon Mac.",
    ),
    (
        "Permission denied",
        "A file cannot be written. Close Blender and every Orbit Texture worker, and check who owns the "
        "folder.",
    ),
)


class Problem(Exception):
    """Something the user has to mend; its text says what is wrong and what to do."""


@dataclass(frozen=True)
class Step:
    """One run of ``pip install``.

    Attributes:
        label: what is installed, for the printed line.
        arguments: for pip.
        lock: a requirements file with hashes, added as ``--require-hashes -r lock``; None for none.
    """

    label: str
    arguments: tuple[str, ...] = ()
    lock: Path | None = None

    def pip_arguments(self) -> list[str]:
        return [*self.arguments, *(("--require-hashes", "-r", str(self.lock)) if self.lock else ())]

    def fingerprint(self) -> list[str]:
        content = self.lock.read_bytes() if self.lock else b""
        return [*self.arguments, hashlib.sha256(content).hexdigest()]


def say(text: str) -> None:
    print(text, flush=True)


def ensure(
    folder: Path,
    steps: Sequence[Step],
    *,
    python: str = sys.executable,
    variant: str = "",
    imports: str = "",
    gigabytes: float = 0.0,
) -> Path:
    """Makes sure that the virtual environment holds what the steps install.

    The stamp is written before the first step without a fingerprint and again after the last one with it, so
    a run that was cut short is seen and finished by the next. An environment of another Python or another
    variant is remade.

    Args:
        folder: the environment.
        steps: what to install, in order.
        python: the interpreter to make it from.
        variant: what cannot be changed by installing over it (the torch build).
        imports: modules that must import at the end, ``"numpy, torch"``.
        gigabytes: disk space that a new environment needs.

    Returns:
        The environment's interpreter.

    Raises:
        Problem: no space, no network, a package that does not import.
    """
    interpreter = paths.environment_python(folder)
    identity = {"python": _version_of(python), "variant": variant}
    finished = identity | {"complete": fingerprint(steps)}
    stamp = read_stamp(folder)
    if stamp == finished and interpreter.exists():
        return interpreter
    if {name: stamp.get(name) for name in identity} == identity and _runs(interpreter):
        say(f"Finishing {folder}")
    else:
        _check_space(folder, gigabytes)
        _make(folder, python)
    _write_stamp(folder, identity)
    for step in steps:
        say(f"  installing {step.label}")
        _pip(interpreter, step.pip_arguments())
    if imports:
        _check_imports(interpreter, imports)
    _write_stamp(folder, finished)
    return interpreter


def fingerprint(steps: Sequence[Step]) -> str:
    """What the stamp of an environment has as ``complete`` when these steps were its last."""
    return hashlib.sha256(json.dumps([step.fingerprint() for step in steps]).encode()).hexdigest()


def read_stamp(folder: Path) -> dict:
    """What the environment was made for; {} where there is none. It has ``complete`` only once everything was
    installed."""
    try:
        return json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def advice(output: str) -> str:
    """What a user can do about a failed run of pip, judged by its output."""
    return next(
        (text for sign, text in ADVICE if sign in output),
        "Read the lines above; docs/troubleshooting.md lists the known causes.",
    )


def pip_install_options() -> list[str]:
    """Nothing is ever compiled, nothing is asked, nothing of the user's own packages is touched."""
    return ["--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--quiet"]


def run_pip(interpreter: Path, arguments: Sequence[str]) -> None:
    """Runs pip of an environment. Raises :class:`Problem` with the end of its output and advice."""
    # Isolated from PYTHONPATH and from a user who has told pip to install for the user: the packages belong
    # into this environment.
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
        raise Problem(f"{tail}\n{advice(done.stdout)}")


def _pip(interpreter: Path, arguments: Sequence[str]) -> None:
    run_pip(interpreter, ["install", *pip_install_options(), *arguments])


def delete(folder: Path) -> None:
    """Deletes an environment. Raises :class:`Problem` if a file is in use or not ours."""
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise Problem(
            f"{folder} cannot be replaced or removed ({error.strerror}). Close Blender and every Orbit "
            "Texture worker, check who owns the folder, and run the same command again."
        ) from error


def _make(folder: Path, python: str) -> None:
    say(f"Making {folder}")
    if folder.exists():
        delete(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Problem(
            f"{folder.parent} cannot be made ({error.strerror}). Check who owns the folder above it, or set "
            "ORBIT_TEXTURE_HOME to another, and run the same command again."
        ) from error
    done = subprocess.run([python, "-m", "venv", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Problem(
            f"{(done.stdout + done.stderr)[-1000:]}\n{python} cannot make virtual environments. On Debian "
            "and Ubuntu: apt install python3-venv."
        )


def _check_space(folder: Path, gigabytes: float) -> None:
    free = free_gigabytes(folder)
    if free < gigabytes:
        raise Problem(
            f"{folder} needs {gigabytes:g} GB and {free:.1f} GB are free. Free some space, or set "
            "ORBIT_TEXTURE_HOME to a folder on a larger disk."
        )


def free_gigabytes(folder: Path) -> float:
    """Free space where the folder is or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free / 1e9


def _check_imports(interpreter: Path, modules: str) -> None:
    done = subprocess.run(
        [str(interpreter), "-c", f"import {modules}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Problem(
            f"{done.stderr[-1500:]}\nThe packages are installed but do not import. A missing lib*.so is a "
            "package of the system: docs/troubleshooting.md names it. Otherwise delete the environment and "
            "run the same command again."
        )


def _version_of(python: str) -> str:
    """``3.11`` of the interpreter; the patch may change under an environment without harm."""
    code = "import sys; print('.'.join(map(str, sys.version_info[:2])))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=False).stdout.strip()


def _runs(interpreter: Path) -> bool:
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
    (folder / STAMP).write_text(json.dumps(content), encoding="utf-8")
