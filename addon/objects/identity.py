"""Finds an object again after a rename, an undo, a save or a reload, which references to Blender's data do
not survive."""

from dataclasses import dataclass, field
from uuid import uuid4

import bpy


@dataclass(frozen=True)
class ObjectKey:
    """Identifies one object.

    Attributes:
        id: stored on the object, so it survives save and reload. Copies of the object have it too, and an
            undo may remove it.
        session_uid: Blender's own identifier, which survives undo and is unique while Blender runs, but is
            not saved.
        name, file: of the object when the key was made. They identify it if the file is reopened in a version
            from before that.
    """

    id: str
    session_uid: int
    name: str = field(default="", compare=False)
    file: str = field(default="", compare=False)


def key_of(obj: bpy.types.Object) -> ObjectKey:
    """The object's key. Gives the object an id if it has none, or only that of the object it was copied
    from."""
    own = obj.orbit_texture
    if not own.id or any(other != obj and other.orbit_texture.id == own.id for other in bpy.data.objects):
        own.id = uuid4().hex
    return ObjectKey(own.id, obj.session_uid, obj.name, bpy.data.filepath)


def find(key: ObjectKey) -> bpy.types.Object | None:
    """The object, or None if it is not in the open file."""
    same_session = (obj for obj in bpy.data.objects if obj.session_uid == key.session_uid)
    same_id = (obj for obj in bpy.data.objects if obj.orbit_texture.id == key.id)
    return next(same_session, None) or next(same_id, None) or _find_by_name(key)


def _find_by_name(key: ObjectKey) -> bpy.types.Object | None:
    obj = bpy.data.objects.get(key.name) if key.file and key.file == bpy.data.filepath else None
    return obj if obj and not obj.orbit_texture.id else None
