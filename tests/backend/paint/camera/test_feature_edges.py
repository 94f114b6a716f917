"""Creases and occluding contours of a rendered mesh, against the same in plain numpy."""

import cv2
import numpy as np
import pytest

from backend.mesh.prepare import clean
from backend.paint.camera.feature_edges import mesh_feature_edges
from backend.render.rasterize import normals, rasterize
from tests.meshes import knot, mesh_data
from tests.scenes import chair, van, view_at


def naive_edges(buffer, surface) -> list[np.ndarray]:
    """Jumps of depth and bends between the pixels on both sides, from left to right and from top to
    bottom."""
    normal, depth = normals(buffer, surface), np.where(buffer.mask, buffer.depth, 1e6)
    pixel = depth / (buffer.camera.focal * buffer.camera.width)
    inside = cv2.erode(np.pad(buffer.mask, 1).astype(np.uint8), np.ones((5, 5), np.uint8))[1:-1, 1:-1]
    result = []
    for axis in (1, 0):
        before, after = np.roll(depth, 1, axis), np.roll(depth, -1, axis)
        slope = np.minimum(np.abs(before - depth), np.abs(after - depth))
        jump = np.abs(before + after - 2 * depth) > 4 * pixel + 0.5 * slope
        bend = 1 - (np.roll(normal, 1, axis) * np.roll(normal, -1, axis)).sum(axis=2)
        result.append(np.where(jump, 1, np.clip((bend - 0.05) / 0.25, 0, 1)) * inside)
    return result


@pytest.mark.parametrize("make", [van, chair, knot])
@pytest.mark.parametrize("zoom", [0.8, 2.5])
def test_feature_edges_are_those_of_plain_numpy(make, zoom):
    surface = clean(mesh_data(make()))
    buffer = rasterize(surface.vertices, surface.faces, view_at(40, 25, zoom=zoom).camera(240, 200))
    for edges, expected in zip(
        mesh_feature_edges(buffer, surface), naive_edges(buffer, surface), strict=True
    ):
        assert (edges > 0.5).sum() > 20
        # Rounding decides about a few jumps.
        assert (np.abs(edges - expected) > 1e-4).sum() <= 2
