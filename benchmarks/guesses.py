"""What a hidden side can be given without synthesis: the baselines of ``benchmarks/draft.py``.

Each gives (H, W, 3) uint8 frames of some views: the projected reference, and a guess where it shows nothing.
"""

from collections.abc import Callable

import numpy as np
from scipy.spatial import cKDTree

from backend.mesh.surface import Surface
from backend.mesh.voxels import interpolate, voxelize
from backend.paint.draft.image.projection import Picture
from backend.paint.draft.image.symmetry import find_mirror
from backend.paint.draft.painter import VOXELS, agreeing_mirror, complete, mirrored_look_up, paint_view
from backend.paint.reference import Reference
from backend.render.rasterize import GBuffer
from backend.render.visibility import facing


def nearest(surface: Surface, shown: GBuffer, reference: Reference, views: list[GBuffer]) -> list[np.ndarray]:
    """The colour of the nearest surface that the reference shows."""
    picture = Picture(reference, shown, facing(surface, [shown]))
    voxels = voxelize(surface, 2 * VOXELS)
    colors, trust = picture.look_up(voxels.positions, voxels.normals)
    known = trust > 0.5
    tree = cKDTree(voxels.positions[known])
    return _painted(
        picture,
        None,
        lambda points, normals: colors[known][tree.query(points, workers=-1)[1]],
        surface,
        views,
    )


def mirrored(
    surface: Surface, shown: GBuffer, reference: Reference, views: list[GBuffer]
) -> list[np.ndarray]:
    """The other side of a symmetric mesh, then a smooth mean of what is near: the draft before it had
    patches."""
    picture = Picture(reference, shown, facing(surface, [shown]))
    voxels = voxelize(surface, VOXELS)
    mirror = agreeing_mirror(find_mirror(voxels, surface.slots, 0), picture, voxels)
    completed = complete(picture, mirror, voxels, 0)
    return _painted(
        picture, mirror, lambda points, normals: interpolate(voxels, completed, points), surface, views
    )


def mean(surface: Surface, shown: GBuffer, reference: Reference, views: list[GBuffer]) -> list[np.ndarray]:
    """The object's mean colour."""
    picture = Picture(reference, shown, facing(surface, [shown]))
    color = picture.colors[picture.edges > 1].mean(axis=0)
    return _painted(picture, None, lambda points, normals: np.tile(color, (len(points), 1)), surface, views)


def _painted(picture: Picture, mirror, guess, surface: Surface, views: list[GBuffer]) -> list[np.ndarray]:
    return [
        paint_view(
            lambda points, normals: mirrored_look_up(picture, mirror, points, normals),
            guess,
            view,
            surface,
            surface.face_normals,
        )
        for view in views
    ]


BASELINES: dict[str, Callable] = {"nearest fill": nearest, "symmetry and fill": mirrored, "mean colour": mean}
