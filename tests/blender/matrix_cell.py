"""One cell of matrix.py, run inside Blender: ``matrix_cell.py MESH FOLDER`` textures a mesh and writes
``cell.json``."""

import importlib
import json
import os
import sys
from pathlib import Path

import bpy  # isort: skip (it makes addon_utils importable)
import addon_utils
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs" / "examples"))
import demo_scene
import demo_views

EXTENSION = "bl_ext.user_default.orbit_texture"


def add_triangle():
    mesh = bpy.data.meshes.new("Triangle")
    mesh.from_pydata([(-1, 0, -0.8), (1, 0, -0.8), (0, 0.2, 0.9)], [], [(0, 1, 2)])
    return _link(bpy.data.objects.new("Triangle", mesh))


def add_cube():
    bpy.ops.mesh.primitive_cube_add(size=1.4, calc_uvs=False)
    return bpy.context.object


def add_million():
    bpy.ops.mesh.primitive_monkey_add(size=2.0, calc_uvs=False)
    item = bpy.context.object
    item.modifiers.new("Subdivision", "SUBSURF").levels = 5
    bpy.ops.object.modifier_apply(modifier="Subdivision")
    return item


def add_file(path: str):
    """The first mesh of an OBJ file, centred and scaled to a longest side of 2."""
    bpy.ops.wm.obj_import(filepath=path)
    item = bpy.context.selected_objects[0]
    bpy.context.view_layer.objects.active = item
    bpy.ops.object.transform_apply()
    points = np.empty(len(item.data.vertices) * 3, np.float32)
    item.data.attributes["position"].data.foreach_get("vector", points)
    points = points.reshape(-1, 3)
    low, high = points.min(axis=0), points.max(axis=0)
    points = (points - (low + high) / 2) * (2 / (high - low).max())
    item.data.attributes["position"].data.foreach_set("vector", points.ravel())
    item.data.update()
    item.data.materials.clear()
    return item


def _link(item):
    bpy.context.collection.objects.link(item)
    bpy.context.view_layer.update()
    return item


def main(mesh: str, folder: Path) -> None:
    built_in = {
        "triangle": add_triangle,
        "cube": add_cube,
        "suzanne": demo_scene.add_suzanne,
        "million": add_million,
    }
    add = built_in.get(mesh, lambda: add_file(mesh))
    reference = demo_scene.render_reference(folder, add)
    demo_scene.new_scene()
    item = add()
    item.data.calc_loop_triangles()
    addon_utils.enable(EXTENSION, default_set=True)
    outcome = importlib.import_module(f"{EXTENSION}.addon.headless").texture(
        [item], folder / "reference.png"
    )[0]
    cell = {"triangles": len(item.data.loop_triangles), "state": outcome["state"]}
    if outcome["error"]:
        cell["state"] += ": " + outcome["error"]["message"]
    else:
        cell["seconds"] = round(sum(outcome["report"]["seconds"].values()), 1)
        cell["psnr"] = round(demo_views.psnr_from_reference(reference, folder), 1)
        cell |= demo_views.check_views(folder)
    (folder / "cell.json").write_text(json.dumps(cell), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[-2], Path(sys.argv[-1]))
    sys.stdout.flush()
    os._exit(0)
