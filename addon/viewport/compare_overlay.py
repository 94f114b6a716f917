"""Two takes of an object side by side on its surface, parted by a line across the viewport. Nothing in the
file is changed for it.

Both are drawn alike, as plain colours without light, so that what differs is the textures.
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
    """The takes that can be drawn, counted from 0: not those on UDIM tiles, nor those whose image or UV map
    is gone."""
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
    """Draws two takes of an object into the framebuffer that is bound.

    Args:
        left, right: which takes, of :func:`comparable`.
        line: pixels from the left at which the right one begins.
        size: width and height in pixels of what is drawn to.
        matrix: (4, 4), from the world's space to the clip space.
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
