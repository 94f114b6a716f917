"""The reference and the settings of each of many objects."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.headless import rules
from bl_ext.user_default.orbit_texture.addon.headless.picture_sources import PictureSource
from bl_ext.user_default.orbit_texture.addon.headless.rules import Plan
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.backend.api.errors import InvalidImage, InvalidSettings
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

from tests.blender import make


def plan(*entries: dict, beside: Path = Path("."), image=None, mask=None, **more) -> Plan:
    return Plan(
        lambda obj: Settings(seed=1),
        common=PictureSource(image, mask),
        rules=rules.read_rules(list(entries), beside),
        **more,
    )


def add_collection(
    name: str, *objects: bpy.types.Object, inside: bpy.types.Collection | None = None
) -> bpy.types.Collection:
    made = bpy.data.collections.new(name)
    (inside or bpy.context.scene.collection).children.link(made)
    for obj in objects:
        made.objects.link(obj)
    return made


def write_image(folder: Path, name: str) -> Path:
    (folder / name).write_bytes(make.png())
    return folder / name


@pytest.mark.every_blender
def test_specific_settings_override_general_ones():
    hat, shoe = make.cube(), make.cube()
    hat.name, shoe.name = "Hat", "Shoe"
    props = add_collection("Props")
    small = add_collection("Small", hat, shoe, inside=props)
    props["orbit:texture_size"], props["orbit:seed"] = 1024, 2
    small["orbit:seed"] = 3
    hat["orbit:seed"] = 4
    hat["orbit:refine"] = True
    given = plan(
        {"collections": ["Prop*"], "painter": "orbitpainter"},
        {"objects": ["Sh?e"], "painter": "draft", "quality": "fast"},
    )
    assert given.settings_of(hat) == Settings("orbitpainter", texture_size=1024, seed=4, refine=True)
    assert given.settings_of(shoe) == Settings("draft", "fast", texture_size=1024, seed=3)


def test_references_come_from_rule_object_collection_folder_then_default(
    tmp_path,
):
    obj = make.cube()
    obj.name = "Hat"
    props = add_collection("Props", obj)
    for_all = write_image(tmp_path, "all.png")
    assert plan(image=lambda: for_all).reference_of(obj) == for_all
    in_folder = write_image(tmp_path, "Hat.png")
    general = {"image": lambda: for_all, "folder": str(tmp_path)}
    assert plan(**general).reference_of(obj) == in_folder
    props["orbit:image"] = str(write_image(tmp_path, "props.png"))
    assert plan(**general).reference_of(obj) == tmp_path / "props.png"
    obj["orbit:image"] = str(write_image(tmp_path, "own.png"))
    assert plan(**general).reference_of(obj) == tmp_path / "own.png"
    obj["orbit:image"] = bpy.data.images.load(str(write_image(tmp_path, "block.png")))
    assert plan(**general).reference_of(obj) == tmp_path / "block.png"
    last = write_image(tmp_path, "last.png")
    named = [
        {"objects": ["Hat"], "image": "own.png"},
        {"objects": ["H*"], "image": "last.png"},
        {"objects": ["H*"], "seed": 1},
    ]
    assert plan(*named, beside=tmp_path, **general).reference_of(obj) == last


def test_a_mask_goes_with_the_reference_beside_it_or_overrides_a_weaker_one(tmp_path):
    obj = make.cube()
    obj.name = "Hat"
    props = add_collection("Props", obj)
    for_all, its_mask = write_image(tmp_path, "all.png"), write_image(tmp_path, "all_mask.png")
    general = {"image": lambda: for_all, "mask": lambda: its_mask, "folder": str(tmp_path)}
    assert plan(**general).mask_of(obj) == its_mask
    write_image(tmp_path, "Hat.png")
    assert plan(**general).mask_of(obj) is None
    beside = write_image(tmp_path, "Hat.mask.png")
    assert plan(**general).mask_of(obj) == beside
    props["orbit:image"] = str(write_image(tmp_path, "props.png"))
    assert plan(**general).mask_of(obj) is None
    obj["orbit:mask"] = str(write_image(tmp_path, "own.png"))
    assert plan(**general).mask_of(obj) == tmp_path / "own.png"
    assert plan(**general).settings_of(obj) == Settings(seed=1)
    ruled = [{"objects": ["H*"], "mask": "all_mask.png"}]
    assert plan(*ruled, beside=tmp_path, **general).mask_of(obj) == its_mask
    assert plan(*ruled, beside=tmp_path, **general).reference_of(obj) == tmp_path / "props.png"


def test_a_mask_painted_in_blender_becomes_grey_pixels():
    obj = make.cube()
    image = bpy.data.images.new("Painted", 4, 2, alpha=True)
    pixels = np.zeros((2, 4, 4), np.float32)
    pixels[..., 3], pixels[0, 1, 0] = 1, 1
    image.pixels.foreach_set(pixels.ravel())
    obj["orbit:mask"] = image
    expected = np.zeros((2, 4), np.uint8)
    expected[1, 1] = 255
    np.testing.assert_array_equal(plan().mask_of(obj)(), expected)
    pixels[..., 0], pixels[1, 2:, 3] = 1, 0
    image.pixels.foreach_set(pixels.ravel())
    np.testing.assert_array_equal(plan().mask_of(obj)(), [[255, 255, 0, 0], [255] * 4])


def test_an_object_without_any_reference_is_reported():
    with pytest.raises(InvalidImage, match="no reference for 'Cube'"):
        plan().reference_of(make.cube())


def test_a_custom_property_that_is_not_a_setting_is_reported():
    obj = make.cube()
    obj["other"] = 1
    assert plan().settings_of(obj) == Settings(seed=1)
    obj["orbit:siez"] = 1024
    with pytest.raises(
        InvalidSettings,
        match=r"'orbit:siez' of 'Cube' is not a setting\. Possible settings: image, mask, painter",
    ):
        plan().settings_of(obj)
    del obj["orbit:siez"]
    obj["orbit:texture_size"] = 1000
    with pytest.raises(InvalidSettings, match="'texture_size' must be one of"):
        plan().settings_of(obj)
    obj["orbit:image"] = 3
    with pytest.raises(InvalidSettings, match="'orbit:image' must be a path or an image, not 3"):
        plan().reference_of(obj)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"objects": ["Hat"], "siez": 3}, "no key called 'siez'"),
        ({"image": "hat.png"}, "which objects it is for"),
        ({"objects": []}, "which objects it is for"),
        ({"objects": "Hat"}, "A rule's objects must be a list of names"),
        ({"objects": [3]}, "A rule's objects must be a list of names"),
        ({"objects": 3}, "A rule's objects must be a list of names"),
        ({"objects": ["Hat"], "image": 3}, "a path in quotes, not 3"),
        ({"objects": ["Hat"], "mask": 3}, "A rule's mask must be a path in quotes, not 3"),
        ("objects", "with two brackets"),
        ({"objects": ["Hat"], "painter": "nobody"}, "must be one of"),
    ],
)
def test_a_rule_with_a_mistake_is_reported(entry, message):
    with pytest.raises(InvalidSettings, match=message):
        plan(entry)


def test_a_rule_that_matches_no_object_is_reported():
    obj = make.cube()
    assert plan({"objects": ["Cube"], "seed": 2}, {"objects": ["Cueb"], "seed": 2}).list_unused_rules(
        [obj]
    ) == ["The rule for Cueb matches no object here."]


@pytest.mark.worker
def test_texture_scene_follows_a_file_of_rules(tmp_path, scripted_worker):
    hat, shoe = make.scripted_cube("Hat"), make.scripted_cube("Shoe")
    write_image(tmp_path, "hat.png")
    (tmp_path / "rules.toml").write_text('[[rule]]\nobjects = ["Hat"]\nimage = "hat.png"\nseed = 9\n')
    settings = bpy.context.scene.orbit_texture
    settings.targets, settings.rules = "VISIBLE", str(tmp_path / "rules.toml")
    shoe["orbit:siez"] = 3
    bpy.ops.orbit_texture.texture_scene()
    make.poll_until_settled(queue)
    made, failed = queue.entries
    assert (made.applied, made.settings.seed) == (True, 9)
    assert "is not a setting" in failed.error.message
    assert len(hat.orbit_texture.takes) == 1


def test_a_rules_file_that_cannot_be_read_starts_no_job(tmp_path):
    make.select(make.cube())
    bpy.context.scene.orbit_texture.rules = str(tmp_path / "rules.toml")
    for content, message in (
        (None, "cannot be read"),
        ("rule = nonsense", "is not TOML"),
        ("[[job]]\n", "no key called 'job'"),
    ):
        if content is not None:
            (tmp_path / "rules.toml").write_text(content)
        with pytest.raises(RuntimeError, match=message):
            bpy.ops.orbit_texture.texture_scene()
        assert not queue.entries


def test_a_folder_may_have_several_pictures_of_an_object(tmp_path):
    hat, other = make.cube(), make.cube()
    hat.name, other.name = "Hat", "Hat.2"
    for name in (
        "Hat.back.png",
        "Hat.front.png",
        "Hat.1.png",
        "Hat.2.png",
        "Hat.001.png",
        "Hat.back.mask.png",
    ):
        write_image(tmp_path, name)
    inputs = plan(folder=str(tmp_path)).inputs_of(hat)
    assert inputs.reference == tmp_path / "Hat.front.png"
    assert inputs.side == "front"
    assert [(each.image.name, each.side) for each in inputs.more] == [
        ("Hat.back.png", "back"),
        ("Hat.1.png", None),
    ]
    assert inputs.more[0].mask == tmp_path / "Hat.back.mask.png"
    # Another object's picture is its own.
    assert plan(folder=str(tmp_path)).inputs_of(other).reference == tmp_path / "Hat.2.png"


def test_an_object_with_a_picture_of_its_name_alone_is_as_before(tmp_path):
    hat = make.cube()
    hat.name = "Hat back"
    write_image(tmp_path, "Hat back.png")
    inputs = plan(folder=str(tmp_path)).inputs_of(hat)
    assert inputs.reference == tmp_path / "Hat back.png"
    assert (inputs.side, inputs.more) == (None, ())


def test_a_rule_gives_several_pictures_and_their_sides_by_name(tmp_path):
    hat = make.cube()
    hat.name = "Hat"
    files = [write_image(tmp_path, name).name for name in ("one.png", "one left.png")]
    given = plan({"objects": ["Hat"], "pictures": files}, beside=tmp_path)
    inputs = given.inputs_of(hat)
    assert inputs.reference == tmp_path / "one.png"
    assert [(each.image, each.side) for each in inputs.more] == [(tmp_path / "one left.png", "left")]


@pytest.mark.parametrize(
    "entry", [{"pictures": []}, {"pictures": "a.png"}, {"pictures": ["a.png"], "image": "b.png"}]
)
def test_pictures_of_another_kind_are_refused(entry):
    with pytest.raises(InvalidSettings, match="pictures"):
        plan({"objects": ["Hat"], **entry})
