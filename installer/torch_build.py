"""Chooses the torch build for this machine, and the package index that has it."""

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from backend.api.shell_commands import install_command

TORCH = "2.13.0"
"""The pinned version."""

_INDEX = "https://download.pytorch.org/whl/"

_CUDA_13_DRIVER = 580
"""The oldest NVIDIA driver that runs CUDA 13."""

_CUDA_12_DRIVER = 525
"""The oldest NVIDIA driver that runs CUDA 12."""

_CUDA_13_MIN_CAPABILITY = 7.5
"""The lowest compute capability in torch's wheels for CUDA 13: Turing."""

_CUDA_12_MAX_CAPABILITY = 9.0
"""The highest compute capability in torch's wheels for CUDA 12: Hopper."""


@dataclass(frozen=True)
class Machine:
    """The properties of a machine that the choice depends on.

    Attributes:
        system: ``linux``, ``win32`` or ``darwin``.
        machine: ``x86_64``, ``arm64`` …
        nvidia: output of ``nvidia-smi --query-gpu=driver_version,compute_cap --format=csv,noheader``; ""
            without an NVIDIA driver.
        rocm: whether there is an AMD GPU with ROCm.
    """

    system: str
    machine: str = "x86_64"
    nvidia: str = ""
    rocm: bool = False


@dataclass(frozen=True)
class Choice:
    """The chosen torch build.

    Attributes:
        build: a key of ``DISK_GIGABYTES``.
        index: the package index that has it; "" for pip's default.
        note: why it is not a faster build; "" if it is the fastest.
    """

    build: str
    index: str = ""
    note: str = ""


def choose_build(machine: Machine, wanted: str = "auto") -> Choice:
    """The torch build for a machine.

    Args:
        machine: the machine.
        wanted: ``auto`` or a key of ``DISK_GIGABYTES``.
    """
    if wanted == "auto":
        wanted = _fastest_build(machine)
    if wanted == "cuda":
        return _choose_cuda(machine)
    if wanted == "rocm":
        return Choice("rocm", _INDEX + "rocm7.2")
    if wanted == "mps" or machine.system == "darwin":
        return Choice(wanted)
    return Choice("cpu", _INDEX + "cpu")


def _fastest_build(machine: Machine) -> str:
    if machine.system == "darwin":
        return "mps"
    if machine.nvidia:
        return "cuda"
    return "rocm" if machine.rocm and machine.system == "linux" else "cpu"


def _choose_cuda(machine: Machine) -> Choice:
    driver, capability = _newest_gpu(machine.nvidia)
    if not machine.nvidia or (driver >= _CUDA_13_DRIVER and capability >= _CUDA_13_MIN_CAPABILITY):
        return Choice("cuda", "" if machine.system == "linux" else _INDEX + "cu130")
    if driver >= _CUDA_12_DRIVER and capability <= _CUDA_12_MAX_CAPABILITY:
        return Choice("cuda", _INDEX + "cu126")
    note = (
        f"The NVIDIA driver {driver} is too old for this GPU's torch build, so the CPU is used. Install "
        f"driver {_CUDA_13_DRIVER} or newer, then run: {install_command('backend', '--torch', 'cuda')}"
    )
    return Choice("cpu", _INDEX + "cpu", note)


def _newest_gpu(nvidia: str) -> tuple[int, float]:
    """The driver's major version and the highest compute capability in the output of nvidia-smi."""
    lines = re.findall(r"^\s*(\d+)[\d.]*\s*,\s*(\d+\.\d+)", nvidia, re.MULTILINE)
    return max((int(driver) for driver, _ in lines), default=0), max(
        (float(capability) for _, capability in lines), default=0.0
    )


def detect_machine() -> Machine:
    """The properties of this machine."""
    rocm = Path("/dev/kfd").exists() and (shutil.which("rocminfo") is not None or Path("/opt/rocm").exists())
    return Machine(sys.platform, platform.machine(), _nvidia_smi(), rocm)


def _nvidia_smi() -> str:
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version,compute_cap", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def local_wheel(pip_find_links: str) -> Path | None:
    """The wheel of the pinned torch in one of pip's ``find-links`` folders, if there is one.

    Args:
        pip_find_links: folders or URLs separated by white space, as printed by ``pip config get
            global.find-links``.
    """
    places = [*os.environ.get("PIP_FIND_LINKS", "").split(), *pip_find_links.split()]
    for folder in dict.fromkeys(
        Path(place.removeprefix("file://"))
        for place in places
        if "://" not in place or place.startswith("file://")
    ):
        for wheel in sorted(
            folder.glob(f"torch-{TORCH}*cp{sys.version_info.major}{sys.version_info.minor}-*.whl")
        ):
            return wheel
    return None
