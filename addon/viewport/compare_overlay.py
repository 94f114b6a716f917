"""Two takes of an object side by side on its surface, split by a vertical line in the viewport. Nothing in
the file is changed for it.

Both are drawn as plain colours without lighting, so that only the textures differ.
"""

import bpy
import gpu

from ..objects import material
from . import surface_shader

_TAKE_FRAGMENT_SHADER = """
void main() {
    color = vec4(texture(image, texel).rgb, 1.0);
}
"""


def comparable_takes(obj: bpy.types.Object) -> list[int]:
    """Indices of the takes that can be drawn: all but those on UDIM tiles and those whose image or UV map is
    gone."""
    return [
        index
        for index, take in enumerate(obj.orbit_texture.takes)
        if (image := _base_color_image(take))
        and image.source != "TILED"
        and take.uv_layer in obj.data.uv_layers
    ]


def draw_takes(
    obj: bpy.types.Object, left: int, right: int, divider: int, size: tuple[int, int], matrix
) -> None:
    """Draws two takes of an object into the bound framebuffer.

    Args:
        left, right: indices of the takes, out of :func:`comparable_takes`.
        divider: pixels from the left edge at which the right take begins.
        size: width and height of the framebuffer in pixels.
        matrix: (4, 4) from world space to clip space.
    """
    scissor_before = gpu.state.scissor_get()
    gpu.state.scissor_test_set(True)
    for index, begin, end in ((left, 0, divider), (right, divider, size[0])):
        take = obj.orbit_texture.takes[index]
        gpu.state.scissor_set(begin, 0, end - begin, size[1])
        surface_shader.draw_on_surface(
            obj, take.uv_layer, {"image": _base_color_image(take)}, _TAKE_FRAGMENT_SHADER, matrix
        )
    gpu.state.scissor_set(*scissor_before)
    gpu.state.scissor_test_set(False)


def _base_color_image(take) -> bpy.types.Image | None:
    return material.find_image(take.material, "base_color")
