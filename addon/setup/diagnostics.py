"""What the doctor has found, and all that is worth sending to someone who helps, without names or folders of
a person."""

import contextlib
import getpass
import json
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

import bpy
import gpu

from ...backend.api import paths
from . import devices, install_process

_LINES = 30
"""Of what the last installation has said."""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report: what was looked at; ok, warning or problem; what was found; what mends
    it, or ""."""

    name: str
    state: str
    detail: str
    fix: str = ""

    @property
    def button(self) -> tuple[str, dict] | None:
        """The operator ``orbit_texture.<name>`` that does what the fix says, with its properties; None if no
        button can."""
        if "install.py backend" in self.fix:
            device = re.search(r"--torch (\w+)", self.fix)
            return "install_backend", {
                "anew": "--anew" in self.fix,
                "device": device[1] if device else "auto",
            }
        return ("restart_worker", {}) if "Restart Worker" in self.fix else None


_findings: list[Finding] = []


def findings() -> list[Finding]:
    """Of the last check in this session; empty before the first."""
    return _findings


def learn(checked: install_process.InstallRun) -> None:
    """Takes the findings from a run of ``install.py doctor --json`` that has ended."""
    global _findings
    with contextlib.suppress(ValueError):  # it was stopped or has failed, which the panels say
        _findings = [Finding(**entry) for entry in json.loads("\n".join(checked.lines))]
        # Its exit status says whether there is a problem, and the findings tell which.
        checked.status = 0
        devices.refresh()


def text() -> str:
    """Everything worth sending."""
    lines = [
        f"Orbit Texture {paths.VERSION}",
        f"Blender {bpy.app.version_string} ({bpy.app.build_hash.decode(errors='replace')}), Python "
        f"{platform.python_version()}",
        f"{platform.platform()}, {platform.machine()}, {os.cpu_count()} cores",
        f"Graphics: {_graphics()}",
        f"Online access: {'yes' if bpy.app.online_access else 'no'}",
        "",
    ]
    lines += [f"{finding.state:8} {finding.name:14} {finding.detail}" for finding in _findings] or [
        "The installation was not checked."
    ]
    if last := install_process.current():
        lines += [
            "",
            f"{last.title}: exit status {last.status}",
            *last.lines[-_LINES:],
            *last.error.splitlines()[-_LINES:],
        ]
    return anonymous("\n".join(lines))


def anonymous(words: str) -> str:
    """The text without the names of user and computer, of folders at home, and without passwords in
    addresses."""
    words = re.sub(r"(?<=://)[^/@\s]+@", "", words)
    places = {
        paths.home(): "<Orbit Texture>",
        paths.models(): "<models>",
        paths.ROOT: "<add-on>",
        Path.home(): "~",
    }
    spelled = {
        spelling: name
        for folder, name in places.items()
        if len(folder.parts) > 1
        for spelling in (str(folder), str(folder.resolve()), folder.as_posix())
    }
    for folder in sorted(spelled, key=len, reverse=True):
        words = _replaced(words, folder, spelled[folder])
    return _replaced(_replaced(words, _user(), "<user>"), platform.node(), "<computer>")


def _replaced(words: str, name: str, instead: str) -> str:
    """Where it stands alone, in capitals or not."""
    alone = rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"
    return re.sub(alone, lambda _: instead, words, flags=re.IGNORECASE) if name else words


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name
        return ""


def _graphics() -> str:
    if bpy.app.background:
        return "no window"
    return f"{gpu.platform.renderer_get()}, {gpu.platform.version_get()}, {gpu.platform.backend_type_get()}"
