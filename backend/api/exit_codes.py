"""What all command lines return to the shell."""

from .errors import (
    Cancelled,
    DoubtfulView,
    InvalidImage,
    InvalidMesh,
    InvalidSettings,
    InvalidTarget,
    OrbitError,
)

SUCCESS = 0

FAILURE = 1
"""What was asked for failed: an object or a download did, the output cannot be written, memory or weights are
missing, or the doctor found a problem."""

BAD_INPUT = 2
"""The arguments or the input cannot be used; nothing was done."""

DOUBTFUL = 3
"""The view of a reference is doubtful and ``--on-doubt stop`` was given; its object was not textured."""

INTERRUPTED = 130
"""Ctrl-C."""

_BY_KIND = {
    InvalidMesh: BAD_INPUT,
    InvalidImage: BAD_INPUT,
    InvalidSettings: BAD_INPUT,
    InvalidTarget: BAD_INPUT,
    DoubtfulView: DOUBTFUL,
    Cancelled: INTERRUPTED,
}


def find_exit_code(error: OrbitError) -> int:
    """The exit code of a command that ended with the error."""
    return _BY_KIND.get(type(error), FAILURE)
