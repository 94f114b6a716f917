"""One resolution level of the synthesis, and what its search starts from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..image.pictures import Pictures
from ..image.projection import Projection
from .config import SynthesisConfig
from .exemplar import Exemplar
from .rotational_prior import predict_from_rings
from .samples import Samples

ColorGuess = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""``guess(points (N, 3), normals (N, 3)) -> colors (N, 3)`` where nothing is known."""

RingPrediction = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""``predict(points (N, 3), normals (N, 3)) -> (colors (N, 3), confidence (N,))`` of hidden points."""


@dataclass(frozen=True)
class Level:
    """One level, of N samples.

    Attributes:
        number: from 0, the coarsest.
        samples: of the surface.
        normals: (N, 3) float32, of the samples' faces as the mesh winds them.
        exemplar: the pictures at this resolution.
        fixed: (N,) bool, the samples whose colours are known.
    """

    number: int
    samples: Samples
    normals: np.ndarray
    exemplar: Exemplar
    fixed: np.ndarray

    @property
    def free(self) -> np.ndarray:
        """(M,) int64 samples to paint."""
        return np.flatnonzero(~self.fixed)


def project_known(
    level: Level, pictures: Projection | Pictures, colors: np.ndarray, config: SynthesisConfig
) -> tuple[np.ndarray, np.ndarray]:
    """NNF (N, 3) float32 of the samples that the pictures themselves show, NaN elsewhere; and all colours (N,
    3), given those of the fixed samples."""
    samples, exemplar = level.samples, level.exemplar
    colors = colors.copy()
    nnf = np.full((len(samples), 3), np.nan, np.float32)
    _, trust = pictures.look_up(samples.points, level.normals, samples.face)
    shown = np.flatnonzero(trust > config.known_trust)
    pixels, inside = exemplar.place(
        *pictures.locate(samples.points[shown], level.normals[shown], samples.face[shown])
    )
    shown, pixels = shown[inside], pixels[inside]
    row, column = pixels[:, 1].astype(int), pixels[:, 0].astype(int)
    # Compared with patches of the shrunk reference, what is known has to be as soft.
    colors[shown] = exemplar.colors[row, column]
    same_side = (exemplar.frames[row, column, 2] * samples.normals[shown]).sum(axis=1) > 0.5
    square = exemplar.usable[row, column] & same_side
    nnf[shown[square], :2] = pixels[square]
    nnf[shown[square], 2] = 0
    return nnf, colors


def guess_free_colors(
    level: Level,
    colors: np.ndarray,
    guess: ColorGuess,
    rings: RingPrediction | None,
    axis: np.ndarray,
    config: SynthesisConfig,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colours (N, 3) with those of the free samples guessed, from rings where these are sure; the rings'
    confidence (N,) float32; and (N,) float32 what copying from another ring costs; 0 for fixed samples.
    ``rings`` predicts them on a surface of revolution; on others they lie around the main ``axis`` (3,)."""
    colors, free, samples = colors.copy(), level.free, level.samples
    known = np.flatnonzero(level.fixed)
    expected, confidence = predict_from_rings(samples, axis, colors, known, free, config.rings)
    cost = config.ring_cost * confidence
    if rings is not None:
        turned, sure = rings(samples.points[free], samples.normals[free])
        expected = np.where((sure > confidence)[:, None], turned, expected)
        cost, confidence = np.maximum(cost, config.turning_cost * sure), np.maximum(confidence, sure)
    guessed = guess(samples.points[free], level.normals[free])
    colors[free] = guessed + confidence[:, None] * (expected - guessed)
    everywhere = np.zeros((2, len(samples)), np.float32)
    everywhere[:, free] = confidence, cost
    return colors, *everywhere


def upsample_nnf(coarse: Level, coarse_nnf: np.ndarray, fine: Level, nnf: np.ndarray) -> None:
    """Fills ``nnf`` (N, 3) for the free samples of the fine level: each continues the patch of the nearest
    coarse sample, or has none where that has the constant colour."""
    samples, free = fine.samples, fine.free
    # The nearest coarse sample that was painted, on the same side of the surface.
    painted = np.flatnonzero(np.isfinite(coarse_nnf[:, 0]) | ~coarse.fixed)
    points, normals, weight = coarse.samples.points, coarse.samples.normals, 0.3 * coarse.samples.spacing
    tree = cKDTree(np.hstack([points[painted], weight * normals[painted]]))
    _, near = tree.query(np.hstack([samples.points[free], weight * samples.normals[free]]), workers=-1)
    near = painted[near]
    has_patch = np.isfinite(coarse_nnf[near, 0])
    near, free = near[has_patch], free[has_patch]
    match = coarse_nnf[near]
    # The fine sample in the coarse one's frame: its offset (M, 2) and first tangent (M, 2).
    offset = np.einsum("nax,nx->na", coarse.samples.frames[near], samples.points[free] - points[near])
    tangent = np.einsum("nax,nx->na", coarse.samples.frames[near], samples.frames[free, 0])
    # Rotated into the exemplar's frame, and moved to its pixels by the Jacobian.
    cosine, sine = np.cos(match[:, 2]), np.sin(match[:, 2])
    along = np.stack(
        [cosine * offset[:, 0] - sine * offset[:, 1], sine * offset[:, 0] + cosine * offset[:, 1]], axis=1
    )
    row, column = match[:, 1].astype(int), match[:, 0].astype(int)
    place = match[:, :2] + np.einsum("nij,nj->ni", coarse.exemplar.jacobian[row, column], along)
    height, width = coarse.exemplar.usable.shape
    inside = (place >= 0).all(axis=1) & (place < (width, height)).all(axis=1)
    place[~inside] = match[~inside, :2]
    # The angle changes by the turn of either frame.
    there = coarse.exemplar.frames[place[:, 1].astype(int), place[:, 0].astype(int), 0]
    exemplar_tangent = np.einsum("nax,nx->na", coarse.exemplar.frames[row, column, :2], there)
    nnf[free, :2] = coarse.exemplar.convert(place, fine.exemplar)
    nnf[free, 2] = (
        match[:, 2]
        + np.arctan2(tangent[:, 1], tangent[:, 0])
        - np.arctan2(exemplar_tangent[:, 1], exemplar_tangent[:, 0])
    )
