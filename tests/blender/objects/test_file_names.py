"""File names from names, and paths of files that were never saved."""

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs import reference
from bl_ext.user_default.orbit_texture.addon.objects import export
from bl_ext.user_default.orbit_texture.addon.objects.file_names import (
    clean_file_name,
    object_file_name,
    unique_file_name,
)
from bl_ext.user_default.orbit_texture.backend.api.errors import InvalidSettings

from tests.blender import make

NAMES = [
    "Hat",
    "hat",
    "Hat/1",
    "Hat_1",
    "Hat.1",
    "../secret",
    "..",
    ".",
    "/etc/passwd",
    "C:\\Windows",
    "CON",
    "nul",
    "com1",
    "dots...",
    "spaces  ",
    "new\nline",
    "x" * 63,
    "Ünïcödé",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_part_of_one_file_name(name, tmp_path):
    cleaned = clean_file_name(name)
    file = tmp_path / f"{cleaned}.png"
    assert file.parent == tmp_path
    assert cleaned == cleaned.strip(" .")
    assert cleaned.lower() not in {"con", "nul", "com1", ""}
    file.touch()
    assert [entry.name for entry in tmp_path.iterdir()] == [file.name]


def test_no_two_names_share_a_file():
    found = [unique_file_name(name, NAMES) for name in NAMES]
    assert len({name.lower() for name in found}) == len(NAMES)
    assert (found[0], found[3]) == ("Hat", "Hat_1"), "what needs no cleaning keeps its name"


def test_two_objects_and_two_takes_never_export_to_one_file(tmp_path):
    objects = [make.cube() for _ in range(3)]
    for obj, name in zip(objects, ("Hat/1", "Hat_1", "hat_1"), strict=True):
        obj.name = name
        make.apply(obj)
        make.apply(obj)
        for take, title in zip(obj.orbit_texture.takes, ("a/b", "a_b"), strict=True):
            take.name = title
    assert len({object_file_name(obj) for obj in objects}) == 3
    files = [export.write_textures(obj, index, tmp_path)[0] for obj in objects for index in (0, 1)]
    assert len({file.name.lower() for file in files}) == 6
    assert {file.parent for file in files} == {tmp_path}
    assert len({export.glb_file_name(obj, index).lower() for obj in objects for index in (0, 1)}) == 6


@pytest.mark.parametrize("name", ["../secret", "..", "/secret", "a/../../secret"])
def test_a_name_finds_no_picture_outside_the_folder(name, tmp_path):
    (tmp_path / "pictures" / "a").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(make.png())
    assert reference.find_in_folder(str(tmp_path / "pictures"), name) is None


@pytest.mark.parametrize(
    ("name", "file"), [("Hat/1", "Hat_1.png"), ("Hat.001", "Hat.001.png"), ("Hat.001", "Hat_001.jpg")]
)
def test_a_name_that_no_file_can_have_finds_the_cleaned_one(name, file, tmp_path):
    (tmp_path / file).write_bytes(make.png())
    assert reference.find_in_folder(str(tmp_path), name) == tmp_path / file


def test_a_relative_path_in_a_file_that_was_never_saved_is_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "reference.png").write_bytes(make.png())
    monkeypatch.chdir(tmp_path)
    image = bpy.data.images.load(str(tmp_path / "reference.png"))
    image.filepath_raw = "//reference.png"
    obj = make.cube()
    make.apply(obj)
    for attempt in (
        lambda: reference.from_file("//reference.png"),
        lambda: reference.find_in_folder("//", "reference"),
        lambda: reference.from_image(image),
    ):
        with pytest.raises(InvalidSettings, match="Save the file first"):
            attempt()
    with pytest.raises(RuntimeError, match="Save the file first"):
        bpy.ops.orbit_texture.export_textures(directory="//")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    assert reference.from_file("//reference.png") == tmp_path / "reference.png"
    assert reference.find_in_folder("//", "reference") == tmp_path / "reference.png"
