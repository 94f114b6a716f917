"""Small images of the mesh wearing the reference as a candidate view projects it, from which a user sees
which candidate is right."""

import cv2
import numpy as np

from ...mesh.surface import Surface
from ...render.camera import Camera, look_at_origin
from ...render.rasterize import normals, positions, rasterize
from ...render.sample import sample_bilinear
from ...render.visibility import edge_distance, observe
from ..reference import Reference
from .view import View

IMAGE_SIZE = 256
"""Width and height of an image in pixels."""

SAMPLES = 2
"""Samples along each side of a pixel, so that outlines and stripes are smooth."""

TURN = 25.0
"""Degrees by which the camera of an image is turned from the candidate's, so that a projection from a wrong
view shows."""

PROJECTION_SIZE = 768
"""Pixels along the longer side of the reference at which the mesh is rendered to find what it shows."""

HIDDEN_COLOR = np.float32([0.45, 0.45, 0.48])
"""sRGB of surface that the reference does not show, where it faces the camera."""


def draw_candidate(surface: Surface, reference: Reference, view: View) -> np.ndarray:
    """(IMAGE_SIZE, IMAGE_SIZE, 4) uint8 sRGB, straight alpha: the mesh from a side of the candidate view,
    wearing the reference where that shows it, grey elsewhere.

    Args:
        surface: the mesh, its longest side 1 and centred at the origin.
        reference: its colours are those of the object and whatever surrounds it.
        view: the candidate.
    """
    height, width = reference.alpha.shape
    scale = min(1.0, PROJECTION_SIZE / max(height, width))
    seen = rasterize(
        surface.vertices, surface.faces, view.camera(round(width * scale), round(height * scale))
    )
    buffer = rasterize(surface.vertices, surface.faces, _turned_camera(surface, view))
    shown = buffer.mask
    points, normal = positions(buffer)[shown], normals(buffer, surface)[shown]
    # The reference's colours where its camera sees the surface, from either side.
    cosine, _ = observe(points, normal, seen, edge_distance(seen), winding=0)
    pixels, _ = view.camera(width, height).project(points.astype(np.float64))
    facing = np.abs(normal @ buffer.camera.rotation[:, 2].astype(np.float32))
    color = HIDDEN_COLOR * (0.55 + 0.45 * facing[:, None])
    projected = sample_bilinear(reference.color, pixels)
    color = np.where((cosine > 0)[:, None], projected, color)
    # Premultiplied while it is scaled down.
    image = np.zeros((*shown.shape, 4), np.float32)
    image[shown, :3], image[shown, 3] = np.clip(color, 0, 1), 1
    image = cv2.resize(image, (IMAGE_SIZE, IMAGE_SIZE), interpolation=cv2.INTER_AREA)
    image[..., :3] /= np.maximum(image[..., 3:], 1e-6)
    return np.round(255 * image).astype(np.uint8)


def _turned_camera(surface: Surface, view: View) -> Camera:
    """An orthographic camera that sees the whole mesh from beside the view, on the side of the front."""
    turn = TURN if (view.azimuth + 180) % 360 - 180 < 0 else -TURN
    rotation = look_at_origin(view.azimuth + turn, min(view.elevation + TURN / 2, 80.0))
    reach = float(np.abs(surface.vertices @ rotation[:, :2]).max())
    size = SAMPLES * IMAGE_SIZE
    return Camera(rotation, 2 * rotation[:, 2], 0.47 / reach, width=size, height=size, orthographic=True)
