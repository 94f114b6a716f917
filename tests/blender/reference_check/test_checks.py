"""Checks of the reference, with a real server whose worker runs a scripted pipeline: see
``tests/pipelines/scripted.py``."""

import json
from functools import partial

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs import previews
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.addon.objects import mask_correction
from bl_ext.user_default.orbit_texture.addon.reference_check import automatic, mask_overlay
from bl_ext.user_default.orbit_texture.addon.reference_check.checks import MAX_KEPT, checks
from bl_ext.user_default.orbit_texture.addon.setup import environment_state
from bl_ext.user_default.orbit_texture.addon.setup.devices import ADDON_ID
from bl_ext.user_default.orbit_texture.backend.api import paths

from tests.blender import make

pytestmark = pytest.mark.worker

poll_until = partial(make.poll_until, queue)


@pytest.fixture(autouse=True)
def scene(scripted_worker, tmp_path):
    """The queue talks to the scripted worker, and the scene has a reference of 60 x 40 pixels."""
    checks.clear()
    choose_reference(tmp_path / "reference.png")
    yield
    checks.clear()


def panel():
    return bpy.context.scene.orbit_texture


def choose_reference(file, size=(60, 40)) -> bpy.types.Image:
    file.write_bytes(make.png(*size))
    panel().image = bpy.data.images.load(str(file), check_existing=True)
    return panel().image


def check_now():
    """Presses Check Reference and waits for the answer."""
    bpy.ops.orbit_texture.check_reference()
    check = checks.find(bpy.context.object, panel())
    poll_until(lambda: not checks.is_at_work(check))
    return check


@pytest.mark.every_blender
def test_a_check_finds_the_outline_and_leaves_no_trace_in_the_file():
    make.scripted_cube("Cube")
    counts = make.block_counts()
    check = check_now()
    assert check.report["candidates"][0]["azimuth"] == 30
    assert not check.asks
    assert check.outline.shape == (40, 60, 3)
    assert (check.mask[:, :30] == 255).all()
    assert (check.mask[:, 30:] == 0).all()
    assert len(previews.icon_ids(check.job)) == 2, "the outline and one view"
    assert make.block_counts() == counts
    assert not queue.entries
    assert not bpy.context.object.orbit_texture.pending


def test_a_check_is_moved_before_the_waiting_jobs_and_not_counted():
    make.scripted_cube("Running paint=sleep:1")
    bpy.ops.orbit_texture.texture_selected()
    make.scripted_cube("Waiting paint=sleep:0.2")
    bpy.ops.orbit_texture.texture_selected()
    poll_until(lambda: queue.entries[0].event.stage == "paint")
    make.scripted_cube("Looked at")
    check = check_now()
    assert check.report
    assert queue.entries[0].applied or queue.entries[0].result
    assert not queue.entries[1].is_settled
    assert [entry.name.split()[0] for entry in queue.entries] == ["Running", "Waiting"]
    make.poll_until_settled(queue)


def test_nothing_is_asked_twice():
    obj = make.scripted_cube("Cube")
    first = check_now()
    assert checks.request(obj, bpy.context) is first
    obj.location.x += 3  # where it stands does not matter
    bpy.context.view_layer.update()
    assert checks.request(obj, bpy.context) is first
    panel().view, panel().azimuth = "GIVEN", 42
    assert checks.find(obj, panel()) is None
    assert check_now().report["candidates"][0]["azimuth"] == 42
    panel().view = "AUTOMATIC"
    assert checks.find(obj, panel()) is first
    obj.rotation_euler.z = 0.3
    bpy.context.view_layer.update()
    turned = checks.request(obj, bpy.context)
    assert turned is not first
    poll_until(lambda: turned.report)


def test_a_reference_with_other_content_is_asked_about_again(tmp_path):
    obj = make.scripted_cube("Cube")
    first = check_now()
    (tmp_path / "reference.png").write_bytes(make.png(60, 40, (1, 2, 3)) + b"more")
    second = checks.request(obj, bpy.context)
    assert second is not first
    painted = bpy.data.images.new("Painted", 60, 40)
    panel().image = painted
    third = checks.request(obj, bpy.context)
    assert not third.key, "it may have been painted on since"
    assert checks.request(obj, bpy.context) is not third


def test_a_newer_check_ends_the_older():
    make.scripted_cube("First prepare=sleep:20")
    bpy.ops.orbit_texture.check_reference()
    first = checks.kept[-1]
    poll_until(lambda: first.event.stage == "prepare")
    make.scripted_cube("Second")
    check = check_now()
    assert check.report
    assert first not in checks.kept
    assert not queue.is_checking()


def test_only_the_newest_checks_are_kept():
    make.scripted_cube("Cube")
    panel().view = "GIVEN"
    for azimuth in range(MAX_KEPT + 2):
        panel().azimuth = azimuth
        check_now()
    assert [check.question.view[1] for check in checks.kept] == list(range(2, MAX_KEPT + 2))


def test_a_failed_check_says_why_and_is_not_asked_again():
    obj = make.scripted_cube("Cube prepare=invalid")
    check = check_now()
    assert check.error.message == "This mesh is a test."
    assert checks.request(obj, bpy.context) is check


def test_a_doubtful_view_is_asked_for_until_one_is_chosen():
    obj = make.scripted_cube("Cube candidates=4")
    check = check_now()
    assert check.asks
    assert len(previews.icon_ids(check.job)) == 5
    bpy.ops.orbit_texture.choose_view(index=2)
    assert (panel().view, panel().azimuth, panel().elevation) == ("GIVEN", 90, 10)
    chosen = checks.find(obj, panel())
    assert chosen is not check
    assert checks.find_shown(obj, panel()) is check, "until the new check has an outline"
    poll_until(lambda: chosen.report)
    assert chosen.report["candidates"][0]["azimuth"] == 90
    assert not chosen.asks


def test_the_views_to_choose_from_stay_until_another_view_is_set():
    obj = make.scripted_cube("Cube candidates=4")
    asked = check_now()
    assert checks.find_offer(obj, panel()) == (asked, 0)
    for index in (2, 1, 0):
        bpy.ops.orbit_texture.choose_view(index=index)
        assert checks.find_offer(obj, panel()) == (asked, index)
        poll_until(lambda: checks.find(obj, panel()).report)
        assert checks.find_offer(obj, panel()) == (asked, index)
    panel().azimuth += 1
    assert checks.find_offer(obj, panel()) is None
    with pytest.raises(RuntimeError, match="no longer known"):
        bpy.ops.orbit_texture.choose_view(index=1)
    panel().view = "AUTOMATIC"
    assert checks.find_offer(obj, panel()) == (asked, 0)
    draw("OBJECT", (0.7, 0.5))
    assert checks.find_offer(obj, panel()) is None, "another mask may have other views"


def test_one_view_is_nothing_to_choose_from():
    obj = make.scripted_cube("Cube register=doubt")
    assert check_now().asks
    assert checks.find_offer(obj, panel()) is None


def test_the_pixels_of_a_reference_are_not_loaded_for_a_check():
    make.scripted_cube("Cube")
    assert not panel().image.has_data
    assert check_now().report
    bpy.ops.orbit_texture.correct_mask.poll()
    assert not panel().image.has_data, "that blocks Blender for seconds if it is large"


def test_a_check_uses_no_model():
    make.scripted_cube("Cube")
    panel().painter, panel().refine = "orbitpainter", True
    settings = check_now().report["settings"]
    assert (settings["painter"], settings["refine"]) == ("draft", False)


def test_a_check_survives_a_rename_and_an_undo():
    obj = make.scripted_cube("Cube prepare=sleep:1")
    bpy.ops.ed.undo_push(message="Made")
    bpy.ops.orbit_texture.check_reference()
    check = checks.kept[-1]
    poll_until(lambda: check.event.stage == "prepare")
    obj.data.vertices[0].co.x += 0.5
    obj.name = panel().image.name = "Renamed"
    bpy.ops.ed.undo_push(message="Changed")
    bpy.ops.ed.undo()
    poll_until(lambda: check.report)
    obj = bpy.context.object
    assert checks.find(obj, panel()) is check
    assert checks.request(obj, bpy.context) is check, "the mesh is as it was"


@pytest.mark.parametrize("gone", ["object", "image"])
def test_a_check_of_something_deleted_ends_without_a_trace(gone):
    obj = make.scripted_cube("Cube prepare=sleep:1")
    bpy.ops.orbit_texture.check_reference()
    check = checks.kept[-1]
    poll_until(lambda: check.event.stage == "prepare")
    before = make.block_counts()
    bpy.data.batch_remove([obj if gone == "object" else panel().image])
    counts = make.block_counts()
    poll_until(lambda: not checks.is_at_work(check))
    assert make.block_counts() == counts != before
    assert checks.find(bpy.context.object, panel()) is None
    assert checks.find_offer(bpy.context.object, panel()) is None


def test_ten_references_chosen_in_a_row_leave_one_check(tmp_path):
    obj, jobs = make.scripted_cube("Cube prepare=sleep:0.3"), paths.run_directory() / "jobs"
    before = set(jobs.iterdir()) if jobs.exists() else set()
    for number in range(10):
        choose_reference(tmp_path / f"{number}.png", (60 + number, 40))
        checks.request(obj, bpy.context)
        queue.poll()
    [check] = checks.kept
    poll_until(lambda: check.report)
    assert checks.find(obj, panel()) is check
    poll_until(lambda: set(jobs.iterdir()) - before == {jobs / check.job})


def test_a_lost_connection_ends_a_check():
    make.scripted_cube("Cube prepare=sleep:20")
    bpy.ops.orbit_texture.check_reference()
    queue.close()
    check = checks.kept[-1]
    assert not checks.is_at_work(check)
    second = checks.request(bpy.context.object, bpy.context)
    assert second is not check, "it has no answer and none is awaited"


@pytest.fixture
def window(monkeypatch):
    """Blender has a window as far as the automatic check knows, and its timer is ours; the backend is
    installed. Returns how often a check was wanted."""
    wanted = []
    monkeypatch.setattr(automatic, "_has_window", lambda: True)
    monkeypatch.setattr(automatic.queue_timer, "start", lambda: None)
    monkeypatch.setattr(bpy.app.timers, "register", lambda function, **more: wanted.append(function))
    monkeypatch.setattr(bpy.app.timers, "is_registered", lambda function: False)
    environment_state.refresh()
    assert environment_state.is_installed()
    return wanted


def test_a_check_starts_when_a_reference_or_an_object_is_chosen(window, tmp_path):
    obj = make.scripted_cube("Cube")
    bpy.context.view_layer.update()
    window.clear()
    choose_reference(tmp_path / "other.png")
    assert len(window) == 1
    window.pop()()
    check = checks.find(obj, panel())
    assert check
    poll_until(lambda: check.report)
    other = make.scripted_cube("Other")
    bpy.context.view_layer.update()
    assert window
    window.pop()()
    assert checks.find(other, panel())
    window.clear()
    obj.select_set(False)  # no other object, and nothing was changed
    bpy.context.view_layer.update()
    assert not window


def test_a_check_starts_again_when_the_mesh_has_changed(window):
    obj = make.scripted_cube("Cube")
    first = check_now()
    window.clear()
    obj.data.vertices[0].co.x += 0.5
    obj.data.update()
    bpy.context.view_layer.update()
    assert window
    window[-1]()
    assert checks.find(obj, panel()) is not first


def test_nothing_starts_when_a_file_is_opened(window, tmp_path):
    make.scripted_cube("Cube")
    check_now()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    window.clear()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.context.view_layer.update()
    assert not window
    assert not checks.kept
    assert not queue.is_checking()


def test_nothing_starts_without_the_preference_or_without_a_backend(window, tmp_path, monkeypatch):
    make.scripted_cube("Cube")
    preferences = bpy.context.preferences.addons[ADDON_ID].preferences
    window.clear()
    preferences.check_reference = False
    choose_reference(tmp_path / "other.png")
    automatic.request_now()
    assert not window
    assert not checks.kept
    preferences.check_reference = True
    monkeypatch.setattr(environment_state, "is_installed", lambda: False)
    automatic.request_now()
    assert not checks.kept


def test_nothing_starts_for_what_cannot_be_textured(window):
    obj = make.scripted_cube("Cube")
    obj.hide_set(True)
    bpy.context.view_layer.update()
    automatic.request_now()
    bpy.ops.object.empty_add()
    automatic.request_now()
    assert not checks.kept


# The mask


def draw(kind: str, *points) -> None:
    """Paints a stroke through points of the reference."""
    bpy.ops.orbit_texture.mask_stroke(kind=kind, points=json.dumps(points))


def test_a_stroke_is_sent_with_the_mask_that_was_found_and_shown_at_once(window):
    obj = make.scripted_cube("Cube prepare=sleep:0.5")
    found = check_now()
    draw("OBJECT", (0.7, 0.5), (0.9, 0.5))
    check = checks.find(obj, panel())
    assert check is not found
    assert checks.find_shown(obj, panel()) is found
    poll_until(lambda: check.mask is not None)
    assert check.report is None, "the mask is shown before the view is found"
    assert check.mask.shape == (43, 64)
    poll_until(lambda: check.report)
    assert check.report["mask"] == [len(found.mask_file)]
    drawn = mask_correction.get_correction(obj, panel().image).rasterize()
    assert (check.mask == round(100 * drawn.mean())).all()
    assert bytes(obj.orbit_texture.mask.packed_file.data) == found.mask_file
    draw("GROUND", (0.1, 0.1))
    assert bytes(obj.orbit_texture.mask.packed_file.data) == found.mask_file
    assert len(obj.orbit_texture.strokes) == 2


def test_a_box_starts_over():
    obj = make.scripted_cube("Cube")
    check_now()
    draw("OBJECT", (0.7, 0.5))
    bpy.ops.orbit_texture.mask_box(points="[[0.8, 0.9], [0.2, 0.3]]")
    correction = mask_correction.get_correction(obj, panel().image)
    assert [stroke.kind for stroke in correction.strokes] == ["BOX"]
    assert correction.mask is None
    assert not [image for image in bpy.data.images if image.name.endswith("Mask")]
    assert bpy.ops.orbit_texture.mask_box(points="[[0.5, 0.9], [0.5, 0.3]]") == {"CANCELLED"}
    assert len(obj.orbit_texture.strokes) == 1, "a box without a width is none"


def test_a_photo_that_blender_shows_sideways_is_not_drawn_on(tmp_path):
    obj = make.scripted_cube("Cube")
    choose_reference(tmp_path / "sideways.png", (40, 60))  # the scripted mask is 60 x 40
    assert check_now().is_turned(panel().image)
    with pytest.raises(RuntimeError, match="EXIF data says how to turn it"):
        draw("OBJECT", (0.7, 0.5))
    assert not obj.orbit_texture.strokes


def test_an_image_whose_file_is_gone_is_not_drawn_on(tmp_path):
    obj = make.scripted_cube("Cube")
    (tmp_path / "reference.png").unlink()
    for press in (bpy.ops.orbit_texture.correct_mask, partial(draw, "OBJECT", (0.7, 0.5))):
        with pytest.raises(RuntimeError, match="its file is missing or damaged"):
            press()
    assert not obj.orbit_texture.strokes


def test_correct_mask_shows_the_reference_with_a_tool():
    make.scripted_cube("Cube")
    area = next(area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D")
    area.ui_type = "IMAGE_EDITOR"
    bpy.ops.orbit_texture.correct_mask()
    space = area.spaces.active
    assert space.image == panel().image
    assert space.ui_mode == "VIEW"
    with bpy.context.temp_override(area=area):
        assert mask_overlay.active_tool(bpy.context) == "orbit_texture.mask_object"


def test_each_stroke_is_undone_by_itself_and_asked_about_once(window):
    obj = make.scripted_cube("Cube")
    check_now()
    bpy.ops.ed.undo_push(message="Made")
    for x in (0.2, 0.4):
        draw("OBJECT", (x, 0.5))
        bpy.ops.ed.undo_push(message="Stroke")
        check = checks.find(obj, panel())
        poll_until(lambda check=check: check.report)
    window.clear()
    bpy.ops.ed.undo()
    obj = bpy.context.object
    assert len(obj.orbit_texture.strokes) == 1
    assert window
    assert checks.find(obj, panel()).report
    bpy.ops.ed.undo()
    assert len(bpy.context.object.orbit_texture.strokes) == 0
    bpy.ops.ed.redo()
    bpy.ops.ed.redo()
    assert len(bpy.context.object.orbit_texture.strokes) == 2
    assert checks.find(bpy.context.object, panel()) is check


@pytest.mark.every_blender
def test_the_corrected_mask_is_saved_and_follows_a_rename(tmp_path):
    obj = make.scripted_cube("Cube")
    check_now()
    draw("OBJECT", (0.7, 0.5), (0.9, 0.5))
    before = mask_correction.get_correction(obj, panel().image)
    obj.name = panel().image.name = "Renamed"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    obj = bpy.data.objects["Renamed"]
    assert mask_correction.get_correction(obj, panel().image) == before
    assert before.mask
    bpy.ops.orbit_texture.clear_mask()
    assert mask_correction.get_correction(obj, panel().image) is None
    assert obj.orbit_texture.mask is None
    assert not bpy.ops.orbit_texture.clear_mask.poll()


def test_every_job_of_the_object_and_its_reference_gets_the_corrected_mask(tmp_path):
    obj = make.scripted_cube("Cube")
    draw("OBJECT", (0.7, 0.5))
    correction = mask_correction.get_correction(obj, panel().image)
    bpy.ops.orbit_texture.texture_selected()
    assert queue.entries[-1].correction == correction
    make.poll_until_settled(queue)
    panel().targets, obj.orbit_texture.reference = "SELECTED", panel().image
    panel().image = bpy.data.images.load(str(make.reference(tmp_path, "other.png")))
    bpy.ops.orbit_texture.texture_scene()
    assert queue.entries[-1].correction == correction
    make.poll_until_settled(queue)
    obj.orbit_texture.reference = None
    bpy.ops.orbit_texture.texture_selected()
    assert queue.entries[-1].correction is None, "another reference"
    make.poll_until_settled(queue)


def test_a_painted_reference_keeps_its_corrected_mask():
    make.scripted_cube("Cube")
    panel().image = bpy.data.images.new("Painted", 60, 40)
    draw("GROUND", (0.7, 0.5))
    bpy.ops.orbit_texture.texture_selected()
    assert queue.entries[-1].correction.strokes[0].kind == "GROUND"
    make.poll_until_settled(queue)


def test_a_mask_for_another_size_is_dropped_with_a_sentence(tmp_path):
    obj = make.scripted_cube("Cube")
    draw("OBJECT", (0.7, 0.5))
    image = choose_reference(tmp_path / "reference.png", (30, 20))
    image.reload()
    assert mask_correction.get_correction(obj, image) is None
    check = check_now()
    assert check.notice == (
        "The corrected mask was dropped: it was drawn on 60 x 40 pixels and the reference now has 30 x 20."
    )
    assert not obj.orbit_texture.strokes
    draw("OBJECT", (0.7, 0.5))
    choose_reference(tmp_path / "reference.png").reload()
    bpy.ops.orbit_texture.texture_selected()
    assert queue.entries[-1].correction is None
    make.poll_until_settled(queue)
    assert "The corrected mask was dropped" in obj.orbit_texture.takes[0].report
