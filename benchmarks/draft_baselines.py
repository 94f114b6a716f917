"""What a hidden side can be given without synthesis: the baselines of ``benchmarks/draft.py``.

Each gives (H, W, 3) uint8 frames of some views: the projected reference, and a guess for what it hides.
"""

from collections.abc import Callable

import numpy as np
from scipy.spatial import cKDTree

from backend.mesh.surface import Surface
from backend.mesh.voxels import interpolate, voxelize
from backend.paint.draft.image.known_surface import KnownSurface
from backend.paint.draft.image.projection import Projection
from backend.paint.draft.image.symmetry import find_mirrors
from backend.paint.draft.painter import (
    DraftConfig,
    choose_mirror,
    extrapolate_colors,
    paint_view,
)
from backend.paint.reference import Reference
from backend.render.rasterize import GBuffer
from backend.render.visibility import find_winding

VOXEL_RESOLUTION = DraftConfig().voxel_resolution


def nearest_colors(
    surface: Surface, shown: GBuffer, reference: Reference, views: list[GBuffer]
) -> list[np.ndarray]:
    """The colour of the nearest surface that the reference shows."""
    projection = Projection(reference, shown, find_winding(surface, [shown]))
    voxels = voxelize(surface, 2 * VOXEL_RESOLUTION)
    colors, trust = projection.look_up(voxels.positions, voxels.normals, voxels.face)
    known = trust > 0.5
    tree = cKDTree(voxels.positions[known])
    return _paint_views(
        KnownSurface(projection, projection, None),
        lambda points, normals: colors[known][tree.query(points, workers=-1)[1]],
        surface,
        views,
    )


def mirror_and_extrapolate(
    surface: Surface, shown: GBuffer, reference: Reference, views: list[GBuffer]
) -> list[np.ndarray]:
    """The other side of a symmetric mesh, then a smooth mean of near colours: the draft before it had
    patches."""
    projection = Projection(reference, shown, find_winding(surface, [shown]))
    voxels = voxelize(surface, VOXEL_RESOLUTION)
    mirrors = find_mirrors(voxels, surface.slots, shown.camera.rotation[:, 2], 0)
    known = KnownSurface(projection, projection, choose_mirror(mirrors, projection, voxels))
    extrapolated = extrapolate_colors(known, voxels, 0)
    return _paint_views(
        known, lambda points, normals: interpolate(voxels, extrapolated, points), surface, views
    )


def mean_color(
    surface: Surface, shown: GBuffer, reference: Reference, views: list[GBuffer]
) -> list[np.ndarray]:
    """The object's mean colour."""
    projection = Projection(reference, shown, find_winding(surface, [shown]))
    color = projection.colors[projection.edge_distance > 1].mean(axis=0)
    return _paint_views(
        KnownSurface(projection, projection, None),
        lambda points, normals: np.tile(color, (len(points), 1)),
        surface,
        views,
    )


def _paint_views(
    known: KnownSurface, guess: Callable, surface: Surface, views: list[GBuffer]
) -> list[np.ndarray]:
    return [paint_view(known.look_up, guess, view, surface, surface.face_normals) for view in views]


BASELINES: dict[str, Callable] = {
    "nearest fill": nearest_colors,
    "symmetry and fill": mirror_and_extrapolate,
    "mean colour": mean_color,
}
"""The baselines by the name in the table."""
