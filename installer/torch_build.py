"""Which build of torch this machine takes, and where pip finds it."""

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TORCH = "2.13.0"

_INDEX = "https://download.pytorch.org/whl/"
_CUDA_13_DRIVER, _CUDA_12_DRIVER = 580, 525  # the oldest NVIDIA drivers that run CUDA 13 and CUDA 12 programs
_CUDA_13_OLDEST, _CUDA_12_NEWEST = (
    7.5,
    9.0,
)  # compute capabilities in torch's wheels: Turing and newer, up to Hopper


@dataclass(frozen=True)
class Facts:
    """What the choice depends on.

    Attributes:
        system: ``linux``, ``win32`` or ``darwin``.
        machine: ``x86_64``, ``arm64`` …
        nvidia: output of ``nvidia-smi --query-gpu=driver_version,compute_cap --format=csv,noheader``; ""
            without one.
        rocm: whether an AMD GPU with ROCm is there.
    """

    system: str
    machine: str = "x86_64"
    nvidia: str = ""
    rocm: bool = False


@dataclass(frozen=True)
class Choice:
    """A build, the package index that has it ("" for pip's own) and why it is not a better one ("" when it is
    the best)."""

    build: str
    index: str = ""
    note: str = ""


def choose(facts: Facts, wanted: str = "auto") -> Choice:
    """The torch build for a machine.

    Args:
        facts: the machine.
        wanted: ``auto`` or one of DISK_GIGABYTES.
    """
    if wanted == "auto":
        wanted = _fastest(facts)
    if wanted == "cuda":
        return _choose_cuda(facts)
    if wanted == "rocm":
        return Choice("rocm", _INDEX + "rocm7.2")
    if wanted == "mps" or facts.system == "darwin":
        return Choice(wanted)
    return Choice("cpu", _INDEX + "cpu")


def _fastest(facts: Facts) -> str:
    if facts.system == "darwin":
        return "mps"
    if facts.nvidia:
        return "cuda"
    return "rocm" if facts.rocm and facts.system == "linux" else "cpu"


def _choose_cuda(facts: Facts) -> Choice:
    driver, capability = _newest_gpu(facts.nvidia)
    if not facts.nvidia or (driver >= _CUDA_13_DRIVER and capability >= _CUDA_13_OLDEST):
        return Choice("cuda", "" if facts.system == "linux" else _INDEX + "cu130")
    if driver >= _CUDA_12_DRIVER and capability <= _CUDA_12_NEWEST:
        return Choice("cuda", _INDEX + "cu126")
    note = (
        f"The NVIDIA driver {driver} is too old for this GPU's torch build, so the CPU is used. Install "
        f"driver {_CUDA_13_DRIVER} or newer, then run: python3 install.py backend --torch cuda"
    )
    return Choice("cpu", _INDEX + "cpu", note)


def _newest_gpu(nvidia: str) -> tuple[int, float]:
    """Driver's major version and the highest compute capability of the lines that nvidia-smi printed."""
    lines = re.findall(r"^\s*(\d+)[\d.]*\s*,\s*(\d+\.\d+)", nvidia, re.MULTILINE)
    return max((int(driver) for driver, _ in lines), default=0), max(
        (float(capability) for _, capability in lines), default=0.0
    )


def facts() -> Facts:
    """The facts of this machine."""
    rocm = Path("/dev/kfd").exists() and (shutil.which("rocminfo") is not None or Path("/opt/rocm").exists())
    return Facts(sys.platform, platform.machine(), _nvidia_smi(), rocm)


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
    """A file of this torch in one of the folders that pip is configured to look in first (find-links).

    Args:
        pip_find_links: folders or addresses separated by white space, as ``pip config get global.find-links``
            prints them.
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
