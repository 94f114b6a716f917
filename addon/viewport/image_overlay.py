"""Draws an image flat into a viewport."""

from functools import cache

import bpy
import gpu
from gpu_extras.batch import batch_for_shader

from .image_placement import Rectangle

_IMAGE_VERTEX_SHADER = """
void main() {
    texel = uv;
    gl_Position = matrix * vec4(position, 0.0, 1.0);
}
"""

# The texture is linear and premultiplied with alpha; the viewport's framebuffer converts from linear to sRGB.
_IMAGE_FRAGMENT_SHADER = """
void main() {
    vec4 texel_color = texture(image, texel);
    color = vec4(texel_color.rgb / max(texel_color.a, 1e-6), texel_color.a * opacity);
}
"""


def draw_image(image: bpy.types.Image, rectangle: Rectangle, opacity: float = 1.0) -> None:
    """Draws an image into a rectangle of a viewport's framebuffer, with the current projection and model-view
    matrices.

    Args:
        rectangle: in the viewport's pixels.
        opacity: 0..1, multiplied with the image's alpha.
    """
    shader = _shader()
    left, bottom, width, height = rectangle
    corners = [
        (left, bottom),
        (left + width, bottom),
        (left, bottom + height),
        (left + width, bottom + height),
    ]
    batch = batch_for_shader(
        shader, "TRI_STRIP", {"position": corners, "uv": [(0, 0), (1, 0), (0, 1), (1, 1)]}
    )
    gpu.state.depth_test_set("NONE")
    gpu.state.blend_set("ALPHA")
    shader.bind()
    shader.uniform_float("matrix", gpu.matrix.get_projection_matrix() @ gpu.matrix.get_model_view_matrix())
    shader.uniform_float("opacity", opacity)
    shader.uniform_sampler("image", gpu.texture.from_image(image))
    batch.draw(shader)
    gpu.state.blend_set("NONE")


@cache
def _shader() -> gpu.types.GPUShader:
    interface = gpu.types.GPUStageInterfaceInfo("orbit_texture_image")
    interface.smooth("VEC2", "texel")
    info = gpu.types.GPUShaderCreateInfo()
    info.push_constant("MAT4", "matrix")
    info.push_constant("FLOAT", "opacity")
    info.sampler(0, "FLOAT_2D", "image")
    info.vertex_in(0, "VEC2", "position")
    info.vertex_in(1, "VEC2", "uv")
    info.vertex_out(interface)
    info.fragment_out(0, "VEC4", "color")
    info.vertex_source(_IMAGE_VERTEX_SHADER)
    info.fragment_source(_IMAGE_FRAGMENT_SHADER)
    return gpu.shader.create_from_info(info)
