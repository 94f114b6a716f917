"""The reference as the found view projects it, drawn over the object in the viewport. Nothing in the file is
changed for it.

Surface that the reference shows wears it; surface that is hidden in it, that turns away from its camera or
that lies beside the object's mask is grey. What is hidden is found by a shadow map, as for a lamp in the
camera's place, of which nine texels are compared (percentage-closer filtering, Reeves et al. 1987).
"""

import bpy
import gpu
import numpy as np
from bpy.props import BoolProperty
from mathutils import Matrix

from ..viewport import redraw, surface_shader
from ..viewport.projection_camera import clip_matrix
from ..viewport.shaders import ShaderProgram, compile_program
from .check import ReferenceCheck
from .checks import checks

_MAP_SIZE = 1024
"""Pixels along each side of the shadow map."""

# The camera is where x, y and w of the projector vanish.
_VERTEX_SHADER = """
void main() {
    mat4 rows = transpose(projector);
    mat3 linear = transpose(mat3(rows[0].xyz, rows[1].xyz, rows[3].xyz));
    eye = -inverse(linear) * vec3(rows[0].w, rows[1].w, rows[3].w);
    place = position;
    facing = normal;
    seen = projector * vec4(position, 1.0);
    gl_Position = matrix * vec4(position, 1.0);
    gl_Position.z -= 5e-5 * gl_Position.w;  // in front of the surface itself
}
"""

_PROJECTION_FRAGMENT_SHADER = """
void main() {
    float side = dot(facing, normalize(eye - place)), cosine = abs(side);
    // Sheets are seen from both sides, but the far side of a solid is close to the near one at its outline.
    bool front = side > 0.0;
    vec3 grey = vec3(0.12 + 0.12 * cosine);
    vec2 texel = seen.xy / seen.w * 0.5 + 0.5;
    float slope = (front ? 0.004 : 0.0005) / max(cosine, 0.1), open = 0.0;
    for (int number = 0; number < 9; number++) {
        vec2 beside = 1.5 * vec2(number % 3 - 1, number / 3 - 1) / vec2(textureSize(nearest, 0));
        open += seen.w < texture(nearest, texel + beside).r + slope ? 1.0 / 9.0 : 0.0;
    }
    // At a crease most texels are of nearer surface, and a few are enough.
    float visible = smoothstep(0.1, 0.5, open);
    visible *= front ? smoothstep(0.04, 0.1, cosine) : smoothstep(0.1, 0.3, cosine);
    bool inside = all(greaterThan(texel, vec2(0.0))) && all(lessThan(texel, vec2(1.0)));
    float own = inside ? smoothstep(0.3, 0.7, texture(mask, texel).r) : 0.0;
    vec4 shown = texture(image, texel);  // linear and premultiplied with alpha
    color = vec4(mix(grey, shown.rgb / max(shown.a, 1e-6), own * visible), 1.0);
}
"""

_DISTANCE_FRAGMENT_SHADER = """
void main() {
    color = vec4(seen.w, 0.0, 0.0, 1.0);
}
"""

_draw_handler = None
_shadow_map: "tuple[str, gpu.types.GPUBatch, gpu.types.GPUTexture] | None" = None
"""The last one: of which job and which triangles, and the map."""

_mask: "tuple[np.ndarray, gpu.types.GPUTexture] | None" = None
"""The last one, and its copy on the GPU."""


def draw_projection(
    obj: bpy.types.Object, image: bpy.types.Image, check: ReferenceCheck, matrix: Matrix
) -> None:
    """Draws an object as it wears the reference into the bound framebuffer.

    Args:
        image: the reference.
        check: one of it that has found a mask and a camera.
        matrix: (4, 4) from world space to clip space.
    """
    batch = surface_shader.get_batch(obj)
    projector = Matrix(clip_matrix(check.camera, *image.size) @ check.to_job_mesh)
    nearest = _draw_shadow_map(check.job, batch, projector)
    shader = compile_program(_PROJECTION_PROGRAM)
    shader.bind()
    shader.uniform_float("matrix", matrix @ obj.matrix_world)
    shader.uniform_float("projector", projector)
    shader.uniform_sampler("image", gpu.texture.from_image(image))
    shader.uniform_sampler("nearest", nearest)
    shader.uniform_sampler("mask", _upload_mask(check.mask))
    gpu.state.depth_test_set("LESS_EQUAL")
    gpu.state.depth_mask_set(True)
    batch.draw(shader)
    gpu.state.depth_mask_set(False)
    gpu.state.depth_test_set("NONE")


def _draw_shadow_map(job: str, batch: gpu.types.GPUBatch, projector: Matrix) -> gpu.types.GPUTexture:
    """The distance from the reference's camera to the nearest surface, drawn once per check and mesh."""
    global _shadow_map
    if _shadow_map is None or _shadow_map[0] != job or _shadow_map[1] is not batch:
        distance = gpu.types.GPUTexture((_MAP_SIZE, _MAP_SIZE), format="R32F")
        depth = gpu.types.GPUTexture((_MAP_SIZE, _MAP_SIZE), format="DEPTH_COMPONENT32F")
        framebuffer = gpu.types.GPUFrameBuffer(depth_slot=depth, color_slots=(distance,))
        with framebuffer.bind():
            framebuffer.clear(color=(1e6, 0, 0, 0), depth=1.0)
            gpu.state.blend_set("NONE")
            gpu.state.depth_test_set("LESS_EQUAL")
            gpu.state.depth_mask_set(True)
            shader = compile_program(_DISTANCE_PROGRAM)
            shader.bind()
            shader.uniform_float("matrix", projector)
            shader.uniform_float("projector", projector)
            batch.draw(shader)
            gpu.state.depth_mask_set(False)
            gpu.state.depth_test_set("NONE")
        _shadow_map = job, batch, distance
    return _shadow_map[2]


def _upload_mask(mask: np.ndarray) -> gpu.types.GPUTexture:
    """A mask (H, W) uint8, row 0 at the top, as a texture; uploaded once."""
    global _mask
    if _mask is None or _mask[0] is not mask:
        pixels = np.float32(mask[::-1] / 255).ravel()
        data = gpu.types.Buffer("FLOAT", pixels.size, pixels)
        _mask = mask, gpu.types.GPUTexture(mask.shape[::-1], format="R16F", data=data)
    return _mask[1]


def _make_program(fragment: str, images: tuple[str, ...]) -> ShaderProgram:
    return ShaderProgram(
        "orbit_texture_projection",
        _VERTEX_SHADER,
        fragment,
        attributes=(("VEC3", "position"), ("VEC3", "normal")),
        smooth=(("VEC3", "place"), ("VEC4", "seen")),
        flat=(("VEC3", "eye"), ("VEC3", "facing")),
        constants=(("MAT4", "matrix"), ("MAT4", "projector")),
        images=images,
    )


_PROJECTION_PROGRAM = _make_program(_PROJECTION_FRAGMENT_SHADER, ("image", "nearest", "mask"))
_DISTANCE_PROGRAM = _make_program(_DISTANCE_FRAGMENT_SHADER, ())


def _draw_in_viewport() -> None:
    context = bpy.context
    obj, panel = context.object, context.scene.orbit_texture
    if not context.window_manager.orbit_texture_projection or obj is None or not obj.visible_get():
        return
    check = checks.find_with_camera(obj, panel)
    image = panel.find_image(obj)
    if check and obj.mode == "OBJECT" and all(image.size) and not check.is_turned(image):
        draw_projection(obj, image, check, context.region_data.perspective_matrix)


def register() -> None:
    global _draw_handler
    bpy.types.WindowManager.orbit_texture_projection = BoolProperty(
        name="Show Projection",
        description=(
            "Show the active object in the viewports as it wears the reference from the view that was found. "
            "Grey is what the reference does not show. Neither the object nor its materials are changed"
        ),
        options={"SKIP_SAVE"},
        update=lambda properties, context: redraw.tag_viewports(),
    )
    _draw_handler = bpy.types.SpaceView3D.draw_handler_add(_draw_in_viewport, (), "WINDOW", "POST_VIEW")


def unregister() -> None:
    global _shadow_map, _mask
    bpy.types.SpaceView3D.draw_handler_remove(_draw_handler, "WINDOW")
    del bpy.types.WindowManager.orbit_texture_projection
    _shadow_map = _mask = None
