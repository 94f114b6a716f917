"""Flattening a chart as rigidly as possible (ARAP), and whether it lies well.

Liu et al. 2008, "A Local/Global Approach to Mesh Parameterization": every triangle takes the rotation that
suits it best (local step), one sparse solve finds the corners that suit all rotations best (global step). A
conformal map keeps angles and lets sizes drift; this one nearly keeps both, so texels stay even.
"""

import numpy as np
from numba import njit
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import splu

from ..uvs import count_overlaps
from .config import DEFAULT_UNWRAP_CONFIG, UnwrapConfig

MIN_HEIGHT = 1e-3
"""Height of a triangle over its base below which it is taken as this high: cotangents stay finite."""

MAX_NEIGHBOURS = 500
"""Segments of an outline that may lie beside each of them along the chart's longer side, on average: only an
outline that goes to and fro all the time has more."""

ANCHORING = 1e-9
"""Weight that holds each corner to its place, over the mean weight of an edge: the plane has no origin."""


def flatten_triangles(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F, 3, 2) float64: every triangle on its own in the plane: first corner at 0, second on the x axis,
    third above it."""
    corners = vertices[faces].astype(np.float64)
    base, edge = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    length = np.maximum(np.linalg.norm(base, axis=1), 1e-12)
    flat = np.zeros((len(faces), 3, 2))
    flat[:, 1, 0] = length
    flat[:, 2, 0] = np.einsum("fx,fx->f", base, edge) / length
    flat[:, 2, 1] = np.maximum(np.linalg.norm(np.cross(base, edge), axis=1) / length, MIN_HEIGHT * length)
    return flat


def relax_arap(flat: np.ndarray, wedges: np.ndarray, uvs: np.ndarray, steps: int) -> np.ndarray:
    """Corner UVs of a chart after some local and global steps.

    Args:
        flat: (F, 3, 2) from :func:`flatten_triangles`.
        wedges: (F, 3) integers from 0: corners with one number get one place.
        uvs: (F, 3, 2) float64 to start from. Only the triangles' rotations matter, so corners of one wedge
            may still be apart.
        steps: number of local and global steps.

    Returns:
        (F, 3, 2) float64, at the scale of ``flat``.
    """
    weights = _cotangents(flat)
    weight, start, end = weights.ravel(), wedges[:, [1, 2, 0]].ravel(), wedges[:, [2, 0, 1]].ravel()
    count = int(wedges.max()) + 1
    # The cotangent Laplacian over wedges; it is the same in all steps, so it is factorised once.
    hold, own = ANCHORING * np.abs(weight).mean(), np.arange(count)
    values = np.concatenate([-weight, -weight, weight, weight, np.full(count, hold)])
    places = np.concatenate([start, end, start, end, own]), np.concatenate([end, start, start, end, own])
    laplacian = coo_matrix((values, places), shape=(count, count)).tocsc()
    solver = splu(
        laplacian, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )
    places = np.zeros((count, 2))
    places[wedges.ravel()] = uvs.reshape(-1, 2)
    for _ in range(steps):
        places = solver.solve(_arap_right_side(flat, weights, wedges, uvs, count) + hold * places)
        uvs = places[wedges]
    return uvs


def singular_values(flat: np.ndarray, uvs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(largest, smallest)`` (F,) float64 singular values of each triangle's map from ``flat`` to ``uvs``;
    the smallest is negative where it is mirrored."""
    first = (uvs[:, 1] - uvs[:, 0]) / flat[:, 1, :1]
    second = (uvs[:, 2] - uvs[:, 0] - first * flat[:, 2, :1]) / flat[:, 2, 1:]
    # A 2 x 2 matrix is a rotation and a reflection, each scaled; their scales' sum and difference are its
    # singular values.
    turn = np.hypot(first[:, 0] + second[:, 1], first[:, 1] - second[:, 0])
    mirror = np.hypot(first[:, 0] - second[:, 1], first[:, 1] + second[:, 0])
    return (turn + mirror) / 2, (turn - mirror) / 2


def l2_stretch(largest: np.ndarray, smallest: np.ndarray, area: np.ndarray) -> float:
    """L2 stretch of Sander et al. 2001; 1 is best.

    Args:
        largest, smallest: (F,) singular values at the scale that keeps the whole area.
        area: (F,) areas in space.
    """
    return float(np.sqrt(np.average(1 / largest**2 + 1 / smallest**2, weights=area) / 2))


def flatten_chart(
    flat: np.ndarray, wedges: np.ndarray, uvs: np.ndarray, config: UnwrapConfig = DEFAULT_UNWRAP_CONFIG
) -> np.ndarray | None:
    """A chart relaxed from where it lies now, as large in the plane as in space; None if it does not lie
    well.

    Arguments and result are those of :func:`relax_arap`. A chart lies well if it keeps to the two stretches
    of ``config`` and does not overlap itself.
    """
    uvs = relax_arap(flat, wedges, uvs, config.flatten_steps)
    area = 0.5 * flat[:, 1, 0] * flat[:, 2, 1]
    uvs = uvs * np.sqrt(area.sum() / max(np.abs(uv_areas(uvs)).sum(), 1e-30))
    largest, smallest = singular_values(flat, uvs)
    compressed = smallest.min() * config.max_compression < 1
    if compressed or l2_stretch(largest, smallest, area) > config.max_l2_stretch:
        return None
    return None if overlaps_itself(wedges, uvs, config.overlap_grid) else uvs


def uv_areas(uvs: np.ndarray) -> np.ndarray:
    """(F,) areas of triangles (F, 3, 2), < 0 where mirrored."""
    edges = uvs[:, 1:] - uvs[:, :1]
    return 0.5 * (edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0])


def fit_into_square(uvs: np.ndarray) -> tuple[np.ndarray, float]:
    """``(uvs, size)``: a chart moved and scaled to fit into 0..1, (F, 3, 2) float32, and the length of its
    longer side before."""
    points = np.ascontiguousarray(uvs.reshape(-1, 2).T)
    low = points.min(axis=1)
    size = max((points.max(axis=1) - low).max(), 1e-30)
    return np.ascontiguousarray((uvs - low) / size, np.float32), float(size)


def overlaps_itself(
    wedges: np.ndarray, uvs: np.ndarray, grid: int = DEFAULT_UNWRAP_CONFIG.overlap_grid
) -> bool:
    """Whether a chart without mirrored triangles overlaps itself: its outline crosses itself, or a raster of
    ``grid`` squared texels has one on two triangles."""
    # Half-edges that no other half-edge of the chart runs against are its outline.
    start, end = wedges.ravel(), wedges[:, [1, 2, 0]].ravel()
    count = int(wedges.max()) + 1
    outline = ~np.isin(start * count + end, end * count + start)
    segments = np.stack([uvs.reshape(-1, 2), uvs[:, [1, 2, 0]].reshape(-1, 2)], axis=1)[outline]
    if np.argmax(np.ptp(segments.reshape(-1, 2), axis=0)) == 1:
        segments = np.ascontiguousarray(segments[..., ::-1])
    order = np.argsort(segments[:, :, 0].min(axis=1))
    if _has_crossing(segments[order], start[outline][order], end[outline][order]):
        return True
    return count_overlaps(fit_into_square(uvs)[0], grid)[1] > 0


@njit(cache=True, nogil=True)
def _cotangents(flat):
    """(F, 3): half the cotangent at each corner, the weight of the opposite edge."""
    weights = np.empty((len(flat), 3))
    for f in range(len(flat)):
        double_area = flat[f, 1, 0] * flat[f, 2, 1]
        for k in range(3):
            a, b, c = flat[f, k], flat[f, (k + 1) % 3], flat[f, (k + 2) % 3]
            weights[f, k] = (
                0.5 * ((b[0] - a[0]) * (c[0] - a[0]) + (b[1] - a[1]) * (c[1] - a[1])) / double_area
            )
    return weights


@njit(cache=True, nogil=True)
def _arap_right_side(flat, weights, wedges, uvs, count):
    """(count, 2) float64: the right side of the global step, with every triangle rotated as it lies in
    ``uvs``."""
    right = np.zeros((count, 2))
    for f in range(len(flat)):
        # Local step: the rotation of the triangle that suits its edges best.
        cosine = sine = 0.0
        for k in range(3):
            i, j = (k + 1) % 3, (k + 2) % 3
            x, y = flat[f, i, 0] - flat[f, j, 0], flat[f, i, 1] - flat[f, j, 1]
            u, v = uvs[f, i, 0] - uvs[f, j, 0], uvs[f, i, 1] - uvs[f, j, 1]
            cosine += weights[f, k] * (u * x + v * y)
            sine += weights[f, k] * (v * x - u * y)
        length = np.hypot(cosine, sine)
        if length < 1e-30:
            cosine, sine, length = 1.0, 0.0, 1.0
        cosine, sine = cosine / length, sine / length
        # Its rotated edges, weighted, on both of their ends.
        for k in range(3):
            i, j = (k + 1) % 3, (k + 2) % 3
            x, y = flat[f, i, 0] - flat[f, j, 0], flat[f, i, 1] - flat[f, j, 1]
            u, v = weights[f, k] * (cosine * x - sine * y), weights[f, k] * (sine * x + cosine * y)
            right[wedges[f, i], 0] += u
            right[wedges[f, i], 1] += v
            right[wedges[f, j], 0] -= u
            right[wedges[f, j], 1] -= v
    return right


@njit(cache=True, nogil=True)
def _orientation(a, b, p):
    """Twice the signed area of a triangle: on which side of a line a point lies."""
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


@njit(cache=True, nogil=True)
def _has_crossing(segments, start, end):
    """Whether any two of the segments (S, 2, 2), sorted by their least x, cross without sharing an end; also
    True if it would take too long to find out."""
    # A sweep along x: only segments that begin before this one ends can cross it.
    left = MAX_NEIGHBOURS * (len(segments) + MAX_NEIGHBOURS)
    for i in range(len(segments)):
        a, b = segments[i]
        reach = max(a[0], b[0])
        low, high = min(a[1], b[1]), max(a[1], b[1])
        for j in range(i + 1, len(segments)):
            c, d = segments[j]
            if min(c[0], d[0]) > reach:
                break
            left -= 1
            if left < 0:
                return True
            if max(c[1], d[1]) < low or min(c[1], d[1]) > high:
                continue
            if start[i] == start[j] or start[i] == end[j] or end[i] == start[j] or end[i] == end[j]:
                continue
            if (
                _orientation(a, b, c) * _orientation(a, b, d) < 0
                and _orientation(c, d, a) * _orientation(c, d, b) < 0
            ):
                return True
    return False
