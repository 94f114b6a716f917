"""Runs inside Blender with a few German translations, and fails if a message that is composed at run time is
not translated.

Started by test_window.py: ``blender --background --python-exit-code 1 --python in_german.py``; pip's bpy
has no translations.
"""

import bpy
from bl_ext.user_default.orbit_texture.addon.checks import preflight
from bl_ext.user_default.orbit_texture.addon.jobs.queue import JobEntry
from bl_ext.user_default.orbit_texture.addon.objects import report
from bl_ext.user_default.orbit_texture.addon.ui.text import describe_status, describe_time_left
from bl_ext.user_default.orbit_texture.backend.api.events import JobEvent, State
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

GERMAN = {
    (
        "*",
        "The mesh has no UV map. A new one called '{}' is added with the texture.",
    ): "Das Mesh hat keine UV-Map. Mit der Textur kommt eine neue namens '{}'.",
    ("*", "Painting"): "Malt",
    ("*", "About {} min left"): "Noch etwa {} min",
    ("*", "{:.0f} s: {}"): "{:.0f} Sekunden: {}",
}


def assert_equal(found, expected) -> None:
    assert found == expected, (found, expected)


bpy.app.translations.register(__name__, {"de_DE": GERMAN})
view = bpy.context.preferences.view
view.language, view.use_translate_interface, view.use_translate_reports = "de_DE", True, True
assert_equal(bpy.app.translations.locale, "de_DE")

cube = bpy.data.objects["Cube"]
cube.data.uv_layers.remove(cube.data.uv_layers[0])
assert_equal(
    [notice.text for notice in preflight.notices(cube, Settings(), None)],
    ["Das Mesh hat keine UV-Map. Mit der Textur kommt eine neue namens 'Orbit Texture'."],
)
assert_equal(report.describe_report({"seconds": {"paint": 2.0}}), ["2 Sekunden: Malt 2.0"])
assert_equal(
    describe_status(JobEntry("Cube", None, event=JobEvent("0" * 32, State.RUNNING, "paint", 0.5, 35.0))),
    "Malt",
)
assert_equal(describe_time_left(140.0), "Noch etwa 2 min")
