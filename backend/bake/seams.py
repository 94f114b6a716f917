"""UV seams: the texels on both sides of a seam are changed, as little as possible, until both show the same
colours along it.

A renderer reads a texture bilinearly, so the colour of an edge depends on texels of the island and of its
padding. Along every seam edge the two reads are set equal at a few places per texel, in least squares over
the texels that those reads touch.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags

PLACES_PER_TEXEL = 3
"""Places along a seam per texel: a bilinear read along a line is a parabola between texel centres."""


@dataclass(frozen=True)
class SeamConfig:
    """How far texels change."""

    fidelity: float = 0.3
    """Weight of a texel's own colour against the equality of one place on a seam. By measurement 3 % of the
    mean difference is left."""

    padding_freedom: float = 3.0
    """How much more readily padding changes than the surface; the surface then changes by a third of what it
    otherwise would."""

    max_steps: int = 40
    """Conjugate gradient steps at most; 30 to 35 are enough."""

    tolerance: float = 1e-6
    """Squared residual, over that at the start, at which the steps end."""


def equalise_seams(
    image: np.ndarray,
    on_surface: np.ndarray,
    faces: np.ndarray,
    corner_uvs: np.ndarray,
    config: SeamConfig = SeamConfig(),
) -> np.ndarray:
    """An atlas whose two sides of every UV seam show the same colours. Only texels that a bilinear read of a
    seam touches change.

    Args:
        image: (S, S, C) uint8 or float32, row 0 at the top, padded beyond the islands.
        on_surface: (S, S) bool: the texels that are not padding.
        faces: (F, 3) int32 over welded vertices: a shared edge has the same two numbers in both its
            triangles.
        corner_uvs: (F, 3, 2) float32 in 0..1, v up.
        config: weights and steps.

    Returns:
        Like ``image``.
    """
    first, second = sample_seams(faces, corner_uvs, len(image))
    if len(first[0]) == 0:
        return image.copy()
    # A row per place: the first side's read minus the second's, over the texels that any read touches.
    index = np.hstack([first[0], second[0]])
    touched, column = np.unique(index, return_inverse=True)
    rows = np.arange(0, index.size + 1, index.shape[1])
    difference = csr_matrix(
        (np.hstack([first[1], -second[1]]).ravel(), column.ravel(), rows), (len(index), len(touched))
    )
    # The change that makes the differences vanish, in units of each texel's freedom.
    freedom = np.where(on_surface.ravel()[touched], 1, config.padding_freedom).astype(np.float32)
    values = image.reshape(-1, image.shape[2])[touched].astype(np.float32)
    values += freedom[:, None] * _conjugate_gradients(
        difference @ diags(freedom), -(difference @ values), config
    )
    if image.dtype == np.uint8:
        values = np.clip(np.round(values), 0, 255)
    result = image.copy()
    result.reshape(-1, image.shape[2])[touched] = values
    return result


def sample_seams(faces: np.ndarray, corner_uvs: np.ndarray, size: int, per_texel: int = PLACES_PER_TEXEL):
    """Bilinear reads of both sides at places along all seams.

    Returns:
        For each of the two sides ``(texels, weights)``, each (N, 4): flat index into an atlas of ``size``
        squared, and float32 bilinear weights.
    """
    # Every half-edge with its two vertices and their pixels, lower vertex first.
    ends = np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2)
    pixels = np.stack([corner_uvs[..., 0], 1 - corner_uvs[..., 1]], axis=2).astype(np.float64) * size
    pixels = np.stack([pixels, np.roll(pixels, -1, axis=1)], axis=2).reshape(-1, 2, 2)
    swapped = ends[:, 0] > ends[:, 1]
    pixels[swapped] = pixels[swapped][:, ::-1]

    # Half-edges of one edge follow each other by key; where their pixels differ the edge is a seam.
    key = ends.min(axis=1).astype(np.int64) * (int(faces.max()) + 1) + ends.max(axis=1)
    order = np.argsort(key, kind="stable")
    one, other = order[:-1], order[1:]
    seam = (key[one] == key[other]) & (np.abs(pixels[one] - pixels[other]).max(axis=(1, 2)) > 1e-3)
    one, other = one[seam], other[seam]
    # A side without length in the atlas has no texels.
    length = np.linalg.norm(pixels[:, 1] - pixels[:, 0], axis=1)
    drawn = np.minimum(length[one], length[other]) > 0
    one, other = one[drawn], other[drawn]

    # Places evenly along each seam, as many as its longer side needs.
    count = np.maximum(np.ceil(per_texel * np.maximum(length[one], length[other])).astype(np.int64), 1)
    edge = np.repeat(np.arange(len(count)), count)
    along = ((np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + 0.5) / count[edge])[:, None]
    return tuple(
        _bilinear(pixels[half, 0][edge] * (1 - along) + pixels[half, 1][edge] * along, size)
        for half in (one, other)
    )


def _bilinear(places: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The four texels (N, 4) of each read at places (N, 2) and their weights; edges of the atlas repeated."""
    places = np.clip(places - 0.5, 0, size - 1)
    corner = np.minimum(places.astype(np.int64), size - 2)
    right, down = (places - corner).T
    weights = [(1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down]
    return (corner[:, 1] * size + corner[:, 0])[:, None] + np.array([0, 1, size, size + 1]), np.stack(
        weights, axis=1
    ).astype(np.float32)


def _conjugate_gradients(matrix: csr_matrix, target: np.ndarray, config: SeamConfig) -> np.ndarray:
    """(N, C) least-squares solution of ``matrix @ x = target`` with x held to 0 by ``fidelity``, on all
    channels at once."""
    matrix, transposed = matrix.tocsr(), matrix.T.tocsr()
    residual = transposed @ target
    x, direction = np.zeros_like(residual), residual
    energy = (residual**2).sum(axis=0)
    enough = config.tolerance * energy
    for _ in range(config.max_steps):
        curved = transposed @ (matrix @ direction) + config.fidelity**2 * direction
        step = energy / np.maximum((direction * curved).sum(axis=0), 1e-30)
        x += step * direction
        residual = residual - step * curved
        energy, before = (residual**2).sum(axis=0), energy
        if (energy <= enough).all():
            break
        direction = residual + energy / np.maximum(before, 1e-30) * direction
    return x
