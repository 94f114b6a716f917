"""Contact sheets: images in a grid, and the one that shows a job's result."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from ..image import shrink_longest
from ..mesh.surface import Surface
from .camera import Camera, look_at_origin
from .photograph import photograph, texture_lookup

CELL_SIZE = 256
"""Pixels along each image of a job's contact sheet."""

AZIMUTHS = (0, 90, 180, 270)
"""Degrees around the vertical axis from the reference's view to each of the four, counter-clockwise seen from
above."""

ELEVATION = 15.0
"""Degrees of the four views above the horizon."""

MAX_TEXTURE_SIZE = 1024
"""Texels along the texture that is rendered; a larger one is shrunk first."""

FILLED = 0.94
"""Fraction of an image that the mesh fills at most."""


def render_contact_sheet(
    surface: Surface, base_color: np.ndarray, reference: np.ndarray, azimuth: float
) -> np.ndarray:
    """(CELL_SIZE, 5 CELL_SIZE, 3) uint8 sRGB: the reference, then the textured mesh from four sides, unlit.

    Args:
        base_color: (S, S, 3) uint8 sRGB on the surface's UVs, padded beyond the islands.
        reference: (H, W, 3) uint8 sRGB.
        azimuth: degrees, of the first of the four views.
    """
    base_color = shrink_longest(base_color, MAX_TEXTURE_SIZE)
    color = texture_lookup(surface.corner_uvs, [base_color], np.zeros(len(surface.faces), np.int32))
    sides = [
        np.round(photograph(surface, color, camera)).astype(np.uint8)
        for camera in cameras_around(surface.vertices, azimuth)
    ]
    return contact_sheet([reference, *sides], len(sides) + 1, CELL_SIZE)


def cameras_around(vertices: np.ndarray, azimuth: float) -> Sequence[Camera]:
    """Orthographic cameras from four sides that see the whole mesh at one scale."""
    rotations = [look_at_origin(azimuth + turn, ELEVATION) for turn in AZIMUTHS]
    extent = max(np.abs(vertices @ rotation[:, :2]).max() for rotation in rotations)
    return [
        Camera(
            rotation,
            2 * rotation[:, 2],
            FILLED / (2 * extent),
            width=CELL_SIZE,
            height=CELL_SIZE,
            orthographic=True,
        )
        for rotation in rotations
    ]


def contact_sheet(frames: Sequence[np.ndarray], columns: int, cell_size: int = 256) -> np.ndarray:
    """(H, W, 3) uint8: frames (h, w, 3) uint8 shrunk into cells, left to right, top to bottom."""
    rows = -(-len(frames) // columns)
    sheet = np.zeros((rows * cell_size, columns * cell_size, 3), np.uint8)
    for index, frame in enumerate(frames):
        row, column = divmod(index, columns)
        image = Image.fromarray(frame)
        image.thumbnail((cell_size, cell_size), Image.Resampling.LANCZOS)
        # In the middle of its cell.
        pasted = np.asarray(image)
        top = row * cell_size + (cell_size - pasted.shape[0]) // 2
        left = column * cell_size + (cell_size - pasted.shape[1]) // 2
        sheet[top : top + pasted.shape[0], left : left + pasted.shape[1]] = pasted
    return sheet
