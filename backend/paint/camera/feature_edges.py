"""How well a mesh's feature edges lie on the image's edges, which distinguishes views that share an outline.

A feature edge of the mesh (a crease, or the occluding contour of one thing in front of another) often is an
edge of the image too; edges of paint mostly are none of the mesh. So the mean of the image's gradients along
the mesh's edges says little by itself, but is highest where the two coincide: it is compared with the same
mean after shifts by a few pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

from ...image import resize_longest
from ...mesh.surface import Surface
from ...render.camera import Camera
from ...render.rasterize import GBuffer, normals, rasterize


@dataclass(frozen=True)
class FeatureEdgeConfig:
    """How edges of mesh and image are compared."""

    # Pixels along the longer side at which edges are compared.
    size: int = 256
    # Pixels by which the mesh's edges are shifted to measure what chance gives.
    shift_radii: tuple[int, ...] = (7, 11)
    # Directions of the shifts, evenly spread, per radius.
    shift_directions: int = 8
    # Length in pixels of the visible feature edges below which nothing is concluded.
    min_edge_pixels: float = 40.0
    # Pixels along the square in which an image gradient is compared with the usual ones.
    gradient_window: int = 31
    # Smallest standard deviation of chance, in normalised gradient.
    min_deviation: float = 0.004

    def shifts(self) -> list[tuple[int, int]]:
        """Rows and columns of the shifts by which chance is measured."""
        angles = np.arange(self.shift_directions) * 2 * np.pi / self.shift_directions
        return [
            (round(radius * np.sin(angle)), round(radius * np.cos(angle)))
            for radius in self.shift_radii
            for angle in angles + radius
        ]


class FeatureEdges:
    """The edges of an image, within the object.

    Args:
        color: (H, W, 3) float32 sRGB.
        alpha: (H, W) float32, the object.
        config: how edges are compared.

    Attributes:
        shape: width and height (w, h) at which edges are compared.
        inside: (h, w) float32, 1 within the object and away from its outline.
        gradients: two (h, w) float32 0..1: from left to right, and from top to bottom.
    """

    def __init__(self, color: np.ndarray, alpha: np.ndarray, config: FeatureEdgeConfig = FeatureEdgeConfig()):
        self.config = config
        small = np.ascontiguousarray(resize_longest(color, config.size))
        self.shape = small.shape[1::-1]
        lab = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), (0, 0), 1.0)
        solid = (resize_longest(alpha, config.size) > 0.98).astype(np.uint8)
        self.inside = cv2.erode(np.pad(solid, 1), np.ones((7, 7), np.uint8))[1:-1, 1:-1].astype(np.float32)
        gradients = [
            np.sqrt((cv2.Sobel(lab, cv2.CV_32F, *axis, scale=1 / 8) ** 2).sum(axis=2))
            for axis in ((1, 0), (0, 1))
        ]
        # Relative to the usual gradient near by: busy paint must not outweigh a plain area.
        window = (config.gradient_window,) * 2
        usual = sum(gradients) * self.inside
        usual = cv2.blur(usual, window) / np.maximum(cv2.blur(self.inside, window), 1e-3)
        self.gradients = [self.inside * gradient / (gradient + usual + 0.5) for gradient in gradients]

    def alignment_z_score(self, surface: Surface, camera: Callable[[int, int], Camera]) -> float:
        """By how many standard deviations of chance the feature edges that a camera sees lie better on the
        image's edges than shifted ones; 0 if it sees hardly any. ``camera(width, height)`` makes the
        camera."""
        buffer = rasterize(surface.vertices, surface.faces, camera(*self.shape))
        edges = [
            cv2.GaussianBlur(edge, (0, 0), 1.0) * self.inside for edge in mesh_feature_edges(buffer, surface)
        ]
        if sum(edge.sum() for edge in edges) < self.config.min_edge_pixels:
            return 0.0
        here = max(self._mean_gradient(edges, (row, column)) for row in (-1, 0, 1) for column in (-1, 0, 1))
        chance = [self._mean_gradient(edges, shift) for shift in self.config.shifts()]
        return float((here - np.mean(chance)) / (np.std(chance) + self.config.min_deviation))

    def _mean_gradient(self, edges: list[np.ndarray], shift: tuple[int, int]) -> float:
        """Mean gradient of the image under the mesh's edges, shifted by rows and columns."""
        shifted = [np.roll(edge, shift, axis=(0, 1)) for edge in edges]
        pairs = zip(shifted, self.gradients, strict=True)
        total = sum(float((edge * gradient).sum()) for edge, gradient in pairs)
        return total / max(sum(float((edge * self.inside).sum()) for edge in shifted), 1e-6)


def mesh_feature_edges(buffer: GBuffer, surface: Surface) -> list[np.ndarray]:
    """Two (H, W) float32 0..1: how sharply the surface bends, or its depth jumps, from left to right, and
    from top to bottom; 0 at its outline."""
    camera = buffer.camera
    inside = cv2.erode(np.pad(buffer.mask.astype(np.uint8), 1), np.ones((5, 5), np.uint8))[1:-1, 1:-1]
    pixel = np.float32(1 / (camera.focal * camera.width))
    edges = np.zeros((2, *buffer.depth.shape), np.float32)
    _measure_bends(normals(buffer, surface), buffer.depth, inside, pixel, edges)
    return list(edges)


@njit(cache=True, nogil=True)
def _measure_bends(normal, depth, inside, pixel, edges):
    """Fills ``edges`` (2, H, W) where ``inside`` (H, W) is not 0, which keeps a pixel away from the border;
    ``pixel`` is what a pixel covers at a depth of 1."""
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            if not inside[row, column]:
                continue
            here = depth[row, column]
            for axis in range(2):
                down, right = axis, 1 - axis
                before, after = depth[row - down, column - right], depth[row + down, column + right]
                # Second differences of depth vanish on a slope and jump at a step.
                usual = 4 * pixel * here + 0.5 * min(abs(before - here), abs(after - here))
                if abs(before + after - 2 * here) > usual:
                    edges[axis, row, column] = 1
                    continue
                cosine = np.float32(0)
                for k in range(3):
                    cosine += normal[row - down, column - right, k] * normal[row + down, column + right, k]
                # From about 18 degrees between the normals on (0.05) a crease counts, from 45 degrees on
                # (0.3) fully.
                edges[axis, row, column] = min(max((1 - cosine - 0.05) / 0.25, 0), 1)
