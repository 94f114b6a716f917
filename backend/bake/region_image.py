"""A small image of a region that was repainted, seen from where it faces."""

import numpy as np

from ..image import shrink_longest
from ..mesh.surface import Surface
from ..mesh.texels import locate_texels
from ..paint.preview import PREVIEW_SIZE
from ..render.camera import Camera, look_at_origin
from ..render.photograph import photograph, texture_lookup
from .region import region_mask

ATLAS_SIZE = 512
"""Texels along the atlas on which the region is looked up; all of the region's, if it is smaller than one."""

MARGIN = 1.25
"""Width of the image, in widths of the region."""

MIN_WIDTH = 0.05
"""The smallest width of the region, in units of the mesh's longest side."""


def render_region(
    surface: Surface, base_color: np.ndarray, region: np.ndarray, winding: np.ndarray | None
) -> np.ndarray:
    """(PREVIEW_SIZE, PREVIEW_SIZE, 3) uint8 sRGB: the region in the middle, unlit, and what is around it.
    What lies in front of the region is left out.

    Args:
        base_color: (S, S, 3) uint8 sRGB on the surface's UVs.
        region: see :class:`Kept`.
        winding: (F,) int8, see :func:`backend.render.visibility.find_winding`; None if it is not known.
    """
    positions, normals = _locate_region(surface, region, winding, len(base_color))
    camera = _look_at(positions, normals)
    color = texture_lookup(
        surface.corner_uvs,
        [shrink_longest(base_color, 2 * ATLAS_SIZE)],
        np.zeros(len(surface.faces), np.int32),
    )
    return np.round(photograph(surface, color, camera)).astype(np.uint8)


def _locate_region(
    surface: Surface, region: np.ndarray, winding: np.ndarray | None, atlas_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 3) of the region, and their unit normals (N, 3) outwards."""
    for size in (min(ATLAS_SIZE, atlas_size), atlas_size):
        texels = locate_texels(surface, size)
        inside = region_mask(surface, region, size).ravel()[texels.place] > 0
        if inside.any():
            break
    else:
        inside[:] = True
    normals = texels.normals[inside]
    if winding is not None:
        normals = np.where(winding[texels.face[inside], None] < 0, -normals, normals)
    return texels.positions[inside], normals


def _look_at(positions: np.ndarray, normals: np.ndarray) -> Camera:
    """An orthographic camera in front of points, on the side to which their normals point on average."""
    facing = normals.mean(axis=0, dtype=np.float64)
    azimuth = np.degrees(np.arctan2(facing[0], -facing[1])) if np.linalg.norm(facing) > 1e-6 else 0.0
    elevation = np.degrees(np.arctan2(facing[2], np.hypot(facing[0], facing[1])))
    rotation = look_at_origin(azimuth, elevation)
    local = positions @ rotation
    low, high = local.min(axis=0), local.max(axis=0)
    width = MARGIN * max(MIN_WIDTH, *(high - low)[:2])
    middle = (low + high) / 2
    return Camera(
        rotation,
        rotation @ np.array([middle[0], middle[1], high[2] + 0.01]),
        1 / width,
        width=PREVIEW_SIZE,
        height=PREVIEW_SIZE,
        orthographic=True,
    )
