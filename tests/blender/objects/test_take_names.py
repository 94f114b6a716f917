"""What takes are called: after the picture and the kind, each name once."""

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs import pending, reference, submission
from bl_ext.user_default.orbit_texture.addon.jobs.entry import JobEntry
from bl_ext.user_default.orbit_texture.addon.jobs.submission import JobInputs
from bl_ext.user_default.orbit_texture.addon.objects.identity import key_of
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

from tests.blender import make

pytestmark = pytest.mark.every_blender


@pytest.fixture(params=["file", "packed", "painted"])
def picture(request, tmp_path):
    """A reference that is called Spot.png."""
    if request.param == "painted":
        image = bpy.data.images.new("Spot.png", 8, 8)
    else:
        (tmp_path / "Spot.png").write_bytes(make.png())
        image = bpy.data.images.load(str(tmp_path / "Spot.png"))
    if request.param == "packed":
        image.pack()
    return reference.from_image(image)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (Settings(), "Spot.png · draft"),
        (Settings(painter="orbitpainter", quality="fast"), "Spot.png · OrbitPainter fast"),
        (Settings(painter="trellis2"), "Spot.png · TRELLIS.2"),
        (Settings(refine=True), "Spot.png · draft · refined"),
    ],
)
def test_a_take_is_named_after_the_picture_and_the_kind(picture, settings, name):
    assert submission.name_take(JobInputs(picture, settings)) == name


def test_a_repaint_says_so(picture):
    assert submission.name_take(JobInputs(picture, Settings(), repaint=object())) == "repaint: Spot.png"


def test_a_picture_without_a_name_and_one_with_a_long_name(tmp_path):
    assert submission.name_take(JobInputs(b"", Settings())) == "draft"
    name = submission.name_take(JobInputs(tmp_path / f"{'x' * 200}.png", Settings()))
    assert len(name) < 50
    assert name.endswith("… · draft")


def take_names(obj) -> list[str]:
    return [take.name for take in obj.orbit_texture.takes]


def test_names_are_unique_and_stay_so_when_takes_are_renamed():
    obj = make.cube()
    for _ in range(3):
        make.apply(obj, title="Spot.png · draft")
    assert take_names(obj) == ["Spot.png · draft", "Spot.png · draft 2", "Spot.png · draft 3"]
    first, second, third = obj.orbit_texture.takes
    first.name = "Best"
    second.name = "Best"
    third.name = "  "
    assert take_names(obj) == ["Best", "Best 2", "Take"]
    second.name = "Best 2"
    assert take_names(obj) == ["Best", "Best 2", "Take"]


def test_names_survive_saving(tmp_path):
    obj = make.cube()
    make.apply(obj, title="Spot.png · draft")
    obj.orbit_texture.takes[0].name = "Good one"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    assert take_names(bpy.data.objects["Cube"]) == ["Good one"]


def test_a_job_that_is_waited_for_keeps_the_name_of_its_take():
    obj = make.cube()
    entry = JobEntry(obj.name, Settings(), (key_of(obj),), title="Spot.png · draft", topology="x")
    pending.store_pending(entry)
    assert [found.title for found in pending.read_pending()] == ["Spot.png · draft"]
