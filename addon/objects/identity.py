"""Finding an object again after a rename, an undo, a save or a reload. References to Blender's data do not
survive those."""

from dataclasses import dataclass, field
from uuid import uuid4

import bpy


@dataclass(frozen=True)
class ObjectKey:
    """Names one object.

    Attributes:
        id: stored on the object, so it survives save and reload; copies of an object carry it too, and an
            undo may lose it.
        session_uid: Blender's own, which survives undo and is never given twice while Blender runs, but is
            not saved.
        name, file: the object's, when it got the key: what is left if the file is opened anew as it was
            before that.
    """

    id: str
    session_uid: int
    name: str = field(default="", compare=False)
    file: str = field(default="", compare=False)


def key_of(obj: bpy.types.Object) -> ObjectKey:
    """The object's key; gives the object an id if it has none of its own."""
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
