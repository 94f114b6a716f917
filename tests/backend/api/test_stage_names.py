"""Users read what a job does in a stage, and never the stage's name."""

import pytest

from backend import local
from backend.api.stage_names import STAGE_NAMES, name_stage
from backend.service.worker import to_orbit_error
from backend.stages import STAGES


def test_every_stage_has_words():
    assert set(STAGE_NAMES) == {*STAGES, "download"}
    assert name_stage("") == ""
    assert name_stage("of_tomorrow") == "Of_tomorrow"


@pytest.mark.parametrize("stage", STAGES)
def test_times_and_failures_are_told_in_these_words(capsys, stage):
    local.print_seconds({stage: 1.5})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == STAGE_NAMES[stage]
    assert [line.index(".") for line in lines] == [lines[0].index(".")] * 2
    assert to_orbit_error(ValueError("x"), stage).message.startswith(f"{STAGE_NAMES[stage]} failed")
