"""Numbers in reports and settings are short."""

import json
import re

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.headless import command
from bl_ext.user_default.orbit_texture.addon.objects.report import round_report

from tests.blender import make

pytestmark = pytest.mark.every_blender

LONG = re.compile(r"\d\.?\d{8,}")


def test_numbers_of_a_report_are_short_and_what_repeats_it_is_exact():
    third = 1 / 3
    report = {"view": {"azimuth": 100 * third}, "list": [third, (third,)], "count": 123456789, "on": True}
    rounded = round_report(report | {"settings": {"refine_strength": third}, "origin": {"view": third}})
    assert rounded["view"] == {"azimuth": 33.3333}
    assert rounded["list"] == [0.333333, [0.333333]]
    assert (rounded["count"], rounded["on"]) == (123456789, True)
    assert rounded["settings"]["refine_strength"] == rounded["origin"]["view"] == third


@pytest.mark.parametrize("angle", [12.3, 0.1, -33.7])
def test_angles_of_the_panel_are_stored_as_they_were_typed(angle):
    panel = bpy.context.scene.orbit_texture
    panel.view, panel.azimuth, panel.elevation = "GIVEN", angle, angle
    assert (panel.to_settings().azimuth, panel.to_settings().elevation) == (angle, angle)


def test_a_takes_report_and_an_event_have_no_long_numbers(capsys):
    obj = make.cube()
    make.apply(obj)
    take = obj.orbit_texture.takes[0]
    assert not LONG.search(
        json.dumps({k: v for k, v in json.loads(take.report).items() if k != "fingerprint"})
    )
    command._print_json({"event": "progress", "fraction": 1 / 3})
    assert json.loads(capsys.readouterr().out)["fraction"] == 0.333333
