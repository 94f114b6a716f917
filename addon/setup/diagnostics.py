"""The doctor's findings, and a report to send to someone who helps, without names or folders of a person."""

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

_INSTALL_LINES = 30
"""How many of the last installation's last lines of output are in the report."""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        name: what was checked.
        state: ok, warning or problem.
        detail: what was found.
        fix: how to fix it; "" if there is nothing to fix.
    """

    name: str
    state: str
    detail: str
    fix: str = ""

    @property
    def button(self) -> tuple[str, dict] | None:
        """The name of the operator ``orbit_texture.<name>`` that does what the fix says, and its properties;
        None if there is no such operator."""
        if re.search(r"install\.py['\"]? backend", self.fix):
            device = re.search(r"--torch (\w+)", self.fix)
            return "install_backend", {
                "anew": "--anew" in self.fix,
                "device": device[1] if device else "auto",
            }
        return ("restart_worker", {}) if "Restart Worker" in self.fix else None


_findings: list[Finding] = []


def findings() -> list[Finding]:
    """The findings of the last check in this session; empty before the first."""
    return _findings


def on_doctor_end(run: install_process.InstallRun) -> None:
    """Stores the findings of a run of ``install.py doctor --json`` that has ended."""
    global _findings
    with contextlib.suppress(ValueError):  # it was stopped or it failed, which the panels show
        _findings = [Finding(**entry) for entry in json.loads("\n".join(run.lines))]
        # Its exit status says whether there is a problem; the findings say which.
        run.status = 0
        devices.refresh()


def report_text() -> str:
    """The report to send to someone who helps, anonymized."""
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
            *last.lines[-_INSTALL_LINES:],
            *last.error.splitlines()[-_INSTALL_LINES:],
        ]
    return anonymize("\n".join(lines))


def anonymize(text: str) -> str:
    """The text without the names of the user, the computer and the folders at home, and without passwords in
    URLs."""
    text = re.sub(r"(?<=://)[^/@\s]+@", "", text)
    places = {
        paths.home(): "<Orbit Texture>",
        paths.models(): "<models>",
        paths.ROOT: "<add-on>",
        Path.home(): "~",
    }
    labels = {
        spelling: name
        for folder, name in places.items()
        if len(folder.parts) > 1
        for spelling in (str(folder), str(folder.resolve()), folder.as_posix())
    }
    # Longest first, since a folder may be inside another one.
    for folder in sorted(labels, key=len, reverse=True):
        text = _replace_word(text, folder, labels[folder])
    return _replace_word(_replace_word(text, _user_name(), "<user>"), platform.node(), "<computer>")


def _replace_word(text: str, word: str, replacement: str) -> str:
    """The text with a whole word replaced, whatever its case."""
    pattern = rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])"
    return re.sub(pattern, lambda _: replacement, text, flags=re.IGNORECASE) if word else text


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name
        return ""


def _graphics() -> str:
    if bpy.app.background:
        return "no window"
    return f"{gpu.platform.renderer_get()}, {gpu.platform.version_get()}, {gpu.platform.backend_type_get()}"
