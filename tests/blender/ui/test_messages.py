"""What the panel tells the user, and the buttons that help."""

import json
import sys
from pathlib import Path

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.setup import environment_state, install_process
from bl_ext.user_default.orbit_texture.addon.setup.environment_state import EnvironmentState
from bl_ext.user_default.orbit_texture.addon.ui.messages import (
    LINES,
    Message,
    draw_first_message,
    draw_messages,
    list_messages,
)
from bl_ext.user_default.orbit_texture.backend.api import paths

from tests.blender import make
from tests.blender.layout import Context, Layout


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_HOME", str(tmp_path))
    environment_state.refresh()
    yield tmp_path
    install_process.shut_down()


def write_environment(home: Path, stamp: object, python: str = "") -> None:
    """An environment with this stamp, whose Python is a script of the shell."""
    interpreter = paths.environment_python(home / "environment")
    interpreter.parent.mkdir(parents=True, exist_ok=True)
    interpreter.write_text(f"#!/bin/sh\n{python}\n")
    interpreter.chmod(0o755)
    (home / "environment" / paths.ENVIRONMENT_STAMP).write_text(json.dumps(stamp))


def draw_first(context) -> Layout:
    layout = Layout()
    draw_first_message(layout, context, list_messages(context, None))
    return layout


@pytest.mark.parametrize("online", [True, False])
def test_before_the_first_job_the_panel_offers_what_is_missing(home, online):
    bpy.context.preferences.system.use_online_access = online
    layout = draw_first(Context())
    assert "The backend is not installed" in layout.text
    assert "GB" in layout.text
    assert layout.buttons[0][0] == ("install_backend" if online else "extensions.userpref_allow_online")
    assert ("offline" in layout.text) != online


@pytest.mark.parametrize("stamp", [{}, {"variant": "torch cpu"}, [], "complete"])
def test_an_unfinished_installation_is_not_said_to_be_installed(home, stamp):
    write_environment(home, stamp)
    assert environment_state.refresh() is EnvironmentState.UNFINISHED
    assert not environment_state.is_installed()
    assert "not finished" in list_messages(Context(), None)[0].text


@pytest.mark.skipif(sys.platform == "win32", reason="its Python is a script of the shell")
@pytest.mark.parametrize(("script", "state"), [("exit 0", "installed"), ("exit 1", "broken")])
def test_the_check_of_an_installation_runs_it(home, script, state):
    write_environment(home, {"complete": "x", "variant": "torch cpu"}, script)
    # Its trial runs in a thread, and may have ended before this returns.
    assert environment_state.refresh(try_it=True) in {EnvironmentState.INSTALLED, EnvironmentState(state)}
    environment_state._trial.join(20)
    assert environment_state.get() is EnvironmentState(state)
    broken = any("does not run" in message.text for message in list_messages(Context(), None))
    assert broken == (state == "broken")


def test_the_first_message_has_one_height_and_more_is_a_popup():
    long = Message("word " * 200)
    buttons = [
        [],
        [Message("Short.")],
        [long],
        [Message("A.", "ERROR", lambda layout: layout.operator("orbit_texture.retry")), long],
    ]
    layouts = [Layout() for _ in buttons]
    for layout, messages in zip(layouts, buttons, strict=True):
        draw_first_message(layout, Context(), messages)
    assert len({layout.height for layout in layouts}) == 1
    assert [name for name, *_ in layouts[2].buttons] == ["show_messages"]
    assert layouts[2].labels[LINES - 1].endswith("…")
    assert {name for name, *_ in layouts[3].buttons} == {"retry", "show_messages"}
    popup = Layout()
    draw_messages(popup, Context(), buttons[3], 400)
    assert popup.text.count("word") == 200


def test_problems_come_before_what_is_good_to_know(home):
    obj = make.cube(uvs=False)
    make.select(obj)
    bpy.context.scene.orbit_texture.painter = "orbitpainter"
    write_environment(home, {"complete": "x"})
    environment_state.refresh()
    texts = [message.text for message in list_messages(Context(), None)]
    weights = next(number for number, text in enumerate(texts) if "weights are not" in text)
    uv_map = next(number for number, text in enumerate(texts) if "has no UV map" in text)
    assert weights < uv_map
