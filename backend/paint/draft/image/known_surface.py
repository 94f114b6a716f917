"""What the image tells of the surface: what it shows, what is mirrored of that, and the back of a panel."""

from dataclasses import dataclass

import numpy as np

from ....mesh.voxels import Voxels, interpolate
from ...present import PresentSurface
from .border_light import BorderLight
from .panel import PanelBack
from .pictures import Pictures
from .projection import STRICT_TRUST, Projection, TrustThresholds
from .symmetry import Mirror


@dataclass(frozen=True)
class Forgotten:
    """The part of a surface that is painted as if the image did not show it.

    Attributes:
        voxels: of the surface.
        inside: (N, 1) float32, 1 for the voxels of that part, else 0.
    """

    voxels: Voxels
    inside: np.ndarray

    def weight(self, points: np.ndarray) -> np.ndarray:
        """(M,) float32 0..1: how much of what the image shows at points (M, 3) is forgotten."""
        return interpolate(self.voxels, self.inside, points)[:, 0]


@dataclass(frozen=True)
class KnownSurface:
    """The projected image, its mirror image, and the back of a panel.

    Attributes:
        front: the image, or several.
        paint: what is mirrored of it.
        mirror: of the mesh; None if nothing is mirrored.
        back: the side of a panel that the image does not show; None if the mesh is none.
        thresholds: of trust.
        border: light that what is mirrored is shown under.
        forgotten: what is painted as if it was hidden.
        present: the paint that stays where the image does not show the surface, before what is mirrored.
    """

    front: Projection | Pictures
    paint: Projection | Pictures
    mirror: Mirror | None
    back: PanelBack | None = None
    thresholds: TrustThresholds = STRICT_TRUST
    border: BorderLight | None = None
    forgotten: Forgotten | None = None
    present: PresentSurface | None = None

    def look_up(
        self, points: np.ndarray, normals: np.ndarray, face: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Colours and trust from the image, then from the mirrored side unless that shows lettering, or of
        the back of a panel; see :meth:`Projection.look_up`.

        Args:
            points, normals: (N, 3) float32.
            face: (N,) int, the faces whose winding the normals have.
        """
        colors, trust = self.front.look_up(points, normals, face, self.thresholds)
        other, rest = self._look_up_opposite(points, normals, face, trust)
        if self.back is not None:
            behind = self.back.faces[face]
            other[behind], rest[behind] = self.back.look_up(points[behind]), 1 - trust[behind]
        if self.present is not None:
            other, rest = self._lay_present(points, face, 1 - trust, other, rest)
        if self.border is not None:
            other = self.border.shine_on(other, points)
        total = trust + rest
        colors = (colors * trust[:, None] + other * rest[:, None]) / np.maximum(total, 1e-6)[:, None]
        return colors, total * self._remembered(points)

    def measure_sources(self, points: np.ndarray, normals: np.ndarray, face: np.ndarray) -> np.ndarray:
        """(N, 3) float32: how much of the colour of points (N, 3) with normals (N, 3) on faces (N,) is from
        the image, mirrored, and invented; they sum to 1 without a present
        paint, which has what they lack."""
        _, trust = self.front.look_up(points, normals, face, self.thresholds)
        _, mirrored = self._look_up_opposite(points, normals, face, trust)
        trust, mirrored = np.stack([trust, mirrored]) * self._remembered(points)
        sources = np.column_stack([trust, mirrored, 1 - trust - mirrored])
        if self.present is not None:
            sources[:, 1:] *= 1 - self.present.look_up(points, face)[1][:, None]
        return sources

    def _lay_present(
        self, points: np.ndarray, face: np.ndarray, hidden: np.ndarray, other: np.ndarray, rest: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Colours (N, 3) and how much they count (N,), ``other`` and ``rest`` without the present paint, with
        it as far as the image does not show the points: ``hidden`` (N,)."""
        paint, share = self.present.look_up(points, face)
        kept, rest = hidden * share, rest * (1 - share)
        total = np.maximum(kept + rest, 1e-6)[:, None]
        return (paint * kept[:, None] + other * rest[:, None]) / total, kept + rest

    def _remembered(self, points: np.ndarray) -> np.ndarray:
        """(N,) float32 0..1: how much of what the image shows at points (N, 3) is shown."""
        if self.forgotten is None:
            return np.ones(len(points), np.float32)
        return 1 - self.forgotten.weight(points)

    def _look_up_opposite(
        self, points: np.ndarray, normals: np.ndarray, face: np.ndarray, trust: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Colours (N, 3) that are mirrored to points, and (N,) how much they count where the image itself is
        trusted by ``trust`` (N,): nothing on the back of a panel."""
        if self.mirror is None:
            return np.zeros((len(points), 3), np.float32), np.zeros_like(trust)
        opposite, exists = self.mirror.opposite(points)
        reflected = self.mirror.reflect_directions(normals)
        colors, trust_there = self.paint.look_up(opposite, reflected, face, self.thresholds)
        usable = exists & ~self.paint.shows_lettering(opposite)
        if self.back is not None:
            usable &= ~self.back.faces[face]
        return colors, (1 - trust) * trust_there * usable
