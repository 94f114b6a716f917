"""The doctor: checks what is installed and what is missing, and names the command that fixes it.

These checks run in the backend's environment. ``install.py doctor`` prints them after its own checks, which
work before anything is installed.
"""

import importlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from .api import paths
from .api.shell_commands import install_command

OK, WARNING, PROBLEM = "ok", "warning", "problem"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: what was checked.
        state: OK, WARNING (works, but not well) or PROBLEM (does not work).
        detail: what was found; for a problem, its cause.
        fix: the command or action that fixes it; "" if there is nothing to fix.
    """

    name: str
    state: str
    detail: str
    fix: str = ""


MODULES = (
    "numpy",
    "scipy",
    "numba",
    "torch",
    "zmq",
    "PIL",
    "trimesh",
    "xatlas",
    "maxflow",
    "cv2",
    "av",
    "psutil",
    "diffusers",
    "safetensors",
    "accelerate",
    "transformers",
)
"""The packages that must import."""

FREE_DISK_GB = 2.0
"""Disk space that one job with the draft painter and a 4k texture needs at most, with a margin."""

FREE_MEMORY_GB = 3.0
"""Memory that such a job needs at most, with a margin."""

FREE_VRAM_GB = 2.0
"""Memory of a GPU below which the doctor warns."""

ANSWER_SECONDS = 5.0
"""Time that a running server has to answer."""

START_SECONDS = 30.0
"""Time that a new server has to start and answer."""


def run_checks() -> list[Finding]:
    """Runs all checks inside the environment. Never raises: a check that fails is a finding."""
    findings = []
    for check in (_packages, _device, _memory, _disk, _weights, _server):
        try:
            findings += check()
        except Exception as error:  # a broken installation can fail in any way; the report is still printed
            findings.append(
                Finding(
                    check.__name__.strip("_"),
                    PROBLEM,
                    f"{type(error).__name__}: {error}",
                    install_command("backend"),
                )
            )
    return findings


def print_findings(findings: list[Finding], as_json: bool) -> int:
    """Prints the findings. Returns the exit status: 1 if there is a problem."""
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            print(
                f"{finding.state:8} {finding.name:12} {finding.detail}"
                + (f"\n{'':22}{finding.fix}" if finding.fix else "")
            )
    return int(any(finding.state == PROBLEM for finding in findings))


def main(as_json: bool) -> int:
    """``python -m backend doctor``."""
    return print_findings(run_checks(), as_json)


def _packages() -> Iterator[Finding]:
    broken = {}
    for name in MODULES:
        try:
            importlib.import_module(name)
        except Exception as error:  # a half-installed package raises anything from ImportError to OSError
            broken[name] = str(error)
    for name, cause in broken.items():
        yield Finding(name, PROBLEM, f"does not import: {cause}", install_command("backend", "--anew"))
    if not broken:
        yield Finding(
            "packages", OK, f"{len(MODULES)} import in Python {sys.version.split()[0]} ({sys.prefix})"
        )


def _device() -> Iterator[Finding]:
    import torch

    from .api.devices import save_devices
    from .device import device_names, query_device

    devices = [query_device(torch.device(name)) for name in device_names()]
    save_devices(devices)
    for gpu in devices[1:]:
        enough = gpu.free >= FREE_VRAM_GB
        yield Finding(
            "GPU",
            OK if enough else WARNING,
            f"{gpu.name}, {gpu.title}: {gpu.free:.1f} of {gpu.total / 1e9:.1f} GB free "
            f"(torch {torch.__version__})",
            "" if enough else "Close other programs that use the GPU.",
        )
    if len(devices) > 1:
        return
    if shutil.which("nvidia-smi"):
        yield Finding(
            "GPU",
            WARNING,
            f"there is an NVIDIA GPU, but torch {torch.__version__} cannot use it",
            f"Update the NVIDIA driver, then run: {install_command('backend', '--torch', 'cuda')}",
        )
    else:
        yield Finding("GPU", OK, f"none found; the draft painter needs none (torch {torch.__version__})")


def _memory() -> Iterator[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    enough = memory.available >= FREE_MEMORY_GB * 1e9
    yield Finding(
        "memory",
        OK if enough else WARNING,
        f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB free",
        "" if enough else "Close other programs, or choose a smaller texture.",
    )


def _disk() -> Iterator[Finding]:
    folder = paths.home()
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free / 1e9
    enough = free >= FREE_DISK_GB
    yield Finding(
        "disk",
        OK if enough else PROBLEM,
        f"{free:.1f} GB free in {folder}",
        "" if enough else "Free some space, or set ORBIT_TEXTURE_HOME to a folder on a larger disk.",
    )


def _weights() -> Iterator[Finding]:
    from .api.errors import InvalidWeights
    from .api.weights import MODELS, format_size
    from .weights.install import check
    from .weights.plan import download_folder

    for needs in MODELS.values():
        folder = paths.models() / needs.name
        if folder.exists():
            try:
                check(needs, folder)
            except InvalidWeights as error:
                yield Finding("weights", PROBLEM, error.message, needs.command)
            else:
                yield Finding("weights", OK, f"{needs.title}: installed in {folder}")
        elif download_folder(folder).exists():
            yield Finding(
                "weights",
                WARNING,
                f"the download of {needs.title} to {download_folder(folder)} is incomplete",
                f"To continue: {needs.command}",
            )
        else:
            yield Finding(
                "weights",
                OK,
                f"{needs.title} ({needs.purpose}): not installed; the draft painter needs none. To download "
                f"it ({format_size(needs.size)}):",
                needs.command,
            )


def _server() -> Iterator[Finding]:
    """Checks that the running server answers, or if none runs, that a new one starts and answers."""
    from .api.connection import Connection

    running = Connection.read(paths.run_directory())
    version = _query_version(running) if running else ""
    if version:
        same = version == paths.VERSION
        yield Finding(
            "worker",
            OK if same else PROBLEM,
            f"version {version} answers at {running.endpoint}",
            "" if same else "Press Restart Worker in the add-on's preferences.",
        )
    else:
        yield _start_trial_server()


def _start_trial_server() -> Finding:
    from .api.connection import Connection

    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "backend", "serve", "--run-dir", scratch, "--idle-seconds", "5"]
        server = subprocess.Popen(
            command,
            cwd=paths.ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        try:
            started = time.monotonic()
            while server.poll() is None and time.monotonic() - started < START_SECONDS:
                connection = Connection.read(Path(scratch))
                if connection and _query_version(connection):
                    return Finding(
                        "worker",
                        OK,
                        f"not running; one starts and answers in {time.monotonic() - started:.1f} s",
                    )
                time.sleep(0.1)
        finally:
            server.terminate()
            output = server.communicate()[1].strip()
    cause = output.splitlines()[-1] if output else f"it did not answer within {START_SECONDS:g} s"
    return Finding(
        "worker",
        PROBLEM,
        f"cannot be started: {cause}",
        f"See docs/troubleshooting.md, then run: {install_command('backend', '--anew')}",
    )


def _query_version(connection) -> str:
    """The version of the server that answers; "" if none answers."""
    import zmq

    from .api import wire
    from .api.connection import connect
    from .api.errors import VersionMismatch

    context = zmq.Context()
    try:
        socket = connect(context, connection)
        socket.sndtimeo = socket.rcvtimeo = int(ANSWER_SECONDS * 1000)
        socket.send_multipart(wire.pack("hello", {"version": paths.VERSION}))
        message = wire.unpack(socket.recv_multipart())
        return message.body["version"] if message.type == "welcome" else connection.version
    except zmq.Again:
        return ""
    except VersionMismatch:
        return connection.version
    finally:
        context.destroy(linger=0)
