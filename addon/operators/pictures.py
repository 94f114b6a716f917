"""The list of further pictures: add, remove, move, and choose the one that leads."""

from collections.abc import Iterable
from pathlib import Path

import bpy
from bpy.app.translations import pgettext_rpt as rpt_
from bpy.props import CollectionProperty, EnumProperty, StringProperty

from ...backend.api.errors import InvalidImage, OrbitError
from ...backend.api.picture import MAX_PICTURES, find_side
from ..jobs import recent_references, reference
from .open_reference import ImageBrowser


def find_owner(context: bpy.types.Context):
    """The properties that have the pictures for the active object."""
    return context.scene.orbit_texture.find_owner(context.object)


def find_lead(context: bpy.types.Context) -> bpy.types.Image | None:
    """The reference of the active object."""
    return context.scene.orbit_texture.find_image(context.object)


def set_lead(owner, image: bpy.types.Image | None) -> None:
    """Sets the reference of a scene's or an object's properties."""
    setattr(owner, "image" if hasattr(owner, "image") else "reference", image)


class AddPictures(ImageBrowser, bpy.types.Operator):
    bl_idname = "orbit_texture.add_pictures"
    bl_label = "Add Pictures"
    bl_description = (
        "Choose image files that show the same object from other sides. A word at the end of a name, such as "
        "back or left, says which side"
    )
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE"})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context):
        if find_lead(context) is None:
            cls.poll_message_set("Choose a reference image first")
        elif len(find_owner(context).pictures) + 1 >= MAX_PICTURES:
            cls.poll_message_set(f"An object can have {MAX_PICTURES} pictures, and has them")
        else:
            return True
        return False

    def invoke(self, context, event):
        lead = find_lead(context)
        if lead.filepath and not lead.packed_file:
            # The others are probably beside it.
            self.directory = str(Path(bpy.path.abspath(lead.filepath, library=lead.library)).parent)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        owner, files = find_owner(context), [entry.name for entry in self.files if entry.name]
        problems = add_pictures(owner, find_lead(context), [Path(self.directory) / name for name in files])
        is_none_added = len(problems) == len(files)
        for problem in problems:
            self.report({"ERROR" if is_none_added else "WARNING"}, problem)
        return {"CANCELLED"} if is_none_added else {"FINISHED"}


def add_pictures(owner, lead: bpy.types.Image, files: Iterable[Path]) -> list[str]:
    """Adds image files to the pictures of a scene's or an object's properties, and returns a sentence for
    each that cannot be."""
    problems = []
    for file in files:
        try:
            _add_picture(owner, lead, file)
        except (OrbitError, RuntimeError) as error:
            problems.append(getattr(error, "message", str(error)))
    return problems


def _add_picture(owner, lead: bpy.types.Image, file: Path) -> None:
    """Adds an image file to the pictures.

    Raises:
        InvalidImage: there is no such file, it is there already, or there are too many.
        RuntimeError: Blender cannot read it.
    """
    image = bpy.data.images.load(str(reference.from_file(file)), check_existing=True)
    if image in (lead, *(picture.image for picture in owner.pictures)):
        raise InvalidImage(rpt_("{} is among the pictures already.").format(file.name))
    if len(owner.pictures) + 1 >= MAX_PICTURES:
        raise InvalidImage(
            rpt_("{} was not added: an object can have {} pictures.").format(file.name, MAX_PICTURES)
        )
    recent_references.add_recent(file)
    picture = owner.pictures.add()
    picture.image = image
    picture.view = (find_side(file.stem) or "AUTOMATIC").upper()
    owner.active_picture = len(owner.pictures) - 1


class _OfSelectedPicture:
    """Operators on the selected row."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        owner = find_owner(context)
        if 0 <= owner.active_picture < len(owner.pictures):
            return True
        cls.poll_message_set("There are no further pictures")
        return False


class RemovePicture(_OfSelectedPicture, bpy.types.Operator):
    bl_idname = "orbit_texture.remove_picture"
    bl_label = "Remove Picture"
    bl_description = "Take the selected picture off the list. Its image stays in the file"

    def execute(self, context):
        owner = find_owner(context)
        owner.pictures.remove(owner.active_picture)
        owner.active_picture = max(0, min(owner.active_picture, len(owner.pictures) - 1))
        return {"FINISHED"}


class MovePicture(_OfSelectedPicture, bpy.types.Operator):
    bl_idname = "orbit_texture.move_picture"
    bl_label = "Move Picture"
    bl_description = "Move the selected picture. Where pictures contradict, the earlier one tends to win"

    direction: EnumProperty(
        items=[("UP", "Up", "Move it up"), ("DOWN", "Down", "Move it down")], options={"SKIP_SAVE"}
    )

    def execute(self, context):
        owner = find_owner(context)
        target = owner.active_picture + (-1 if self.direction == "UP" else 1)
        if not 0 <= target < len(owner.pictures):
            return {"CANCELLED"}
        owner.pictures.move(owner.active_picture, target)
        owner.active_picture = target
        return {"FINISHED"}


class LeadPicture(_OfSelectedPicture, bpy.types.Operator):
    bl_idname = "orbit_texture.lead_picture"
    bl_label = "Make It the Reference"
    bl_description = "The selected picture and the reference change places. The reference sets the tone"

    def execute(self, context):
        owner = find_owner(context)
        picture, lead = owner.pictures[owner.active_picture], find_lead(context)
        if picture.image is None:
            return {"CANCELLED"}
        set_lead(owner, picture.image)
        picture.image, picture.mask = lead, None
        picture.view = (find_side(Path(lead.name).stem) or "AUTOMATIC").upper()
        return {"FINISHED"}
