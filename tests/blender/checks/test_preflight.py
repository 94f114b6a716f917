"""Preflight: what an object's state is called, which button mends it, and what the checks of a mesh find."""

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


def found(obj: bpy.types.Object, painter: str = "draft") -> dict[str, preflight.Finding]:
    """The findings by name, after the mesh was checked."""
    if obj.mode == "OBJECT":
        inspection.inspect(obj)
    return {
        finding.name: finding
        for finding in preflight.findings(obj, Settings(painter=painter), inspection.known(obj))
    }


def test_nothing_is_found_on_a_good_mesh():
    assert found(make.suzanne()) == {}


def test_a_mesh_without_uvs_is_told_that_it_gets_some():
    finding = found(make.cube(uvs=False))["uv_map"]
    assert "'Orbit Texture'" in finding.sentence
    assert not finding.urgent


def test_edit_mode_blocks_and_offers_object_mode():
    obj = make.cube()
    bpy.ops.object.mode_set(mode="EDIT")
    finding = found(obj)["invalid_target"]
    assert (finding.urgent, finding.fix) == (True, "object_mode")


def test_linked_data_blocks_and_make_local_mends_it(tmp_path):
    make.cube()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"), copy=True)
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (source, target):
        target.objects = source.objects
    bpy.context.collection.objects.link(target.objects[0])
    make.select(target.objects[0])
    finding = found(bpy.context.object)["invalid_target"]
    assert (finding.urgent, finding.fix) == (True, "make_local")
    bpy.ops.orbit_texture.make_local()
    assert found(bpy.context.object) == {}


def test_too_many_faces_block(monkeypatch):
    obj = make.suzanne()
    monkeypatch.setattr(job, "MAX_TRIANGLES", 500)
    assert "968 triangles" in found(obj)["invalid_mesh"].sentence


def test_missing_weights_block_and_offer_the_download(tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(tmp_path))
    bpy.context.scene.orbit_texture.painter = "orbitpainter"
    obj = make.suzanne()
    assert found(obj, "orbitpainter")["weights"].fix == "download_weights"
    assert found(obj, "draft") == {}


def test_modifiers_that_add_geometry_are_told_and_others_are_not():
    obj = make.cube()
    obj.modifiers.new("Wave", "WAVE")
    assert found(obj) == {}
    obj.modifiers.new("Mirror", "ARRAY")
    assert "Wave, Mirror" in found(obj)["modifiers"].sentence
    assert "is textured too" in found(obj)["modifiers"].sentence
    make.without_uvs(obj)
    assert "without its modifiers" in found(obj)["modifiers"].sentence


@pytest.mark.parametrize(("scale", "told"), [((2, 2, 2), False), ((2, 1, 1), True), ((-1, -1, -1), True)])
def test_a_scale_that_is_uneven_or_negative_is_told(scale, told):
    obj = make.suzanne()
    obj.scale = scale
    bpy.context.view_layer.update()
    assert ("scale" in found(obj)) == told


def test_flipped_faces_are_found_and_mended_on_a_press_that_can_be_undone():
    obj = make.suzanne()
    flip(obj, range(40))
    finding = found(obj)["normals"]
    assert finding.fix == "recalculate_normals"
    bpy.ops.ed.undo_push(message="before")
    before = fingerprint(obj)
    bpy.ops.orbit_texture.recalculate_normals("EXEC_DEFAULT", True)
    obj = bpy.context.object
    assert "normals" not in found(obj)
    bpy.ops.ed.undo()
    assert fingerprint(bpy.context.object) == before


def test_a_closed_mesh_that_is_inside_out_is_found_and_mended():
    obj = make.cube()
    flip(obj, range(6))
    assert "inwards" in found(obj)["normals"].sentence
    bpy.ops.orbit_texture.recalculate_normals()
    assert "normals" not in found(obj)


def flip(obj: bpy.types.Object, faces) -> None:
    for index in faces:
        obj.data.polygons[index].flip()
    obj.data.update()


def uvs(obj: bpy.types.Object) -> np.ndarray:
    values = np.empty(2 * len(obj.data.loops), np.float32)
    obj.data.attributes["UVMap"].data.foreach_get("vector", values)
    return values.reshape(-1, 2)


def moved(obj: bpy.types.Object, u: float) -> np.ndarray:
    return uvs(obj) + np.float32([u, 0])


def set_uvs(obj: bpy.types.Object, values: np.ndarray) -> None:
    obj.data.attributes["UVMap"].data.foreach_set("vector", values.ravel().astype(np.float32))
    obj.data.update()


def test_a_layout_that_lies_over_itself_is_found():
    obj = make.cube()
    values = uvs(obj)
    values[4:8] = values[0:4] + 0.05
    set_uvs(obj, values)
    assert "overlap" in found(obj)["uv_map"].sentence
    assert not found(obj)["uv_map"].urgent


def test_every_face_on_the_whole_square_is_an_overlap():
    obj = make.suzanne()
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.uv.reset()
    bpy.ops.object.mode_set(mode="OBJECT")
    assert "overlap" in found(obj)["uv_map"].sentence


def test_a_layout_on_udim_tiles_is_good_and_one_across_their_border_is_told():
    obj = make.cube()
    set_uvs(obj, moved(obj, 1))
    assert found(obj) == {}
    set_uvs(obj, moved(obj, 0.5))
    assert "leaves the unit square" in found(obj)["uv_map"].sentence


def test_no_room_for_another_uv_map_blocks():
    obj = make.cube()
    set_uvs(obj, moved(obj, 0.5))
    while len(obj.data.uv_layers) < mesh_io.MAX_UV_LAYERS:
        obj.data.uv_layers.new()
    obj.data.uv_layers.active_index = 0
    assert found(obj)["uv_map"].urgent


def test_what_is_known_is_forgotten_when_the_mesh_changes_and_not_when_the_object_moves():
    obj = make.suzanne()
    inspection.inspect(obj)
    obj.location.x = 1
    bpy.context.view_layer.update()
    assert inspection.known(obj)
    flip(obj, [0])
    bpy.context.view_layer.update()
    assert inspection.known(obj) is None
    bpy.ops.orbit_texture.check_mesh()
    assert inspection.known(obj).flipped_edges == 4


def test_a_mesh_of_a_million_triangles_can_be_checked():
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=708, y_subdivisions=708)
    check = inspection.inspect(bpy.context.object)
    assert (check.flipped_edges, check.inside_out, check.uvs_overlap, check.uvs_leave_tiles) == (
        0,
        False,
        False,
        False,
    )


def test_a_larger_job_costs_more():
    small = estimate.cost(5_000, Settings(texture_size=1024))
    assert estimate.cost(1_000_000, Settings(texture_size=1024)).seconds > small.seconds
    assert estimate.cost(5_000, Settings(texture_size=8192)).gigabytes > small.gigabytes
    assert estimate.cost(5_000, Settings(painter="orbitpainter")) is None


def test_the_time_is_told_at_the_pace_of_the_last_job_that_did_all_its_stages(monkeypatch):
    monkeypatch.setattr(estimate, "_pace", 1.0)
    settings = Settings()
    usual = estimate.cost(5_000, settings).seconds
    report = {
        "triangles": 5_000,
        "settings": settings.to_dict(),
        "seconds": {"prepare": 1, "render": 1, "paint": 1, "align": 1, "bake": 6},
    }
    for _ in range(2):
        estimate.learn(report)
        assert estimate.cost(5_000, settings).seconds == pytest.approx(10)
    assert estimate.cost(330_000, settings).seconds > 10
    estimate.learn(report | {"seconds": {"bake": 100}})
    assert estimate.cost(5_000, settings).seconds == pytest.approx(10)
    assert usual > 10


@pytest.fixture
def computer(tmp_path, monkeypatch):
    """Gives this computer so many gigabytes of memory, and a card of which so many are free, or none."""
    monkeypatch.setenv("ORBIT_TEXTURE_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "missing", lambda settings: [])

    def have(memory: float, card: float = 0.0) -> None:
        gigabyte = 1_000_000_000
        there = [Device("cpu", "", 0, int(memory * gigabyte), cores=8)]
        there += [Device("cuda:0", "NVIDIA RTX", 0, int(card * gigabyte))] if card else []
        save_devices(there)
        devices.look()
        monkeypatch.setattr(estimate, "memory", lambda: memory)

    yield have
    monkeypatch.undo()
    devices.look()


def test_a_card_that_is_too_small_is_told_with_what_the_model_takes_and_draft_mends_it(computer):
    obj, panel = make.suzanne(), bpy.context.scene.orbit_texture
    panel.painter = "orbitpainter"
    computer(memory=64, card=4)
    finding = found(obj, "orbitpainter")["memory"]
    assert (
        "OrbitPainter takes at least 6.0 GB of the card's memory, and of NVIDIA RTX 4.0 GB were free"
        in finding.sentence
    )
    assert (finding.fix, finding.urgent) == ("use_less_memory", True)
    bpy.ops.orbit_texture.use_less_memory()
    assert panel.painter == "draft"
    assert found(obj, panel.painter) == {}


def test_a_card_on_which_only_fast_fits_gets_fast(computer):
    obj, panel = make.suzanne(), bpy.context.scene.orbit_texture
    panel.painter, panel.quality = "orbitpainter", "balanced"
    computer(memory=64, card=7)
    assert [
        finding.fix for finding in preflight.findings(obj, panel.to_settings(), None) if finding.urgent
    ] == ["use_less_memory"]
    bpy.ops.orbit_texture.use_less_memory()
    assert (panel.painter, panel.quality) == ("orbitpainter", "fast")
    assert not preflight.findings(obj, panel.to_settings(), None)
    assert bpy.ops.orbit_texture.use_less_memory() == {"CANCELLED"}


def test_without_a_card_a_model_needs_the_computers_memory_and_without_the_doctor_nothing_is_known(computer):
    obj = make.suzanne()
    assert found(obj, "orbitpainter") == {}
    computer(memory=23)
    assert (
        "OrbitPainter takes at least 33.7 GB of memory on this device, and this computer has 23.0"
        in found(obj, "orbitpainter")["memory"].sentence
    )
    computer(memory=64)
    assert found(obj, "orbitpainter") == {}


def test_the_peak_of_memory_is_told_before_a_job_with_a_model_too(computer):
    assert preflight.forecast(5_000, Settings(painter="orbitpainter")) == ""
    computer(memory=64, card=80)
    assert (
        preflight.forecast(5_000, Settings(painter="orbitpainter"))
        == "About 34 GB of the card, 3 GB of memory"
    )
    computer(memory=64, card=16)
    assert (
        preflight.forecast(5_000, Settings(painter="orbitpainter"))
        == "About 8 GB of the card, 30 GB of memory"
    )
    assert preflight.forecast(5_000, Settings(refine=True)) == "About 4 GB of the card, 3 GB of memory"
    computer(memory=64)
    assert preflight.forecast(5_000, Settings(painter="trellis2")) == "About 7 GB of memory"


def test_a_device_that_is_not_there_is_told(computer):
    obj = make.suzanne()
    computer(memory=64, card=80)
    told = preflight.findings(obj, Settings(painter="orbitpainter", device="cuda:3"), None)
    assert [(finding.name, "'cuda:3'" in finding.sentence) for finding in told] == [("device", True)]
    assert not preflight.findings(obj, Settings(device="cuda:3"), None)


def test_a_texture_that_is_too_large_for_the_memory_gets_the_largest_that_is_not(monkeypatch):
    make.suzanne()
    panel = bpy.context.scene.orbit_texture
    panel.texture_size = "8192"
    monkeypatch.setattr(estimate, "memory", lambda: 3.0)
    bpy.ops.orbit_texture.use_less_memory()
    assert panel.texture_size == "2048"


def test_too_little_memory_is_told(monkeypatch):
    obj = make.suzanne()
    monkeypatch.setattr(estimate, "memory", lambda: 1.5)
    assert "this computer has 1.5" in found(obj)["memory"].sentence
    monkeypatch.setattr(estimate, "memory", lambda: None)
    assert found(obj) == {}
