"""A view is pulled onto the reference by the edges and the colours on both sides of its rendered contour.

Along the normal of each contour pixel the place is looked for that has the best edge of that direction and
parts object from ground by their colours; least squares over the seven numbers of the view follow all of
them. Colours are those of the mesh's own silhouette and of what surrounds it, so that they are learnt anew
each round (PWP3D, Prisacariu and Reid 2012; SRT3D, Stoiber et al. 2022).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from scipy.optimize import least_squares

from ....mesh.surface import Surface
from ....render.rasterize import GBuffer, positions, rasterize
from ..ranking import View
from .features import oriented_edges
from .templates import ORIENTATIONS

POINTS = 240
"""Points of the contour that are followed, at most."""

BINS = 16
"""Of the colour histograms, along each axis of CIE Lab."""

BAND = 0.35
"""How far around the silhouette colours count as its surroundings, in parts of its size."""

COLOR_WEIGHT = 0.35
"""Of the logarithm of how much likelier a pixel's colour is inside, against an edge response of 0..1."""

STEP_COST = 0.25
"""What a step of a pixel between the offsets of neighbouring contour pixels costs."""

USUAL_DISTANCE = 2.6
"""Longest sides of the mesh between it and the camera, where the contour leaves that open."""

UNIT = np.array([2.0, 2.0, 2.0, 0.1, 0.02, 0.01, 0.01])
"""Steps of a view's numbers that move a contour about equally far."""

PRIOR = np.array([0.02, 0.02, 0.06, 0.06, 0.0, 0.0, 0.0])
"""What such a step costs by itself, in pixels per contour pixel."""


@dataclass(frozen=True)
class Observation:
    """The reference at the size of a round.

    Attributes:
        lab: (H, W, 3) float32 CIE Lab.
        edges: (ORIENTATIONS, H, W) float32 0..1, see :func:`.features.oriented_edges`.
        bins: (H, W) int32 histogram bin of each pixel's colour.
    """

    lab: np.ndarray
    edges: np.ndarray
    bins: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.lab.shape[1], self.lab.shape[0]


def observe_image(color: np.ndarray) -> Observation:
    """An image (H, W, 3) float32 sRGB 0..1, as the fit reads it."""
    lab = cv2.cvtColor(np.ascontiguousarray(color), cv2.COLOR_RGB2LAB)
    place = np.clip((lab - (0, -64, -64)) / (100, 128, 128) * BINS, 0, BINS - 1).astype(np.int32)
    return Observation(lab, oriented_edges(lab), place @ np.array([BINS * BINS, BINS, 1], np.int32))


@dataclass(frozen=True)
class Fit:
    """A view and what speaks for it.

    Attributes:
        view: the camera.
        edge: mean edge response along the contour, 0..1.
        region: how far the colours inside and around the silhouette differ, 0..1.
        score: their sum.
    """

    view: View
    edge: float = 0.0
    region: float = 0.0

    @property
    def score(self) -> float:
        return self.edge + self.region


def fit_view(surface: Surface, seen: Observation, view: View, reaches: tuple[int, ...]) -> Fit:
    """Pulls a view onto the reference, a round for each reach in pixels; the best of all rounds."""
    best = None
    for reach in (*reaches, 0):
        buffer = rasterize(surface.vertices, surface.faces, view.camera(*seen.shape))
        if not buffer.mask.any() or buffer.mask.all():
            break
        fit = judge_view(view, buffer, seen)
        if best is None or fit.score > best.score:
            best = fit
        if reach:
            view = pull_view(view, buffer, seen, reach)
    return best or Fit(view)


def judge_view(view: View, buffer: GBuffer, seen: Observation) -> Fit:
    """How well a rendered view explains the reference."""
    pixels, channel, _, _ = follow_contour(buffer.mask)
    near = np.stack([cv2.dilate(edges, np.ones((3, 3), np.uint8)) for edges in seen.edges])
    edge = float(near[channel, pixels[:, 1], pixels[:, 0]].mean())
    inside, around = color_histograms(buffer.mask, seen.bins)
    return Fit(view, edge, 1 - float(np.minimum(inside, around).sum()))


def color_histograms(mask: np.ndarray, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(BINS ** 3,) float64 each: colours of the silhouette and of what surrounds it, each summing to 1."""
    reach = max(3, int(BAND * np.sqrt(mask.sum())))
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    around = ~mask & (distance < reach)
    return tuple(
        smooth_histogram(np.bincount(bins[part], minlength=BINS**3).astype(np.float32))
        for part in (mask, around)
    )


def smooth_histogram(counts: np.ndarray) -> np.ndarray:
    """The histogram spread over neighbouring bins, as a distribution."""
    cube = counts.reshape(BINS, BINS, BINS)
    for axis in range(3):
        padded = np.pad(cube, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        low, middle, high = (np.take(padded, np.arange(k, k + BINS), axis) for k in range(3))
        cube = (low + 2 * middle + high) / 4
    return cube.ravel() / max(float(cube.sum()), 1e-9)


def follow_contour(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The contour of a silhouette (H, W) bool, holes included, in order.

    Returns:
        (N, 2) int pixels (column, row) just inside; (N,) int32 orientation channels; (N, 2) float64 unit
        normals that point outwards; (N,) int32 number of the closed line that each belongs to.
    """
    lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    lines = [line[:, 0] for line in lines if len(line) >= 8] or [line[:, 0] for line in lines]
    pixels = np.concatenate(lines)
    number = np.concatenate([np.full(len(line), k, np.int32) for k, line in enumerate(lines)])
    inside = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    depth = cv2.GaussianBlur(inside - outside, (0, 0), 1.0)
    right, down = cv2.Sobel(depth, cv2.CV_32F, 1, 0), cv2.Sobel(depth, cv2.CV_32F, 0, 1)
    normal = -np.stack([right, down], axis=2)[pixels[:, 1], pixels[:, 0]].astype(np.float64)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    angle = np.arctan2(normal[:, 1], normal[:, 0])
    channel = np.round(angle / np.pi * ORIENTATIONS).astype(np.int32) % ORIENTATIONS
    return pixels, channel, normal, number


def pull_view(view: View, buffer: GBuffer, seen: Observation, reach: int) -> View:
    """One round: the view under which the contour lies where the reference has it, within ``reach``
    pixels."""
    pixels, channel, normal, number = follow_contour(buffer.mask)
    inside, around = color_histograms(buffer.mask, seen.bins)
    ratio = np.clip(np.log((inside + 1e-4) / (around + 1e-4)), -3, 3).astype(np.float32)[seen.bins]
    gain = offset_gains(pixels, channel, normal, seen.edges, ratio, reach)
    offset, worth = best_offsets(gain, number, np.float32(STEP_COST))
    every = max(1, len(pixels) // POINTS)
    points = positions(buffer)[pixels[:, 1], pixels[:, 0]].astype(np.float64)[::every]
    camera = view.camera(*seen.shape)
    origin, _ = camera.project(points)
    wanted, weight, normal = offset[::every] - reach, np.sqrt(worth[::every]), normal[::every]
    start, prior = view.parameters(), PRIOR * np.sqrt(len(points))
    width, height = seen.shape

    def residuals(step: np.ndarray) -> np.ndarray:
        guess = View.from_parameters(start + UNIT * step)
        there, _ = guess.camera(width, height).project(points)
        along = ((there - origin) * normal).sum(axis=1)
        usual = [
            guess.roll / UNIT[2] * prior[2],
            np.log(guess.distance / USUAL_DISTANCE) / UNIT[3] * 0.3 * prior[3],
        ]
        return np.concatenate([weight * (along - wanted), step * prior, usual])

    found = least_squares(residuals, np.zeros(7), loss="huber", f_scale=1.5, max_nfev=6).x
    return View.from_parameters(start + UNIT * found)


@njit(cache=True, nogil=True)
def offset_gains(pixels, channel, normal, edges, ratio, reach):
    """(N, 2 reach + 1) float32: what each offset along the normal gains, in edge and in colours parted.

    Moving the contour outwards wins pixels for the object, whose log ratio is added; inwards it gives them
    up.
    """
    height, width = ratio.shape
    gain = np.empty((pixels.shape[0], 2 * reach + 1), np.float32)
    for n in range(pixels.shape[0]):
        for direction in (-1, 1):
            total = np.float32(0)
            for step in range(reach + 1):
                offset = direction * step
                column = min(max(int(pixels[n, 0] + 0.5 + normal[n, 0] * offset), 0), width - 1)
                row = min(max(int(pixels[n, 1] + 0.5 + normal[n, 1] * offset), 0), height - 1)
                if step > 0:
                    total += direction * ratio[row, column]
                value = edges[channel[n], row, column] + np.float32(COLOR_WEIGHT) * total
                gain[n, reach + offset] = value
    return gain


@njit(cache=True, nogil=True)
def best_offsets(gain, number, step_cost):
    """(N,) int64 offset (plus reach) of each contour pixel, smooth along each closed line, by dynamic
    programming; and (N,) float32 its edge's worth, at least a little."""
    count, options = gain.shape
    total, came = gain.copy(), np.zeros((count, options), np.int64)
    for n in range(1, count):
        if number[n] != number[n - 1]:
            continue
        for k in range(options):
            best, origin = np.float32(-1e9), k
            for j in range(max(0, k - 2), min(options, k + 3)):
                value = total[n - 1, j] - step_cost * abs(k - j)
                if value > best:
                    best, origin = value, j
            total[n, k] += best
            came[n, k] = origin
    offset, worth = np.empty(count, np.int64), np.empty(count, np.float32)
    k = 0
    for n in range(count - 1, -1, -1):
        if n == count - 1 or number[n] != number[n + 1]:
            k = np.argmax(total[n])
        offset[n] = k
        worth[n] = min(max(gain[n, k], np.float32(0.05)), np.float32(1))
        k = came[n, k]
    return offset, worth
