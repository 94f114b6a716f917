"""The reference as the search reads it: oriented edges that stand out locally, and maps of what may be
object."""

from dataclasses import dataclass

import cv2
import numpy as np

from ....image import resize_longest
from .templates import ORIENTATIONS

EDGE_SIZE = 320
"""Pixels along the longer side on which edges are measured."""

SEARCH_SIZE = 96
"""Pixels along the longer side on which templates are compared."""

SURROUNDINGS = 0.12
"""Part of the longer side within which an edge is compared with what is usual there."""

LEAST_EDGE = 0.6
"""CIE Lab units per pixel that count as noise."""

BORDER_COLORS = 6
"""Clusters of the colours along the border."""

DARKEST_SHADOW = 0.25
"""Part of a ground's light that a shadow on it leaves at least."""

COLOR_BINS = 16
"""Bins of the colour histograms along each axis of CIE Lab."""

THRESHOLDS = (7.0, 15.0)
"""CIE Lab distances from the border's colours at which a pixel is object as likely as not."""


@dataclass(frozen=True)
class Features:
    """What the search reads of a reference.

    Attributes:
        edges: (ORIENTATIONS, h, w) float32 0..1, by the direction of the edge's normal; SEARCH_SIZE along the
            longer side, dilated.
        foreground: (M, h, w) float32 0..1, maps of what may be object.
    """

    edges: np.ndarray
    foreground: np.ndarray


def measure_features(color: np.ndarray) -> Features:
    """The features of an image (H, W, 3) float32 sRGB 0..1."""
    color = np.ascontiguousarray(resize_longest(color, EDGE_SIZE))
    lab = cv2.cvtColor(color, cv2.COLOR_RGB2LAB)
    edges = oriented_edges(lab)
    height, width = color.shape[:2]
    small = round(width * SEARCH_SIZE / max(width, height)), round(height * SEARCH_SIZE / max(width, height))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    small_edges = np.stack(
        [cv2.resize(cv2.dilate(channel, kernel), small, interpolation=cv2.INTER_AREA) for channel in edges]
    )
    foreground = np.stack(
        [cv2.resize(shown, small, interpolation=cv2.INTER_AREA) for shown in foreground_maps(lab)]
    )
    return Features(small_edges, foreground)


def oriented_edges(lab: np.ndarray) -> np.ndarray:
    """(ORIENTATIONS, H, W) float32 0..1: how much an edge stands out from its surroundings, by its
    direction."""
    soft = cv2.GaussianBlur(lab, (0, 0), 1.0)
    right, down = (cv2.Sobel(soft, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    # The colour structure tensor: one direction for the three channels together (Di Zenzo 1986).
    xx, xy, yy = (
        cv2.GaussianBlur((a * b).sum(axis=2), (0, 0), 0.8)
        for a, b in ((right, right), (right, down), (down, down))
    )
    spread = np.sqrt(np.square(xx - yy) + 4 * np.square(xy))
    strength = np.sqrt(np.maximum((xx + yy + spread) / 2, 0))
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    reach = SURROUNDINGS * max(lab.shape[:2])
    usual = cv2.GaussianBlur(strength, (0, 0), reach / 2, borderType=cv2.BORDER_REPLICATE)
    relative = strength / (strength + usual + LEAST_EDGE)
    channels = np.arange(ORIENTATIONS) * np.pi / ORIENTATIONS
    aligned = np.maximum(np.cos(2 * (angle[None] - channels[:, None, None])), 0)
    return (relative[None] * np.square(aligned)).astype(np.float32)


def foreground_maps(lab: np.ndarray) -> list[np.ndarray]:
    """(H, W) float32 0..1 each: what differs from the border's colours, and from these in shadow as well."""
    height, width = lab.shape[:2]
    rim = max(2, round(0.02 * max(height, width)))
    border = np.ones((height, width), bool)
    border[rim:-rim, rim:-rim] = False
    samples = np.ascontiguousarray(lab[border][::3])
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    cv2.setRNGSeed(0)
    _, label, centres = cv2.kmeans(samples, BORDER_COLORS, None, stop, 2, cv2.KMEANS_PP_CENTERS)
    frequent = np.bincount(label.ravel(), minlength=BORDER_COLORS) > 0.02 * len(samples)
    plain, shadowed = np.inf, np.inf
    for centre in centres[frequent]:
        difference = lab - centre
        plain = np.minimum(plain, np.linalg.norm(difference, axis=2))
        # Along the colour's own ray towards black light falls, and chroma with it.
        light = np.clip(lab[..., 0] / max(float(centre[0]), 1.0), DARKEST_SHADOW, 1.05)
        ray = light[..., None] * centre
        off = lab - ray
        chroma = 2 * np.linalg.norm(off[..., 1:], axis=2)
        shadowed = np.minimum(shadowed, np.sqrt(np.square(off[..., 0]) + np.square(chroma)))
    return [
        (1 / (1 + np.exp((threshold - distance) / (0.25 * threshold)))).astype(np.float32)
        for distance in (plain, shadowed)
        for threshold in THRESHOLDS
    ]


@dataclass(frozen=True)
class Observation:
    """The reference at the size of a round.

    Attributes:
        lab: (H, W, 3) float32 CIE Lab.
        edges: (ORIENTATIONS, H, W) float32 0..1, see :func:`oriented_edges`.
        near_edges: the same, the largest within a pixel.
        axis_edges: (2, H, W) float32 0..1, the largest of those whose edge is crossed from left to right, or
            nearly so, and from top to bottom.
        bins: (H, W) int32 histogram bin of each pixel's colour.
    """

    lab: np.ndarray
    edges: np.ndarray
    near_edges: np.ndarray
    axis_edges: np.ndarray
    bins: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.lab.shape[1], self.lab.shape[0]


def observe_image(color: np.ndarray) -> Observation:
    """An image (H, W, 3) float32 sRGB 0..1, as the fit reads it."""
    lab = cv2.cvtColor(np.ascontiguousarray(color), cv2.COLOR_RGB2LAB)
    place = np.clip((lab - (0, -64, -64)) / (100, 128, 128) * COLOR_BINS, 0, COLOR_BINS - 1).astype(np.int32)
    edges = oriented_edges(lab)
    near = np.stack([cv2.dilate(channel, np.ones((3, 3), np.uint8)) for channel in edges])
    axis_edges = np.stack(
        [
            near[[middle - 1, middle, (middle + 1) % ORIENTATIONS]].max(axis=0)
            for middle in (0, ORIENTATIONS // 2)
        ]
    )
    bins = place @ np.array([COLOR_BINS * COLOR_BINS, COLOR_BINS, 1], np.int32)
    return Observation(lab, edges, near, axis_edges, bins)
