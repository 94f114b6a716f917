"""The estimate of the time left, by a clock of the test's own."""

import pytest

from backend.service import eta


@pytest.fixture
def clock(monkeypatch):
    """Sets the time that the estimate sees."""
    now = 100.0

    def set_time(seconds: float) -> None:
        nonlocal now
        now = 100.0 + seconds

    monkeypatch.setattr(eta.time, "monotonic", lambda: now)
    return set_time


def test_the_estimate_is_unknown_in_the_first_three_seconds(clock):
    estimate = eta.Eta()
    for seconds in (0.0, 1.0, 2.9):
        clock(seconds)
        assert estimate.update(seconds / 10) is None
    clock(3.0)
    assert estimate.update(0.3) == pytest.approx(7.0)


def test_the_estimate_of_a_steady_job_is_the_time_left(clock):
    estimate = eta.Eta()
    for seconds in range(10):
        clock(seconds)
        left = estimate.update(seconds / 10)
    assert left == pytest.approx(1.0)


def test_the_estimate_ignores_stages_that_an_earlier_run_finished(clock):
    estimate = eta.Eta()
    clock(0.0)
    assert estimate.update(0.5) is None
    clock(5.0)
    assert estimate.update(0.75) == pytest.approx(5.0)
