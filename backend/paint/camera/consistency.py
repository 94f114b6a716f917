"""Whether two registered pictures show the same colours where both see the surface."""

from dataclasses import dataclass

import cv2
import numpy as np

from ...image import shrink_longest
from ...mesh.surface import Surface
from ...mesh.voxels import Voxels, voxelize
from ...render.rasterize import rasterize
from ...render.sample import sample_bilinear
from ...render.visibility import edge_distance, observe
from .registration import Registration


@dataclass(frozen=True)
class ConsistencyConfig:
    """How pictures are compared: broad colours only, for drift and light must not count."""

    # Cells along the longest side of the mesh.
    cells: int = 64
    # Pixels along the longer side of the pictures.
    size: int = 320
    # Standard deviation in those pixels of the blur.
    blur: float = 3.0
    # Cosine between surface and view, and pixels from an edge, from which on a picture sees a voxel.
    min_cosine: float = 0.3
    min_edge: float = 4.0
    # Fraction of the voxels that both see below which two pictures cannot be compared.
    min_shared: float = 0.03
    # Part of the difference that chance would make, and sRGB, from which on they contradict each other.
    chance_share: float = 0.6
    floor: float = 0.03


@dataclass(frozen=True)
class Sight:
    """What a picture shows of voxels.

    Attributes:
        colors: (N, 3) float32 sRGB 0..1.
        seen: (N,) bool.
    """

    colors: np.ndarray
    seen: np.ndarray


class PictureComparison:
    """Compares registered pictures of one surface."""

    def __init__(self, surface: Surface, config: ConsistencyConfig = ConsistencyConfig()):
        self.surface, self.config = surface, config
        self.voxels: Voxels = voxelize(surface, config.cells)

    def look(self, registration: Registration) -> Sight:
        """What a picture shows of the surface."""
        config, view = self.config, registration.match.view
        color, alpha = (
            shrink_longest(image, config.size)
            for image in (registration.reference.color, registration.reference.alpha)
        )
        height, width = alpha.shape
        buffer = rasterize(self.surface.vertices, self.surface.faces, view.camera(width, height))
        # Blurred over the object only.
        weight = cv2.GaussianBlur(alpha, (0, 0), config.blur)[..., None]
        blurred = cv2.GaussianBlur(color * alpha[..., None], (0, 0), config.blur)
        inside = np.where(alpha > 0.5, edge_distance(buffer), 0)
        points = self.voxels.positions
        cosine, edge = observe(points, self.voxels.normals, buffer, inside, 0)
        pixels, _ = buffer.camera.project(points.astype(np.float64))
        colors = sample_bilinear(blurred / np.maximum(weight, 1e-3), pixels)
        return Sight(colors, (cosine > config.min_cosine) & (edge > config.min_edge))

    def measure_contradiction(self, one: Sight, other: Sight) -> float:
        """By how much the colours of two pictures differ, 1 where they begin to contradict each other; 0
        where hardly any voxel is in both. A difference in exposure or white balance is none."""
        both = one.seen & other.seen
        if both.sum() < self.config.min_shared * len(both):
            return 0.0
        here, there = one.colors[both], _match_tone(other.colors[both], one.colors[both])
        difference = float(np.abs(here - there).mean())
        chance = float(np.abs(here - np.random.default_rng(0).permutation(there)).mean())
        return difference / (self.config.chance_share * chance + self.config.floor)


def _match_tone(colors: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(N, 3) float32: colours with one gain per channel, so that their medians are those of a target."""
    gain = np.median(target, axis=0) / np.maximum(np.median(colors, axis=0), 0.02)
    return colors * np.clip(gain, 0.4, 2.5)
