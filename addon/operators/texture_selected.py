"""Texture Selected: textures the selected objects, each from its own reference or from the panel's. A script
can give an image and settings that hold for one call, and wait for the takes."""

from pathlib import PurePath

import bpy
from bpy.props import BoolProperty, CollectionProperty, IntProperty, StringProperty

from ...backend.api.errors import InvalidImage, OrbitError
from ...backend.api.picture import find_side
from ...backend.api.settings import Settings
from .. import quality_presets
from ..headless import texturing
from ..jobs import pictures, queue_timer, reference
from ..jobs.entry import JobEntry
from ..jobs.queue import queue
from ..jobs.request import PictureRequest, Reference
from ..jobs.submission import JobInputs
from ..ui.base import TEXTURE_BUTTON
from ..viewport import reference_view

_FROM_PANEL = -1
"""The value of a number that is not given."""


class TextureSelected(bpy.types.Operator):
    bl_idname = "orbit_texture.texture_selected"
    bl_label = "Texture Selected"
    bl_description = (
        "Texture the selected mesh objects, each from its own reference if it has one, else from the one for "
        "all objects. The result is a new take. The meshes are not changed"
    )

    image: StringProperty(
        name="Image",
        description="Path of an image file, or the name of an image of the .blend, for all selected objects; "
        "their own references and the panel's if empty",
        options={"SKIP_SAVE"},
    )
    more: CollectionProperty(
        type=bpy.types.OperatorFileListElement,
        name="More Pictures",
        description="Further pictures of the object, each named as the image is",
        options={"SKIP_SAVE"},
    )
    preset: StringProperty(
        name="Preset", description="Name of a quality preset, if not the panel's", options={"SKIP_SAVE"}
    )
    painter: StringProperty(
        name="Painter", description="draft, orbitpainter or trellis2", options={"SKIP_SAVE"}
    )
    quality: StringProperty(
        name="Quality",
        description="Of OrbitPainter: quality, balanced or fast",
        options={"SKIP_SAVE"},
    )
    size: IntProperty(
        name="Texture Size",
        description="1024, 2048, 4096 or 8192",
        default=_FROM_PANEL,
        options={"SKIP_SAVE"},
    )
    seed: IntProperty(name="Seed", description="Seed, from 0", default=_FROM_PANEL, options={"SKIP_SAVE"})
    wait: BoolProperty(
        name="Wait",
        description="Return when the takes are on the objects. Blender cannot be used until then",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context):
        if not context.selected_objects:
            cls.poll_message_set("Nothing is selected. Select the mesh object to texture")
        elif hasattr(context, TEXTURE_BUTTON) and not any(
            map(context.scene.orbit_texture.find_image, context.selected_objects)
        ):
            cls.poll_message_set("Choose a reference image first")
        elif hasattr(context, TEXTURE_BUTTON) and context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
        elif context.object and queue.is_texturing(context.object):
            cls.poll_message_set("The active object is already being textured")
        else:
            return True
        return False

    def execute(self, context):
        selected = context.selected_objects
        # A lamp among them is no failure, unless there is nothing else.
        meshes = [obj for obj in selected if obj.type == "MESH"] or selected
        try:
            given = _find_image(self.image) if self.image else None
            more = tuple(_find_picture(entry.name) for entry in self.more)
            if more and given is None:
                raise InvalidImage("Further pictures were given without an image. Give the first as image.")
            changes = self._read_changes()
            Settings.from_dict(changes)
        except OrbitError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        entries = queue.add_each(meshes, lambda obj: _read_inputs(obj, context, given, more, changes))
        if self.wait:
            texturing.wait(entries)
            return self._report_failures(entries)
        queue_timer.start()
        if all(entry.error for entry in entries):
            self.report({"ERROR"}, entries[0].error.message)
            return {"CANCELLED"}
        return {"FINISHED"}

    def _read_changes(self) -> dict:
        """The settings that were given, by name.

        Raises:
            InvalidSettings: there is no such preset.
        """
        changes = quality_presets.read_preset(self.preset) if self.preset else {}
        texts = {"painter": self.painter, "quality": self.quality}
        numbers = {"texture_size": self.size, "seed": self.seed}
        changes |= {name: value for name, value in texts.items() if value}
        return changes | {name: value for name, value in numbers.items() if value != _FROM_PANEL}

    def _report_failures(self, entries: list[JobEntry]) -> set:
        failed = [entry for entry in entries if entry.error]
        for entry in failed:
            name = f"{entry.name}: " if len(entries) > 1 else ""
            self.report({"ERROR"}, f"{name}{entry.error.message}")
        return {"CANCELLED"} if len(failed) == len(entries) else {"FINISHED"}


def _find_image(image: str) -> Reference:
    """The image of the .blend with this name, else the file with this path.

    Raises:
        InvalidImage: there is neither, or the image cannot be used.
    """
    if image in bpy.data.images:
        return reference.from_image(bpy.data.images[image])
    try:
        return reference.from_file(image)
    except InvalidImage as error:
        raise InvalidImage(
            f"'{image}' is neither an image of this .blend nor a file. Give the path of an image file."
        ) from error


def _find_picture(image: str) -> PictureRequest:
    """A further picture. Raises :class:`InvalidImage` as for :func:`_find_image`."""
    return PictureRequest(_find_image(image), side=find_side(PurePath(image).stem))


def _read_inputs(
    obj: bpy.types.Object,
    context: bpy.types.Context,
    given: Reference | None,
    more: tuple[PictureRequest, ...],
    changes: dict,
) -> JobInputs:
    """What an object's job needs.

    Args:
        given: the reference, if it is not to be found.
        more: the other pictures beside that.
        changes: settings other than the panel's, by name.

    Raises:
        OrbitError: there is no reference for it, or it cannot be used; or a setting is not allowed.
    """
    settings = Settings.from_dict(reference_view.settings_with_view(obj, context).to_dict() | changes)
    if given is not None:
        return JobInputs(given, settings, more=more)
    image = context.scene.orbit_texture.find_image(obj)
    if image is None:
        raise InvalidImage(f"There is no reference for '{obj.name}'. Choose an image first.")
    owner = context.scene.orbit_texture.find_owner(obj)
    return JobInputs(
        reference.from_image(image),
        settings,
        uses_pins=context.scene.orbit_texture.view == "PINS",
        side=pictures.find_lead_side(owner, image),
        more=pictures.read_pictures(owner),
    )
