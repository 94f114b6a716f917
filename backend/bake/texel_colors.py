"""The colours that single views show of texels."""

from collections.abc import Sequence

import numpy as np

from ..fuse.observations import View
from ..mesh.surface import Surface
from ..mesh.texels import Texels
from ..parallel import map_parallel
from ..render.footprint import build_mipmap, project_texels, sample_footprints, texel_tangents
from ..render.rasterize import GBuffer


def color_from_views(
    texels: Texels,
    wanted: np.ndarray,
    surface: Surface,
    buffers: Sequence[GBuffer],
    views: Sequence[View],
    colors: Sequence[np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """The colours that single views show of texels, averaged over the patch of the frame that each covers
    (AssetGen 7.4).

    Args:
        texels: the atlas.
        wanted: (N,) int32 view per texel, -1 for none.
        surface, buffers: what the views look at, and their G-buffers.
        views, colors: per view its usable pixels, and (M, 3) float32 their colours.

    Returns:
        (N, 3) float32 colours, and (N,) bool, whether the texel was read.
    """
    result = np.zeros((len(texels), 3), np.float32)
    steps = texel_tangents(surface.vertices, surface.faces, surface.corner_uvs, texels.size)

    def read_view(view: int) -> None:
        index = np.flatnonzero(wanted == view)
        if len(index) and len(views[view]):
            # The frame with its usable pixels only, as a mipmap without background.
            shape = buffers[view].face.shape
            frame, mask = np.zeros((shape[0] * shape[1], 3), np.float32), np.zeros(shape, bool)
            frame[views[view].pixels] = colors[view]
            mask.ravel()[views[view].pixels] = True
            # Each texel's footprint in it.
            pixels, jacobians = project_texels(
                buffers[view].camera, texels.positions[index], steps, texels.face[index]
            )
            result[index] = sample_footprints(build_mipmap(frame.reshape(*shape, 3), mask), pixels, jacobians)

    map_parallel(read_view, range(len(views)))
    return result, wanted >= 0
