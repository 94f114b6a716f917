"""Runs inside the window of Blender: prepares the scene, runs the lines of Python that the tests send, and
writes its state ten times a second.

Started by test_window.py: ``blender --python in_window.py -- state.json``.
"""

import itertools
import json
import math
import os
import sys
import time
from pathlib import Path

import bpy
from mathutils import Euler

STATE = Path(sys.argv[-1])
ORDER = STATE.with_name("order.py")
PACKAGE = "bl_ext.user_default.orbit_texture"
_gaps = {"last": time.perf_counter(), "longest": 0.0}
_rounds = itertools.count()


def prepare() -> None:
    """Prepares an untextured Suzanne, selected, in a saved file."""
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    bpy.ops.mesh.primitive_monkey_add(calc_uvs=False)
    bpy.ops.object.shade_smooth()
    check_now()
    bpy.ops.ed.undo_push(message="Prepared")
    bpy.ops.wm.save_as_mainfile(filepath=str(STATE.with_name("tour.blend")))


def check_now() -> None:
    """Sets the viewport to the view of the reference, and opens the sidebar."""
    space = _area().spaces.active
    space.show_region_ui = True
    space.region_3d.view_rotation = Euler((math.radians(78), 0, math.radians(30))).to_quaternion()
    space.region_3d.view_distance = 5


def stop_checking() -> None:
    """Switches off the check of a reference as soon as it is chosen."""
    bpy.context.preferences.addons[PACKAGE].preferences.check_reference = False


def add_sister() -> None:
    """Adds a second Suzanne, smaller and beside the first, with its own reference."""
    bpy.ops.mesh.primitive_monkey_add(size=1.4, location=(-1.9, -1.1, 0), calc_uvs=False)
    bpy.ops.object.shade_smooth()
    bpy.context.object.name = "Sister"
    bpy.context.object.orbit_texture.reference = bpy.data.images.load(str(STATE.with_name("reference.png")))


def drop(file: str) -> None:
    """Calls the operator that Blender calls when a file is dropped where the mouse is, with no active
    object."""
    area = _area()
    with bpy.context.temp_override(
        area=area, region=next(region for region in area.regions if region.type == "WINDOW")
    ):
        if file.endswith(".zip"):
            bpy.ops.extensions.package_install_files("INVOKE_DEFAULT", url=file)
        else:
            bpy.context.view_layer.objects.active = None
            bpy.ops.orbit_texture.set_reference("INVOKE_DEFAULT", filepath=file)


def drop_all(folder: str, files: list[str]) -> None:
    """The same with several image files."""
    area = _area()
    with bpy.context.temp_override(
        area=area, region=next(region for region in area.regions if region.type == "WINDOW")
    ):
        bpy.context.view_layer.objects.active = None
        bpy.ops.orbit_texture.set_reference(
            "INVOKE_DEFAULT", directory=folder, files=[{"name": file} for file in files]
        )


def turn_view(degrees: float) -> None:
    """Turns the viewport to look at Suzanne from an azimuth."""
    rotation = Euler((math.radians(78), 0, math.radians(degrees))).to_quaternion()
    _area().spaces.active.region_3d.view_rotation = rotation


def open_preferences() -> None:
    """Opens the extension's preferences and runs Check Installation."""
    bpy.ops.preferences.addon_show(module="bl_ext.user_default.orbit_texture")
    bpy.ops.orbit_texture.doctor()


def add_takes() -> None:
    """Adds two takes to Suzanne: the reference, and the copy in other colours, projected from the front."""
    import numpy as np
    from bl_ext.user_default.orbit_texture.addon.objects import mesh_io, takes
    from bl_ext.user_default.orbit_texture.backend.api.job import Result
    from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

    obj = bpy.context.object
    for file in ("reference.png", "other.png"):
        target = mesh_io.read_mesh(obj)
        corners = target.snapshot.positions[target.snapshot.corner_vertices[target.loops]]
        textures = {"base_color": np.fromfile(STATE.with_name(file), np.uint8)}
        takes.add_take(
            [obj], target, Result(corners[..., [0, 2]] / 3 + np.float32(0.5), textures, {}), Settings()
        )


def fraction_marked() -> float:
    """The white fraction of the active object's mask, 0..1."""
    import numpy as np

    image = bpy.context.object and bpy.context.object.orbit_texture.region
    if not image:
        return 0.0
    pixels = np.empty(4 * image.size[0] * image.size[1], np.float32)
    image.pixels.foreach_get(pixels)
    return float(pixels[::4].mean())


def mask_tool() -> str:
    """The active tool of the Image Editor, "" if there is none."""
    from bl_ext.user_default.orbit_texture.addon.reference_check import mask_overlay

    return mask_overlay.active_tool(bpy.context) if bpy.context.workspace else ""


def in_sidebar(operator: str) -> None:
    area = _area()
    with bpy.context.temp_override(
        area=area, region=next(region for region in area.regions if region.type == "UI")
    ):
        getattr(bpy.ops.orbit_texture, operator)("INVOKE_DEFAULT")


def _area():
    areas = (area for window in bpy.context.window_manager.windows for area in window.screen.areas)
    return next(area for area in areas if area.type == "VIEW_3D")


def watch() -> float:
    """Runs the line that a test has sent, writes the state and asks to be called again in 0.1 s."""
    now = time.perf_counter()
    _gaps["longest"], _gaps["last"] = max(_gaps["longest"], now - _gaps["last"]), now
    if ORDER.exists():
        line = ORDER.read_text(encoding="utf-8")
        exec(line, globals())
        bpy.ops.ed.undo_push(message=line)  # as Blender does after an operator
        ORDER.unlink()
    region = next(region for region in _area().regions if region.type == "UI")
    state = {
        "tab": region.active_panel_category,
        "longest_gap": _gaps["longest"],
        "dirty": bpy.data.is_dirty,
        "version": bpy.app.version_string[:3],
        "rounds": next(_rounds),
        "installed": PACKAGE in bpy.context.preferences.addons,
    }
    if state["installed"]:
        state |= look_at_add_on()
    temporary = STATE.with_suffix(".new")
    temporary.write_text(json.dumps(state), encoding="utf-8")
    os.replace(temporary, STATE)
    _gaps["last"] = time.perf_counter()
    return 0.1


def look_at_add_on() -> dict:
    from bl_ext.user_default.orbit_texture.addon.jobs import previews
    from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
    from bl_ext.user_default.orbit_texture.addon.objects import takes
    from bl_ext.user_default.orbit_texture.addon.reference_check.checks import checks
    from bl_ext.user_default.orbit_texture.addon.setup import diagnostics

    check = checks.find(bpy.context.object, bpy.context.scene.orbit_texture)
    offer = checks.find_offer(bpy.context.object, bpy.context.scene.orbit_texture)
    meshes = [item for item in bpy.data.objects if item.type == "MESH"]
    return {
        "jobs": [
            {
                "name": entry.name,
                "state": entry.event.state,
                "stage": entry.event.stage,
                "applied": entry.applied,
                "previews": len(previews.icon_ids(entry.job)),
                "error": entry.error.message if entry.error else "",
            }
            for entry in queue.entries
        ],
        "takes": [len(item.orbit_texture.takes) for item in meshes],
        "shown": [takes.find_shown_index(item) for item in meshes],
        "uv_layers": [len(item.data.uv_layers) for item in meshes],
        "references": [
            item.orbit_texture.reference.name if item.orbit_texture.reference else "" for item in meshes
        ],
        "pins": [[tuple(pin.place) for pin in item.orbit_texture.pins] for item in meshes],
        "view": bpy.context.scene.orbit_texture.view,
        "azimuth": bpy.context.scene.orbit_texture.azimuth,
        "looks_from": math.degrees(_area().spaces.active.region_3d.view_rotation.to_euler().z),
        "shading": [getattr(_area().spaces.active.shading, name) for name in ("type", "color_type")],
        "overlay": bpy.context.window_manager.orbit_texture_overlay,
        "marked": fraction_marked(),
        "check": check
        and {
            "report": check.report,
            "masked": None if check.mask is None else float((check.mask > 127).mean()),
        },
        "offer": offer and {"views": offer[0].offered_views, "pressed": offer[1]},
        "mask_tool": mask_tool(),
        "strokes": [len(item.orbit_texture.strokes) for item in meshes],
        "findings": {finding.name: finding.state for finding in diagnostics.findings()},
    }


bpy.context.preferences.view.show_splash = False
if not bpy.data.filepath:
    prepare()
bpy.app.timers.register(watch, first_interval=0.5, persistent=True)
