"""The exemplar that patches are copied from: the part of the reference that shows the surface squarely."""

from dataclasses import dataclass

import cv2
import numpy as np

from ....mesh.surface import Surface
from ....render.camera import Camera
from ....render.rasterize import normals, positions
from ..image.projection import STRICT_TRUST, Projection
from .orientation_field import OrientationField


@dataclass(frozen=True)
class ExemplarConfig:
    """Tuned numbers of the exemplar."""

    min_cosine: float = 0.35
    """Cosine between surface normal and view direction from which on a pixel is copied; half of it where that
    leaves too few pixels."""

    min_usable: float = 0.3
    """Fraction of the pixels that show the surface below which there are too few of them."""

    min_reliable: float = 0.5
    """Fraction of those pixels that show paint reliably below which the others are copied, too."""

    min_others: float = 0.1
    """Fraction of those pixels that are not excluded below which nothing is."""

    min_lettering: float = 0.25
    """Fraction of lettering from which on it is copied. Less of it is a word or two, and a piece of those
    would be wrong elsewhere."""

    pixels_per_spacing: float = 1.6
    """Pixels between two samples at least, at the surface's median depth."""


@dataclass(frozen=True)
class Exemplar:
    """The reference at the resolution of some samples, H x W pixels.

    Attributes:
        scale: its pixels per pixel of the reference.
        has_lettering: whether so much of it is lettering that lettering is copied.
        colors: (H, W, 3) float32 sRGB 0..1.
        usable: (H, W) bool: shows the object's surface, squarely and away from edges.
        frames: (H, W, 3, 3) float32 unit vectors: right, up and normal of the surface there, normalised
            space.
        jacobian: (H, W, 2, 2) float32: pixels (columns, rows) per unit of space to the right and up on the
            surface.
        points: (H, W, 3) float32 on the surface, normalised space.
    """

    scale: float
    has_lettering: bool
    colors: np.ndarray
    usable: np.ndarray
    frames: np.ndarray
    jacobian: np.ndarray
    points: np.ndarray


def build_exemplar(
    projection: Projection,
    surface: Surface,
    field: OrientationField,
    spacing: float | None,
    config: ExemplarConfig = ExemplarConfig(),
) -> Exemplar:
    """The reference, shrunk until samples ``spacing`` apart are about two pixels from each other; None keeps
    its resolution."""
    camera, buffer = projection.buffer.camera, projection.buffer
    # Usable pixels: squarely seen, away from edges, without lettering unless there is much of it.
    point, normal = positions(buffer), normals(buffer, surface)
    towards = camera.directions_to(point.reshape(-1, 3).astype(np.float64)).reshape(point.shape)
    cosine = (towards * normal).sum(axis=2)
    seen = buffer.mask & (
        projection.edge_distance > 0.5 + STRICT_TRUST.edge_margin + projection.outline_mismatch
    )
    usable = seen & (cosine > config.min_cosine)
    if usable.sum() < config.min_usable * seen.sum():
        usable = seen & (cosine > 0.5 * config.min_cosine)
    # Without what light has spoilt, unless that is most of it.
    reliable = usable & projection.reliable
    if reliable.sum() >= config.min_reliable * usable.sum():
        usable = reliable
    others = usable & ~projection.excluded
    if others.sum() >= config.min_others * usable.sum():
        usable = others
    has_lettering = bool((usable & projection.lettering).sum() >= config.min_lettering * usable.sum())
    if not has_lettering:
        usable &= ~projection.lettering
    # Colours are means over blocks, geometry is that of a block's middle pixel.
    factor = 1
    if spacing is not None:
        depth = 1.0 if camera.orthographic else float(np.median(buffer.depth[buffer.mask]))
        per_unit = camera.focal * camera.width / depth
        factor = max(1, int(spacing * per_unit / config.pixels_per_spacing))
    height, width = (-(-size // factor) for size in usable.shape)
    colors = _average_shown_blocks(projection.colors, projection.edge_distance > 0.5, factor, height, width)
    rows, columns = (np.minimum(np.arange(0, size, factor) + factor // 2, size - 1) for size in usable.shape)
    middle = np.ix_(rows, columns)
    point, normal, usable = point[middle], normal[middle], usable[middle]
    tangents = np.zeros((height, width, 2, 3), np.float32)
    tangents[usable] = field.tangent_frames(point[usable], normal[usable])[0]
    frames = np.concatenate([tangents, normal[:, :, None]], axis=2).astype(np.float32)
    return Exemplar(
        scale=1 / factor,
        has_lettering=has_lettering,
        colors=colors,
        usable=usable,
        frames=np.ascontiguousarray(frames),
        jacobian=_projection_jacobian(point, tangents, camera) / factor,
        points=point,
    )


def _average_shown_blocks(
    image: np.ndarray, shown: np.ndarray, factor: int, height: int, width: int
) -> np.ndarray:
    """(height, width, C) float32: means of blocks of ``factor`` pixels, over the ``shown`` ones where there
    are any."""
    if factor == 1:
        return np.ascontiguousarray(image, np.float32)
    padding = ((0, height * factor - image.shape[0]), (0, width * factor - image.shape[1]))
    weight = np.pad(shown.astype(np.float32) + np.float32(1e-3), padding, mode="edge")
    image = np.pad(image, (*padding, (0, 0)), mode="edge")
    shape = (width, height)
    total = cv2.resize(weight, shape, interpolation=cv2.INTER_AREA)
    return cv2.resize(image * weight[..., None], shape, interpolation=cv2.INTER_AREA) / total[..., None]


def _projection_jacobian(points: np.ndarray, tangents: np.ndarray, camera: Camera) -> np.ndarray:
    """(H, W, 2, 2) float32: columns and rows of the full image that a unit step along each of the tangents
    (H, W, 2, 3) at points (H, W, 3) moves by."""
    # Camera space: x to the right, y up, looking along -z.
    local = (points - camera.position) @ camera.rotation
    direction = tangents @ camera.rotation.astype(np.float32)
    scale = camera.focal * camera.width
    if camera.orthographic:
        right, up = scale * direction[..., 0], scale * direction[..., 1]
    else:
        depth = np.where(local[..., 2] < -1e-6, -local[..., 2], 1.0)[..., None]
        right = scale / depth * (direction[..., 0] + local[..., :1] / depth * direction[..., 2])
        up = scale / depth * (direction[..., 1] + local[..., 1:2] / depth * direction[..., 2])
    return np.stack([right, -up], axis=2).astype(np.float32)
