"""The backend's environment: the lock's packages and the torch build that fits the machine."""

import contextlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from backend.api import paths
from backend.api.torch_builds import DISK_GIGABYTES

from . import torch_build
from .environment import Step, delete, ensure, fingerprint, pip_install_options, read_stamp, run_pip, say

REQUIREMENTS = paths.ROOT / "requirements"
IMPORTS = (
    "numpy, scipy, numba, torch, zmq, PIL, trimesh, xatlas, maxflow, cv2, av, psutil, diffusers, "
    "safetensors, accelerate, transformers"
)


@dataclass(frozen=True)
class Plan:
    """What the environment shall hold: the steps, the name of torch's build, the space it takes, and a remark
    on the choice or ""."""

    steps: tuple[Step, ...]
    variant: str
    gigabytes: float
    note: str = ""


def install(torch: str = "auto", tests: bool = False, anew: bool = False) -> Path:
    """Makes or finishes the backend's environment and returns its interpreter.

    Args:
        torch: the torch build, or ``auto``: what is installed already, else what fits the machine.
        tests: with what the tests need. An environment that has it keeps it.
        anew: delete first what is there.
    """
    folder = paths.backend_environment()
    stamp = read_stamp(folder)
    plan = _plan(torch, stamp.get("variant", ""))
    if plan.note:
        say(plan.note)
    if anew:
        remove()
    elif not _is_complete(stamp, plan):
        _stop_server()
    interpreter = ensure(folder, plan.steps, variant=plan.variant, imports=IMPORTS, gigabytes=plan.gigabytes)
    if tests:
        add_test_packages(interpreter)
    say(f"Backend: {folder} ({plan.variant})")
    return interpreter


def remove() -> None:
    """Deletes the environment; a server that runs in it ends first. Models, jobs and logs stay.

    Raises:
        Problem: a file cannot be deleted.
    """
    folder = paths.backend_environment()
    _stop_server()
    if folder.exists():
        say(f"Removing {folder}")
        delete(folder)


def add_test_packages(interpreter: Path) -> None:
    """Adds pytest and its company to an environment that is complete."""
    marker = interpreter.parent / "orbit-texture-tests.txt"
    lock = REQUIREMENTS / "test.txt"
    if marker.exists() and marker.read_bytes() == lock.read_bytes():
        return
    say("  installing the packages of requirements/test.txt")
    run_pip(interpreter, ["install", *pip_install_options(), "--require-hashes", "-r", str(lock)])
    marker.write_bytes(lock.read_bytes())


def condition() -> str:
    """Of the environment: "absent", "unfinished", "outdated" (installed from other requirements than these)
    or "complete"."""
    folder = paths.backend_environment()
    stamp = read_stamp(folder)
    if not folder.exists():
        return "absent"
    if "complete" not in stamp:
        return "unfinished"
    plan = _plan("auto", stamp["variant"])
    return "complete" if _is_complete(stamp, plan) else "outdated"


def _is_complete(stamp: dict, plan: Plan) -> bool:
    return (stamp.get("complete"), stamp.get("variant")) == (fingerprint(plan.steps), plan.variant)


def _stop_server() -> None:
    """Ends the server that runs in the environment, lest its files change under it. One that cannot even
    start this has none."""
    interpreter = paths.environment_python(paths.backend_environment())
    with contextlib.suppress(OSError):
        subprocess.run(
            [str(interpreter), "-E", "-s", "-m", "backend", "stop"],
            cwd=paths.ROOT,
            capture_output=True,
            check=False,
        )


def _plan(wanted: str, installed: str) -> Plan:
    """
    Args:
        wanted: the torch build, or ``auto``.
        installed: the name of the build that is there, "" for none.
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
    choice = torch_build.choose(torch_build.facts(), wanted)
    arguments = (package, "--index-url", choice.index) if choice.index else (package,)
    torch = Step(f"torch {torch_build.TORCH} for {choice.build} (a large download)", arguments)
    return Plan(
        (packages, torch, on_torch), f"torch {choice.build}", DISK_GIGABYTES[choice.build], choice.note
    )


def _find_links() -> str:
    """The folders of ready-made files that pip is configured to use on this machine; "" where there is no pip
    to ask."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.find-links"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else ""
