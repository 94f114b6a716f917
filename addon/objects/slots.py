"""The material slots of an object: shown in takes, given back afterwards, and added where there is none."""

import bpy


def save_slots(obj: bpy.types.Object) -> None:
    """Saves the materials in the slots that show no take, also if the user has changed them since the last
    take."""
    saved = obj.orbit_texture.slots
    while len(saved) < len(obj.material_slots):
        saved.add()
    for slot, kept in zip(obj.material_slots, saved, strict=False):
        if not _shows_take(obj, slot):
            kept.link, kept.material = read_slot(slot)


def restore_slots(obj: bpy.types.Object) -> None:
    """Gives the slots that show a take the materials that :func:`save_slots` has saved."""
    for slot, kept in zip(obj.material_slots, obj.orbit_texture.slots, strict=False):
        if _shows_take(obj, slot):
            set_slot(slot, kept.link, kept.material)


def find_own_materials(obj: bpy.types.Object) -> set[bpy.types.Material]:
    """The materials that the object has beside its takes: those it wears, and those that takes replace."""
    saved = [kept.material for kept in obj.orbit_texture.slots]
    worn = [slot.material for slot in obj.material_slots if not _shows_take(obj, slot)]
    return {material for material in (*saved, *worn, *obj.data.materials) if material}


def list_own_materials(obj: bpy.types.Object) -> list[bpy.types.Material | None]:
    """By slot, the materials that the object wears, or wore before its takes."""
    own, saved = [], obj.orbit_texture.slots
    for index, slot in enumerate(obj.material_slots):
        if not _shows_take(obj, slot):
            own.append(slot.material)
        elif index < len(saved):
            kept = saved[index]
            own.append(kept.material if kept.link == "OBJECT" else obj.data.materials[index])
        else:
            own.append(None)
    return own


def read_slot(slot: bpy.types.MaterialSlot) -> tuple[str, bpy.types.Material | None]:
    """The slot's link, and the object's own material, which a slot linked to the mesh hides."""
    link = slot.link
    slot.link = "OBJECT"
    own = slot.material
    slot.link = link
    return link, own


def set_slot(slot: bpy.types.MaterialSlot, link: str, own: bpy.types.Material | None) -> None:
    """Gives a slot what :func:`read_slot` has read."""
    slot.link = "OBJECT"
    slot.material = own
    slot.link = link


def add_missing_slot(obj: bpy.types.Object) -> None:
    """Adds a material slot to a mesh without one, and marks it as ours on all objects that share the mesh."""
    if not obj.material_slots:
        obj.data.materials.append(None)
        for user in mesh_users(obj.data):
            user.orbit_texture.owns_slot = True


def remove_added_slot(obj: bpy.types.Object) -> None:
    """Removes the slot of :func:`add_missing_slot` once no object needs it."""
    mesh, users = obj.data, mesh_users(obj.data)
    needed = any(user.orbit_texture.takes or slot.material for user in users for slot in user.material_slots)
    if obj.orbit_texture.owns_slot and not needed and len(mesh.materials) == 1:
        remove_slots(mesh)


def remove_slots(mesh: bpy.types.Mesh) -> None:
    """Removes all slots of a mesh. The faces keep their slot numbers."""
    numbers = [0] * len(mesh.polygons)
    mesh.polygons.foreach_get("material_index", numbers)
    while mesh.materials:
        mesh.materials.pop(index=0)
    if any(numbers):
        mesh.polygons.foreach_set("material_index", numbers)
    for user in mesh_users(mesh):
        user.orbit_texture.owns_slot = False
        user.data = mesh  # makes the object update its slots


def mesh_users(mesh: bpy.types.Mesh) -> list[bpy.types.Object]:
    """The objects that share the mesh."""
    return [obj for obj in bpy.data.objects if obj.data == mesh]


def _shows_take(obj: bpy.types.Object, slot: bpy.types.MaterialSlot) -> bool:
    return slot.material is not None and any(
        take.material == slot.material for take in obj.orbit_texture.takes
    )
