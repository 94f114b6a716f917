"""The present paint on a baked texture, as sharp as it is, where no picture shows the surface."""

from dataclasses import replace

import numpy as np

from ..mesh.texels import locate_texels, to_atlas
from ..paint.draft.image.color import to_linear, to_srgb
from ..paint.present import PresentSurface, decode_light
from .bake import Texture, upscale


def lay_present_paint(present: PresentSurface, texture: Texture, light: np.ndarray | None) -> Texture:
    """A texture with the present paint, read for each texel, where no picture shows it.

    Args:
        present: the paint.
        texture: of the surface; where its colours are from says what a picture shows, else its coverage.
        light: (S, S, 3) uint8, :func:`encode_light` of the light at the border of what is shown; or None.
    """
    size = len(texture.base_color)
    texels = locate_texels(present.surface, size)
    if texture.color_source is None:
        hidden = (texture.coverage.reshape(-1)[texels.place] == 0).astype(np.float32)
    else:
        hidden = 1 - texture.color_source[..., 0].reshape(-1)[texels.place] / np.float32(255)
    colors, share = present.look_up(texels.positions, texels.face)
    if light is not None:
        log_light = decode_light(upscale(light, size).reshape(-1, 3)[texels.place])
        lit = log_light.any(axis=1)
        colors[lit] = to_srgb(np.clip(to_linear(colors[lit]) * np.exp(log_light[lit]), 0, 1))
    weight = (share * hidden)[:, None]
    if not weight.any():
        return texture
    before = texture.base_color.reshape(-1, 3)[texels.place]
    blended = to_atlas(texels, before * (1 - weight) + 255 * colors * weight)
    return replace(texture, base_color=blended)
