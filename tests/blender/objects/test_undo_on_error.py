"""An unexpected error while a take is added, wherever it comes up, leaves nothing behind and stops no job."""

import inspect
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.checks import estimate
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.addon.objects import fingerprint, material, mesh_io, takes

from tests.blender import make

pytestmark = pytest.mark.every_blender

FOLDER = str(Path(takes.__file__).parent)


class FailingCall:
    """Raises an error at the n-th call of a function of ``addon/objects`` from :func:`takes.add_take` on."""

    def __init__(self, number: int):
        self.left, self.is_adding = number, False

    def __enter__(self):
        sys.setprofile(self._on_event)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)

    def _on_event(self, frame, event, _argument):
        code = frame.f_code
        is_generator = code.co_flags & inspect.CO_GENERATOR  # which is called when it is closed, too
        if event != "call" or is_generator or not code.co_filename.startswith(FOLDER):
            return
        if code.co_name == "_to_plain_value":
            return
        self.is_adding |= code.co_name == "add_take"
        self.left -= self.is_adding
        if self.left == 0:
            sys.setprofile(None)
            raise RuntimeError("nobody expected this")


def raise_error(*_, **__):
    raise RuntimeError("nobody expected this")


def objects_with_a_take() -> list[bpy.types.Object]:
    """Two objects that share a mesh with two slots, wear a take and their own materials."""
    obj = make.with_two_material_slots()
    other = bpy.data.objects.new("Other", obj.data)
    bpy.context.collection.objects.link(other)
    make.apply(obj, other)
    obj.material_slots[1].material = bpy.data.materials.new("Since")
    return [obj, other]


def read_all(objects: list[bpy.types.Object]) -> tuple:
    """What an error must not change: the mesh, the objects, their slots and takes, and the file's blocks."""
    mesh = objects[0].data
    return (
        list(map(fingerprint.fingerprint, objects)),
        sorted(attribute.name for attribute in mesh.attributes),
        [(layer.name, layer.active, layer.active_render) for layer in mesh.uv_layers],
        list(map(make.slots, objects)),
        [[take.name for take in obj.orbit_texture.takes] for obj in objects],
        [[(kept.link, kept.material) for kept in obj.orbit_texture.slots] for obj in objects],
        [obj.orbit_texture.owns_slot for obj in objects],
        make.block_counts(),
    )


@pytest.mark.parametrize("make_objects", [lambda: [make.cube(uvs=False)], objects_with_a_take])
def test_an_error_at_any_step_changes_nothing_and_the_result_can_be_applied_again(make_objects):
    objects = make_objects()
    taken = len(objects[0].orbit_texture.takes)
    make.apply(*objects)  # from here on the objects have their ids
    for obj in objects:
        takes.remove_take(obj, taken)
    before, number, failed = read_all(objects), 0, 0
    while True:
        number += 1
        with FailingCall(number) as failing:
            entry = make.apply(*objects, thumbnail=np.zeros((4, 4, 3), np.uint8))
        if failing.left > 0:
            break
        failed += 1
        assert "RuntimeError" in entry.error.message, number
        assert not entry.applied
        assert read_all(objects) == before, number
    assert failed > 10
    assert entry.applied
    queue.retry(queue.entries[-2])
    queue.poll()
    assert queue.entries[-2].applied
    assert [len(obj.orbit_texture.takes) for obj in objects] == [taken + 2] * len(objects)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (material, "set_preview"),
        (mesh_io, "layout_fingerprint"),
        (mesh_io, "topology_fingerprint"),
        (estimate, "learn_pace"),
    ],
)
def test_an_error_is_a_sentence_in_its_row_and_the_next_row_gets_its_take(monkeypatch, module, name):
    first, second = make.cube(), make.suzanne()
    before = make.block_counts()
    with monkeypatch.context() as patch:
        patch.setattr(module, name, raise_error)
        entry = make.apply(first, thumbnail=np.zeros((4, 4, 3), np.uint8))
        for _ in range(3):
            queue.poll()
    assert entry.error.message.startswith("The texture could not be put on 'Cube'")
    assert entry.error.fix == "retry"
    assert entry.result is not None
    assert not first.orbit_texture.takes
    assert make.block_counts() == before
    assert make.apply(second).applied


@pytest.mark.parametrize("overridden", ["object", "mesh", "both"])
def test_a_library_override_is_refused_before_the_job(tmp_path, overridden):
    make.cube().name = "Char"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, into):
        into.objects = ["Char"]
    linked = into.objects[0]
    obj = bpy.data.objects.new("Own", linked.data)
    bpy.context.collection.objects.link(linked)
    if overridden != "mesh":
        bpy.context.collection.objects.unlink(linked)
        obj = linked.override_create(remap_local_usages=True)
        bpy.context.collection.objects.link(obj)
    obj.data = linked.data.copy() if overridden == "object" else linked.data.override_create()
    bpy.context.view_layer.update()
    with pytest.raises(mesh_io.InvalidTarget, match="library override"):
        mesh_io.check_object(obj)
