"""PatchMatch between samples of the surface and the reference (Barnes et al. 2009, 2010), and what the
patches make of it.

A map of a sample is three numbers: column and row of the source, and the angle by which the sample's frame is
turned against the source's. Its patch reads the source where the sample's unrolled neighbours fall. Maps are
improved all at once from the last round's, so that the result does not depend on how many cores work.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

from .level_state import CELL, Origin, Problem, Target

LOOSE = {"reassoc", "contract", "arcp", "nsz"}
"""What the compiler may do with sums; infinite costs and missing maps have to stay what they are."""

OUTSIDE = 2.0
"""What a neighbour costs that falls where the source is not usable; one of a random colour costs 1."""

ASKEW, TURNED = 0.4, 0.1
"""What a quarter and a half turn against the source cost, where the surface has a direction."""

LEAP = np.float32(0.9)
"""A place found at random has to be this much better than one that goes on from its neighbours: pieces stay
large."""


def improve(
    problem: Problem, maps: np.ndarray, colors: np.ndarray, trust: np.ndarray, uses: np.ndarray, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """One round of propagation and random search.

    Args:
        problem: the level.
        maps: (N, 3) float32; NaN where a sample has none.
        colors: (N, 3) float32, what the samples show now.
        trust: (N,) float32, how much a sample's colour counts in its neighbours' patches.
        uses: of the source's cells, see :func:`.level_state.count_uses`.
        number: of the round.

    Returns:
        The maps, and (N,) float32 what each free sample's costs.
    """
    better, costs = maps.copy(), np.zeros(len(maps), np.float32)
    s, r = problem.samples, problem.source

    target = Target(
        s.neighbors,
        s.offsets,
        s.turns,
        s.weights,
        s.steady,
        problem.rings,
        problem.sure,
        problem.guides,
        problem.parts,
        colors,
        trust,
        problem.plain,
        problem.bare,
    )
    origin = Origin(
        r.colors,
        r.usable,
        r.frames,
        r.steps,
        problem.source_rings,
        problem.source_guides,
        problem.source_parts,
        problem.apart,
        problem.places,
        uses,
        np.float32(problem.gain),
        np.float32(problem.usage),
    )

    def part(first: int, last: int) -> None:
        _improve(
            problem.free[first:last],
            problem.hints[first:last],
            target,
            origin,
            np.uint64(1000 * problem.seed + number),
            maps,
            better,
            costs,
        )

    in_parts(part, len(problem.free))
    return better, costs


def vote(problem: Problem, maps: np.ndarray, costs: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """(N, 3) float32 colours: for each free sample the mean of what the patches around it copy there."""
    result, s, r = colors.copy(), problem.samples, problem.source
    in_parts(
        lambda first, last: _vote(
            problem.free[first:last],
            s.neighbors,
            s.offsets,
            s.turns,
            s.weights,
            problem.plain,
            r.colors,
            r.usable,
            r.steps,
            maps,
            costs,
            result,
        ),
        len(problem.free),
    )
    return result


def in_parts(work, count: int, size: int = 2048) -> None:
    """Runs ``work(first, last)`` over a range, on all cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda first: work(first, min(first + size, count)), range(0, count, size)))


@njit(cache=True, nogil=True, inline="always")
def _random(state):
    """A number 0..1 and the next state (splitmix64)."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.float32(z >> np.uint64(40)) * np.float32(1 / 16777216), state


@njit(cache=True, nogil=True, fastmath=LOOSE)
def _cost(p, x, y, turn, limit, target, origin):
    """What a map costs sample ``p``; given up above ``limit``."""
    height, width = origin.usable.shape
    if not (0 <= x < width and 0 <= y < height):
        return np.float32(np.inf)
    column, row = int(x), int(y)
    if not origin.usable[row, column]:
        return np.float32(np.inf)
    c, s = np.cos(turn), np.sin(turn)
    cost = origin.usage * origin.uses[row // CELL, column // CELL]
    cost += target.steady[p] * (np.float32(ASKEW) * s * s + np.float32(TURNED * 0.5) * (1 - c))
    if target.sure[p] > 0:
        apart = np.float32(0)
        for axis in range(3):
            apart += (target.rings[p, axis] - origin.rings[row, column, axis]) ** 2
        cost += target.sure[p] * min(apart, np.float32(1))
    cost += origin.apart[target.parts[p], origin.parts[row, column]]
    for g in range(target.guides.shape[1]):
        cost += (target.guides[p, g] - origin.guides[row, column, g]) ** 2
    if cost >= limit:
        return np.float32(np.inf)
    a, b = origin.steps[row, column, 0, 0], origin.steps[row, column, 0, 1]
    d, e = origin.steps[row, column, 1, 0], origin.steps[row, column, 1, 1]
    xr, xu, yr, yu = a * c + b * s, b * c - a * s, d * c + e * s, e * c - d * s
    whole = np.float32(0)
    for k in range(target.neighbors.shape[1]):
        whole += target.weights[p, k] * target.trust[target.neighbors[p, k]]
    if whole <= 0:
        return cost
    budget = (limit - cost) * whole
    total = np.float32(0)
    for k in range(target.neighbors.shape[1]):
        q = target.neighbors[p, k]
        weight = target.weights[p, k] * target.trust[q]
        if weight <= 0:
            continue
        i = int(np.floor(x + xr * target.offsets[p, k, 0] + xu * target.offsets[p, k, 1]))
        j = int(np.floor(y + yr * target.offsets[p, k, 0] + yu * target.offsets[p, k, 1]))
        if 0 <= i < width and 0 <= j < height and origin.usable[j, i]:
            difference = (
                (origin.image[j, i, 0] - target.colors[q, 0]) ** 2
                + (origin.image[j, i, 1] - target.colors[q, 1]) ** 2
                + (origin.image[j, i, 2] - target.colors[q, 2]) ** 2
            )
            total += weight * min(difference * origin.gain, np.float32(4))
        else:
            total += weight * np.float32(OUTSIDE)
        if total >= budget:
            return np.float32(np.inf)
    return cost + total / whole


@njit(cache=True, nogil=True, fastmath=LOOSE)
def _plain_cost(p, limit, target, gain):
    """What it costs to go on with the plain colour of the nearest known surface."""
    if target.bare[p] >= limit:
        return np.float32(np.inf)
    whole, total = np.float32(1e-6), np.float32(0)
    for k in range(target.neighbors.shape[1]):
        q = target.neighbors[p, k]
        weight = target.weights[p, k] * target.trust[q]
        whole += weight
        difference = np.float32(0)
        for channel in range(3):
            difference += (target.plain[p, channel] - target.colors[q, channel]) ** 2
        total += weight * min(difference * gain, np.float32(4))
    return target.bare[p] + total / whole


@njit(cache=True, nogil=True, fastmath=LOOSE)
def _improve(free, hints, target, origin, seed, maps, better, costs):
    height, width = origin.usable.shape
    for n in range(free.size):
        p = free[n]
        state = (seed * np.uint64(1_000_003) + np.uint64(p)) * np.uint64(0xD1342543DE82EF95)
        bx, by, bt = np.float32(-1), np.float32(-1), np.float32(0)
        best = np.float32(np.inf)
        if np.isfinite(maps[p, 0]):
            bx, by, bt = maps[p, 0], maps[p, 1], maps[p, 2]
            best = _cost(p, bx, by, bt, best, target, origin)
        for attempt in range(8):
            draw, state = _random(state)
            # The nearest first, then one from anywhere in the patch.
            k = attempt if attempt < 4 else int(draw * target.neighbors.shape[1])
            q = target.neighbors[p, k]
            if target.weights[p, k] <= 0 or not np.isfinite(maps[q, 0]):
                continue
            x, y, turn = _carried(maps[q], target.offsets[p, k], target.turns[p, k], origin)
            cost = _cost(p, x, y, turn, best, target, origin)
            if cost < best:
                best, bx, by, bt = cost, x, y, turn
        limit = LEAP * best
        for attempt in range(3):
            draw, state = _random(state)
            at = hints[n, int(draw * hints.shape[1])] if attempt < 2 else int(draw * origin.places.shape[0])
            draw, state = _random(state)
            turn = np.float32(0.6) * (draw - np.float32(0.5)) if attempt == 1 else np.float32(0)
            x, y = origin.places[at, 1] + np.float32(0.5), origin.places[at, 0] + np.float32(0.5)
            cost = _cost(p, x, y, turn, limit, target, origin)
            if cost < limit:
                best, bx, by, bt = cost, x, y, turn
                limit = LEAP * best
        reach = np.float32(0.25 * max(height, width))
        while reach > 0.4:
            draw, state = _random(state)
            x = bx + reach * (2 * draw - 1)
            draw, state = _random(state)
            y = by + reach * (2 * draw - 1)
            draw, state = _random(state)
            turn = bt + np.float32(0.5) * (draw - np.float32(0.5)) * min(
                reach * np.float32(0.1), np.float32(1)
            )
            cost = _cost(p, x, y, turn, limit, target, origin)
            if cost < limit:
                best, bx, by, bt = cost, x, y, turn
                limit = LEAP * best
            reach *= np.float32(0.4)
        plain = _plain_cost(p, best, target, origin.gain)
        if plain < best:
            best, bx = plain, np.float32(np.nan)
        if best < np.inf:
            better[p, 0], better[p, 1], better[p, 2] = bx, by, bt
        costs[p] = best


@njit(cache=True, nogil=True, fastmath=LOOSE, inline="always")
def _carried(there, offset, turn, origin):
    """The map that a sample would have if its neighbour's copy went on over it."""
    height, width = origin.usable.shape
    c, s = np.cos(turn), np.sin(turn)
    # The sample as the neighbour sees it.
    right, up = -(c * offset[0] + s * offset[1]), -(c * offset[1] - s * offset[0])
    x, y = _moved(there, right, up, origin.steps)
    if not (0 <= x < width and 0 <= y < height):
        return x, y, there[2]
    old, new = origin.frames[int(there[1]), int(there[0])], origin.frames[int(y), int(x)]
    cosine, sine = np.float32(0), np.float32(0)
    for axis in range(3):
        cosine += old[0, axis] * new[0, axis]
        sine += old[1, axis] * new[0, axis]
    return x, y, there[2] - turn - np.arctan2(sine, cosine)


@njit(cache=True, nogil=True, fastmath=LOOSE, inline="always")
def _moved(there, right, up, steps):
    """Where in the source a map puts a point at an offset from its sample."""
    column, row = int(there[0]), int(there[1])
    c, s = np.cos(there[2]), np.sin(there[2])
    r, u = c * right - s * up, s * right + c * up
    return (
        there[0] + steps[row, column, 0, 0] * r + steps[row, column, 0, 1] * u,
        there[1] + steps[row, column, 1, 0] * r + steps[row, column, 1, 1] * u,
    )


@njit(cache=True, nogil=True, fastmath=LOOSE)
def _vote(free, neighbors, offsets, turns, weights, plain, image, usable, steps, maps, costs, result):
    height, width = usable.shape
    for n in range(free.size):
        p = free[n]
        if not np.isfinite(maps[p, 0]):
            result[p] = plain[p]
            continue
        red, green, blue, total = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for k in range(-1, neighbors.shape[1]):
            q = p if k < 0 else neighbors[p, k]
            if not np.isfinite(maps[q, 0]) or (k >= 0 and weights[p, k] <= 0):
                continue
            x, y = maps[q, 0], maps[q, 1]
            weight = np.float32(1)
            if k >= 0:
                c, s = np.cos(turns[p, k]), np.sin(turns[p, k])
                right, up = (
                    -(c * offsets[p, k, 0] + s * offsets[p, k, 1]),
                    -(c * offsets[p, k, 1] - s * offsets[p, k, 0]),
                )
                x, y = _moved(maps[q], right, up, steps)
                weight = weights[p, k]
            if not (0 <= x < width and 0 <= y < height) or not usable[int(y), int(x)]:
                continue
            weight *= np.exp(-np.float32(4) * min(costs[q], np.float32(8)))
            i, j = int(x), int(y)
            red, green, blue = (
                red + weight * image[j, i, 0],
                green + weight * image[j, i, 1],
                blue + weight * image[j, i, 2],
            )
            total += weight
        if total > 0:
            result[p, 0], result[p, 1], result[p, 2] = red / total, green / total, blue / total
