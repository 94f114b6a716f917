"""References for training: the asset from near its front, slightly scaled and rotated
(docs/models/orbitpainter.md#training-recipe)."""

import cv2
import numpy as np

from ..mesh.surface import Surface
from ..paint.orbitpainter import cameras
from ..render.camera import Camera
from ..render.photograph import SurfaceColor, photograph

FRONT_VIEWS = 30
"""Views at the beginning and at the end of the horizontal orbit from which references are rendered."""

MAX_ROLL_DEGREES = 10.0
"""Largest rotation of a reference in the image plane."""

SAMPLES_PER_AXIS = 2
"""Samples of a pixel along each axis, as in the training's clips, which were rendered at twice their size."""


def render_reference(
    surface: Surface, color: SurfaceColor, size: int, random: np.random.Generator
) -> np.ndarray:
    """(size, size, 3) uint8 sRGB: the asset over black, from a random view near the front.

    Args:
        surface: of the asset.
        color: as the clips show it.
        size: of the image in pixels.
        random: decides view, scale and rotation.
    """
    views = list_front_views(size)
    # The more frontal a view is (cosine), the more probable.
    cosines = np.array([max(0.0, -camera.rotation[1, 2]) for camera in views])
    camera = views[random.choice(len(views), p=cosines / cosines.sum())]
    return warp_image(photograph(surface, color, camera, SAMPLES_PER_AXIS), *draw_warp(random))


def list_front_views(size: int) -> list[Camera]:
    """The views of the horizontal orbit that show the front."""
    views = cameras.orbits(size)[0].cameras
    return [*views[:FRONT_VIEWS], *views[-FRONT_VIEWS:]]


def draw_warp(random: np.random.Generator) -> tuple[float, float]:
    """A random scale and rotation in degrees."""
    return 0.9 + 0.3 * random.beta(5, 3), random.uniform(-MAX_ROLL_DEGREES, MAX_ROLL_DEGREES)


def warp_image(image: np.ndarray, scale: float, degrees: float) -> np.ndarray:
    """(H, W, 3) uint8: an image (H, W, 3) float32 0..255 over black, scaled and rotated about its centre;
    black comes in from outside."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, scale)
    # Over black, the image is already multiplied with its alpha, so that its warp is also that of the
    # product.
    warped = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_CONSTANT
    )
    return np.clip(np.round(warped), 0, 255).astype(np.uint8)
