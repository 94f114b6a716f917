"""Menu entries, and images dropped on an object."""

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.operators import set_reference
from bl_ext.user_default.orbit_texture.addon.ui.base import TEXTURE_BUTTON, draw_texture_button
from mathutils import Vector

from tests.blender import make
from tests.blender.layout import Layout

pytestmark = pytest.mark.every_blender


@pytest.fixture
def reference_file(tmp_path):
    (tmp_path / "reference.png").write_bytes(make.png())
    return str(tmp_path / "reference.png")


def test_a_dropped_image_becomes_the_reference_and_selects_the_object(reference_file):
    first, second = make.cube(), make.cube()
    assert bpy.context.object == second
    bpy.ops.orbit_texture.set_reference(filepath=reference_file, object_name=first.name)
    image = first.orbit_texture.reference
    assert bpy.path.abspath(image.filepath) == reference_file
    assert bpy.context.scene.orbit_texture.image is None
    assert bpy.context.scene.orbit_texture.find_image(first) == image
    assert second.orbit_texture.reference is None
    assert bpy.context.selected_objects == [first]
    assert bpy.context.object == first
    bpy.ops.orbit_texture.set_reference(filepath=reference_file, object_name=second.name)
    assert second.orbit_texture.reference == image


def test_a_missing_reference_file_is_reported(tmp_path):
    make.cube()
    with pytest.raises(RuntimeError, match="no reference image at"):
        bpy.ops.orbit_texture.set_reference(filepath=str(tmp_path / "nothing.png"))


def test_an_image_dropped_beside_every_mesh_is_reported(reference_file):
    bpy.ops.object.empty_add()
    with pytest.raises(RuntimeError, match="no mesh object under the mouse"):
        bpy.ops.orbit_texture.set_reference(filepath=reference_file)


def test_a_dropped_image_hits_the_nearest_mesh_under_the_mouse():
    near, far = make.cube(), make.cube()
    near.location, far.location = (0, -3, 0), (0, 3, 0)
    bpy.context.view_layer.update()
    assert set_reference.ray_cast_mesh(bpy.context, Vector((0, -20, 0)), Vector((0, 1, 0))) == near
    assert set_reference.ray_cast_mesh(bpy.context, Vector((0, 20, 0)), Vector((0, -1, 0))) == far
    assert set_reference.ray_cast_mesh(bpy.context, Vector((5, -20, 0)), Vector((0, 1, 0))) is None


def test_the_viewport_accepts_image_files():
    [handler] = [
        cls for cls in bpy.types.FileHandler.__subclasses__() if cls.bl_idname == "ORBIT_TEXTURE_FH_image"
    ]
    assert {".png", ".jpg", ".webp"} <= set(handler.bl_file_extensions.split(";"))
    assert handler.bl_import_operator == bpy.ops.orbit_texture.set_reference.idname_py()


@pytest.mark.parametrize(
    "menu", ["VIEW3D_MT_object", "VIEW3D_MT_object_context_menu", "MATERIAL_MT_context_menu"]
)
def test_the_menus_have_the_operators(menu):
    assert any("orbit_texture" in draw.__module__ for draw in getattr(bpy.types, menu)._dyn_ui_initialize())


def test_selected_faces_in_edit_mode_get_the_button_that_repaints_them():
    def drawn() -> list[str]:
        layout = Layout()
        draw_texture_button(layout, bpy.context)
        return [name for name, *_ in layout.buttons]

    obj = make.cube()
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    assert drawn() == ["texture_selected"]
    with bpy.context.temp_override(**{TEXTURE_BUTTON: bpy.context.scene}):
        assert not bpy.ops.orbit_texture.texture_selected.poll()
    bpy.ops.object.mode_set(mode="OBJECT")
    make.apply(obj)
    assert drawn() == ["texture_selected"]
    bpy.ops.object.mode_set(mode="EDIT")
    assert drawn() == ["repaint_region"]
    bpy.ops.mesh.select_all(action="DESELECT")
    assert drawn() == ["texture_selected"]
