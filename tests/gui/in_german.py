"""Runs inside Blender with a few German words, and fails if a sentence that is put together while it runs is
not German.

Started by test_window.py: ``blender --background --python-exit-code 1 --python in_german.py``; pip's bpy
knows no languages.
"""

import bpy
from bl_ext.user_default.orbit_texture.addon.checks import preflight
from bl_ext.user_default.orbit_texture.addon.jobs.queue import JobEntry
from bl_ext.user_default.orbit_texture.addon.objects import report
from bl_ext.user_default.orbit_texture.addon.ui.text import status
from bl_ext.user_default.orbit_texture.backend.api.events import JobEvent, State
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

GERMAN = {
    (
        "*",
        "The mesh has no UV map. A new one called '{}' is added with the texture.",
    ): "Das Mesh hat keine UV-Map. Mit der Textur kommt eine neue namens '{}'.",
    ("*", "Paint"): "Malen",
    ("*", "{} left"): "noch {}",
    ("*", "{:.0f} seconds: {}"): "{:.0f} Sekunden: {}",
}


def equal(found, expected) -> None:
    assert found == expected, (found, expected)


bpy.app.translations.register(__name__, {"de_DE": GERMAN})
view = bpy.context.preferences.view
view.language, view.use_translate_interface, view.use_translate_reports = "de_DE", True, True
equal(bpy.app.translations.locale, "de_DE")

cube = bpy.data.objects["Cube"]
cube.data.uv_layers.remove(cube.data.uv_layers[0])
equal(
    [notice.text for notice in preflight.notices(cube, Settings(), None)],
    ["Das Mesh hat keine UV-Map. Mit der Textur kommt eine neue namens 'Orbit Texture'."],
)
equal(report.sentences({"seconds": {"paint": 2.0}}), ["2 Sekunden: Malen 2.0"])
equal(
    status(JobEntry("Cube", None, event=JobEvent("0" * 32, State.RUNNING, "paint", 0.5, 35.0))),
    "Malen 50%, noch 0:35",
)
