"""What holds for all operators."""

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.operators import OPERATORS

IDENTIFIERS = {"job", "index"}
"""Properties that tell an operator which row of a list its button stands in."""


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
def test_an_operator_that_needs_to_know_its_row_is_internal(operator):
    properties = getattr(bpy.types, operator.bl_rna.identifier).bl_rna.properties
    needed = [name for name in IDENTIFIERS & set(properties.keys()) if properties[name].default in ("", 0)]
    assert not needed or "INTERNAL" in operator.bl_options


def test_a_search_finds_what_works_without_a_button():
    found = {cls.bl_label for cls in OPERATORS if "INTERNAL" not in getattr(cls, "bl_options", ())}
    assert {"Texture Selected", "Texture Scene", "Repaint Region", "Show Next Take", "Export GLB"} <= found
    assert not found & {"Object Mode", "Make Local", "Retry", "Dismiss", "Mask Stroke", "Remove Take"}
