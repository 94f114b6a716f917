"""References for training: the asset from near its front, a little larger or smaller and turned (specs:
orbitpainter a.9)."""

import cv2
import numpy as np

from ..mesh.surface import Surface
from ..paint.orbitpainter import cameras
from ..render.camera import Camera
from ..render.photograph import Color, photograph

NEAR_FRONT = 30
"""Views of the horizontal orbit, at its beginning and at its end, of which references are taken."""

DEGREES = 10.0
"""Largest turn of the picture."""

SAMPLES = 2
"""Along each side of a pixel, as in the films, which were rendered at twice their size."""


def reference(surface: Surface, color: Color, size: int, random: np.random.Generator) -> np.ndarray:
    """(size, size, 3) uint8 sRGB: the asset over black, from a random view near the front.

    Args:
        surface: of the asset.
        color: as the films show it.
        size: of the picture.
        random: decides view, size and turn.
    """
    views = near_front(size)
    frontal = np.array([max(0.0, -camera.rotation[1, 2]) for camera in views])
    camera = views[random.choice(len(views), p=frontal / frontal.sum())]
    return warped(photograph(surface, color, camera, SAMPLES), *random_warp(random))


def near_front(size: int) -> list[Camera]:
    """The views of the horizontal orbit that show the front."""
    views = cameras.orbits(size)[0].cameras
    return [*views[:NEAR_FRONT], *views[-NEAR_FRONT:]]


def random_warp(random: np.random.Generator) -> tuple[float, float]:
    """Scale and degrees."""
    return 0.9 + 0.3 * random.beta(5, 3), random.uniform(-DEGREES, DEGREES)


def warped(picture: np.ndarray, scale: float, degrees: float) -> np.ndarray:
    """(H, W, 3) uint8: a picture (H, W, 3) float32 0..255 over black, scaled and turned about its middle;
    what comes in is black."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, scale)
    # Over black, the picture is its own product with its alpha: the warp of one is that of the other.
    turned = cv2.warpAffine(
        picture, matrix, (width, height), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_CONSTANT
    )
    return np.clip(np.round(turned), 0, 255).astype(np.uint8)
