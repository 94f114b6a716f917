"""One picture that shows what a job made: the reference, then the textured mesh from four sides."""

from collections.abc import Sequence

import cv2
import numpy as np

from ..mesh.surface import Surface
from .camera import Camera, look_at_origin
from .photograph import photograph, wearing
from .video import contact_sheet

SIZE = 256
"""Pixels along the side of each of its pictures."""

TURNS = (0, 90, 180, 270)
"""Degrees around the vertical axis between the reference's side and each picture's, counter-clockwise seen
from above."""

_ELEVATION = 15.0
_TEXELS = 1024
_MARGIN = 0.94


def sheet(surface: Surface, base_color: np.ndarray, reference: np.ndarray, azimuth: float) -> np.ndarray:
    """The reference and the mesh that wears its texture, unlit, side by side: (SIZE, 5 SIZE, 3) uint8 sRGB.

    Args:
        base_color: (S, S, 3) uint8 sRGB on the surface's UVs, padded beyond the islands.
        reference: (H, W, 3) uint8 sRGB.
        azimuth: degrees, of the first of the four sides.
    """
    if len(base_color) > _TEXELS:
        base_color = cv2.resize(base_color, (_TEXELS, _TEXELS), interpolation=cv2.INTER_AREA)
    color = wearing(surface.corner_uvs, [base_color], np.zeros(len(surface.faces), np.int32))
    sides = [
        np.round(photograph(surface, color, camera)).astype(np.uint8)
        for camera in around(surface.vertices, azimuth)
    ]
    return contact_sheet([reference, *sides], len(sides) + 1, SIZE)


def around(vertices: np.ndarray, azimuth: float) -> Sequence[Camera]:
    """Orthographic cameras that see the whole mesh at one scale."""
    rotations = [look_at_origin(azimuth + turn, _ELEVATION) for turn in TURNS]
    extent = max(np.abs(vertices @ rotation[:, :2]).max() for rotation in rotations)
    return [
        Camera(
            rotation, 2 * rotation[:, 2], _MARGIN / (2 * extent), width=SIZE, height=SIZE, orthographic=True
        )
        for rotation in rotations
    ]
