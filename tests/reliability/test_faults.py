"""A seeded short run of the fault harness; the long one is ``python -m tests.reliability faults``."""

import os

import pytest

from tests.reliability.faults import FAULTS, run_faults

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")


def test_after_every_kind_of_fault_nothing_is_lost_or_left(tmp_path):
    tried, wrong = run_faults(tmp_path, len(FAULTS), seed=19)
    assert sum(tried.values()) == len(FAULTS)
    assert wrong == []
