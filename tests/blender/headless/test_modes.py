"""Files that were saved in Sculpt, Paint or Edit Mode are textured all the same: the output is a copy."""

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.headless import command, texturing

from tests.blender import make

pytestmark = [pytest.mark.every_blender, pytest.mark.worker]


def add_armature(mode: str) -> None:
    bpy.ops.object.armature_add()
    bpy.ops.object.mode_set(mode=mode)


def add_curve(mode: str) -> None:
    bpy.ops.curve.primitive_bezier_circle_add()
    bpy.ops.object.mode_set(mode=mode)


def enter(*modes: str) -> None:
    """Puts the objects of the scene into these modes, the last becomes the active one."""
    for obj, mode in zip(list(bpy.context.scene.objects), modes, strict=False):
        bpy.context.view_layer.objects.active = obj
        bpy.ops.object.mode_set(mode=mode)


@pytest.mark.parametrize(
    "enter_mode",
    [
        lambda: enter("SCULPT"),
        lambda: enter("TEXTURE_PAINT"),
        lambda: enter("VERTEX_PAINT"),
        lambda: enter("OBJECT", "WEIGHT_PAINT"),
        lambda: enter("SCULPT", "SCULPT"),
        lambda: (make.select(*bpy.context.scene.objects), enter("EDIT")),
        lambda: (enter("SCULPT"), bpy.context.object.hide_set(True)),
        lambda: add_armature("POSE"),
        lambda: add_armature("EDIT"),
        lambda: add_curve("EDIT"),
    ],
)
def test_every_object_of_a_file_saved_in_a_mode_is_textured(scripted_worker, tmp_path, enter_mode):
    names = [make.scripted_cube(name).name for name in ("Body", "Hat")]
    enter_mode()
    file = str(tmp_path / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=file)
    bpy.ops.wm.open_mainfile(filepath=file)
    visible = [name for name in names if bpy.data.objects[name].visible_get()]
    content = (tmp_path / "saved.blend").read_bytes()
    image = tmp_path / "reference.png"
    image.write_bytes(make.png())
    assert command.main(["texture", "--image", str(image), "--output", str(tmp_path / "out.blend")]) == 0
    assert (tmp_path / "saved.blend").read_bytes() == content
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "out.blend"))
    for name in visible:
        assert len(bpy.data.objects[name].orbit_texture.takes) == 1


def test_a_script_and_a_check_need_no_object_mode_either(scripted_worker, tmp_path):
    obj = make.scripted_cube("Body")
    image = tmp_path / "reference.png"
    image.write_bytes(make.png())
    bpy.ops.object.mode_set(mode="EDIT")
    [outcome] = texturing.texture([obj], image)
    assert outcome["state"] == "finished", outcome["error"]
    bpy.ops.object.mode_set(mode="SCULPT")
    assert command.main(["check", "--image", str(image), "--output", str(tmp_path / "checked")]) == 0
