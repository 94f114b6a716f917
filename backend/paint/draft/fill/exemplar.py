"""The exemplar that patches are copied from: what the pictures show squarely of the surface, side by side."""

from collections.abc import Sequence
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


GAP = 48
"""Columns between two pictures: a patch reads no pixels of the next one."""


@dataclass(frozen=True)
class Exemplar:
    """The pictures at the resolution of some samples, side by side, H x W pixels; "the exemplar's" places are
    columns and rows of these.

    Attributes:
        scales: (P,) float64, per picture its pixels here per pixel of the picture.
        starts: (P,) float32, the column at which each picture begins.
        sizes: (P, 2) int64, width and height of each here.
        has_lettering: whether so much of a picture is lettering that lettering is copied.
        colors: (H, W, 3) float32 sRGB 0..1.
        usable: (H, W) bool: shows the object's surface, squarely and away from edges.
        frames: (H, W, 3, 3) float32 unit vectors: right, up and normal of the surface there, normalised
            space.
        jacobian: (H, W, 2, 2) float32: pixels (columns, rows) per unit of space to the right and up on the
            surface.
        points: (H, W, 3) float32 on the surface, normalised space.
    """

    scales: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    has_lettering: bool
    colors: np.ndarray
    usable: np.ndarray
    frames: np.ndarray
    jacobian: np.ndarray
    points: np.ndarray

    def place(self, picture: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The exemplar's places (N, 2) of pixels (N, 2) of pictures (N,), and (N,) bool whether they lie in
        their picture."""
        places = pixels * self.scales[picture, None]
        inside = (places >= 0).all(axis=1) & (places < self.sizes[picture]).all(axis=1)
        places[:, 0] += self.starts[picture]
        return places, inside

    def convert(self, places: np.ndarray, other: "Exemplar") -> np.ndarray:
        """The places (N, 2) in another exemplar of the same pictures, of places (N, 2) in this one."""
        picture = np.searchsorted(self.starts, places[:, 0], side="right") - 1
        converted = places.copy()
        converted[:, 0] -= self.starts[picture]
        converted *= (other.scales / self.scales).astype(places.dtype)[picture, None]
        converted[:, 0] += other.starts[picture]
        height, width = other.usable.shape
        return np.clip(converted, 0, np.array((width, height)) - 0.01)


def build_exemplar(
    projections: Sequence[Projection],
    surface: Surface,
    field: OrientationField,
    spacing: float | None,
    config: ExemplarConfig = ExemplarConfig(),
) -> Exemplar:
    """The pictures, shrunk until samples ``spacing`` apart are about two pixels from each other; None keeps
    their resolution."""
    return _join([_build_one(projection, surface, field, spacing, config) for projection in projections])


def _join(exemplars: list[Exemplar]) -> Exemplar:
    """The exemplars of single pictures side by side."""
    if len(exemplars) == 1:
        return exemplars[0]
    sizes = np.concatenate([exemplar.sizes for exemplar in exemplars])
    starts = np.concatenate([[0], np.cumsum(sizes[:-1, 0] + GAP)])
    shape = int(sizes[:, 1].max()), int(starts[-1] + sizes[-1, 0])

    def lay(name: str) -> np.ndarray:
        images = [getattr(exemplar, name) for exemplar in exemplars]
        result = np.zeros((*shape, *images[0].shape[2:]), images[0].dtype)
        for image, start in zip(images, starts, strict=True):
            result[: image.shape[0], start : start + image.shape[1]] = image
        return result

    return Exemplar(
        scales=np.concatenate([exemplar.scales for exemplar in exemplars]),
        starts=starts.astype(np.float32),
        sizes=sizes,
        has_lettering=any(exemplar.has_lettering for exemplar in exemplars),
        **{name: lay(name) for name in ("colors", "usable", "frames", "jacobian", "points")},
    )


def _build_one(
    projection: Projection,
    surface: Surface,
    field: OrientationField,
    spacing: float | None,
    config: ExemplarConfig,
) -> Exemplar:
    """The exemplar of one picture."""
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
        scales=np.array([1 / factor]),
        starts=np.zeros(1, np.float32),
        sizes=np.array([(width, height)]),
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
