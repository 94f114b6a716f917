"""Gloss: light that a surface mirrors, more or less blurred, on top of what its paint scatters (microfacets
of Walter et al. 2007, with Schlick's approximations of 1994).

It is taken in proportion to the paint, which keeps an image a product of paint and light. That is right where
a thing has one paint, and dark things, of which gloss is most of what is seen, mostly do.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

FRONTAL = np.float32(0.04)
"""Part of the light that plastic, varnish or glass mirror when it falls on them from the front."""

SPREAD = np.float32(0.09)
"""What is added (in quadrature) to the width of highlights because each lamp stands for a patch of the sky:
its radius in radians, halved as halfway vectors halve angles."""

GRAZING = np.float32(0.05)
"""Smallest cosine towards the viewer: nearer the outline the model goes to infinity."""


@dataclass(frozen=True)
class Gloss:
    """What a surface mirrors.

    Attributes:
        strength: against what its paint scatters; 1 is varnish on white.
        roughness: 0 to 1, the square root of the facets' slope.
    """

    strength: float
    roughness: float


def add_gloss(
    columns: np.ndarray,
    normals: np.ndarray,
    towards: np.ndarray,
    directions: np.ndarray,
    gloss: Gloss | None,
) -> np.ndarray:
    """(N, K + 1) float32: what a viewer receives of each lamp, against what white paint scatters.

    Args:
        columns: (N, K + 1) float32, what points receive of each lamp; see
            :class:`.transfer.RadianceTransfer`.
        normals: (N, 3) float32, unit, towards the viewer.
        towards: (N, 3) float32 unit vectors to the viewer.
        directions: (K, 3) float32 unit vectors to the lamps.
        gloss: of the surface; None if it has none.
    """
    if gloss is None:
        return columns
    result = columns.copy()
    _add_gloss(normals, towards, directions, np.float32(gloss.strength), np.float32(gloss.roughness), result)
    return result


@njit(cache=True, nogil=True, error_model="numpy")
def _add_gloss(normals, towards, directions, strength, roughness, result):
    """Adds to the columns ``result`` what of them is mirrored; of the last column what is mirrored of what
    the surface itself keeps from each lamp."""
    count = directions.shape[0]
    share, one, half = np.float32(4 / count), np.float32(1), np.float32(0.5)
    width = roughness**4 + SPREAD**2
    shadowing = half * roughness**2
    for n in range(normals.shape[0]):
        facing = np.float32(0)
        for axis in range(3):
            facing += normals[n, axis] * towards[n, axis]
        seen = max(facing, GRAZING)
        seen_shadowed = seen * (one - shadowing) + shadowing
        kept = np.float32(0)
        for k in range(count):
            cosine, between = np.float32(0), np.float32(0)
            for axis in range(3):
                cosine += normals[n, axis] * directions[k, axis]
                between += towards[n, axis] * directions[k, axis]
            if cosine <= 0:
                continue
            # Cosines of the halfway vector with the normal, and with lamp and viewer.
            halfway = min((cosine + facing) / np.sqrt(max(2 + 2 * between, np.float32(1e-6))), one)
            incidence = np.sqrt(max(half * (one + between), np.float32(0)))
            spread = halfway * halfway * (width - one) + one
            rest = one - incidence
            fresnel = FRONTAL + (one - FRONTAL) * rest * rest * rest * rest * rest
            masking = np.float32(0.25) / ((cosine * (one - shadowing) + shadowing) * seen_shadowed)
            mirrored = strength * width / (spread * spread) * masking * fresnel
            open_part = result[n, k]
            result[n, k] = open_part + mirrored * open_part
            kept += mirrored * max(share * cosine - open_part, np.float32(0))
        result[n, count] += kept
