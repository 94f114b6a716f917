"""What of the reference a repainted region forgets: where the earlier texture is of the same image, showing
that again would change nothing, so the region is painted as if it was hidden."""

import numpy as np
from scipy.spatial import cKDTree

from ....image import shrink_longest
from ....mesh.surface import Surface
from ....mesh.texels import locate_texels
from ....mesh.voxels import Voxels
from ...painter import Repaint
from .known_surface import Forgotten, KnownSurface

MAX_SIZE = 512
"""Texels along the largest atlas on which the two are compared."""

SAME_COLOR = 0.06
"""Largest median difference of a channel, 0..1, between two textures of one image."""

MIN_TRUST = 0.9
"""Trust in the image from which on a texel is compared."""

NORMAL_WEIGHT = 0.02
"""Longest sides of the mesh that a difference of 1 between two normals counts as: a wall has two sides."""


def find_forgotten(
    repaint: Repaint | None, shown: KnownSurface, surface: Surface, voxels: Voxels
) -> Forgotten | None:
    """The region that is repainted, if the earlier texture shows what the image does: beside the region, or
    within it where the image shows nothing beside it. None else; a new image is shown in the region, too."""
    if repaint is None:
        return None
    texture = shrink_longest(repaint.base_color, MAX_SIZE)
    inside = shrink_longest(repaint.region, MAX_SIZE) > 0.5
    texels = locate_texels(surface, len(texture))
    inside = inside.ravel()[texels.place]
    colors, trust = shown.look_up(texels.positions, texels.normals, texels.face)
    beside = (trust > MIN_TRUST) & ~inside
    compared = beside if beside.sum() > 0.02 * len(texels) else (trust > MIN_TRUST) & inside
    if not inside.any() or not compared.any():
        return None
    difference = np.abs(texture.reshape(-1, 3)[texels.place[compared]] / 255 - colors[compared]).max(axis=1)
    if np.median(difference) > SAME_COLOR:
        return None
    tree = cKDTree(np.hstack([texels.positions, NORMAL_WEIGHT * texels.normals]))
    _, near = tree.query(np.hstack([voxels.positions, NORMAL_WEIGHT * voxels.normals]), workers=-1)
    return Forgotten(voxels, inside[near, None].astype(np.float32))
