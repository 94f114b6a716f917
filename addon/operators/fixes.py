"""The buttons that fix a problem. An error or a finding of the preflight has a ``fix``, which is the name of
one of these operators."""

import bmesh
import bpy
from bpy.props import StringProperty

from ...backend.api.errors import OrbitError
from ..checks import preflight
from ..jobs import queue_timer
from ..jobs.queue import queue
from ..objects import mesh_io


class ObjectMode(bpy.types.Operator):
    bl_idname = "orbit_texture.object_mode"
    bl_label = "Object Mode"
    bl_description = "Leave the current mode for Object Mode"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        return context.object is not None

    def execute(self, context):
        bpy.ops.object.mode_set(mode="OBJECT")
        return {"FINISHED"}


class MakeLocal(bpy.types.Operator):
    bl_idname = "orbit_texture.make_local"
    bl_label = "Make Local"
    bl_description = (
        "Copy the active object and its mesh from the linked file into this one, so that it can be changed "
        "here"
    )
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    @classmethod
    def poll(cls, context):
        return context.object is not None and context.mode == "OBJECT"

    def execute(self, context):
        with context.temp_override(selected_objects=[context.object], object=context.object):
            return bpy.ops.object.make_local(type="SELECT_OBDATA")


class RecalculateNormals(bpy.types.Operator):
    bl_idname = "orbit_texture.recalculate_normals"
    bl_label = "Recalculate Normals"
    bl_description = (
        "Flip the faces of the active object's mesh so that they all point outside. This changes the mesh"
    )
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    @classmethod
    def poll(cls, context):
        return (
            context.object is not None
            and context.object.type == "MESH"
            and context.mode == "OBJECT"
            and context.object.data.is_editable
        )

    def execute(self, context):
        mesh = context.object.data
        faces = bmesh.new()
        faces.from_mesh(mesh)
        bmesh.ops.recalc_face_normals(faces, faces=faces.faces)
        faces.to_mesh(mesh)
        faces.free()
        mesh.update()
        return {"FINISHED"}


class UseLessMemory(bpy.types.Operator):
    bl_idname = "orbit_texture.use_less_memory"
    bl_label = "Use Less Memory"
    bl_description = (
        "Lower the settings until the memory is sufficient, in this order: Fast quality, coarser refinement, "
        "smaller texture, no refinement, Draft painter"
    )
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    @classmethod
    def poll(cls, context):
        return context.object is not None and context.object.type == "MESH"

    def execute(self, context):
        settings = context.scene.orbit_texture
        change = preflight.lighter_settings(
            mesh_io.triangle_count(context.object.data), settings.to_settings()
        )
        if not change:
            self.report({"INFO"}, "The memory is sufficient, or no setting needs less.")
            return {"CANCELLED"}
        settings.change(change)
        return {"FINISHED"}


class RestartWorker(bpy.types.Operator):
    bl_idname = "orbit_texture.restart_worker"
    bl_label = "Restart Worker"
    bl_description = "Stop the worker and start it again. Jobs continue where they were"

    def execute(self, context):
        queue.restart_server()
        queue_timer.start()
        return {"FINISHED"}


class Retry(bpy.types.Operator):
    bl_idname = "orbit_texture.retry"
    bl_label = "Retry"
    bl_description = "Run this job again. Finished stages are not repeated"
    bl_options = {"INTERNAL"}

    job: StringProperty(description="The job to run again")

    def execute(self, context):
        entry = queue.find(self.job)
        if entry is None:
            return {"CANCELLED"}
        try:
            queue.retry(entry)
        except OrbitError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        queue_timer.start()
        return {"FINISHED"}
