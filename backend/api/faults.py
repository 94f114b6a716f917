"""What the machine lacks, memory or a place to write, as errors for the user."""

import errno
from pathlib import Path

from .errors import OrbitError, OutOfMemory, StorageError

_NOT_ALLOWED = {errno.EROFS, errno.EACCES, errno.EPERM}
_FULL = {errno.ENOSPC, errno.EDQUOT, None}
"""numpy's error for an incomplete write has no errno."""


def explain_fault(error: BaseException) -> OrbitError | None:
    """The error to report for what the operating system or a library raised; None if it is no fault of the
    machine."""
    # torch's OutOfMemoryError is not a MemoryError; comparing its name avoids importing torch here.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return OutOfMemory(
            "There is not enough memory for this job. Close other programs, or choose a smaller texture or a "
            "simpler mesh.",
            "retry",
        )
    return storage_error(error, Path(error.filename or "a file")) if isinstance(error, OSError) else None


def storage_error(error: OSError, place: Path) -> StorageError:
    """The error to report when the operating system cannot write into ``place``."""
    if error.errno in _FULL:
        return StorageError(
            f"The disk is full: {place} cannot be written. Free some space, then try again.", "retry"
        )
    remedy = "Fix its permissions" if error.errno in _NOT_ALLOWED else "Choose another place"
    return StorageError(
        f"{place} cannot be written ({error.strerror or error}). {remedy}, then try again.", "retry"
    )
