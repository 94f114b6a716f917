"""The words of the panels: no names of the program's insides, and short enough for the sidebar."""

import re

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon import setting_texts
from bl_ext.user_default.orbit_texture.addon.operators import OPERATORS
from bl_ext.user_default.orbit_texture.addon.ui import PANELS
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

pytestmark = pytest.mark.every_blender

IDENTIFIER = re.compile(r"[a-z]+_[a-z_]+|'[a-z0-9:]+'|\\b(json|dict|uuid|id)\\b")
"""What looks like a name in the program."""

MAX_LABEL = 30
"""Characters that a button as wide as the sidebar shows at 280 pixels, beside its icon."""

MAX_SETTING = 15
"""Characters that a setting's name has beside its field."""


def panel_properties():
    return bpy.context.scene.orbit_texture.bl_rna.properties


def test_every_setting_of_the_panel_and_each_choice_has_a_tooltip_without_internal_names():
    for name, text in setting_texts.DESCRIPTIONS.items():
        assert not IDENTIFIER.search(text), text
        assert panel_properties()[name].description == text
    for name, choices in setting_texts.CHOICES.items():
        items = panel_properties()[name].enum_items
        assert len(items) == len(choices)
        for item in items:
            assert item.description
            assert not IDENTIFIER.search(item.description), item.description


def test_every_setting_of_a_job_has_its_text():
    in_panel = set(Settings().to_dict()) - {"device", "on_doubt"}
    assert in_panel == set(setting_texts.DESCRIPTIONS)


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
def test_operators_have_a_tooltip_without_internal_names_and_a_label_that_fits(operator):
    text = getattr(operator, "bl_description", "")
    assert text, operator
    assert not IDENTIFIER.search(text), text
    assert not text.endswith("."), text
    assert len(operator.bl_label) <= MAX_LABEL


def test_names_of_settings_fit_beside_their_fields():
    for prop in panel_properties():
        assert len(prop.name) <= MAX_SETTING, prop.name


def test_names_of_panels_fit():
    for panel in PANELS:
        assert len(panel.bl_label) <= MAX_LABEL
