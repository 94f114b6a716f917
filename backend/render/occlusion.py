"""Ambient occlusion: how much of the sky over a point of the surface the rest of the surface hides."""

import numpy as np

from ..mesh.surface import Surface
from .camera import Camera, look_at_origin
from .rasterize import render
from .visibility import observe

SKY_VIEWS = 64
"""Views all around that stand for the sky."""

SKY_VIEW_SIZE = 128
"""Pixels along each of them."""


def ambient_occlusion(surface: Surface, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(N,) float32 0..1, from open to enclosed: the fraction of the sky, weighted by the cosine to the normal
    (Zhukov et al. 1998), from which orthographic views do not see a point.

    Args:
        surface: the occluder.
        points, normals: (N, 3) float32, outward normals.
    """
    sky, seen = np.zeros(len(points), np.float32), np.zeros(len(points), np.float32)
    for buffer in render(surface, sky_cameras(surface, SKY_VIEWS, SKY_VIEW_SIZE)):
        sky += np.maximum(normals @ buffer.camera.rotation[:, 2].astype(np.float32), 0)
        seen += observe(points, normals, buffer, buffer.depth, 1)[0]
    return np.clip(1 - seen / np.maximum(sky, 1e-6), 0, 1)


def sky_cameras(surface: Surface, count: int, size: int) -> list[Camera]:
    """``count`` orthographic cameras evenly around a surface, along a spiral of golden angles from below to
    above; each sees all of it on ``size`` x ``size`` pixels."""
    reach = float(np.linalg.norm(surface.vertices, axis=1).max())
    number = np.arange(count)
    elevation = np.degrees(np.arcsin((2 * number + 1) / count - 1))
    azimuth = 180 * (3 - np.sqrt(5)) * number
    rotations = [look_at_origin(*angles) for angles in zip(azimuth, elevation, strict=True)]
    return [
        Camera(rotation, 2 * reach * rotation[:, 2], 0.48 / reach, (0.5, 0.5), size, size, orthographic=True)
        for rotation in rotations
    ]
