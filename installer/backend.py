"""The backend's environment: the lock's packages and the torch build that fits the machine."""

import contextlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from backend.api import paths
from backend.api.torch_builds import DISK_GIGABYTES

from . import torch_build
from .environment import (
    Step,
    delete_environment,
    ensure_environment,
    fingerprint,
    pip_install_options,
    print_status,
    read_stamp,
    run_pip,
)

REQUIREMENTS = paths.ROOT / "requirements"
"""The folder of the lock files."""

IMPORTS = (
    "numpy, scipy, numba, torch, zmq, PIL, trimesh, xatlas, maxflow, cv2, av, psutil, diffusers, "
    "safetensors, accelerate, transformers"
)
"""The modules that must import in a complete environment."""


@dataclass(frozen=True)
class Plan:
    """What to install into the environment.

    Attributes:
        steps: the runs of pip.
        variant: the name of the torch build, ``torch cuda``.
        gigabytes: disk space that the environment needs.
        note: a remark about the choice of the torch build, or "".
    """

    steps: tuple[Step, ...]
    variant: str
    gigabytes: float
    note: str = ""


def install(torch: str = "auto", tests: bool = False, reinstall: bool = False) -> Path:
    """Creates or completes the backend's environment and returns its interpreter.

    Args:
        torch: the torch build, or ``auto``: the installed build, or the best one for this machine.
        tests: whether to add the packages of the tests. They are never removed.
        reinstall: delete the existing environment first.
    """
    folder = paths.backend_environment()
    stamp = read_stamp(folder)
    plan = _plan(torch, stamp.get("variant", ""))
    if plan.note:
        print_status(plan.note)
    if reinstall:
        remove()
    elif not _is_complete(stamp, plan):
        _stop_server()
    interpreter = ensure_environment(
        folder, plan.steps, variant=plan.variant, imports=IMPORTS, gigabytes=plan.gigabytes
    )
    _compile_kernels(interpreter)
    if tests:
        add_test_packages(interpreter)
    print_status(f"Backend: {folder} ({plan.variant})")
    return interpreter


def _compile_kernels(interpreter: Path) -> None:
    """Compiles what the first job would have to compile. A failure is no failure of the installation: the
    first job then says what is wrong, or takes longer."""
    print_status("  compiling, which takes about a minute")
    subprocess.run(
        [str(interpreter), "-E", "-s", "-m", "backend", "compile"],
        cwd=paths.ROOT,
        capture_output=True,
        check=False,
    )


def remove() -> None:
    """Stops the server and deletes the environment. Models, jobs and logs are kept.

    Raises:
        InstallError: a file cannot be deleted.
    """
    folder = paths.backend_environment()
    _stop_server()
    if folder.exists():
        print_status(f"Removing {folder}")
        delete_environment(folder)


def add_test_packages(interpreter: Path) -> None:
    """Installs the packages of the tests into a complete environment."""
    marker = interpreter.parent / "orbit-texture-tests.txt"
    lock = REQUIREMENTS / "test.txt"
    if marker.exists() and marker.read_bytes() == lock.read_bytes():
        return
    print_status("  installing the packages of requirements/test.txt")
    run_pip(interpreter, ["install", *pip_install_options(), "--require-hashes", "-r", str(lock)])
    marker.write_bytes(lock.read_bytes())


def find_state() -> str:
    """The state of the environment: "absent", "unfinished", "outdated" (installed from other requirements) or
    "complete"."""
    folder = paths.backend_environment()
    stamp = read_stamp(folder)
    if not folder.exists():
        return "absent"
    if not {"complete", "variant"} <= set(stamp):
        return "unfinished"
    plan = _plan("auto", stamp["variant"])
    return "complete" if _is_complete(stamp, plan) else "outdated"


def _is_complete(stamp: dict, plan: Plan) -> bool:
    return (stamp.get("complete"), stamp.get("variant")) == (fingerprint(plan.steps), plan.variant)


def _stop_server() -> None:
    """Stops the server that runs in the environment, before its files change. An environment whose
    interpreter does not start has no server."""
    interpreter = paths.environment_python(paths.backend_environment())
    with contextlib.suppress(OSError):
        subprocess.run(
            [str(interpreter), "-E", "-s", "-m", "backend", "stop"],
            cwd=paths.ROOT,
            capture_output=True,
            check=False,
        )


def _plan(wanted: str, installed: str) -> Plan:
    """The steps for the wanted torch build.

    Args:
        wanted: the torch build, or ``auto``.
        installed: the variant that is installed, "" for none.
    """
    packages = Step("the packages of requirements/backend.txt", lock=REQUIREMENTS / "backend.txt")
    on_torch = Step(
        "the packages of requirements/on_torch.txt", ("--no-deps",), lock=REQUIREMENTS / "on_torch.txt"
    )
    package = f"torch=={torch_build.TORCH}"
    if wheel := torch_build.local_wheel(_find_links()):
        version = wheel.name.split("-")[1]
        steps = (packages, Step(f"torch from {wheel}", (package,)), on_torch)
        return Plan(steps, f"torch {version} from a file", DISK_GIGABYTES["cpu"])
    if wanted == "auto" and installed.removeprefix("torch ") in DISK_GIGABYTES:
        wanted = installed.removeprefix("torch ")
    choice = torch_build.choose_build(torch_build.detect_machine(), wanted)
    arguments = (package, "--index-url", choice.index) if choice.index else (package,)
    torch = Step(f"torch {torch_build.TORCH} for {choice.build} (a large download)", arguments)
    return Plan(
        (packages, torch, on_torch), f"torch {choice.build}", DISK_GIGABYTES[choice.build], choice.note
    )


def _find_links() -> str:
    """pip's configured ``find-links`` on this machine; "" if there is none or no pip."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.find-links"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else ""
