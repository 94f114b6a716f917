"""The report page of a batch."""

import base64
from html.parser import HTMLParser
from pathlib import Path

import bpy
import pytest
from bl_ext.user_default.orbit_texture.addon.headless import command, contact_sheet
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.backend.api.errors import StorageError

from tests.blender import make

SHEET = make.png(80, 16, (10, 200, 30))


class Outline(HTMLParser):
    """The text of a page, its images, and what it would load from elsewhere."""

    def __init__(self, page: str):
        super().__init__()
        self.text, self.images, self.loads, self.open = "", [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.open += [tag] if tag not in ("meta", "img") else []
        source = dict(attributes).get("src", "")
        if source.startswith("data:image/png;base64,"):
            self.images.append(base64.b64decode(source.partition(",")[2], validate=True))
        self.loads += [
            value for name, value in attributes if name in ("src", "href") and not value.startswith("data:")
        ]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def add_textured_cube(name: str, *sharing: bpy.types.Object) -> bpy.types.Object:
    obj = make.cube()
    obj.name = name
    make.apply(obj, *sharing, sheet=SHEET)
    return obj


@pytest.mark.every_blender
def test_a_report_page_has_the_image_and_facts_of_every_textured_object(tmp_path):
    first = add_textured_cube("A <b>")
    second = make.cube()
    second.name, second.data = "Twin", first.data
    make.apply(first, second, sheet=SHEET)
    add_textured_cube("Other")
    make.cube()
    rows = contact_sheet.collect_rows(bpy.context.scene.objects)
    assert sorted(row.name for row in rows) == ["A <b>, Twin", "Other"]
    contact_sheet.write_page(
        tmp_path / "new" / "report.html",
        "Props & more",
        [*rows, contact_sheet.failure_row("Bad", "a.blend", "It is <bad>.")],
    )
    page = Outline((tmp_path / "new" / "report.html").read_text(encoding="utf-8"))
    assert page.images == [SHEET, SHEET]
    assert page.loads == []
    for text in (
        "Props & more",
        "A <b>, Twin",
        "Take 2",
        "A note.",
        "1 s: Baking 1.0",
        "2 textured, 1 failed",
        "It is <bad>.",
    ):
        assert text in page.text


def test_the_contact_sheet_is_not_linked_in_the_shader():
    obj = add_textured_cube("Cube")
    node = obj.orbit_texture.takes[0].material.node_tree.nodes["sheet"]
    assert node.image.colorspace_settings.name == "sRGB"
    assert not node.outputs["Color"].links


def test_a_report_page_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        contact_sheet.write_page(tmp_path / "file" / "report.html", "Report", [])


def test_open_report_writes_the_page_of_the_scene_or_reports_why_not():
    make.cube()
    with pytest.raises(RuntimeError, match="No object in the scene has a take"):
        bpy.ops.orbit_texture.open_report()
    add_textured_cube("Hat")
    assert bpy.ops.orbit_texture.open_report() == {"FINISHED"}
    page = Outline((Path(bpy.app.tempdir) / "orbit_texture_report.html").read_text(encoding="utf-8"))
    assert page.images == [SHEET]
    queue.entries.clear()


@pytest.mark.worker
def test_headless_runs_write_a_report_even_if_all_was_done_before(tmp_path, capsys, scripted_worker):
    make.scripted_cube("Good")
    make.scripted_cube("Bad bake=invalid")
    image = make.png(color=(1, 2, 3))
    (tmp_path / "reference.png").write_bytes(image)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    (tmp_path / "jobs.toml").write_text("[[job]]\nblend = 'scene.blend'\nimage = 'reference.png'\n")
    batch = ["batch", "--manifest", str(tmp_path / "jobs.toml")]
    one = ["texture", "--image", str(tmp_path / "reference.png"), "--output", str(tmp_path / "out.blend")]
    for arguments in (one, batch, batch):
        assert command.main([*arguments, "--report", str(tmp_path / "report.html")]) == 1
        page = Outline((tmp_path / "report.html").read_text(encoding="utf-8"))
        # The scripted pipeline returns the reference as the contact sheet.
        assert page.images == [image]
        assert "This mesh is a test." in page.text
        assert "1 textured, 1 failed" in page.text
        (tmp_path / "report.html").unlink()
