"""How long work reports its progress."""

from collections.abc import Callable

ProgressCallback = Callable[[float], None]
"""Called with the fraction done, 0..1; raises :class:`backend.api.errors.Cancelled` when the user has
cancelled."""

JobProgress = Callable[[str, float], None]
"""Called with the current stage of a job, or step of a download, and the fraction done of the whole; raises
:class:`backend.api.errors.Cancelled` when the user has cancelled."""
