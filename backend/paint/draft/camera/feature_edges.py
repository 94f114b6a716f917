"""How well a mesh's inner edges lie on a picture's: what tells apart views that share an outline.

An edge of the mesh (a crease, or the rim of a part before another) often is an edge of the picture too; edges
of paint mostly are none of the mesh. So the mean of the picture's gradients along the mesh's edges says
little by itself, but is highest where the two lie on each other: it is compared with the same mean after
shifts of a few pixels.
"""

from collections.abc import Callable

import cv2
import numpy as np

from ....mesh.surface import Surface
from ....render.camera import Camera
from ....render.rasterize import GBuffer, normals, rasterize

WIDTH = 256
"""Longer side in pixels at which edges are compared."""

SHIFTS = [
    (round(reach * np.sin(turn)), round(reach * np.cos(turn)))
    for reach in (7, 11)
    for turn in np.arange(8) * np.pi / 4 + reach
]
"""Rows and columns by which chance is measured."""

FEWEST = 40.0
"""Pixels of inner edge below which nothing is concluded."""


class InnerEdges:
    """The edges of a picture, within the object.

    Args:
        color: (H, W, 3) float32 sRGB.
        alpha: (H, W) float32, the object.
    """

    def __init__(self, color: np.ndarray, alpha: np.ndarray):
        height, width = alpha.shape
        scale = WIDTH / max(height, width)
        self.shape = (max(8, round(width * scale)), max(8, round(height * scale)))
        lab = cv2.cvtColor(
            np.ascontiguousarray(cv2.resize(color, self.shape, interpolation=cv2.INTER_AREA)),
            cv2.COLOR_RGB2LAB,
        )
        solid = (cv2.resize(alpha, self.shape, interpolation=cv2.INTER_AREA) > 0.98).astype(np.uint8)
        self.inside = cv2.erode(np.pad(solid, 1), np.ones((7, 7), np.uint8))[1:-1, 1:-1].astype(np.float32)
        lab = cv2.GaussianBlur(lab, (0, 0), 1.0)
        across = [
            np.sqrt((cv2.Sobel(lab, cv2.CV_32F, *axis, scale=1 / 8) ** 2).sum(axis=2))
            for axis in ((1, 0), (0, 1))
        ]
        # In parts of the usual gradient near by: busy paint must not outweigh a plain part.
        usual = sum(across) * self.inside
        usual = cv2.blur(usual, (31, 31)) / np.maximum(cv2.blur(self.inside, (31, 31)), 1e-3)
        self.across = [self.inside * gradient / (gradient + usual + 0.5) for gradient in across]

    def agreement(self, surface: Surface, camera: Callable[[int, int], Camera]) -> float:
        """By how many standard deviations of chance the inner edges that a camera of some width and height
        sees lie on the picture's; 0 where it sees hardly any."""
        buffer = rasterize(surface.vertices, surface.faces, camera(*self.shape))
        edges = [cv2.GaussianBlur(edge, (0, 0), 1.0) * self.inside for edge in mesh_edges(buffer, surface)]
        if sum(edge.sum() for edge in edges) < FEWEST:
            return 0.0
        here = max(self._along(edges, (row, column)) for row in (-1, 0, 1) for column in (-1, 0, 1))
        chance = [self._along(edges, shift) for shift in SHIFTS]
        return float((here - np.mean(chance)) / (np.std(chance) + 0.004))

    def _along(self, edges: list[np.ndarray], shift: tuple[int, int]) -> float:
        """Mean gradient under the mesh's edges, moved by a shift."""
        moved = [np.roll(edge, shift, axis=(0, 1)) for edge in edges]
        total = sum(float((edge * gradient).sum()) for edge, gradient in zip(moved, self.across, strict=True))
        return total / max(sum(float((edge * self.inside).sum()) for edge in moved), 1e-6)


def mesh_edges(buffer: GBuffer, surface: Surface) -> list[np.ndarray]:
    """Two (H, W) float32 0..1: how much the surface bends or jumps from left to right, and from top to
    bottom; 0 at its outline."""
    camera = buffer.camera
    seen, depth = normals(buffer, surface), np.where(buffer.mask, buffer.depth, np.float32(1e6))
    pixel = depth / (camera.focal * camera.width)
    result = []
    for axis in (1, 0):
        before, after = np.roll(depth, 1, axis), np.roll(depth, -1, axis)
        jump = np.abs(before + after - 2 * depth) > 4 * pixel + 0.5 * np.minimum(
            np.abs(before - depth), np.abs(after - depth)
        )
        bend = 1 - (np.roll(seen, 1, axis) * np.roll(seen, -1, axis)).sum(axis=2)
        result.append(np.where(jump, 1, np.clip((bend - 0.05) / 0.25, 0, 1)).astype(np.float32))
    inside = cv2.erode(np.pad(buffer.mask.astype(np.uint8), 1), np.ones((5, 5), np.uint8))[1:-1, 1:-1]
    return [edge * inside for edge in result]
