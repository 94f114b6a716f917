"""What the panels show of a job, and that nothing in them moves because of one."""

import itertools
from types import SimpleNamespace

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon import ui
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.addon.reference_check.checks import checks
from bl_ext.user_default.orbit_texture.addon.ui.main_panel import MainPanel
from bl_ext.user_default.orbit_texture.addon.ui.takes_panel import TakesPanel
from bl_ext.user_default.orbit_texture.backend.api.events import State

from tests.blender import make
from tests.blender.layout import Context, Layout

pytestmark = pytest.mark.worker

HEADER = 1.2
"""Height of a panel's header, in rows."""


@pytest.fixture(autouse=True)
def scene(scripted_worker, tmp_path):
    checks.clear()
    (tmp_path / "reference.png").write_bytes(make.png(60, 40))
    bpy.context.scene.orbit_texture.image = bpy.data.images.load(str(tmp_path / "reference.png"))
    yield
    checks.clear()


def draw(panel=MainPanel) -> Layout:
    layout = Layout()
    panel.draw(SimpleNamespace(layout=layout), Context())
    return layout


def find_places() -> dict[str, float]:
    """Where everything that can be clicked in the viewport's sidebar is, with all panels open; a number
    follows what is there more than once."""
    top, found = 0.0, []
    for panel in ui.PANELS:
        if getattr(panel, "bl_space_type", "") != "VIEW_3D" or not _polls(panel):
            continue
        layout = draw(panel)
        top += HEADER
        found += [(f"{panel.bl_idname} {name}", place) for name, place in layout.places(top)]
        top += layout.height
    places, counts = {}, {}
    for name, place in found:
        counts[name] = counts.get(name, 0) + 1
        places[f"{name} {counts[name]}"] = place
    return places


def _polls(panel) -> bool:
    return not hasattr(panel, "poll") or panel.poll(Context())


def assert_nothing_moved(before: dict[str, float], after: dict[str, float]) -> None:
    assert before, "nothing was drawn"
    moved = {name: (before[name], after[name]) for name in before.keys() & after.keys()}
    assert not {name: places for name, places in moved.items() if places[0] != places[1]}


@pytest.mark.parametrize("script", ["Cube paint=show:8", "Cube paint=error", "Cube"])
def test_nothing_moves_because_a_job_starts_paints_or_ends(script):
    make.scripted_cube(script)
    states = [find_places()]
    bpy.ops.orbit_texture.texture_selected()
    states.append(find_places())
    entry = queue.entries[-1]
    make.poll_until(queue, lambda: entry.event.state is not State.QUEUED)
    states.append(find_places())
    make.poll_until_settled(queue)
    states.append(find_places())
    # A second one, whose take is added to the first.
    bpy.ops.orbit_texture.texture_selected()
    states.append(find_places())
    make.poll_until_settled(queue)
    states.append(find_places())
    for before, after in itertools.pairwise(states):
        assert_nothing_moved(before, after)
    assert (any("show_take" in name for name in states[-1])) == ("error" not in script)


def test_nothing_moves_while_a_reference_is_checked():
    make.scripted_cube("Cube")
    before = dict(draw().places())
    bpy.ops.orbit_texture.check_reference()
    assert_nothing_moved(before, dict(draw().places()))
    check = checks.find(bpy.context.object, bpy.context.scene.orbit_texture)
    make.poll_until(queue, lambda: not checks.is_at_work(check))
    assert_nothing_moved(before, dict(draw().places()))


def test_the_status_names_the_object_and_what_is_done():
    make.scripted_cube("Cube")
    bpy.ops.orbit_texture.texture_selected()
    entry = queue.entries[-1]
    assert "Cube: Starting the worker" in draw().labels or "Cube: Waiting" in draw().labels
    make.poll_until_settled(queue)
    layout = draw()
    assert any(line.startswith("Cube: textured in ") for line in layout.labels)
    assert ("show_texture", "", False) in layout.buttons
    assert 0 < entry.seconds < 60


def test_the_status_of_another_object_is_its_own():
    make.scripted_cube("Cube")
    bpy.ops.orbit_texture.texture_selected()
    make.poll_until_settled(queue)
    make.cube()
    assert not any("textured" in line for line in draw().labels)


def test_a_take_that_was_removed_is_not_said_to_be_there():
    make.scripted_cube("Cube")
    bpy.ops.orbit_texture.texture_selected()
    make.poll_until_settled(queue)
    bpy.ops.orbit_texture.remove_take(index=0)
    assert not any("textured" in line for line in draw().labels)


def test_show_texture_is_offered_only_where_the_viewport_shows_none(monkeypatch):
    make.scripted_cube("Cube")
    bpy.ops.orbit_texture.texture_selected()
    make.poll_until_settled(queue)
    for kind, color, offered in (
        ("SOLID", "MATERIAL", True),
        ("WIREFRAME", "TEXTURE", True),
        ("SOLID", "TEXTURE", False),
        ("MATERIAL", "MATERIAL", False),
        ("RENDERED", "MATERIAL", False),
    ):
        space = SimpleNamespace(type="VIEW_3D", shading=SimpleNamespace(type=kind, color_type=color))
        monkeypatch.setattr(Context, "space_data", space)
        assert any(name == "show_texture" for name, *_ in draw().buttons) == offered, (kind, color)


def test_only_jobs_of_this_run_are_counted():
    panel = ui.queue_panel
    make.scripted_cube("Cube paint=error")
    bpy.ops.orbit_texture.texture_selected()
    make.poll_until_settled(queue)
    assert panel._count_jobs() == "1 failed"
    first, second = make.scripted_cube("First"), make.scripted_cube("Second")
    make.select(first, second)
    bpy.ops.orbit_texture.texture_selected()
    assert panel._count_jobs() == "2 of 2 left"
    make.poll_until_settled(queue)
    assert panel._count_jobs() == ""


def test_doubts_stand_under_the_take_with_what_mends_them():
    obj = make.scripted_cube("Cube")
    make.apply(obj)
    buttons = {name for name, *_ in draw(TakesPanel).buttons}
    assert "add_pins" not in buttons
    obj.orbit_texture.takes[-1].report = '{"doubtful": true, "doubts": ["Which side it shows is uncertain."]}'
    layout = draw(TakesPanel)
    assert "Which side it shows is uncertain." in layout.text
    assert {"add_pins", "nudge_view", "correct_mask"} <= {name for name, *_ in layout.buttons}
