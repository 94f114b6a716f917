"""How much longer a job takes, from how far it got."""

import time

_QUIET_SECONDS = 3.0
_WEIGHT = 0.2


class Eta:
    """The estimate for one job; make a new one for each."""

    def __init__(self):
        self._first: tuple[float, float] | None = None
        self._ends_at: float | None = None

    def update(self, fraction: float) -> float | None:
        """Seconds left, given how much of the job is done; None in the first seconds, when nobody can
        know."""
        now = time.monotonic()
        # Stages done in an earlier run are skipped in no time, so the pace is measured from the first report
        # on.
        if self._first is None:
            self._first = now, fraction
        start, begun = self._first
        if now - start < _QUIET_SECONDS or fraction - begun < 0.01:
            return None
        ends_at = now + (now - start) * (1.0 - fraction) / (fraction - begun)
        self._ends_at = (
            ends_at if self._ends_at is None else self._ends_at + _WEIGHT * (ends_at - self._ends_at)
        )
        return max(self._ends_at - now, 0.0)
