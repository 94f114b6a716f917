"""Short runs of the strangers and of the soak; the long ones are ``python -m tests.reliability``."""

import os

import pytest

from tests.reliability.soak import Sample, find_growth, run_soak
from tests.reliability.strangers import STRANGERS, run_strangers

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")


def test_no_kind_of_stranger_gets_in_or_does_harm(tmp_path):
    tried, wrong = run_strangers(tmp_path, 2 * len(STRANGERS), seed=19)
    assert set(tried.values()) == {2}
    assert wrong == []


def test_nothing_grows_over_some_jobs():
    samples, wrong = run_soak("scripted", 12)
    assert {name: len(own) for name, own in samples.items()} == dict.fromkeys(samples, 12)
    assert wrong == []


@pytest.mark.parametrize(
    ("grown", "words"),
    [
        (Sample(130, 10, 5), "memory"),
        (Sample(100, 11, 5), "11 descriptors"),
        (Sample(100, 10, 6), "6 threads"),
    ],
)
def test_a_process_that_grows_is_told(grown, words):
    flat = [Sample(100, 10, 5)] * 12
    assert find_growth("worker", flat) == []
    [sentence] = find_growth("worker", flat[:9] + [grown] * 3)
    assert words in sentence
