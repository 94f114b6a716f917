"""The list of further pictures, and the jobs that are made of it."""

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs import pictures, submission
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.backend.api.errors import InvalidImage
from bl_ext.user_default.orbit_texture.backend.api.picture import MAX_PICTURES

from tests.blender import make

pytestmark = pytest.mark.every_blender


@pytest.fixture
def files(tmp_path):
    for number, name in enumerate(("hat", "hat.back", "hat left", "other")):
        (tmp_path / f"{name}.png").write_bytes(make.png(color=(40 * number, 90, 200 - 30 * number)))
    return tmp_path


@pytest.fixture
def hat(files):
    """An object, and a reference for all."""
    obj = make.cube()
    bpy.context.view_layer.objects.active = obj
    obj.select_set(True)
    bpy.context.scene.orbit_texture.image = bpy.data.images.load(str(files / "hat.png"))
    return obj


def add(folder, *names):
    return bpy.ops.orbit_texture.add_pictures(
        directory=str(folder), files=[{"name": f"{name}.png"} for name in names]
    )


def names_of(owner):
    return [picture.image.name for picture in owner.pictures]


def test_pictures_are_added_with_the_side_that_their_name_says(hat, files):
    assert add(files, "hat.back", "hat left", "other") == {"FINISHED"}
    panel = bpy.context.scene.orbit_texture
    assert [picture.view for picture in panel.pictures] == ["BACK", "LEFT", "AUTOMATIC"]
    requests = pictures.read_pictures(panel)
    assert [request.side for request in requests] == ["back", "left", None]
    assert [request.image.name for request in requests] == ["hat.back.png", "hat left.png", "other.png"]


def test_the_same_picture_twice_is_refused(hat, files):
    add(files, "other")
    with pytest.raises(RuntimeError, match=r"hat\.png is among the pictures already"):
        add(files, "hat")
    with pytest.raises(RuntimeError, match=r"other\.png is among the pictures already"):
        add(files, "other")
    assert names_of(bpy.context.scene.orbit_texture) == ["other.png"]


def test_more_pictures_than_a_job_takes_cannot_be_added(hat, files):
    panel = bpy.context.scene.orbit_texture
    for _ in range(MAX_PICTURES - 1):
        panel.pictures.add()
    assert not bpy.ops.orbit_texture.add_pictures.poll()


def test_pictures_are_moved_removed_and_made_the_reference(hat, files):
    add(files, "hat.back", "hat left", "other")
    panel = bpy.context.scene.orbit_texture
    panel.active_picture = 2
    bpy.ops.orbit_texture.move_picture(direction="UP")
    assert names_of(panel) == ["hat.back.png", "other.png", "hat left.png"]
    assert panel.active_picture == 1
    bpy.ops.orbit_texture.remove_picture()
    assert names_of(panel) == ["hat.back.png", "hat left.png"]
    panel.active_picture = 0
    bpy.ops.orbit_texture.lead_picture()
    assert panel.image.name == "hat.back.png"
    assert names_of(panel) == ["hat.png", "hat left.png"]


def test_an_own_reference_takes_the_pictures_along(hat, files):
    add(files, "hat.back")
    bpy.ops.orbit_texture.own_reference()
    own, panel = hat.orbit_texture, bpy.context.scene.orbit_texture
    assert names_of(own) == ["hat.back.png"]
    assert panel.find_owner(hat) == own
    own.pictures.clear()
    assert names_of(panel) == ["hat.back.png"]


def test_a_picture_that_cannot_be_read_is_named(hat):
    panel = bpy.context.scene.orbit_texture
    picture = panel.pictures.add()
    picture.image = bpy.data.images.new("Gone", 4, 4)
    picture.image.source, picture.image.filepath = "FILE", "//gone.png"
    with pytest.raises(InvalidImage, match="The picture 'Gone' cannot be used"):
        pictures.read_pictures(panel)


@pytest.fixture
def sent(monkeypatch):
    """What would be sent to the worker."""
    requests = []
    monkeypatch.setattr(queue, "_submit", lambda entry: requests.append(submission.make_request(entry)))
    return requests


def test_a_job_keeps_its_pictures_whatever_becomes_of_the_list(hat, files, sent):
    add(files, "hat.back", "hat left")
    bpy.ops.orbit_texture.texture_selected()
    panel = bpy.context.scene.orbit_texture
    panel.active_picture = 0
    bpy.ops.orbit_texture.lead_picture()
    panel.pictures.clear()
    [job] = [request.make_job() for request in sent]
    assert [picture.side for picture in job.pictures] == [None, "back", "left"]
    for picture, name in zip(job.pictures, ("hat", "hat.back", "hat left"), strict=True):
        assert picture.image.tobytes() == (files / f"{name}.png").read_bytes()


def test_one_picture_is_sent_as_before(hat, files, sent):
    bpy.ops.orbit_texture.texture_selected()
    [job] = [request.make_job() for request in sent]
    assert not {name for name in job.arrays() if name.startswith("picture.") or name == "side"}


def test_several_files_that_are_dropped_become_the_objects_pictures(hat, files):
    bpy.ops.orbit_texture.set_reference(
        directory=str(files), files=[{"name": f"{name}.png"} for name in ("hat.back", "hat", "hat left")]
    )
    own = hat.orbit_texture
    assert (own.reference.name, names_of(own)) == ("hat.back.png", ["hat.png", "hat left.png"])
    (files / "hat front.png").write_bytes(make.png())
    bpy.ops.orbit_texture.set_reference(
        directory=str(files), files=[{"name": f"{name}.png"} for name in ("hat.back", "hat front")]
    )
    assert (own.reference.name, names_of(own)) == ("hat front.png", ["hat.back.png"])


def test_a_script_gives_several_pictures(hat, files, sent):
    bpy.ops.orbit_texture.texture_selected(
        image=str(files / "other.png"), more=[{"name": str(files / "hat.back.png")}]
    )
    [request] = sent
    assert request.reference == files / "other.png"
    assert [(each.image, each.side) for each in request.more] == [(files / "hat.back.png", "back")]


def test_texture_scene_uses_the_pictures_of_panel_and_object(hat, files, sent):
    add(files, "hat.back")
    other = make.cube()
    for obj in (hat, other):
        obj.select_set(True)
    other.orbit_texture.reference = bpy.data.images.load(str(files / "other.png"))
    bpy.ops.orbit_texture.texture_scene()
    assert {request.name: len(request.more) for request in sent} == {hat.name: 1, other.name: 0}


def test_a_script_that_gives_only_further_pictures_is_told(hat, files):
    with pytest.raises(RuntimeError, match="Give the first as image"):
        bpy.ops.orbit_texture.texture_selected(more=[{"name": str(files / "hat.png")}])
