"""Several projected pictures as one, with the interface of :class:`.projection.Projection`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ....mesh.voxels import Voxels, interpolate
from .projection import STRICT_TRUST, Projection, TrustThresholds

MIN_SHARE = 1e-3
"""Share that a picture has where another one was chosen: it steps in where that shows nothing."""


@dataclass(frozen=True)
class Pictures:
    """Projected pictures of one object.

    Attributes:
        projections: the lead's first.
        voxels: of the surface.
        share: (N, P) float32, how much of the colour of each voxel is from each picture.
    """

    projections: tuple[Projection, ...]
    voxels: Voxels
    share: np.ndarray

    @property
    def lead(self) -> Projection:
        """The projection of the first picture."""
        return self.projections[0]

    def look_up(
        self,
        points: np.ndarray,
        normals: np.ndarray,
        face: np.ndarray,
        thresholds: TrustThresholds = STRICT_TRUST,
    ) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`.projection.Projection.look_up`: the pictures' colours by their share, and the most that
        one of them is trusted."""
        colors, weights, trust = self._weigh(points, normals, face, thresholds)
        total = np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
        return np.einsum("npc,np->nc", colors, weights / total).astype(np.float32), trust.max(axis=1)

    def locate(
        self, points: np.ndarray, normals: np.ndarray, face: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`.projection.Projection.locate`: in the picture that gives most of the colour."""
        _, weights, _ = self._weigh(points, normals, face, STRICT_TRUST)
        picture = weights.argmax(axis=1)
        pixels = np.empty((len(points), 2))
        for number, projection in enumerate(self.projections):
            own = picture == number
            pixels[own] = projection.locate(points[own], normals[own], face[own])[1]
        return picture, pixels

    def is_reliable(self, points: np.ndarray) -> np.ndarray:
        """(N,) bool: whether points (N, 3) appear where their picture shows paint that may be copied."""
        return self._ask(Projection.is_reliable, points)

    def shows_lettering(self, points: np.ndarray) -> np.ndarray:
        """(N,) bool: whether points (N, 3) appear where their picture has letters."""
        return self._ask(Projection.shows_lettering, points)

    def erase_glyphs(self) -> "Pictures":
        """The same pictures without glyphs; themselves if there are none."""
        erased = tuple(projection.erase_glyphs() for projection in self.projections)
        same = all(one is other for one, other in zip(erased, self.projections, strict=True))
        return self if same else replace(self, projections=erased)

    def without(self, pixels: Sequence[np.ndarray]) -> "Pictures":
        """The same pictures, of each of which ``pixels`` (H, W) bool are not copied."""
        return replace(
            self,
            projections=tuple(
                projection.without([own]) for projection, own in zip(self.projections, pixels, strict=True)
            ),
        )

    def share_of(self, number: int, points: np.ndarray) -> np.ndarray:
        """(N,) float32 0..1: how much of the colour of points (N, 3) is from one of the pictures."""
        return interpolate(self.voxels, self.share, points)[:, number]

    def _weigh(
        self, points: np.ndarray, normals: np.ndarray, face: np.ndarray, thresholds: TrustThresholds
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Colours (N, P, 3) of points in each picture, how much each counts (N, P), and is trusted (N, P)."""
        looks = [each.look_up(points, normals, face, thresholds) for each in self.projections]
        colors = np.stack([colors for colors, _ in looks], axis=1)
        trust = np.stack([trust for _, trust in looks], axis=1)
        share = interpolate(self.voxels, self.share, points)
        return colors, trust * np.maximum(share, MIN_SHARE), trust

    def _ask(self, ask: Callable[[Projection, np.ndarray], np.ndarray], points: np.ndarray) -> np.ndarray:
        """(N,) bool: what the picture that gives most of the colour of points (N, 3) answers."""
        picture = interpolate(self.voxels, self.share, points).argmax(axis=1)
        answers = np.stack([ask(projection, points) for projection in self.projections], axis=1)
        return np.take_along_axis(answers, picture[:, None], axis=1)[:, 0]
