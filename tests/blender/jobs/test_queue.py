"""The queue with a real server whose worker runs a scripted pipeline, so that a test decides when jobs fail,
wait or finish.

An object's name is the script, see ``tests/pipelines/scripted.py``.
"""

import time
from functools import partial

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs import reference
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.addon.objects import takes

from tests.blender import make

pytestmark = pytest.mark.worker

poll_until = partial(make.poll_until, queue)


@pytest.fixture(autouse=True)
def scene(scripted_worker, tmp_path):
    """The queue talks to the scripted worker, and the scene has a reference."""
    (tmp_path / "reference.png").write_bytes(make.png())
    bpy.context.scene.orbit_texture.image = bpy.data.images.load(str(tmp_path / "reference.png"))


@pytest.mark.every_blender
def test_no_callback_takes_longer_than_50_milliseconds_except_the_apply():
    presses = [press_and_settle(subdivisions=224) for _ in range(3)]
    # The fastest of three, since other programs on this computer may delay the others.
    assert min(press_seconds for press_seconds, _ in presses) < 0.05
    assert min(poll_seconds for _, poll_seconds in presses) < 0.05


def test_the_callbacks_of_a_million_triangles_are_measured():
    press_and_settle(subdivisions=708)


def test_viewports_are_drawn_again_for_what_they_show_and_not_for_progress():
    obj = make.scripted_cube("Cube paint=sleep:1.5")
    make.select(obj)
    bpy.ops.orbit_texture.texture_selected()
    entry, news = queue.entries[-1], []
    poll_until(lambda: entry.event.stage == "paint")
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        news.append(queue.poll())
        time.sleep(0.02)
    assert not any(news)
    while not entry.is_settled:
        news.append(queue.poll())
    assert news[-1]
    assert entry.applied


def press_and_settle(subdivisions: int) -> tuple[float, float]:
    """Seconds of the button's callback and of the longest after it without the apply, on a new grid of
    quads."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=subdivisions, y_subdivisions=subdivisions)
    obj = make.without_uvs(bpy.context.object)
    obj.name = "Grid paint=sleep:0.5"
    begun = time.perf_counter()
    bpy.ops.orbit_texture.texture_selected()
    press_seconds = time.perf_counter() - begun
    calls = sorted(make.poll_until_settled(queue))
    assert queue.entries[-1].applied, queue.entries[-1].error
    print(
        f"\n{len(obj.data.polygons) * 2:,} triangles: button {press_seconds * 1000:.0f} ms; {len(calls)} "
        f"callbacks, the longest without the apply {calls[-2] * 1000:.2f} ms; apply {calls[-1] * 1000:.0f} ms"
    )
    return press_seconds, calls[-2]


def test_instances_are_textured_once_and_a_failure_does_not_stop_the_others(tmp_path):
    first = make.scripted_cube("Cube")
    second = first.copy()
    empty = bpy.data.objects.new("Empty", bpy.data.meshes.new("Empty"))
    for obj in (second, empty):
        bpy.context.collection.objects.link(obj)
    crashing = make.scripted_cube("Crashing bake=crash", uvs=True)
    last = make.scripted_cube("Last")
    make.select(first, second, empty, crashing, last)
    bpy.ops.orbit_texture.texture_scene()
    assert len(queue.entries) == 4
    make.poll_until_settled(queue)
    errors = {entry.name.split()[0]: entry.error.code if entry.error else "" for entry in queue.entries}
    assert errors == {"Cube": "", "Empty": "invalid_mesh", "Crashing": "worker_died", "Last": ""}
    assert first.orbit_texture.takes[0].material == second.orbit_texture.takes[0].material
    assert takes.find_shown_index(last) == 0
    assert not crashing.orbit_texture.takes


def test_texture_scene_takes_references_from_object_then_folder_then_panel(tmp_path):
    objects = {name: make.scripted_cube(name) for name in ("Own", "Folder", "All")}
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "Folder.png").write_bytes(make.png(color=(0, 0, 200)))
    (folder / "Own.png").write_bytes(make.png(color=(0, 0, 100)))
    (tmp_path / "own.png").write_bytes(make.png(color=(0, 200, 0)))
    objects["Own"].orbit_texture.reference = bpy.data.images.load(str(tmp_path / "own.png"))
    settings = bpy.context.scene.orbit_texture
    settings.folder, settings.targets = str(folder), "VISIBLE"
    bpy.ops.orbit_texture.texture_scene()
    make.poll_until_settled(queue)
    # The scripted pipeline returns the reference as the texture.
    colors = {name: base_color(obj) for name, obj in objects.items()}
    assert colors["Own"] == pytest.approx((0, 200 / 255, 0), abs=1e-3)
    assert colors["Folder"] == pytest.approx((0, 0, 200 / 255), abs=1e-3)
    assert colors["All"] == pytest.approx((200 / 255, 90 / 255, 30 / 255), abs=1e-3)


def base_color(obj) -> tuple:
    return tuple(obj.orbit_texture.takes[0].material.node_tree.nodes["base_color"].image.pixels[:3])


def test_a_cancelled_job_can_be_retried():
    make.scripted_cube("Cube paint=sleep:1")
    bpy.ops.orbit_texture.texture_selected()
    entry = queue.entries[0]
    poll_until(lambda: entry.event.stage == "paint")
    bpy.ops.orbit_texture.cancel(job=entry.job)
    make.poll_until_settled(queue)
    assert entry.error.code == "cancelled"
    bpy.ops.orbit_texture.retry(job=entry.job)
    make.poll_until_settled(queue)
    assert entry.applied, entry.error


@pytest.mark.parametrize("partial", ["KEEP", "DISCARD"])
def test_a_cancelled_batch_keeps_or_discards_its_finished_takes(partial):
    before, sharing, done, running = (
        make.scripted_cube(name) for name in ("Before", "Sharing", "Done", "Running paint=sleep:30")
    )
    sharing.data = done.data
    make.select(before)
    bpy.ops.orbit_texture.texture_selected()
    make.poll_until_settled(queue)
    make.select(done, sharing, running)
    bpy.ops.orbit_texture.texture_selected()
    poll_until(lambda: queue.list_finished_of_open_batches() and queue.entries[-1].event.stage == "paint")
    assert [entry.name for entry in queue.list_finished_of_open_batches()] in (["Done"], ["Sharing"])
    bpy.ops.orbit_texture.cancel(partial=partial)
    make.poll_until_settled(queue)
    kept = 1 if partial == "KEEP" else 0
    assert [len(obj.orbit_texture.takes) for obj in (before, done, sharing, running)] == [1, kept, kept, 0]
    assert len(done.data.uv_layers) == len(done.material_slots) == kept
    assert queue.entries[-1].error.code == "cancelled"
    assert not queue.list_finished_of_open_batches()


def test_discarded_takes_return_with_an_undo_and_locked_ones_are_kept():
    done, locked, running = (
        make.scripted_cube(name) for name in ("Done", "Locked", "Running paint=sleep:30")
    )
    bpy.ops.ed.undo_push(message="before")
    make.select(done, locked, running)
    bpy.ops.orbit_texture.texture_selected()
    poll_until(lambda: len(queue.list_finished_of_open_batches()) == 2)
    locked.orbit_texture.takes[0].locked = True
    bpy.ops.orbit_texture.cancel(partial="DISCARD")
    assert (takes.find_shown_index(done), takes.find_shown_index(locked)) == (-1, 0)
    make.poll_until_settled(queue)
    bpy.ops.ed.undo()
    assert takes.find_shown_index(bpy.data.objects["Done"]) == 0


def test_a_waiting_job_can_be_moved_to_the_front():
    running, second, third = (
        make.scripted_cube(f"{name} paint=sleep:0.7") for name in ("Running", "Second", "Third")
    )
    make.select(running, second, third)
    bpy.ops.orbit_texture.texture_scene()
    poll_until(lambda: any(entry.event.stage == "paint" for entry in queue.entries))
    waiting = [entry for entry in queue.entries if entry.is_queued]
    assert len(waiting) == 2
    bpy.ops.orbit_texture.first(job=waiting[1].job)
    assert [entry for entry in queue.entries if entry.is_queued] == waiting[::-1]
    poll_until(lambda: waiting[0].applied or waiting[1].applied)
    assert (waiting[0].applied, waiting[1].applied) == (False, True)
    make.poll_until_settled(queue)


def test_waiting_jobs_can_be_moved_up_and_down_and_run_in_that_order():
    objects = [
        make.scripted_cube(f"{name} paint=sleep:0.7") for name in ("Running", "Second", "Third", "Fourth")
    ]
    make.select(*objects)
    bpy.ops.orbit_texture.texture_scene()
    poll_until(lambda: any(entry.event.stage == "paint" for entry in queue.entries))
    running = next(entry for entry in queue.entries if not entry.is_queued)
    second, third, fourth = (entry for entry in queue.entries if entry.is_queued)
    bpy.ops.orbit_texture.move_job(job=fourth.job, direction="UP")
    bpy.ops.orbit_texture.move_job(job=second.job, direction="DOWN")
    bpy.ops.orbit_texture.move_job(job=third.job, direction="DOWN")  # it is the last already
    expected = [fourth, second, third]
    assert [entry for entry in queue.entries if entry.is_queued] == expected
    assert bpy.ops.orbit_texture.move_job(job=running.job, direction="DOWN") == {"CANCELLED"}
    done = []
    make.poll_until_settled(
        queue,
        on_poll=lambda: done.extend(entry for entry in queue.entries if entry.applied and entry not in done),
    )
    assert done == [running, *expected]


def test_recall_settings_restores_the_last_settings_of_each_object():
    panel = bpy.context.scene.orbit_texture
    first, second = make.scripted_cube("First"), make.scripted_cube("Second")
    for obj, seed in ((first, 1), (second, 2)):
        make.select(obj)
        panel.seed = seed
        bpy.ops.orbit_texture.texture_selected()
    make.poll_until_settled(queue)
    panel.seed = 0
    make.select(first)
    bpy.ops.orbit_texture.recall_settings()
    assert panel.seed == 1


def test_a_finished_row_keeps_the_report_of_its_take():
    make.scripted_cube("Cube")
    bpy.ops.orbit_texture.texture_selected()
    assert queue.entries[0].report is None
    make.poll_until_settled(queue)
    assert queue.entries[0].report["mesh"] == "untouched"
    assert bpy.ops.orbit_texture.show_report(job=queue.entries[0].job) == {"FINISHED"}


def test_a_uv_map_unusable_with_modifiers_is_replaced_on_the_mesh_without():
    obj = make.scripted_cube("Cube", uvs=True)
    obj.modifiers.new("Array", "ARRAY")
    bpy.ops.orbit_texture.texture_selected()
    first = queue.entries[0].job
    make.poll_until_settled(queue)
    assert queue.entries[0].applied, queue.entries[0].error
    assert queue.entries[0].job != first
    take = obj.orbit_texture.takes[0]
    # The scripted pipeline always makes new UVs; they are for the loops of the cube, not of the array.
    assert [layer.name for layer in obj.data.uv_layers] == ["UVMap", take.uv_layer]
    assert "without them" in take.report


def test_an_object_is_not_textured_twice_at_a_time():
    make.scripted_cube("Cube paint=sleep:0.5")
    bpy.ops.orbit_texture.texture_selected()
    assert not bpy.ops.orbit_texture.texture_selected.poll()
    make.poll_until_settled(queue)
    assert bpy.ops.orbit_texture.texture_selected.poll()


def test_a_new_job_replaces_the_objects_earlier_row():
    make.scripted_cube("Cube")
    for _ in range(2):
        bpy.ops.orbit_texture.texture_selected()
        make.poll_until_settled(queue)
    assert len(queue.entries) == 1
    assert len(bpy.context.object.orbit_texture.takes) == 2


def test_an_undo_while_a_job_runs_does_not_lose_its_result():
    make.scripted_cube("Cube paint=sleep:0.5")
    bpy.ops.ed.undo_push(message="before")
    bpy.context.object.location.x = 2
    bpy.ops.ed.undo_push(message="moved")
    bpy.ops.orbit_texture.texture_selected()
    bpy.ops.ed.undo()
    make.poll_until_settled(queue)
    assert queue.entries[0].applied
    assert len(bpy.context.object.orbit_texture.takes) == 1


def test_a_result_reaches_a_saved_file_after_blender_was_closed(tmp_path):
    make.scripted_cube("Cube paint=sleep:0.5")
    bpy.ops.orbit_texture.texture_selected()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    poll_until(lambda: queue.entries[0].event.stage)
    # What closing Blender does: the queue and the connection go, the server stays.
    queue.close()
    queue.entries.clear()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    queue.recover()
    assert len(queue.entries) == 1
    make.poll_until_settled(queue)
    assert queue.entries[0].applied, queue.entries[0].error
    assert len(bpy.data.objects[0].orbit_texture.takes) == 1
    assert not bpy.data.objects[0].orbit_texture.pending


def test_an_image_that_was_painted_in_blender_is_sent_as_pixels():
    image = bpy.data.images.new("Painted", 4, 2)
    pixels = np.zeros((2, 4, 4), np.float32)
    pixels[1, 0] = (1, 0, 0, 1)
    image.pixels.foreach_set(pixels.ravel())
    sent = reference.from_image(image)()
    assert sent.shape == (2, 4, 4)
    assert sent[0, 0] == pytest.approx((1, 0, 0, 1))
