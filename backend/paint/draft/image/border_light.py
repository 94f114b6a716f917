"""The light of what the image shows, carried a little over its border: the front stays lit and the hidden
side has none, so that without it the shadow of the front would end in a step."""

from dataclasses import dataclass

import numpy as np

from ....mesh.voxels import Voxels, interpolate
from ....neighbors import nearest_neighbors, weighted_mean
from ....render.sample import sample_bilinear
from .color import to_linear, to_srgb
from .projection import LENIENT_TRUST, Projection, smoothstep


@dataclass(frozen=True)
class BorderLightConfig:
    """How far light is carried; lengths in longest sides of the mesh."""

    # Standard deviation of the blur of light along the border.
    blur: float = 0.04
    # Distance from what is shown at which light has faded to the usual.
    reach: float = 0.1
    # Distance that a difference of 1 between two normals counts as: the inside of a shell has a light of its
    # own.
    normal_weight: float = 0.15
    # Trust in the image from which on it shows a voxel: up to the border of what frames take from it.
    min_trust: float = 0.25
    # Visible voxels that light is read from.
    max_samples: int = 4000
    # Nearest of those that a blur, and a hidden voxel's light, is mixed from.
    blur_neighbours: int = 48
    neighbours: int = 8


@dataclass(frozen=True)
class BorderLight:
    """Light on a surface near the border of what an image shows.

    Attributes:
        voxels: of the surface.
        log_light: (N, 3) float32, logarithm of their irradiance; 0 is usual.
    """

    voxels: Voxels
    log_light: np.ndarray

    @staticmethod
    def measure(
        irradiance: np.ndarray,
        projection: Projection,
        voxels: Voxels,
        seed: int,
        config: BorderLightConfig = BorderLightConfig(),
    ) -> "BorderLight | None":
        """From the irradiance (H, W, 3) float32 in an image; None if the image shows no voxel."""
        _, trust = projection.look_up(voxels.positions, voxels.normals, voxels.face, LENIENT_TRUST)
        shown = np.flatnonzero(trust > config.min_trust)
        if not len(shown):
            return None
        random = np.random.default_rng(seed)
        sample = random.choice(shown, min(len(shown), config.max_samples), replace=False)
        pixels, _ = projection.buffer.camera.project(voxels.positions[sample].astype(np.float64))
        light = sample_bilinear(np.log(irradiance), pixels)
        # Blurred along what is shown, then carried to the rest.
        feature = np.hstack([voxels.positions, config.normal_weight * voxels.normals])
        distance, near = nearest_neighbors(feature[sample], feature[sample], config.blur_neighbours)
        light = _mix(light, near, np.exp(-0.5 * (distance / config.blur) ** 2))
        distance, near = nearest_neighbors(feature[sample], feature, config.neighbours)
        fade = 1 - smoothstep(distance[:, 0], 0, config.reach)
        return BorderLight(voxels, _mix(light, near, 1 / (distance + 0.01) ** 2) * fade[:, None])

    def shine_on(self, colors: np.ndarray, points: np.ndarray) -> np.ndarray:
        """(N, 3) float32 sRGB: paint (N, 3) sRGB at points (N, 3) of the surface under this light."""
        light = np.exp(interpolate(self.voxels, self.log_light, points))
        return to_srgb(np.clip(to_linear(np.clip(colors, 0, 1)) * light, 0, 1))


def _mix(values: np.ndarray, near: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(M, C) float32 means of values (N, C) over neighbours (M, K) by weights (M, K)."""
    return weighted_mean(values, near, weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)
