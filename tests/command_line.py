"""``python -m backend`` in the process of the test, which saves its start."""

import contextlib
import io

import pytest

from backend import __main__ as command_line


def run_here(*arguments) -> str:
    """Runs a command that has to succeed, and returns its output."""
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
        patch.setattr("sys.argv", ["backend", *map(str, arguments)])
        assert command_line.main() == 0
    return output.getvalue()
