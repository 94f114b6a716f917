"""The backend's environment: the lock's packages and the torch build that fits the machine."""

import subprocess
import sys
from pathlib import Path

from backend.api import paths

from . import torch_build
from .environment import Step, ensure, pip_install_options, read_stamp, run_pip, say

REQUIREMENTS = paths.ROOT / "requirements"
IMPORTS = "numpy, scipy, numba, torch, zmq, PIL, trimesh, xatlas, maxflow, cv2, av, psutil"


def install(torch: str = "auto", tests: bool = False) -> Path:
    """Makes or finishes the backend's environment and returns its interpreter.

    Args:
        torch: the torch build, or ``auto``: what is installed already, else what fits the machine.
        tests: with what the tests need. An environment that has it keeps it.
    """
    folder = paths.backend_environment()
    step, variant, gigabytes = _torch_step(torch, read_stamp(folder).get("variant", ""))
    steps = [Step("the packages of requirements/backend.txt", lock=REQUIREMENTS / "backend.txt"), step]
    interpreter = ensure(folder, steps, variant=variant, imports=IMPORTS, gigabytes=gigabytes)
    if tests:
        add_test_packages(interpreter)
    say(f"Backend: {folder} ({variant})")
    return interpreter


def add_test_packages(interpreter: Path) -> None:
    """Adds pytest and its company to an environment that is complete."""
    marker = interpreter.parent / "orbit-texture-tests.txt"
    lock = REQUIREMENTS / "test.txt"
    if marker.exists() and marker.read_bytes() == lock.read_bytes():
        return
    say("  installing the packages of requirements/test.txt")
    run_pip(interpreter, ["install", *pip_install_options(), "--require-hashes", "-r", str(lock)])
    marker.write_bytes(lock.read_bytes())


def is_complete() -> bool:
    """Whether an earlier run installed the environment to its end."""
    return "complete" in read_stamp(paths.backend_environment())


def _torch_step(wanted: str, installed: str) -> tuple[Step, str, float]:
    """The step that installs torch, the name of its build and the space that the environment needs."""
    wheel = torch_build.local_wheel(_find_links())
    package = f"torch=={torch_build.TORCH}"
    if wheel:
        return Step(f"torch from {wheel}", (package,)), f"torch {wheel.name.split('-')[1]} from a file", torch_build.GIGABYTES["cpu"]
    if wanted == "auto" and installed.removeprefix("torch ") in torch_build.BUILDS:
        wanted = installed.removeprefix("torch ")
    choice = torch_build.choose(torch_build.facts(), wanted)
    if choice.note:
        say(choice.note)
    arguments = (package, "--index-url", choice.index) if choice.index else (package,)
    return Step(f"torch {torch_build.TORCH} for {choice.build} (a large download)", arguments), f"torch {choice.build}", \
        torch_build.GIGABYTES[choice.build]


def _find_links() -> str:
    """The folders of ready-made files that pip is configured to use on this machine; "" where there is no pip to ask."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "get", "global.find-links"], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""
