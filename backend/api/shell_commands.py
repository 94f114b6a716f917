"""Commands of install.py as messages tell them: they can be pasted into a terminal of this machine, whatever
its folder. Standard library only, since install.py imports it before anything is installed."""

import contextlib
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from . import paths

BACKEND_COMMANDS = (
    "texture",
    "check",
    "render",
    "paint",
    "bake",
    "refine",
    "split",
    "download",
    "licences",
    "embed",
    "convert",
    "train",
)
"""The commands of ``python -m backend`` that install.py passes on to the backend's environment."""

_POWERSHELL_QUOTES = re.compile("(['\u2018\u2019\u201a\u201b])")


def install_command(*arguments: str) -> str:
    """The command that runs install.py with these arguments."""
    return join_command([_find_python(), str(paths.ROOT / "install.py"), *arguments], _find_shell())


def join_command(words: list[str], shell: str) -> str:
    """The words as one line, quoted for the shell: ``posix``, ``powershell`` or ``cmd``."""
    if shell == "posix":
        return shlex.join(words)
    quoted = [word if re.fullmatch(r"[\w./:\\~-]+", word) else _quote(word, shell) for word in words]
    # PowerShell takes a quoted program for a text, unless it is told to call it.
    call = "& " if shell == "powershell" and quoted[0] != words[0] else ""
    return call + " ".join(quoted)


def _quote(word: str, shell: str) -> str:
    return f'"{word}"' if shell == "cmd" else "'" + _POWERSHELL_QUOTES.sub(r"\1\1", word) + "'"


def _find_shell() -> str:
    """The shell that a user has or would open. On Windows only cmd sets PROMPT, and a new terminal is
    PowerShell."""
    if sys.platform != "win32":
        return "posix"
    return "cmd" if "PROMPT" in os.environ else "powershell"


def _find_python() -> str:
    """The Python that runs install.py: the one that the environment was made with, since another would make
    it anew, else the one that runs now. By its short name, if the PATH finds it."""
    python = paths.environment_base_python() or Path(sys.executable)
    for name in ("python3", "python", f"python3.{sys.version_info.minor}"):
        with contextlib.suppress(OSError):
            found = shutil.which(name)
            if found and os.path.samefile(found, python):
                return name
    return str(python)
