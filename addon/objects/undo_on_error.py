"""Takes back what was added to objects and to the file, if a step of adding a take fails."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import bpy

from . import slots


@contextmanager
def undo_on_error(objects: list[bpy.types.Object]) -> Iterator[None]:
    """If the block raises, the objects, which share one mesh, get back their takes and their material slots,
    and the mesh its attributes and its active UV maps; materials and images that the block has made are
    removed. Every step of that is tried, also after another has failed."""
    mesh = objects[0].data
    with ExitStack() as undo:
        # What is registered last is undone first.
        for blocks in (bpy.data.images, bpy.data.materials):
            undo.callback(_remove_new_blocks, blocks, set(blocks))
        undo.callback(_restore_attributes, mesh, {attribute.name for attribute in mesh.attributes})
        rendered = next((layer.name for layer in mesh.uv_layers if layer.active_render), "")
        undo.callback(
            _activate_uv_layers, mesh, mesh.uv_layers.active and mesh.uv_layers.active.name, rendered
        )
        if not mesh.materials:
            undo.callback(_remove_first_slot, mesh)
        for obj in objects:
            undo.callback(_restore_slots, obj, list(map(slots.read_slot, obj.material_slots)))
            saved = [(kept.link, kept.material) for kept in obj.orbit_texture.slots]
            undo.callback(_restore_saved_slots, obj, saved)
            undo.callback(_remove_new_takes, obj, len(obj.orbit_texture.takes))
        yield
        undo.pop_all()


def _remove_new_blocks(blocks, before: set) -> None:
    for block in [block for block in blocks if block not in before]:
        blocks.remove(block)


def _restore_attributes(mesh: bpy.types.Mesh, before: set[str]) -> None:
    """Removes what is new. A UV layer goes with its selection and pins, so each is looked up anew."""
    for name in [layer.name for layer in mesh.uv_layers if layer.name not in before]:
        mesh.uv_layers.remove(mesh.uv_layers[name])
    for name in [attribute.name for attribute in mesh.attributes if attribute.name not in before]:
        mesh.attributes.remove(mesh.attributes[name])


def _activate_uv_layers(mesh: bpy.types.Mesh, active: str | None, rendered: str) -> None:
    if active:
        mesh.uv_layers.active = mesh.uv_layers[active]
        mesh.uv_layers[rendered].active_render = True


def _remove_first_slot(mesh: bpy.types.Mesh) -> None:
    if mesh.materials:
        slots.remove_slots(mesh)


def _restore_slots(obj: bpy.types.Object, before: list[tuple[str, bpy.types.Material | None]]) -> None:
    for slot, (link, own) in zip(obj.material_slots, before, strict=False):
        slots.set_slot(slot, link, own)


def _restore_saved_slots(obj: bpy.types.Object, before: list[tuple[str, bpy.types.Material | None]]) -> None:
    saved = obj.orbit_texture.slots
    while len(saved) > len(before):
        saved.remove(len(saved) - 1)
    for kept, (link, own) in zip(saved, before, strict=True):
        kept.link, kept.material = link, own


def _remove_new_takes(obj: bpy.types.Object, count: int) -> None:
    taken = obj.orbit_texture.takes
    while len(taken) > count:
        taken.remove(len(taken) - 1)
