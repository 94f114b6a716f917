"""New UVs: patches that lie flat are found all over the mesh, joined while the whole lies flat, and packed
once."""

from collections.abc import Callable

import numpy as np

from .charts import flat_charts
from .join import join_charts
from .pack import pack


def unwrap(
    vertices: np.ndarray,
    faces: np.ndarray,
    polygons: np.ndarray,
    texture_size: int,
    progress: Callable[[float], None],
) -> np.ndarray:
    """Non-overlapping UVs of even texel density.

    Args:
        vertices: (V, 3) float32.
        faces: (F, 3) int32.
        polygons: (F,) int32: triangles of one polygon are never cut apart, because a polygon has one UV per
            corner.
        texture_size: texels along a side; charts are kept a few texels of it apart.
        progress: told the fraction done; what it raises ends the work.

    Returns:
        (F, 3, 2) float32 in 0..1.
    """
    charts = flat_charts(vertices, faces, polygons, lambda fraction: progress(0.3 * fraction))
    charts = join_charts(vertices, faces, *charts, lambda fraction: progress(0.3 + 0.6 * fraction))
    return pack(*charts, texture_size)
