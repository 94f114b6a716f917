"""Fits the lamps around a surface to an image of it.

A pixel is paint times irradiance, and irradiance is a sum over lamps all around of how much of each reaches
the point (:mod:`.transfer`), so that sun, sky, floor, cast shadows and ambient occlusion are one model. The
lamps are fitted to differences of the logarithm between pixels that are near and of one chromaticity
(retinex, Land and McCann 1971): within one paint, only light differs. Borders of paint and highlights are
outliers to a redescending loss (Geman and McClure 1987); lamps are exponentials, so that none is negative.
How glossy the surface is (:mod:`.gloss`) is tried out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.sparse import coo_matrix, diags
from scipy.spatial import cKDTree

from ....image import shrink_longest
from ....mesh.edges import link_components
from ....mesh.surface import Surface
from ....render.camera import Camera
from ....render.rasterize import normals, rasterize, visible_points
from .color import LUMA, to_linear
from .gloss import Gloss, add_gloss
from .transfer import RadianceTransfer


@dataclass(frozen=True)
class LampConfig:
    """How lamps are fitted."""

    # Pixels along the longer side at which light is fitted.
    fit_size: int = 160
    # Brightest channel, sRGB, from which on a pixel counts as clipped and says nothing.
    clipped: float = 0.985
    # Linear value of the brightest channel below which a pixel is noise.
    noise_floor: float = 0.004
    # Usable pixels, at that size, below which the image shows too little.
    min_pixels: int = 200
    # Pixels between the pixels of a pair, and the weight of all pairs of that distance.
    pair_distances: tuple[int, ...] = (2, 6, 16, 40, 90)
    pair_weights: tuple[float, ...] = (0.5, 0.5, 0.7, 1.0, 1.0)
    # Random pairs of each distance.
    pairs: int = 4000
    # Difference in log chromaticity at which a pair's weight has fallen to 1/e.
    chroma_sigma: float = 0.12
    # Scale of the loss in natural logarithms of brightness: larger differences are paint or highlights.
    loss_scale: float = 0.25
    # Factor on that scale in the first round, and per round (graduated non-convexity).
    first_scale: float = 6.0
    scale_decay: float = 0.75
    # Levenberg-Marquardt rounds on luminance, then twice on each channel.
    rounds: int = 24
    channel_rounds: int = 6
    # Weights of the squared differences between the logarithms of neighbouring lamps, of those logarithms,
    # and of their deviation from grey, against a data term whose weights sum to 1.
    smoothness: float = 0.00015
    ridge: float = 0.0003
    greyness: float = 0.02
    # Weight of a pair between two loose pieces of the mesh, or two of its material slots, each of which may
    # have a paint of its own.
    between_pieces: float = 1.0
    # Kinds of gloss that are tried, each from the lamps of the one before.
    glosses: tuple[Gloss, ...] = (Gloss(2, 0.5), Gloss(10, 0.5), Gloss(30, 0.5))
    # Rounds for each, and the factors on the loss's scale of the first and per round.
    gloss_rounds: int = 8
    gloss_scale: float = 2.0
    gloss_decay: float = 0.8
    # Part by which gloss has to lessen the loss to be believed, and loss that counts as noise then.
    gloss_gain: float = 0.05
    gloss_noise: float = 0.0005
    # Scale of the loss, and loss that counts as noise, when it is said how much of it light explains. Narrow:
    # light explains the shades of one paint exactly, paints only about.
    judged_scale: float = 0.06
    noise_loss: float = 0.001


@dataclass(frozen=True)
class LampFit:
    """The light in an image.

    Attributes:
        radiance: (K + 1, 3) float32, linear, of each lamp and of the surface itself, up to a factor per
            channel; see :class:`.transfer.RadianceTransfer`.
        gloss: of the surface; None if it is matt.
        explained: fraction, 0..1, of the differences within one piece of the mesh and one paint that this
            light explains.
    """

    radiance: np.ndarray
    gloss: Gloss | None
    explained: float


def fit_lamps(
    color: np.ndarray,
    alpha: np.ndarray,
    camera: Camera,
    surface: Surface,
    transfer: RadianceTransfer,
    config: LampConfig = LampConfig(),
) -> LampFit | None:
    """Fits lamps to an image; None if it shows too little.

    Args:
        color: (H, W, 3) float32 sRGB.
        alpha: (H, W) float32, the object.
        camera: its view of the mesh.
        surface: the mesh.
        transfer: which lamps reach what.
        config: of the fit.
    """
    # The image, small.
    linear = shrink_longest(to_linear(color), config.fit_size)
    brightest = shrink_longest(color.max(axis=2), config.fit_size)
    alpha = shrink_longest(alpha, config.fit_size)
    buffer = rasterize(
        surface.vertices, surface.faces, replace(camera, width=alpha.shape[1], height=alpha.shape[0])
    )
    inside = cv2.erode((buffer.mask & (alpha > 0.98)).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    usable = inside & (brightest < config.clipped) & (linear.max(axis=2) > config.noise_floor)
    if usable.sum() < config.min_pixels:
        return None
    first, second, weight = sample_pairs(usable, config)
    # What each pixel receives of each lamp, and which pairs may have one paint.
    points, normal = visible_points(buffer), normals(buffer, surface)[buffer.mask]
    kept = usable[buffer.mask]
    points, normal = points[kept], normal[kept]
    matt = transfer.columns(points, normal)
    towards = camera.directions_to(points).astype(np.float32)
    log_image = np.log(np.maximum(linear[usable], 1e-4))
    piece = label_pieces(surface)[buffer.face[usable]]
    within = piece[first] == piece[second]
    weight = weight * np.where(within, 1, config.between_pieces)
    pairs = _Pairs(first, second, weight * _same_chroma(log_image, first, second, config))
    # On luminance, for each kind of gloss; the one that leaves least is taken.
    prior = lamp_prior(transfer.directions, config)
    luma = np.log(np.maximum(linear[usable] @ LUMA, 1e-4))
    judged = _Pairs(first, second, pairs.weight * within)
    fits = [
        (_gloss_cost(judged.loss(residual, config.loss_scale), gloss, config), gloss, columns, lamps)
        for gloss, columns, lamps, residual in _fit_glosses(
            matt, normal, towards, luma, pairs, prior, transfer, config
        )
    ]
    _, gloss, columns, grey = min(fits, key=lambda fit: fit[0])
    # Per channel, with pairs of the same recovered paint in the second half.
    lamps = np.tile(grey[:, None], 3)
    prior = prior + config.greyness / len(grey) * np.eye(len(grey))
    scales = np.full(config.channel_rounds, config.loss_scale)
    for _ in range(2):
        for channel in range(3):
            lamps[:, channel] = _solve(
                columns, log_image[:, channel], pairs, prior, lamps[:, channel], grey, scales
            )
        paint = log_image - _log_light(columns, lamps)
        pairs = _Pairs(first, second, weight * _same_chroma(paint, first, second, config))
    # What it explains of differences that another paint does not.
    before, after = (
        judged.loss(values, config.judged_scale) for values in (luma, luma - _log_light(columns, grey))
    )
    explained = 1 - (after + config.noise_loss) / (before + config.noise_loss)
    return LampFit(np.exp(lamps).astype(np.float32), gloss, float(explained))


def _fit_glosses(
    matt: np.ndarray,
    normal: np.ndarray,
    towards: np.ndarray,
    luma: np.ndarray,
    pairs: "_Pairs",
    prior: np.ndarray,
    transfer: RadianceTransfer,
    config: LampConfig,
) -> Iterator[tuple[Gloss | None, np.ndarray, np.ndarray, np.ndarray]]:
    """Yields ``(gloss, columns, lamps, residual)`` for a matt surface and for each kind of gloss: what pixels
    receive of each lamp (N, K + 1), the logarithms of lamps (K + 1,), and the logarithm of paint (N,)."""
    start = np.zeros(matt.shape[1])
    scales = np.maximum(config.first_scale * config.scale_decay ** np.arange(config.rounds), 1.0)
    again = np.maximum(config.gloss_scale * config.gloss_decay ** np.arange(config.gloss_rounds), 1.0)
    lamps = start
    for gloss in (None, *config.glosses):
        columns = add_gloss(matt, normal, towards, transfer.directions, gloss)
        rounds = config.loss_scale * (scales if gloss is None else again)
        lamps = _solve(columns, luma, pairs, prior, lamps, start, rounds)
        yield gloss, columns, lamps, luma - _log_light(columns, lamps)


def _gloss_cost(loss: float, gloss: Gloss | None, config: LampConfig) -> float:
    """By which kinds of gloss are compared: the logarithm of what remains, and what gloss has to gain."""
    return float(np.log(loss + config.gloss_noise)) + (config.gloss_gain if gloss else 0)


def _log_light(columns: np.ndarray, lamps: np.ndarray) -> np.ndarray:
    """(N,) or (N, C) logarithm of the light at pixels with columns (N, K + 1) under lamps whose logarithms
    are (K + 1,) or (K + 1, C)."""
    return np.log(np.maximum(columns @ np.exp(lamps).astype(np.float32), 1e-9))


def label_pieces(surface: Surface) -> np.ndarray:
    """(F,) int64: a number for each of the loose pieces and material slots that a face lies in."""
    each = np.arange(len(surface.vertices))
    piece = link_components(np.hstack([[each, each], surface.faces[:, :2].T, surface.faces[:, 1:].T]))[
        surface.faces[:, 0]
    ].astype(np.int64)
    return piece if surface.slots is None else piece + (piece.max() + 1) * surface.slots.astype(np.int64)


@dataclass(frozen=True)
class _Pairs:
    """Pairs of pixels, as indices (M,) int64 of both, and their weights (M,), which are scaled to sum to
    1."""

    first: np.ndarray
    second: np.ndarray
    weight: np.ndarray

    def __post_init__(self):
        object.__setattr__(self, "weight", self.weight / max(self.weight.sum(), 1e-12))

    def loss(self, values: np.ndarray, scale: float) -> float:
        """Geman and McClure's loss of the differences of values (N,)."""
        squared = np.square(values[self.first] - values[self.second])
        return float(self.weight @ (squared / (1 + squared / scale**2)))

    def laplacian(self, values: np.ndarray, scale: float):
        """(N, N) sparse: the graph Laplacian of the pairs as that loss weights them at values (N,)."""
        squared, count = np.square(values[self.first] - values[self.second]), len(values)
        weight = self.weight / np.square(1 + squared / scale**2)
        links = coo_matrix((weight, (self.first, self.second)), shape=(count, count)).tocsr()
        links = links + links.T
        return (diags(np.asarray(links.sum(axis=1)).ravel()) - links).tocsr()


def sample_pairs(usable: np.ndarray, config: LampConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``(first, second, weight)``, (M,) each: random pairs of usable pixels (H, W) bool, as indices among
    them, at the configured distances."""
    random = np.random.default_rng(0)
    index = np.full(usable.shape, -1)
    index[usable] = np.arange(usable.sum())
    rows, columns = np.nonzero(usable)
    pairs = []
    for distance, total in zip(config.pair_distances, config.pair_weights, strict=True):
        start = random.integers(0, len(rows), 4 * config.pairs)
        angle = random.uniform(0, 2 * np.pi, len(start))
        row = rows[start] + np.round(distance * np.sin(angle)).astype(int)
        column = columns[start] + np.round(distance * np.cos(angle)).astype(int)
        within = (row >= 0) & (row < usable.shape[0]) & (column >= 0) & (column < usable.shape[1])
        start, end = start[within], index[row[within], column[within]]
        start, end = start[end >= 0][: config.pairs], end[end >= 0][: config.pairs]
        pairs.append((start, end, np.full(len(start), total / config.pairs)))
    return tuple(np.concatenate(part) for part in zip(*pairs, strict=True))


def _same_chroma(
    log_color: np.ndarray, first: np.ndarray, second: np.ndarray, config: LampConfig
) -> np.ndarray:
    """(M,) 1 for pairs of pixels of one log chromaticity, towards 0 the more it differs; ``log_color``
    (N, 3)."""
    chroma = log_color - log_color.mean(axis=1, keepdims=True)
    return np.exp(-np.square(chroma[first] - chroma[second]).sum(axis=1) / config.chroma_sigma**2)


def lamp_prior(directions: np.ndarray, config: LampConfig) -> np.ndarray:
    """(K + 1, K + 1) float64: the quadratic form that keeps the logarithms of lamps in directions (K, 3)
    small and alike between neighbours."""
    count = len(directions)
    near = cKDTree(directions).query(directions, k=7)[1][:, 1:]
    edges = np.stack([np.repeat(np.arange(count), near.shape[1]), near.ravel()], axis=1)
    difference = np.zeros((len(edges), count + 1))
    difference[np.arange(len(edges)), edges[:, 0]] += 1
    difference[np.arange(len(edges)), edges[:, 1]] -= 1
    return config.smoothness / len(edges) * difference.T @ difference + config.ridge / (count + 1) * np.eye(
        count + 1
    )


def _solve(
    columns: np.ndarray,
    log_image: np.ndarray,
    pairs: _Pairs,
    prior: np.ndarray,
    start: np.ndarray,
    usual: np.ndarray,
    scales: np.ndarray,
) -> np.ndarray:
    """(K + 1,) logarithms of lamps, by a Levenberg-Marquardt step per scale of the loss.

    Args:
        columns: (N, K + 1) float32, see :class:`.transfer.RadianceTransfer`.
        log_image: (N,) logarithm of the image.
        pairs: that are compared.
        prior: (K + 1, K + 1) quadratic form of the deviation from ``usual``.
        start, usual: (K + 1,) where the search begins, and what the prior pulls to.
        scales: (R,) of the loss.
    """
    lamps, damping = start, 1e-3
    for scale in scales:
        light = columns @ np.exp(lamps).astype(np.float32)
        residual = log_image - np.log(np.maximum(light, 1e-9))
        jacobian = columns * np.exp(lamps).astype(np.float32) / np.maximum(light, 1e-9)[:, None]
        laplacian = pairs.laplacian(residual, scale).astype(np.float32)
        weighted = (laplacian @ jacobian).T
        matrix = (weighted @ jacobian).astype(np.float64) + prior
        gradient = (weighted @ residual).astype(np.float64) - prior @ (lamps - usual)
        before = pairs.loss(residual, scale) + (lamps - usual) @ prior @ (lamps - usual)
        for _ in range(4):
            damped = matrix + damping * np.diag(np.diag(matrix))
            trial = lamps + np.clip(np.linalg.solve(damped, gradient), -2, 2)
            after = pairs.loss(log_image - _log_light(columns, trial), scale)
            if after + (trial - usual) @ prior @ (trial - usual) < before:
                lamps, damping = trial, max(damping / 3, 1e-6)
                break
            damping *= 5
    return lamps
