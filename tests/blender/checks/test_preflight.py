"""Preflight: the notices about an object, the buttons that fix it, and the checks of a mesh."""

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.checks import estimate, inspection, preflight
from bl_ext.user_default.orbit_texture.addon.objects import mesh_io
from bl_ext.user_default.orbit_texture.addon.objects.fingerprint import fingerprint
from bl_ext.user_default.orbit_texture.addon.setup import devices, weights
from bl_ext.user_default.orbit_texture.backend.api import job
from bl_ext.user_default.orbit_texture.backend.api.devices import Device, save_devices
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

from tests.blender import make

pytestmark = pytest.mark.every_blender


def find_notices(obj: bpy.types.Object, painter: str = "draft") -> dict[str, preflight.Notice]:
    """The notices by topic, after the mesh was checked."""
    if obj.mode == "OBJECT":
        inspection.inspect(obj)
    return {
        notice.topic: notice
        for notice in preflight.notices(obj, Settings(painter=painter), inspection.get_cached_check(obj))
    }


def test_a_good_mesh_has_no_notices():
    assert find_notices(make.suzanne()) == {}


def test_a_mesh_without_uvs_is_reported_to_get_a_uv_map():
    notice = find_notices(make.cube(uvs=False))["uv_map"]
    assert "'Orbit Texture'" in notice.text
    assert not notice.urgent


def test_edit_mode_is_urgent_and_offers_object_mode():
    obj = make.cube()
    bpy.ops.object.mode_set(mode="EDIT")
    notice = find_notices(obj)["invalid_target"]
    assert (notice.urgent, notice.fix) == (True, "object_mode")


def test_selected_faces_in_edit_mode_offer_to_repaint_them():
    obj = make.cube()
    make.apply(obj)
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_mode(type="FACE")
    bpy.ops.mesh.select_all(action="SELECT")
    notices = find_notices(obj)
    assert "invalid_target" not in notices
    assert "the selected faces" in notices["selection"].text
    assert not notices["selection"].urgent
    bpy.ops.mesh.select_all(action="DESELECT")
    assert find_notices(obj)["invalid_target"].fix == "object_mode"


def test_linked_data_is_urgent_and_make_local_fixes_it(tmp_path):
    make.cube()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"), copy=True)
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (source, target):
        target.objects = source.objects
    bpy.context.collection.objects.link(target.objects[0])
    make.select(target.objects[0])
    notice = find_notices(bpy.context.object)["invalid_target"]
    assert (notice.urgent, notice.fix) == (True, "make_local")
    bpy.ops.orbit_texture.make_local()
    assert find_notices(bpy.context.object) == {}


def test_a_mesh_with_too_many_faces_is_urgent(monkeypatch):
    obj = make.suzanne()
    monkeypatch.setattr(job, "MAX_TRIANGLES", 500)
    assert "968 triangles" in find_notices(obj)["invalid_mesh"].text


def test_missing_weights_are_urgent_and_offer_the_download(tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(tmp_path))
    bpy.context.scene.orbit_texture.painter = "orbitpainter"
    obj = make.suzanne()
    assert find_notices(obj, "orbitpainter")["weights"].fix == "download_weights"
    assert find_notices(obj, "draft") == {}


def test_modifiers_that_add_geometry_are_reported_and_others_are_not():
    obj = make.cube()
    obj.modifiers.new("Wave", "WAVE")
    assert find_notices(obj) == {}
    obj.modifiers.new("Mirror", "ARRAY")
    assert "Wave, Mirror" in find_notices(obj)["modifiers"].text
    assert "is textured too" in find_notices(obj)["modifiers"].text
    make.without_uvs(obj)
    assert "without its modifiers" in find_notices(obj)["modifiers"].text


@pytest.mark.parametrize(("scale", "expected"), [((2, 2, 2), False), ((2, 1, 1), True), ((-1, -1, -1), True)])
def test_a_non_uniform_or_negative_scale_is_reported(scale, expected):
    obj = make.suzanne()
    obj.scale = scale
    bpy.context.view_layer.update()
    assert ("scale" in find_notices(obj)) == expected


def test_flipped_faces_are_found_and_recalculate_normals_can_be_undone():
    obj = make.suzanne()
    flip(obj, range(40))
    notice = find_notices(obj)["normals"]
    assert notice.fix == "recalculate_normals"
    bpy.ops.ed.undo_push(message="before")
    before = fingerprint(obj)
    bpy.ops.orbit_texture.recalculate_normals("EXEC_DEFAULT", True)
    obj = bpy.context.object
    assert "normals" not in find_notices(obj)
    bpy.ops.ed.undo()
    assert fingerprint(bpy.context.object) == before


def test_an_inside_out_mesh_is_found_and_fixed():
    obj = make.cube()
    flip(obj, range(6))
    assert "inwards" in find_notices(obj)["normals"].text
    bpy.ops.orbit_texture.recalculate_normals()
    assert "normals" not in find_notices(obj)


def flip(obj: bpy.types.Object, faces) -> None:
    for index in faces:
        obj.data.polygons[index].flip()
    obj.data.update()


def read_uvs(obj: bpy.types.Object) -> np.ndarray:
    values = np.empty(2 * len(obj.data.loops), np.float32)
    obj.data.attributes["UVMap"].data.foreach_get("vector", values)
    return values.reshape(-1, 2)


def shift_uvs(obj: bpy.types.Object, u: float) -> np.ndarray:
    return read_uvs(obj) + np.float32([u, 0])


def set_uvs(obj: bpy.types.Object, values: np.ndarray) -> None:
    obj.data.attributes["UVMap"].data.foreach_set("vector", values.ravel().astype(np.float32))
    obj.data.update()


def test_overlapping_uvs_are_found():
    obj = make.cube()
    values = read_uvs(obj)
    values[4:8] = values[0:4] + 0.05
    set_uvs(obj, values)
    assert "overlap" in find_notices(obj)["uv_map"].text
    assert not find_notices(obj)["uv_map"].urgent


def test_faces_that_all_fill_the_uv_square_are_an_overlap():
    obj = make.suzanne()
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.uv.reset()
    bpy.ops.object.mode_set(mode="OBJECT")
    assert "overlap" in find_notices(obj)["uv_map"].text


def test_uvs_on_udim_tiles_are_accepted_and_uvs_across_a_border_reported():
    obj = make.cube()
    set_uvs(obj, shift_uvs(obj, 1))
    assert find_notices(obj) == {}
    set_uvs(obj, shift_uvs(obj, 0.5))
    assert "cross the border of the unit square" in find_notices(obj)["uv_map"].text


def test_a_mesh_with_no_room_for_another_uv_map_is_urgent():
    obj = make.cube()
    set_uvs(obj, shift_uvs(obj, 0.5))
    while len(obj.data.uv_layers) < mesh_io.MAX_UV_LAYERS:
        obj.data.uv_layers.new()
    obj.data.uv_layers.active_index = 0
    assert find_notices(obj)["uv_map"].urgent


def test_a_cached_check_is_dropped_when_the_mesh_changes_not_when_it_moves():
    obj = make.suzanne()
    inspection.inspect(obj)
    obj.location.x = 1
    bpy.context.view_layer.update()
    assert inspection.get_cached_check(obj)
    flip(obj, [0])
    bpy.context.view_layer.update()
    assert inspection.get_cached_check(obj) is None
    bpy.ops.orbit_texture.check_mesh()
    assert inspection.get_cached_check(obj).flipped_edges == 4


def test_a_mesh_of_a_million_triangles_can_be_checked():
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=708, y_subdivisions=708)
    check = inspection.inspect(bpy.context.object)
    assert (check.flipped_edges, check.inside_out, check.uvs_overlap, check.uvs_leave_tiles) == (
        0,
        False,
        False,
        False,
    )


def test_a_larger_job_has_a_higher_estimate():
    small = estimate.cost(5_000, Settings(texture_size=1024))
    assert estimate.cost(1_000_000, Settings(texture_size=1024)).seconds > small.seconds
    assert estimate.cost(5_000, Settings(texture_size=8192)).gigabytes > small.gigabytes
    assert estimate.cost(5_000, Settings(painter="orbitpainter")) is None


def test_the_estimated_time_follows_the_pace_of_the_last_complete_job(monkeypatch):
    monkeypatch.setattr(estimate, "_pace", 1.0)
    settings = Settings()
    usual = estimate.cost(5_000, settings).seconds
    report = {
        "triangles": 5_000,
        "settings": settings.to_dict(),
        "seconds": {"prepare": 1, "register": 1, "render": 1, "paint": 1, "align": 1, "bake": 5},
    }
    for _ in range(2):
        estimate.learn_pace(report)
        assert estimate.cost(5_000, settings).seconds == pytest.approx(10)
    assert estimate.cost(330_000, settings).seconds > 10
    estimate.learn_pace(report | {"seconds": {"bake": 100}})
    assert estimate.cost(5_000, settings).seconds == pytest.approx(10)
    assert usual > 10


@pytest.fixture
def computer(tmp_path, monkeypatch):
    """Sets the gigabytes of memory of this computer, and those free on its graphics card, if it has one."""
    monkeypatch.setenv("ORBIT_TEXTURE_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "missing", lambda settings: [])

    def set_memory(ram: float, gpu: float = 0.0) -> None:
        gigabyte = 1_000_000_000
        found = [Device("cpu", "", 0, int(ram * gigabyte), cores=8)]
        found += [Device("cuda:0", "NVIDIA RTX", 0, int(gpu * gigabyte))] if gpu else []
        save_devices(found)
        devices.refresh()
        monkeypatch.setattr(estimate, "total_memory", lambda: ram)

    yield set_memory
    monkeypatch.undo()
    devices.refresh()


def test_a_graphics_card_too_small_for_the_model_is_reported_and_draft_fixes_it(computer):
    obj, panel = make.suzanne(), bpy.context.scene.orbit_texture
    panel.painter = "orbitpainter"
    computer(ram=64, gpu=4)
    notice = find_notices(obj, "orbitpainter")["memory"]
    assert "OrbitPainter needs at least 6.0 GB of graphics memory. NVIDIA RTX had 4.0 GB free" in notice.text
    assert (notice.fix, notice.urgent) == ("use_less_memory", True)
    bpy.ops.orbit_texture.use_less_memory()
    assert panel.painter == "draft"
    assert find_notices(obj, panel.painter) == {}


def test_use_less_memory_chooses_fast_if_only_fast_fits_the_graphics_card(computer):
    obj, panel = make.suzanne(), bpy.context.scene.orbit_texture
    panel.painter, panel.quality = "orbitpainter", "balanced"
    computer(ram=64, gpu=7)
    assert [notice.fix for notice in preflight.notices(obj, panel.to_settings(), None) if notice.urgent] == [
        "use_less_memory"
    ]
    bpy.ops.orbit_texture.use_less_memory()
    assert (panel.painter, panel.quality) == ("orbitpainter", "fast")
    assert not preflight.notices(obj, panel.to_settings(), None)
    assert bpy.ops.orbit_texture.use_less_memory() == {"CANCELLED"}


def test_a_model_without_a_graphics_card_needs_the_computers_memory(computer):
    obj = make.suzanne()
    assert find_notices(obj, "orbitpainter") == {}
    computer(ram=23)
    assert (
        "OrbitPainter needs at least 33.7 GB of memory on this device, and this computer has 23.0"
        in find_notices(obj, "orbitpainter")["memory"].text
    )
    computer(ram=64)
    assert find_notices(obj, "orbitpainter") == {}


def test_peak_memory_is_estimated_for_jobs_with_a_model_too(computer):
    assert preflight.describe_cost(5_000, Settings(painter="orbitpainter")) == ""
    computer(ram=64, gpu=80)
    assert preflight.describe_cost(5_000, Settings(painter="orbitpainter")) == "GPU 34 GB, memory 3 GB"
    computer(ram=64, gpu=16)
    assert preflight.describe_cost(5_000, Settings(painter="orbitpainter")) == "GPU 8 GB, memory 30 GB"
    assert preflight.describe_cost(5_000, Settings(refine=True)) == "GPU 4 GB, memory 3 GB"
    computer(ram=64)
    assert preflight.describe_cost(5_000, Settings(painter="trellis2")) == "About 7 GB of memory"


def test_a_missing_device_is_reported(computer):
    obj = make.suzanne()
    computer(ram=64, gpu=80)
    notices = preflight.notices(obj, Settings(painter="orbitpainter", device="cuda:3"), None)
    assert [(notice.topic, "'cuda:3'" in notice.text) for notice in notices] == [("device", True)]
    assert not preflight.notices(obj, Settings(device="cuda:3"), None)


def test_use_less_memory_chooses_the_largest_texture_that_fits(monkeypatch):
    make.suzanne()
    panel = bpy.context.scene.orbit_texture
    panel.texture_size = "8192"
    monkeypatch.setattr(estimate, "total_memory", lambda: 3.0)
    bpy.ops.orbit_texture.use_less_memory()
    assert panel.texture_size == "2048"


def test_too_little_memory_is_reported(monkeypatch):
    obj = make.suzanne()
    monkeypatch.setattr(estimate, "total_memory", lambda: 1.5)
    assert "this computer has 1.5" in find_notices(obj)["memory"].text
    monkeypatch.setattr(estimate, "total_memory", lambda: None)
    assert find_notices(obj) == {}
