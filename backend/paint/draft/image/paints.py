"""What remains of light within one paint: most things have few paints, each of one colour.

The colours of paint, as fitted light leaves them, lie scattered around those few. Each is moved to the mode
of their density that it belongs to (mean shift, Comaniciu and Meer 2002), and how far it is moved counts as
light: soft reflections, light from neighbouring parts, highlights too broad for a lamp. Only what is broad
does, and only steps that are small against the fitted light, so that a paint's grain and shades stay where
there was little light.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ....image import shrink_longest
from ....mesh.surface import Surface
from ....parallel import map_ranges
from ....render.camera import Camera
from ....render.rasterize import rasterize
from .color import LUMA
from .lamps import label_pieces


@dataclass(frozen=True)
class PaintConfig:
    """How paints are told apart; colours in natural logarithms."""

    # Pixels along the longer side at which that is done.
    size: int = 320
    # Linear value at which darker ones are cut off: noise.
    darkest: float = 0.003
    # Standard deviations of one paint in brightness and in chromaticity: at most, and brightness as part of
    # the fitted light's own standard deviation.
    brightness: float = 0.2
    chroma: float = 0.08
    light_part: float = 0.5
    # Random pixels that stand for all, and rounds.
    samples: int = 1500
    rounds: int = 2
    # Weight of a pixel of another piece of the mesh: each may have paints of its own.
    other_piece: float = 0.1
    # Largest step that counts as light.
    largest: float = 0.5
    # Standard deviation, in pixels at that size, of the blur of steps: finer differences are the paint's.
    blur: float = 1.5
    # Pixels that are worked on at once.
    chunk: int = 1 << 11


def shade_within_paints(
    log_image: np.ndarray,
    log_light: np.ndarray,
    alpha: np.ndarray,
    camera: Camera,
    surface: Surface,
    config: PaintConfig = PaintConfig(),
) -> np.ndarray:
    """(H, W, 3) float32: the logarithm of what shades an image beside the fitted light; 0 beyond the mesh.

    Args:
        log_image, log_light: (H, W, 3) float32, logarithms of linear light.
        alpha: (H, W) float32, the object.
        camera: its view of the mesh.
        surface: the mesh.
        config: of the paints.
    """
    # Small; what counts is inside the outline, whose pixels show the background too.
    alpha = shrink_longest(alpha, config.size)
    log_light = shrink_longest(log_light, config.size)
    paint = shrink_longest(log_image, config.size) - log_light
    buffer = rasterize(
        surface.vertices, surface.faces, replace(camera, width=alpha.shape[1], height=alpha.shape[0])
    )
    inside = buffer.mask & (alpha > 0.98)
    inside = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    result = np.zeros(paint.shape, np.float32)
    if inside.any():
        narrow = min(1, config.light_part * float((log_light[inside] @ LUMA).std()) / config.brightness)
        piece = label_pieces(surface)[buffer.face[inside]]
        mode = _shift_to_modes(paint[inside], piece, narrow, config)
        result[inside] = np.clip(paint[inside] - mode, -config.largest, config.largest)
        # Blurred within what counts.
        amount = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), config.blur)
        result = cv2.GaussianBlur(result, (0, 0), config.blur) / np.maximum(amount, 0.01)[..., None]
        result[~buffer.mask] = 0
    return cv2.resize(result, log_image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _shift_to_modes(paint: np.ndarray, piece: np.ndarray, narrow: float, config: PaintConfig) -> np.ndarray:
    """(N, 3) float32: log colours ``paint`` (N, 3) of pixels of pieces (N,), moved towards the modes of their
    density, whose kernel is ``narrow`` times as wide as configured."""
    chosen = np.random.default_rng(0).permutation(len(paint))[: config.samples]
    sample, sample_piece = paint[chosen], piece[chosen]
    brightness, chroma = max(narrow * config.brightness, 1e-3), max(narrow * config.chroma, 1e-3)

    def embed(colors: np.ndarray) -> np.ndarray:
        grey = colors.mean(axis=1, keepdims=True)
        return np.hstack([grey / brightness, (colors - grey) / chroma]).astype(np.float32)

    place = embed(sample)

    def shift(first: int, end: int) -> np.ndarray:
        colors = paint[first:end]
        factor = np.where(piece[first:end, None] == sample_piece, np.float32(1), config.other_piece)
        for _ in range(config.rounds):
            here = embed(colors)
            squared = np.square(here).sum(axis=1)[:, None] + np.square(place).sum(axis=1) - 2 * here @ place.T
            weight = factor * np.exp(-0.5 * np.clip(squared, 0, 60))
            # The little weight on itself leaves a colour that has no like where it is.
            total = weight.sum(axis=1, keepdims=True) + 1e-3
            colors = ((weight @ sample + 1e-3 * colors) / total).astype(np.float32)
        return colors

    return np.concatenate(map_ranges(shift, len(paint), config.chunk))
