"""Undo, redo, save and reload while a job runs: nothing crashes and no texture is lost.

The objects' names are scripts for ``tests/pipelines/scripted.py``. 30 random moments by default, more with
``ORBIT_TEXTURE_MOMENTS=200``.
"""

import os
import random
import signal
import time

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.backend.api import paths
from bl_ext.user_default.orbit_texture.backend.api.connection import Connection

from tests.blender import make

pytestmark = pytest.mark.worker

MOMENTS = int(os.environ.get("ORBIT_TEXTURE_MOMENTS", "30"))
PAUSE = 0.4
"""Seconds between two moments at most; a job takes about as long."""


@pytest.fixture
def file(scripted_worker, tmp_path):
    """A saved file with two objects and a reference, which has an undo step to go back to."""
    (tmp_path / "reference.png").write_bytes(make.png())
    bpy.context.scene.orbit_texture.image = bpy.data.images.load(str(tmp_path / "reference.png"))
    for name in ("First paint=sleep:0.3", "Second prepare=sleep:0.1 bake=sleep:0.3"):
        make.scripted_cube(name)
    path = str(tmp_path / "saved.blend")
    bpy.ops.ed.undo_push(message="Made")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    return path


def press(index: int = 0):
    obj = bpy.data.objects[index]
    obj.scale.x = 1 + np.random.default_rng().random()  # a worker does not repeat what it has done
    make.select(obj)
    bpy.ops.orbit_texture.texture_selected()
    return queue.entries[-1]


def reload_file(file: str) -> None:
    bpy.ops.wm.open_mainfile(filepath=file)
    queue.recover()  # Blender's timer and what starts it need a window


def undo() -> None:
    if bpy.ops.ed.undo.poll():
        bpy.ops.ed.undo()


def redo() -> None:
    if bpy.ops.ed.redo.poll():
        bpy.ops.ed.redo()


def edit() -> None:
    """Makes a change that can be undone and leaves the mesh alone."""
    bpy.data.objects[0].location.x += 1
    bpy.ops.ed.undo_push(message="Moved")


def save(file: str) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=file)


def takes(index: int = 0) -> int:
    return len(bpy.data.objects[index].orbit_texture.takes)


def test_a_file_reverted_to_before_the_press_gets_its_texture(file):
    press()
    reload_file(file)
    assert not bpy.data.objects[0].orbit_texture.id
    make.poll_until_settled(queue)
    assert takes() == 1


def test_a_job_whose_press_was_undone_survives_save_and_reload(file):
    edit()
    entry = press()
    undo()
    save(file)
    queue.entries.clear()
    reload_file(file)
    assert [waiting.job for waiting in queue.entries] == [entry.job]
    make.poll_until_settled(queue)
    assert takes() == 1


def test_an_object_stores_its_job_without_a_save_since_blender_autosaves(file):
    entry = press()
    until = time.monotonic() + 30
    while not entry.event.stage and time.monotonic() < until:
        queue.poll()
        time.sleep(0.02)
    assert entry.job in bpy.data.objects[0].orbit_texture.pending
    assert entry.target.topology in bpy.data.objects[0].orbit_texture.pending


def test_a_take_applied_after_the_save_returns_when_the_file_is_reloaded(file):
    press()
    save(file)
    make.poll_until_settled(queue)
    assert takes() == 1
    reload_file(file)
    assert takes() == 0
    make.poll_until_settled(queue)
    assert takes() == 1


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
def test_a_take_on_its_way_back_is_not_lost_by_saving_the_file(file):
    press()
    save(file)
    make.poll_until_settled(queue)
    server = Connection.read(paths.run_directory()).pid
    os.kill(server, signal.SIGSTOP)
    reload_file(file)
    assert takes() == 0
    save(file)
    os.kill(server, signal.SIGCONT)
    make.poll_until_settled(queue, seconds=60)
    assert takes() == 1


def test_a_take_followed_by_another_returns_when_the_file_is_reloaded(file):
    press()
    save(file)
    make.poll_until_settled(queue)
    press()
    make.poll_until_settled(queue)
    assert takes() == 2
    reload_file(file)
    make.poll_until_settled(queue)
    assert [entry.error for entry in queue.entries if entry.error] == []
    assert takes() == 1


def test_a_take_undone_before_the_save_does_not_return(file):
    edit()
    press()
    make.poll_until_settled(queue)
    undo()
    assert takes() == 0
    save(file)
    queue.entries.clear()
    reload_file(file)
    assert not queue.entries
    assert takes() == 0


def test_a_resubmission_without_modifiers_needs_no_open_file(file, tmp_path):
    obj = make.cube()
    obj.name = "Subdivided"
    obj.modifiers.new("Subdivision", "SUBSURF")
    save(file)
    entry = press(list(bpy.data.objects).index(obj))
    assert entry.fallback
    save(file)
    bpy.ops.wm.read_homefile(use_empty=True)
    until = time.monotonic() + 30
    while entry.result is None and time.monotonic() < until:
        queue.poll()
        time.sleep(0.02)
    assert entry.own_topology
    reload_file(file)
    make.poll_until_settled(queue)
    assert len(bpy.data.objects["Subdivided"].orbit_texture.takes) == 1
    assert queue.entries == [entry]


def test_no_job_is_lost_to_undo_redo_save_and_reload_at_random_moments(file):
    dice = random.Random(2026)
    actions = {
        "undo": undo,
        "redo": redo,
        "reload": lambda: reload_file(file),
        "save": lambda: save(file),
        "edit": edit,
    }
    counts, jobs = dict.fromkeys(actions, 0), []
    moments = 0
    while moments < MOMENTS:
        make_room()
        jobs += [press(index) for index in (0, 1) if not queue.is_texturing(bpy.data.objects[index])]
        poll_for(dice.random() * PAUSE)
        if not queue.busy:
            continue
        name = dice.choice(list(actions))
        actions[name]()
        counts[name] += 1
        moments += name in ("undo", "redo", "reload")
    make.poll_until_settled(queue)
    print(f"\n{len(jobs)} jobs; {counts}")
    assert [
        f"{entry.name}: {entry.error or entry.event}" for entry in jobs + queue.entries if not entry.applied
    ] == []


def make_room() -> None:
    """A mesh has room for eight UV maps, and every scripted result brings one."""
    for obj in bpy.data.objects:
        while len(obj.data.uv_layers) > 4 and obj.orbit_texture.takes:
            make.select(obj)
            bpy.ops.orbit_texture.remove_take(index=0)


def poll_for(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        queue.poll()
        time.sleep(0.02)
