"""PatchMatch between samples of the surface and the exemplar (Barnes et al. 2009, 2010), and voting (Wexler
et al. 2007).

The nearest-neighbour field (NNF) has three numbers per sample: column and row of the exemplar, and the angle
by which the sample's frame is rotated against the exemplar's, in radians. A patch reads the exemplar where
the sample's unrolled neighbours fall. All samples improve at once from the last round's NNF, so that the
result does not depend on the number of cores.
"""

import numpy as np
from numba import njit

from ....parallel import map_ranges
from .level_state import (
    OCCURRENCE_CELL,
    LevelState,
    RoundArrays,
    exemplar_arrays,
    target_arrays,
)

FASTMATH = {"reassoc", "contract", "arcp", "nsz"}
"""What the compiler may do with sums; infinite costs and the NaN of missing patches have to be kept."""

CHUNK_SIZE = 2048
"""Samples that a thread works on at a time."""

OUTSIDE_COST = 2.0
"""Cost of a neighbour that falls where the exemplar is not usable; one of a random colour costs 1."""

QUARTER_TURN_COST = 0.4
"""Cost of a quarter turn against the exemplar, where the surface has a direction."""

HALF_TURN_COST = 0.1
"""Cost of a half turn."""

PROPAGATIONS = 8
"""Neighbours whose patches a sample tries to continue."""

NEAREST_PROPAGATIONS = 4
"""How many of those are the nearest; the others come from anywhere in the patch."""

JUMPS = 3
"""Tries far away: two among the candidates, one anywhere."""

JUMP_GAIN = np.float32(0.9)
"""A place found at random has to cost less than this times one that continues a neighbour's patch: pieces
stay large."""


def propagate_and_search(
    state: LevelState,
    nnf: np.ndarray,
    colors: np.ndarray,
    trust: np.ndarray,
    occurrence: np.ndarray,
    number: int,
) -> tuple[np.ndarray, np.ndarray]:
    """One round of propagation and random search.

    Args:
        state: the level.
        nnf: (N, 3) float32; NaN where a sample has no patch.
        colors: (N, 3) float32 sRGB 0..1, what the samples show now.
        trust: (N,) float32, weight of a sample's colour in its neighbours' patches.
        occurrence: :func:`.level_state.occurrence_map`.
        number: of the round.

    Returns:
        The new NNF (N, 3) float32, and (N,) float32 costs of the free samples' patches.
    """
    new_nnf, costs = nnf.copy(), np.zeros(len(nnf), np.float32)
    target, exemplar = target_arrays(state), exemplar_arrays(state)
    current = RoundArrays(nnf, colors, trust, occurrence)
    seed = np.uint64(1000 * state.seed + number)

    def search(first: int, end: int) -> None:
        free, candidates = state.free[first:end], state.candidates[first:end]
        _propagate_and_search(free, candidates, target, exemplar, current, seed, new_nnf, costs)

    map_ranges(search, len(state.free), CHUNK_SIZE)
    return new_nnf, costs


def vote(state: LevelState, nnf: np.ndarray, costs: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """(N, 3) float32 sRGB 0..1 colours: for each free sample the mean of what the patches around it copy
    there, for the others ``colors`` (N, 3)."""
    result = colors.copy()
    target, exemplar = target_arrays(state), exemplar_arrays(state)
    map_ranges(
        lambda first, end: _vote(state.free[first:end], target, exemplar, nnf, costs, result),
        len(state.free),
        CHUNK_SIZE,
    )
    return result


@njit(cache=True, nogil=True, inline="always")
def _random(state):
    """A number 0..1 and the next state (splitmix64)."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.float32(z >> np.uint64(40)) * np.float32(1 / 16777216), state


@njit(cache=True, nogil=True, fastmath=FASTMATH)
def _cost(p, x, y, angle, limit, target, exemplar, current):
    """Cost of the patch at column ``x``, row ``y`` and ``angle`` for sample ``p``; infinite above
    ``limit``."""
    height, width = exemplar.usable.shape
    if not (0 <= x < width and 0 <= y < height):
        return np.float32(np.inf)
    column, row = int(x), int(y)
    if not exemplar.usable[row, column]:
        return np.float32(np.inf)
    c, s = np.cos(angle), np.sin(angle)
    # Occurrence: a place that is copied often is expensive (Kaspar et al. 2015).
    cost = exemplar.occurrence_weight * current.occurrence[row // OCCURRENCE_CELL, column // OCCURRENCE_CELL]
    # Orientation: rotation against the exemplar.
    cost += target.direction_strength[p] * (
        np.float32(QUARTER_TURN_COST) * s * s + np.float32(HALF_TURN_COST * 0.5) * (1 - c)
    )
    # Symmetry: another ring around the main axis.
    if target.ring_weight[p] > 0:
        distance = np.float32(0)
        for axis in range(3):
            distance += (target.ring_features[p, axis] - exemplar.ring_features[row, column, axis]) ** 2
        cost += target.ring_weight[p] * min(distance, np.float32(1))
    # Part: another part of the surface, in other colours.
    cost += exemplar.part_mismatch[target.parts[p], exemplar.parts[row, column]]
    # Guides.
    for g in range(target.guides.shape[1]):
        cost += (target.guides[p, g] - exemplar.guides[row, column, g]) ** 2
    if cost >= limit:
        return np.float32(np.inf)
    # Pixels per unit to the right and up in the sample's frame: the exemplar's Jacobian times the rotation.
    a, b = exemplar.jacobian[row, column, 0, 0], exemplar.jacobian[row, column, 0, 1]
    d, e = exemplar.jacobian[row, column, 1, 0], exemplar.jacobian[row, column, 1, 1]
    x_right, x_up, y_right, y_up = a * c + b * s, b * c - a * s, d * c + e * s, e * c - d * s
    # Patch distance: the neighbours' colours against the pixels they fall on, as a weighted mean.
    whole = np.float32(0)
    for k in range(target.neighbors.shape[1]):
        whole += target.weights[p, k] * current.trust[target.neighbors[p, k]]
    if whole <= 0:
        return cost
    budget = (limit - cost) * whole
    total = np.float32(0)
    for k in range(target.neighbors.shape[1]):
        q = target.neighbors[p, k]
        weight = target.weights[p, k] * current.trust[q]
        if weight <= 0:
            continue
        i = int(np.floor(x + x_right * target.offsets[p, k, 0] + x_up * target.offsets[p, k, 1]))
        j = int(np.floor(y + y_right * target.offsets[p, k, 0] + y_up * target.offsets[p, k, 1]))
        if 0 <= i < width and 0 <= j < height and exemplar.usable[j, i]:
            difference = (
                (exemplar.colors[j, i, 0] - current.colors[q, 0]) ** 2
                + (exemplar.colors[j, i, 1] - current.colors[q, 1]) ** 2
                + (exemplar.colors[j, i, 2] - current.colors[q, 2]) ** 2
            )
            total += weight * min(difference * exemplar.inverse_variance, np.float32(4))
        else:
            total += weight * np.float32(OUTSIDE_COST)
        if total >= budget:
            return np.float32(np.inf)
    return cost + total / whole


@njit(cache=True, nogil=True, fastmath=FASTMATH)
def _fallback_cost(p, limit, target, current, inverse_variance):
    """Cost of the constant fallback colour for sample ``p``; infinite above ``limit``."""
    if target.fallback_cost[p] >= limit:
        return np.float32(np.inf)
    whole, total = np.float32(1e-6), np.float32(0)
    for k in range(target.neighbors.shape[1]):
        q = target.neighbors[p, k]
        weight = target.weights[p, k] * current.trust[q]
        whole += weight
        difference = np.float32(0)
        for channel in range(3):
            difference += (target.fallback_color[p, channel] - current.colors[q, channel]) ** 2
        total += weight * min(difference * inverse_variance, np.float32(4))
    return target.fallback_cost[p] + total / whole


@njit(cache=True, nogil=True, fastmath=FASTMATH)
def _propagate_and_search(free, candidates, target, exemplar, current, seed, new_nnf, costs):
    """One round for the samples ``free`` (M,) with ``candidates`` (M, C); fills ``new_nnf`` (N, 3) and
    ``costs`` (N,)."""
    height, width = exemplar.usable.shape
    nnf = current.nnf
    for n in range(free.size):
        p = free[n]
        state = (seed * np.uint64(1_000_003) + np.uint64(p)) * np.uint64(0xD1342543DE82EF95)
        # The best so far is the last round's patch, at its cost now.
        best_x, best_y, best_angle = np.float32(-1), np.float32(-1), np.float32(0)
        best = np.float32(np.inf)
        if np.isfinite(nnf[p, 0]):
            best_x, best_y, best_angle = nnf[p, 0], nnf[p, 1], nnf[p, 2]
            best = _cost(p, best_x, best_y, best_angle, best, target, exemplar, current)
        # Propagation: continue the patches of the nearest neighbours, then of some from anywhere in the
        # patch.
        for attempt in range(PROPAGATIONS):
            draw, state = _random(state)
            k = attempt if attempt < NEAREST_PROPAGATIONS else int(draw * target.neighbors.shape[1])
            q = target.neighbors[p, k]
            if target.weights[p, k] <= 0 or not np.isfinite(nnf[q, 0]):
                continue
            x, y, angle = _propagate(nnf[q], target.offsets[p, k], target.angles[p, k], exemplar)
            cost = _cost(p, x, y, angle, best, target, exemplar, current)
            if cost < best:
                best, best_x, best_y, best_angle = cost, x, y, angle
        # Jumps: candidates with similar guides, upright and a little rotated, then any usable pixel.
        limit = JUMP_GAIN * best
        for attempt in range(JUMPS):
            draw, state = _random(state)
            if attempt < 2:
                at = candidates[n, int(draw * candidates.shape[1])]
            else:
                at = int(draw * exemplar.usable_pixels.shape[0])
            draw, state = _random(state)
            angle = np.float32(0.6) * (draw - np.float32(0.5)) if attempt == 1 else np.float32(0)
            x = exemplar.usable_pixels[at, 1] + np.float32(0.5)
            y = exemplar.usable_pixels[at, 0] + np.float32(0.5)
            cost = _cost(p, x, y, angle, limit, target, exemplar, current)
            if cost < limit:
                best, best_x, best_y, best_angle = cost, x, y, angle
                limit = JUMP_GAIN * best
        # Random search around the best, in a shrinking window (Barnes et al. 2009).
        reach = np.float32(0.25 * max(height, width))
        while reach > 0.4:
            draw, state = _random(state)
            x = best_x + reach * (2 * draw - 1)
            draw, state = _random(state)
            y = best_y + reach * (2 * draw - 1)
            draw, state = _random(state)
            angle = best_angle + np.float32(0.5) * (draw - np.float32(0.5)) * min(
                reach * np.float32(0.1), np.float32(1)
            )
            cost = _cost(p, x, y, angle, limit, target, exemplar, current)
            if cost < limit:
                best, best_x, best_y, best_angle = cost, x, y, angle
                limit = JUMP_GAIN * best
            reach *= np.float32(0.4)
        # Fallback: the constant colour, marked by NaN.
        fallback = _fallback_cost(p, best, target, current, exemplar.inverse_variance)
        if fallback < best:
            best, best_x = fallback, np.float32(np.nan)
        if best < np.inf:
            new_nnf[p, 0], new_nnf[p, 1], new_nnf[p, 2] = best_x, best_y, best_angle
        costs[p] = best


@njit(cache=True, nogil=True, fastmath=FASTMATH, inline="always")
def _propagate(match, offset, angle, exemplar):
    """Column, row and angle that continue a neighbour's patch to a sample. ``match`` (3,) is the neighbour's
    entry of the NNF, ``offset`` (2,) and ``angle`` are its own in the sample's frame."""
    height, width = exemplar.usable.shape
    c, s = np.cos(angle), np.sin(angle)
    # The sample in the neighbour's frame.
    right, up = -(c * offset[0] + s * offset[1]), -(c * offset[1] - s * offset[0])
    x, y = _map_offset(match, right, up, exemplar.jacobian)
    if not (0 <= x < width and 0 <= y < height):
        return x, y, match[2]
    # The exemplar's own frame turns from one pixel to the other.
    old, new = exemplar.frames[int(match[1]), int(match[0])], exemplar.frames[int(y), int(x)]
    cosine, sine = np.float32(0), np.float32(0)
    for axis in range(3):
        cosine += old[0, axis] * new[0, axis]
        sine += old[1, axis] * new[0, axis]
    return x, y, match[2] - angle - np.arctan2(sine, cosine)


@njit(cache=True, nogil=True, fastmath=FASTMATH, inline="always")
def _map_offset(match, right, up, jacobian):
    """Column and row of the exemplar onto which an entry of the NNF (3,) maps a point at an offset from its
    sample."""
    column, row = int(match[0]), int(match[1])
    c, s = np.cos(match[2]), np.sin(match[2])
    r, u = c * right - s * up, s * right + c * up
    return (
        match[0] + jacobian[row, column, 0, 0] * r + jacobian[row, column, 0, 1] * u,
        match[1] + jacobian[row, column, 1, 0] * r + jacobian[row, column, 1, 1] * u,
    )


@njit(cache=True, nogil=True, fastmath=FASTMATH)
def _vote(free, target, exemplar, nnf, costs, result):
    """Fills ``result`` (N, 3) for the samples ``free`` (M,) with colours that patches agree on."""
    height, width = exemplar.usable.shape
    for n in range(free.size):
        p = free[n]
        if not np.isfinite(nnf[p, 0]):
            result[p] = target.fallback_color[p]
            continue
        red, green, blue, total = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        # The sample's own patch (k = -1), then those of its neighbours.
        for k in range(-1, target.neighbors.shape[1]):
            q = p if k < 0 else target.neighbors[p, k]
            if not np.isfinite(nnf[q, 0]) or (k >= 0 and target.weights[p, k] <= 0):
                continue
            # Where that patch reads the exemplar for this sample.
            x, y = nnf[q, 0], nnf[q, 1]
            weight = np.float32(1)
            if k >= 0:
                c, s = np.cos(target.angles[p, k]), np.sin(target.angles[p, k])
                right, up = (
                    -(c * target.offsets[p, k, 0] + s * target.offsets[p, k, 1]),
                    -(c * target.offsets[p, k, 1] - s * target.offsets[p, k, 0]),
                )
                x, y = _map_offset(nnf[q], right, up, exemplar.jacobian)
                weight = target.weights[p, k]
            if not (0 <= x < width and 0 <= y < height) or not exemplar.usable[int(y), int(x)]:
                continue
            # Patches that fit badly have little weight.
            weight *= np.exp(-np.float32(4) * min(costs[q], np.float32(8)))
            i, j = int(x), int(y)
            red, green, blue = (
                red + weight * exemplar.colors[j, i, 0],
                green + weight * exemplar.colors[j, i, 1],
                blue + weight * exemplar.colors[j, i, 2],
            )
            total += weight
        if total > 0:
            result[p, 0], result[p, 1], result[p, 2] = red / total, green / total, blue / total
