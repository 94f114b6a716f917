"""The contour and the inner feature edges of a rendered view, and where the reference has them.

Along the normal of each contour pixel the place is looked for that has the best edge of that direction and
parts object from ground by their colours, smoothly along the contour (dynamic programming).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

from .templates import orientation_channels

INNER_POINTS = 120
"""Points of inner edges that are followed, at least, where there are so many; fewer than twice as many."""

MARGIN = 6
"""Pixels around a silhouette's box that its normals are measured on."""


@dataclass(frozen=True)
class Contour:
    """The contour of a silhouette, holes included, in order.

    Attributes:
        pixels: (N, 2) int32 column and row, just inside.
        channel: (N,) int32 orientation channels.
        normal: (N, 2) float64 unit normals that point outwards.
        line: (N,) int32 number of the closed line that each pixel belongs to.
    """

    pixels: np.ndarray
    channel: np.ndarray
    normal: np.ndarray
    line: np.ndarray

    def read(self, channels: np.ndarray) -> np.ndarray:
        """(N,) what ``channels`` (ORIENTATIONS, H, W) hold along the contour, each pixel in its own."""
        return channels[self.channel, self.pixels[:, 1], self.pixels[:, 0]]


def follow_contour(mask: np.ndarray) -> Contour:
    """The contour of a silhouette (H, W) bool."""
    lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    lines = [line[:, 0] for line in lines if len(line) >= 8] or [line[:, 0] for line in lines]
    pixels = np.concatenate(lines)
    line = np.repeat(np.arange(len(lines), dtype=np.int32), [len(line) for line in lines])
    # Across the contour the signed distance rises outwards. Only the pixels around it are needed.
    left, top, width, height = cv2.boundingRect(pixels)
    padded = np.pad(mask[top : top + height, left : left + width], MARGIN).astype(np.uint8)
    inside, outside = (
        cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_5) for part in (padded, 1 - padded)
    )
    depth = cv2.GaussianBlur(inside - outside, (0, 0), 1.0)
    place = pixels[:, 1] - top + MARGIN, pixels[:, 0] - left + MARGIN
    right, down = (cv2.Sobel(depth, cv2.CV_32F, *order)[place] for order in ((1, 0), (0, 1)))
    normal = -np.column_stack([right, down]).astype(np.float64)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    return Contour(pixels, orientation_channels(normal), normal, line)


def inner_edge_points(edges: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Points on the feature edges inside of the contour.

    Args:
        edges: two (H, W) float32, see :func:`..feature_edges.mesh_feature_edges`.

    Returns:
        (N, 2) int pixels (column, row), fewer than 2 INNER_POINTS; (N, 2) float64 unit normals of the edges.
    """
    either = np.maximum(*edges)
    strength = cv2.GaussianBlur(either, (0, 0), 1.0)
    right, down = cv2.Sobel(strength, cv2.CV_32F, 1, 0), cv2.Sobel(strength, cv2.CV_32F, 0, 1)
    rows, columns = np.nonzero(either > 0.5)
    every = max(1, len(rows) // INNER_POINTS)
    rows, columns = rows[::every], columns[::every]
    # The structure tensor across a ridge points along its normal.
    xx, xy, yy = (
        cv2.GaussianBlur(a * b, (0, 0), 1.5)[rows, columns]
        for a, b in ((right, right), (right, down), (down, down))
    )
    angle = 0.5 * np.arctan2(2 * xy, xx - yy).astype(np.float64)
    return np.column_stack([columns, rows]), np.column_stack([np.cos(angle), np.sin(angle)])


@njit(cache=True, nogil=True)
def offset_gains(pixels, channel, normal, edges, ratio, reach):
    """What each offset along the normal gains, in edge and in colours parted. Moving the contour outwards
    wins pixels for the object, whose log ratio is added; inwards it gives them up.

    Args:
        pixels: (N, 2) int, column and row.
        channel: (N,) int32 orientation channels.
        normal: (N, 2) float64 unit.
        edges: (ORIENTATIONS, H, W) float32.
        ratio: (H, W) float32, the weighted log ratio of how much likelier a colour is inside than around.
        reach: largest offset in pixels.

    Returns:
        (N, 2 reach + 1) float32.
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
                value = edges[channel[n], row, column] + total
                gain[n, reach + offset] = value
    return gain


@njit(cache=True, nogil=True)
def best_offsets(gain, number, step_cost):
    """The offsets with the largest gain, smooth along each line but for where it closes.

    Args:
        gain: (N, K) float32, see :func:`offset_gains`.
        number: (N,) int32, the line of each pixel.
        step_cost: what a step of a pixel between neighbours costs.

    Returns:
        (N,) int64 offset plus reach; (N,) float32 gain there, 0.05..1.
    """
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
