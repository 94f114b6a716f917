"""Open Report: what the scene's objects wear, and what failed, as a page in the browser."""

import webbrowser
from pathlib import Path

import bpy

from ...backend.api.errors import OrbitError
from ..headless import contact_sheet
from ..jobs.queue import queue
from ..objects import mesh_io


class OpenReport(bpy.types.Operator):
    bl_idname = "orbit_texture.open_report"
    bl_label = "Open Report"
    bl_description = (
        "Write a page with a picture of every textured object of the scene, its reference and how it was "
        "made, and of what failed, and open it in the browser"
    )

    @classmethod
    def poll(cls, context):
        if (
            not any(obj.orbit_texture.takes for obj in mesh_io.meshes(context.scene.objects))
            and not _failures()
        ):
            cls.poll_message_set("No object of the scene has a take")
            return False
        return True

    def execute(self, context):
        file = Path(bpy.app.tempdir) / "orbit_texture_report.html"
        try:
            contact_sheet.write_page(
                file,
                Path(bpy.data.filepath).stem or "Orbit Texture",
                [*contact_sheet.collect_rows(mesh_io.meshes(context.scene.objects)), *_failures()],
            )
        except OrbitError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        if not bpy.app.background:
            webbrowser.open(file.as_uri())
        return {"FINISHED"}


def _failures() -> list[contact_sheet.Row]:
    return [
        contact_sheet.failure_row(entry.name, "", entry.error.message)
        for entry in queue.entries
        if entry.error and not entry.download
    ]
