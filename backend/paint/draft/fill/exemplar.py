"""What patches are copied from: the part of the reference that shows the surface squarely."""

from dataclasses import dataclass

import cv2
import numpy as np

from ....mesh.surface import Surface
from ....render.rasterize import normals, positions
from ..image.projection import STRICT_TRUST, Projection
from .orientation_field import Field

SQUARE = 0.35
"""Cosine between surface and view from which on a pixel is copied."""

SPARSE = 0.25
"""Share of the surface shown up to which print is a word or two: a piece of it elsewhere would be wrong, so
it is not copied at all."""


@dataclass(frozen=True)
class Source:
    """The reference at the resolution of some samples, H x W pixels.

    Attributes:
        scale: its pixels per pixel of the reference.
        printed: whether much of it is print, which is copied then.
        colors: (H, W, 3) float32 sRGB 0..1.
        usable: (H, W) bool: shows the object's surface, squarely and away from edges.
        frames: (H, W, 3, 3) float32: right, up and normal of the surface there.
        steps: (H, W, 2, 2) float32: pixels, columns and rows, per unit of space to the right and up on the
            surface.
        points: (H, W, 3) float32 on the surface.
    """

    scale: float
    printed: bool
    colors: np.ndarray
    usable: np.ndarray
    frames: np.ndarray
    steps: np.ndarray
    points: np.ndarray


def source(projection: Projection, surface: Surface, field: Field, spacing: float | None) -> Source:
    """The reference, shrunk until samples ``spacing`` apart are about two pixels from each other; None keeps
    its resolution."""
    camera, buffer = projection.buffer.camera, projection.buffer
    point, normal = positions(buffer), normals(buffer, surface)
    towards = camera.directions_to(point.reshape(-1, 3).astype(np.float64)).reshape(point.shape)
    cosine = (towards * normal).sum(axis=2)
    seen = buffer.mask & (
        projection.edge_distance > 0.5 + STRICT_TRUST.edge_margin + projection.outline_mismatch
    )
    usable = seen & (cosine > SQUARE)
    if usable.sum() < 0.3 * seen.sum():
        usable = seen & (cosine > 0.5 * SQUARE)
    printed = bool((usable & projection.lettering).sum() >= SPARSE * usable.sum())
    if not printed:
        usable &= ~projection.lettering
    factor = 1
    if spacing is not None:
        per_unit = (
            camera.focal
            * camera.width
            / (1.0 if camera.orthographic else float(np.median(buffer.depth[buffer.mask])))
        )
        factor = max(1, int(spacing * per_unit / 1.6))
    height, width = (-(-side // factor) for side in usable.shape)
    colors = _shrunk(projection.colors, projection.edge_distance > 0.5, factor, height, width)
    # Geometry is that of the block's middle pixel.
    rows, columns = (np.minimum(np.arange(0, side, factor) + factor // 2, side - 1) for side in usable.shape)
    middle = np.ix_(rows, columns)
    point, normal, usable = point[middle], normal[middle], usable[middle]
    tangents = np.zeros((height, width, 2, 3), np.float32)
    tangents[usable] = field.frames(point[usable], normal[usable])[0]
    frames = np.concatenate([tangents, normal[:, :, None]], axis=2).astype(np.float32)
    return Source(
        1 / factor,
        printed,
        colors,
        usable,
        np.ascontiguousarray(frames),
        _steps(point, tangents, camera) / factor,
        point,
    )


def _shrunk(image: np.ndarray, shown: np.ndarray, factor: int, height: int, width: int) -> np.ndarray:
    """Means of blocks of pixels, over the shown ones where there are any."""
    if factor == 1:
        return np.ascontiguousarray(image, np.float32)
    padding = ((0, height * factor - image.shape[0]), (0, width * factor - image.shape[1]))
    weight = np.pad(shown.astype(np.float32) + np.float32(1e-3), padding, mode="edge")
    image = np.pad(image, (*padding, (0, 0)), mode="edge")
    size = (width, height)
    total = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(image * weight[..., None], size, interpolation=cv2.INTER_AREA) / total[..., None]


def _steps(points: np.ndarray, tangents: np.ndarray, camera) -> np.ndarray:
    """(H, W, 2, 2) float32: how far in pixels of the full image a unit step along each tangent moves."""
    local = (points - camera.position) @ camera.rotation
    moved = tangents @ camera.rotation.astype(np.float32)
    scale = camera.focal * camera.width
    if camera.orthographic:
        right, up = scale * moved[..., 0], scale * moved[..., 1]
    else:
        depth = np.where(local[..., 2] < -1e-6, -local[..., 2], 1.0)[..., None]
        right = scale / depth * (moved[..., 0] + local[..., :1] / depth * moved[..., 2])
        up = scale / depth * (moved[..., 1] + local[..., 1:2] / depth * moved[..., 2])
    return np.stack([right, -up], axis=2).astype(np.float32)
