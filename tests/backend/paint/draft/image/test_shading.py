"""Shading removal: brightness that follows the orientation is removed, paint stays."""

import numpy as np
import pytest
import trimesh

from backend.paint.draft.image.shading import remove_shading
from backend.paint.reference import Reference
from backend.render.rasterize import normals, positions, rasterize
from tests.meshes import camera_at, knot, surface_of

CAMERA = camera_at(20, 10, 256)


def render_reference(surface, albedo, lit: bool) -> Reference:
    """Paint as a function of points under a lamp from the upper left and a sky, or under even light."""
    buffer = rasterize(surface.vertices, surface.faces, CAMERA)
    lamp = np.float32([-0.6, -0.5, 0.62])
    shade = (
        0.25 + 0.6 * np.maximum(normals(buffer, surface) @ lamp, 0) + 0.1 * normals(buffer, surface)[..., 2]
        if lit
        else 0.6
    )
    color = albedo(positions(buffer)) * (np.float32(shade) ** (1 / 2.2))[..., None]
    return Reference(np.clip(color, 0, 1).astype(np.float32), buffer.mask.astype(np.float32))


def checkerboard(points: np.ndarray) -> np.ndarray:
    dark = np.floor(points * 6).sum(axis=-1, keepdims=True) % 2
    return np.where(dark == 0, np.float32([0.9, 0.8, 0.6]), np.float32([0.5, 0.3, 0.3]))


def dark_half(points: np.ndarray) -> np.ndarray:
    return np.where(points[..., :1] < 0, np.float32([0.25, 0.25, 0.3]), np.float32([0.8, 0.75, 0.7]))


def unevenness(reference: Reference, truth: Reference) -> float:
    """Standard deviation of the logarithm of the ratio between an image's brightness and the truth's."""
    inside = truth.alpha > 0.5
    return float(
        np.std(np.log(np.maximum(reference.color[inside], 0.02) / np.maximum(truth.color[inside], 0.02)))
    )


@pytest.fixture(scope="module", params=["ball", "knot"])
def surface(request):
    return surface_of(trimesh.creation.icosphere(4) if request.param == "ball" else knot())


def test_shading_removal_leaves_less_than_half_of_the_light(surface):
    image, truth = (
        render_reference(surface, checkerboard, True),
        render_reference(surface, checkerboard, False),
    )
    assert unevenness(remove_shading(image, CAMERA, surface, 1.0), truth) < 0.5 * unevenness(image, truth)


def test_shading_removal_of_half_strength_removes_about_half_the_light(surface):
    image = render_reference(surface, checkerboard, True)
    half, whole = (
        unevenness(remove_shading(image, CAMERA, surface, strength), image) for strength in (0.5, 1.0)
    )
    assert 0.4 < half / whole < 0.6


def test_shading_removal_keeps_a_half_that_is_painted_dark(surface):
    image = render_reference(surface, dark_half, False)
    assert unevenness(remove_shading(image, CAMERA, surface, 1.0), image) < 0.05


def test_shading_removal_of_no_strength_changes_nothing(surface):
    image = render_reference(surface, checkerboard, True)
    assert remove_shading(image, CAMERA, surface, 0.0) is image
