"""How far a take can be trusted, drawn over the object in the viewport. Nothing in the file is changed for it, so it cannot be saved.

Red is filled or hardly seen, green is well seen. While a mask for Repaint Region is painted, the take with that in magenta is
drawn instead, for Blender shows nothing but the mask then.
"""

import bpy
import gpu
from bpy.app.handlers import persistent
from bpy.props import EnumProperty
from gpu_extras.batch import batch_for_shader

from . import material, redraw, scene, takes

_VERTEX = """
void main() {
    texel = uv;
    gl_Position = matrix * vec4(position, 1.0);
    gl_Position.z -= 5e-5 * gl_Position.w;  // before the surface itself
}
"""
_FRAGMENT = """
void main() {
    float value = 2.0 * texture(image, texel).r;
    color = vec4(min(2.0 - value, 1.0), min(value, 1.0), 0.0, 0.8);
    vec3 worn = pow(texture(take, texel).rgb, vec3(1.0 / 2.2));
    color = mix(color, vec4(mix(worn, vec3(1.0, 0.0, 1.0), 0.3 * value), 1.0), is_mask);
}
"""

_batches: dict[tuple[int, str], tuple] = {}
_shader: gpu.types.GPUShader | None = None
_handle = None


def image_of(obj: bpy.types.Object, kind: str) -> bpy.types.Image | None:
    """The image that is laid over an object: of the take that it wears, "confidence" or "coverage"; None where there is nothing to show.

    Layouts on UDIM tiles are not shown. The kind "region" is the mask that is being painted.
    """
    if kind == "region":
        return obj.orbit_texture.region if obj.mode == "TEXTURE_PAINT" else None
    index = takes.shown(obj)
    image = material.texture(obj.orbit_texture.takes[index].material, kind) if index >= 0 else None
    return image if image and image.source != "TILED" else None


def draw(obj: bpy.types.Object, kind: str, matrix) -> None:
    """Draws the overlay of an object into the framebuffer that is bound.

    Args:
        kind: "confidence", "coverage" or "region".
        matrix: (4, 4), from the world's space to the clip space.
    """
    image, index = image_of(obj, kind), takes.shown(obj)
    take = obj.orbit_texture.takes[index] if image and index >= 0 else None
    batch = _batch(obj, take.uv_layer) if take else None
    if batch is None:
        return
    worn = material.texture(take.material, "base_color") if kind == "region" else image
    gpu.state.depth_test_set("LESS_EQUAL")
    gpu.state.blend_set("ALPHA")
    _shader.bind()
    _shader.uniform_float("matrix", matrix @ obj.matrix_world)
    _shader.uniform_float("is_mask", float(kind == "region"))
    _shader.uniform_sampler("image", gpu.texture.from_image(image))
    _shader.uniform_sampler("take", gpu.texture.from_image(worn or image))
    batch.draw(_shader)
    gpu.state.blend_set("NONE")
    gpu.state.depth_test_set("NONE")


def _draw_in_viewport() -> None:
    context, kind = bpy.context, bpy.context.window_manager.orbit_texture_overlay.lower()
    if context.object is None or not context.object.visible_get():
        return
    if image_of(context.object, "region"):
        kind = "region"
    if kind != "none":
        draw(context.object, kind, context.region_data.perspective_matrix)


def _batch(obj: bpy.types.Object, layer: str):
    """The object's triangles on the card, sent anew when they have changed; None if they do not have the UV layer."""
    global _shader
    _shader = _shader or _compile()
    key = obj.session_uid, layer
    if key not in _batches:
        corners = scene.corners(obj, layer)
        _batches.clear()
        _batches[key] = corners and batch_for_shader(_shader, "TRIS", dict(zip(("position", "uv"), corners, strict=True)))
    return _batches[key]


def _compile() -> gpu.types.GPUShader:
    between = gpu.types.GPUStageInterfaceInfo("orbit_texture_overlay")
    between.smooth("VEC2", "texel")
    info = gpu.types.GPUShaderCreateInfo()
    info.push_constant("MAT4", "matrix")
    info.push_constant("FLOAT", "is_mask")
    info.sampler(0, "FLOAT_2D", "image")
    info.sampler(1, "FLOAT_2D", "take")
    info.vertex_in(0, "VEC3", "position")
    info.vertex_in(1, "VEC2", "uv")
    info.vertex_out(between)
    info.fragment_out(0, "VEC4", "color")
    info.vertex_source(_VERTEX)
    info.fragment_source(_FRAGMENT)
    return gpu.shader.create_from_info(info)


@persistent
def _changed(_scene, depsgraph) -> None:
    if any(update.is_updated_geometry for update in depsgraph.updates):
        _batches.clear()


def register() -> None:
    global _handle
    bpy.types.WindowManager.orbit_texture_overlay = EnumProperty(
        name="Overlay", description="What is drawn over the active object in the viewports; it is not part of the take",
        items=[("NONE", "Off", "Show the take as it is"),
               ("CONFIDENCE", "Confidence", "Show how well the painted views saw the surface: green well, red hardly"),
               ("COVERAGE", "Coverage", "Show what a painted view saw, green, and what was filled from nearby, red")],
        options={"SKIP_SAVE"}, update=lambda properties, context: redraw.viewports())
    bpy.app.handlers.depsgraph_update_post.append(_changed)
    _handle = bpy.types.SpaceView3D.draw_handler_add(_draw_in_viewport, (), "WINDOW", "POST_VIEW")


def unregister() -> None:
    global _shader
    bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
    bpy.app.handlers.depsgraph_update_post.remove(_changed)
    del bpy.types.WindowManager.orbit_texture_overlay
    _batches.clear()
    _shader = None
