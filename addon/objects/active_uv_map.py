"""The active UV map of a mesh is that of the take that an object shows; what was active before comes back
after the last take. Solid viewports, texture painting and other add-ons follow the active one."""

import bpy

from .slots import mesh_users


def activate_uv_map(obj: bpy.types.Object, name: str) -> None:
    """Makes a UV map the active one, and the one to render, and remembers which were that before."""
    layers = obj.data.uv_layers
    if name not in layers:
        return
    active, rendered = layers.active.name, _rendered_name(layers)
    if (active, rendered) == (name, name):
        return
    own = obj.orbit_texture
    if not own.uv_map_before:
        for user in mesh_users(obj.data):
            user.orbit_texture.uv_map_before, user.orbit_texture.render_uv_map_before = active, rendered
    _activate(layers, name, name)


def rendered_before(obj: bpy.types.Object) -> str:
    """The name of the UV map that the object's own materials read by default; "" if there is none."""
    return obj.orbit_texture.render_uv_map_before or _rendered_name(obj.data.uv_layers)


def restore_uv_map(obj: bpy.types.Object, shown: str) -> None:
    """Makes the UV maps active that were so before the first take, unless an object that shares the mesh
    still has a take, or the user has chosen another one since.

    Args:
        shown: the UV map of the last take.
    """
    own, layers = obj.orbit_texture, obj.data.uv_layers
    users = mesh_users(obj.data)
    if any(user.orbit_texture.takes for user in users):
        return
    active, rendered = own.uv_map_before, own.render_uv_map_before
    if active in layers and rendered in layers and layers.active.name == shown:
        _activate(layers, active, rendered)
    for user in users:
        user.orbit_texture.uv_map_before = user.orbit_texture.render_uv_map_before = ""


def _activate(layers, active: str, rendered: str) -> None:
    layers.active = layers[active]
    if rendered:
        layers[rendered].active_render = True


def _rendered_name(layers) -> str:
    return next((layer.name for layer in layers if layer.active_render), "")
