"""Draws an image flat into a viewport or an Image Editor."""

import bpy
import gpu
from gpu_extras.batch import batch_for_shader

from .image_placement import Rectangle
from .shaders import ShaderProgram, compile_program

_FLAT_VERTEX_SHADER = """
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
    left, bottom, width, height = rectangle
    corners = [
        (left, bottom),
        (left + width, bottom),
        (left, bottom + height),
        (left + width, bottom + height),
    ]
    gpu.state.depth_test_set("NONE")
    draw_texture(_IMAGE_PROGRAM, gpu.texture.from_image(image), corners, opacity=opacity)


def make_program(name: str, fragment: str, *constants: tuple[str, str]) -> ShaderProgram:
    """A program for :func:`draw_texture`.

    Args:
        name: of the program.
        fragment: GLSL source that reads ``image`` at ``texel`` and writes ``color``.
        constants: type and name of each constant that it reads.
    """
    return ShaderProgram(
        name,
        _FLAT_VERTEX_SHADER,
        fragment,
        attributes=(("VEC2", "position"), ("VEC2", "uv")),
        smooth=(("VEC2", "texel"),),
        constants=(("MAT4", "matrix"), *constants),
    )


def draw_texture(
    program: ShaderProgram,
    texture: gpu.types.GPUTexture,
    corners: list[tuple[float, float]],
    **constants: float,
) -> None:
    """Draws a texture with alpha into the bound framebuffer, with the current projection and model-view
    matrices.

    Args:
        program: of :func:`make_program`.
        corners: lower left, lower right, upper left and upper right corner of the image.
        constants: a value for each constant of the program.
    """
    shader = compile_program(program)
    batch = batch_for_shader(
        shader, "TRI_STRIP", {"position": corners, "uv": [(0, 0), (1, 0), (0, 1), (1, 1)]}
    )
    gpu.state.blend_set("ALPHA")
    shader.bind()
    shader.uniform_float("matrix", gpu.matrix.get_projection_matrix() @ gpu.matrix.get_model_view_matrix())
    for name, value in constants.items():
        shader.uniform_float(name, value)
    shader.uniform_sampler("image", texture)
    batch.draw(shader)
    gpu.state.blend_set("NONE")


_IMAGE_PROGRAM = make_program("orbit_texture_image", _IMAGE_FRAGMENT_SHADER, ("FLOAT", "opacity"))
