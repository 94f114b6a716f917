"""Ambient occlusion: how much of the sky over a point of the surface is hidden by the rest of it."""

import numpy as np

from ..mesh.surface import Surface
from .camera import Camera, look_at_origin
from .rasterize import render
from .visibility import observe

DIRECTIONS, SIZE = 64, 128
"""Views all around that stand for the sky, and their pixels."""


def ambient_occlusion(surface: Surface, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(N,) float32 0..1, from open to enclosed, of points (N, 3) with outward normals (N, 3) float32: the
    share of the sky, weighted by the cosine to the normal (Zhukov et al. 1998), from which orthographic views
    do not see them."""
    sky, seen = np.zeros(len(points), np.float32), np.zeros(len(points), np.float32)
    for buffer in render(surface, _cameras(float(np.linalg.norm(surface.vertices, axis=1).max()))):
        sky += np.maximum(normals @ buffer.camera.rotation[:, 2].astype(np.float32), 0)
        seen += observe(points, normals, buffer, buffer.depth, 1)[0]
    return np.clip(1 - seen / np.maximum(sky, 1e-6), 0, 1)


def _cameras(reach: float) -> list[Camera]:
    """Evenly around the surface, along a spiral of golden angles from below to above."""
    number = np.arange(DIRECTIONS)
    elevation, azimuth = (
        np.degrees(np.arcsin((2 * number + 1) / DIRECTIONS - 1)),
        180 * (3 - np.sqrt(5)) * number,
    )
    rotations = [look_at_origin(*angles) for angles in zip(azimuth, elevation, strict=True)]
    return [
        Camera(rotation, 2 * reach * rotation[:, 2], 0.48 / reach, (0.5, 0.5), SIZE, SIZE, orthographic=True)
        for rotation in rotations
    ]
