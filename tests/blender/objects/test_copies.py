"""Modifiers that copy the mesh with its UV map: what is sent is the whole, and the worker paints it on the UV
map of the object's own mesh."""

import os
import subprocess

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.objects import mesh_io
from mathutils import Matrix

from tests.blender import make

PREPARE = """
import sys
import numpy as np
from backend.api.job import MeshData
from backend.mesh.prepare import prepare
for path in sys.argv[1:]:
    arrays = np.load(path)
    surface = prepare(MeshData(**arrays), 1024, lambda fraction: None)
    print(len(surface.tiles), surface.unwrapped)
"""


def add_mirror(obj: bpy.types.Object, axes: str = "X") -> bpy.types.Modifier:
    modifier = obj.modifiers.new("Mirror", "MIRROR")
    modifier.use_axis = [axis in axes for axis in "XYZ"]
    return modifier


def moved_suzanne() -> bpy.types.Object:
    obj = make.suzanne()
    obj.data.transform(Matrix.Translation((2, 2, 0)))
    return obj


def half_suzanne() -> bpy.types.Object:
    obj = make.suzanne()
    add_mirror(obj).use_bisect_axis = (True, False, False)
    return obj


def mirrored_at_another_object() -> bpy.types.Object:
    obj = make.suzanne()
    add_mirror(obj).mirror_object = bpy.data.objects.new("Plane", None)
    obj.modifiers[0].mirror_object.location = (3, 0, 0)
    obj.modifiers[0].mirror_object.rotation_euler = (0, 0, 0.4)
    bpy.context.collection.objects.link(obj.modifiers[0].mirror_object)
    return obj


def array_of(count: int) -> bpy.types.Object:
    obj = make.cube()
    obj.modifiers.new("Array", "ARRAY").count = count
    return obj


def mirrored(obj: bpy.types.Object, axes: str = "X") -> bpy.types.Object:
    add_mirror(obj, axes)
    return obj


def smoothed(obj: bpy.types.Object) -> bpy.types.Object:
    obj.modifiers.new("Subdivision", "SUBSURF")
    return obj


def grid() -> bpy.types.Object:
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=4, y_subdivisions=4)
    bpy.context.object.data.transform(Matrix.Translation((1, 0, 0)))
    return bpy.context.object


COPIED = {
    "mirror": (lambda: mirrored(moved_suzanne()), 2),
    "mirrors": (lambda: mirrored(moved_suzanne(), "XY"), 4),
    "bisect": (half_suzanne, 2),
    "mirror object": (mirrored_at_another_object, 2),
    "array": (lambda: array_of(3), 3),
    "mirror and subdivision": (lambda: smoothed(half_suzanne()), 2),
    "flat": (lambda: mirrored(grid()), 2),
    "array of a mirror": (lambda: mirrored(array_of(2), "Z"), 4),
}


@pytest.mark.worker
def test_copies_that_modifiers_make_are_painted_as_the_whole(tmp_path):
    paths = []
    for name, (make_object, _) in COPIED.items():
        target = mesh_io.read_mesh(make_object())
        assert target.is_evaluated, name
        mesh = target.mesh_data()
        arrays = {key: value for key, value in vars(mesh).items() if value is not None}
        paths.append(tmp_path / f"{name}.npz")
        np.savez(paths[-1], **arrays)
    answer = subprocess.run(
        [os.environ["BACKEND_PYTHON"], "-c", PREPARE, *map(str, paths)],
        cwd=make.ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = dict(zip(COPIED, answer.stdout.splitlines(), strict=True))
    wanted = {name: f"{count} False" for name, (_, count) in COPIED.items()}
    assert found == wanted
