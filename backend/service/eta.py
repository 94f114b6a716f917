"""The estimated time left of a job, from its progress so far."""

import time

_WARMUP_SECONDS = 3.0
"""No estimate is given before this time has passed."""

_SMOOTHING = 0.2
"""Weight of a new estimate in the exponential moving average."""


class Eta:
    """The estimate for one job; make a new one for each."""

    def __init__(self):
        self._start: tuple[float, float] | None = None
        self._ends_at: float | None = None

    def update(self, fraction: float) -> float | None:
        """Seconds left, given the fraction of the job that is done; None in the first seconds."""
        now = time.monotonic()
        # Stages finished in an earlier run are skipped at once, so the pace is measured from the first
        # report.
        if self._start is None:
            self._start = now, fraction
        start_time, start_fraction = self._start
        if now - start_time < _WARMUP_SECONDS or fraction - start_fraction < 0.01:
            return None
        ends_at = now + (now - start_time) * (1.0 - fraction) / (fraction - start_fraction)
        self._ends_at = (
            ends_at if self._ends_at is None else self._ends_at + _SMOOTHING * (ends_at - self._ends_at)
        )
        return max(self._ends_at - now, 0.0)
