"""Shaders for what is drawn into Blender's editors: programs of our own, compiled once, and shapes of one
colour by Blender's own shader."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import gpu
from gpu_extras.batch import batch_for_shader

Declarations = tuple[tuple[str, str], ...]
"""Type and name of each variable, e.g. ("VEC3", "position")."""


@dataclass(frozen=True)
class ShaderProgram:
    """The source of a shader and the variables that it reads. It writes ``color``.

    Attributes:
        name: of the interface between its two shaders.
        vertex, fragment: GLSL source without declarations.
        attributes: of each vertex.
        smooth: what the vertex shader passes on, interpolated over a triangle.
        flat: what the vertex shader passes on, the same all over a triangle.
        constants: the same for all vertices, set before each drawing.
        images: names of the samplers.
    """

    name: str
    vertex: str
    fragment: str
    attributes: Declarations
    smooth: Declarations
    flat: Declarations = ()
    constants: Declarations = (("MAT4", "matrix"),)
    images: tuple[str, ...] = ("image",)


@cache
def compile_program(program: ShaderProgram) -> gpu.types.GPUShader:
    """The program on the GPU, compiled at its first use."""
    interface = gpu.types.GPUStageInterfaceInfo(program.name)
    for kind, name in program.smooth:
        interface.smooth(kind, name)
    for kind, name in program.flat:
        interface.flat(kind, name)
    info = gpu.types.GPUShaderCreateInfo()
    for kind, name in program.constants:
        info.push_constant(kind, name)
    for slot, name in enumerate(program.images):
        info.sampler(slot, "FLOAT_2D", name)
    for slot, (kind, name) in enumerate(program.attributes):
        info.vertex_in(slot, kind, name)
    info.vertex_out(interface)
    info.fragment_out(0, "VEC4", "color")
    info.vertex_source(program.vertex)
    info.fragment_source(program.fragment)
    shader = gpu.shader.create_from_info(info)
    # Blender 5.2 knows the bound shader by its address. One that has been freed may have had that of the new
    # one, which would then never be bound: another one is bound first.
    gpu.shader.from_builtin("UNIFORM_COLOR").bind()
    return shader


def draw_shape(kind: str, points: Iterable[tuple[float, float]], color: tuple) -> None:
    """Draws points, lines or a closed loop in one colour.

    Args:
        kind: "POINTS", "LINES" (each two points are one), "LINE_LOOP" or "TRI_FAN".
        points: in the editor's pixels.
        color: RGBA, 0..1.
    """
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    shader.uniform_float("color", color)
    batch_for_shader(shader, kind, {"pos": [(*point, 0.0) for point in points]}).draw(shader)


def register() -> None:
    """Nothing is compiled before it is drawn."""


def unregister() -> None:
    compile_program.cache_clear()
