"""Light: what lamps reach, the fit to an image, and what remains of the image without it.

Images are lit by a ray caster of the tests' own: a sun and a sky of a few directions, every ray against every
triangle.
"""

import numpy as np
import pytest
import trimesh

from backend.paint.draft.image.gloss import Gloss
from backend.paint.draft.image.lamps import LampConfig, fit_lamps
from backend.paint.draft.image.light import LightConfig, remove_light, snap_shadows
from backend.paint.draft.image.transfer import RadianceTransfer, TransferConfig
from backend.paint.reference import Reference
from backend.render.rasterize import normals, positions, rasterize, visible_points
from tests.meshes import camera_at, surface_of

CAMERA = camera_at(25, 25, 192)
SUN = np.float64([0.75, -0.45, 0.5]) / np.linalg.norm([0.75, -0.45, 0.5])


def two_boxes():
    """A tower on a slab, on which it casts its shadow."""
    return surface_of(
        trimesh.util.concatenate(
            [
                trimesh.creation.box((2, 1.6, 0.3)),
                trimesh.creation.box((0.5, 0.5, 1.2)).apply_translation((0.3, 0, 0.7)),
            ]
        )
    )


def ball():
    return surface_of(trimesh.creation.icosphere(4))


def reaches(points: np.ndarray, direction: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(N,) bool: whether no triangle (F, 3, 3) stands between points (N, 3) and infinity."""
    a, ab, ac = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    p = np.cross(direction, ac)
    determinant = (ab * p).sum(axis=1)
    inverse = 1 / np.where(determinant == 0, 1e-12, determinant)
    offset = points[:, None] - a
    u = (offset * p).sum(axis=2) * inverse
    q = np.cross(offset, ab)
    v = (q @ direction) * inverse
    distance = (q * ac).sum(axis=2) * inverse
    return ~((u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 1e-4)).any(axis=1)


def naive_light(surface, points: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """(N,) of a sun, a sky and a floor that is half as bright."""
    turn = np.arange(16) * 2.39996
    height = (np.arange(16) + 0.5) / 8 - 1
    flat = np.sqrt(1 - height**2)
    sky = np.column_stack([flat * np.cos(turn), flat * np.sin(turn), height])
    corners = surface.vertices[surface.faces].astype(np.float64)
    # A ball casts no shadow on itself.
    casts = len(corners) < 100
    total = np.zeros(len(points))
    for direction, strength in [(SUN, 1.4), *((d, 0.1 if d[2] > 0 else 0.05) for d in sky)]:
        seen = reaches(points, direction, corners) if casts else True
        total += strength * np.maximum(normal @ direction, 0) * seen
    return total


def tiles(points: np.ndarray) -> np.ndarray:
    """Two paints, linear."""
    dark = np.floor(points * 5 + 0.3).sum(axis=-1, keepdims=True) % 2
    return np.where(dark == 0, np.float32([0.5, 0.42, 0.3]), np.float32([0.12, 0.2, 0.3]))


def encode(linear: np.ndarray) -> np.ndarray:
    return np.where(linear < 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def photograph(surface, lit: bool, paint=tiles) -> tuple[Reference, np.ndarray]:
    """An image of a surface, and (H, W) the light in it."""
    buffer = rasterize(surface.vertices, surface.faces, CAMERA)
    light = np.full(buffer.mask.shape, 0.6)
    if lit:
        points = visible_points(buffer).astype(np.float64)
        light[buffer.mask] = naive_light(surface, points, normals(buffer, surface)[buffer.mask])
    color = np.clip(encode(paint(positions(buffer)) * light[..., None]), 0, 1) * buffer.mask[..., None]
    return Reference(np.float32(np.round(255 * color) / 255), buffer.mask.astype(np.float32)), light


def unevenness(color: np.ndarray, truth: Reference) -> float:
    """Standard deviation of the logarithm of an image's ratio to the truth."""
    inside = truth.alpha > 0.5
    ratio = np.maximum(color[inside], 0.02) / np.maximum(truth.color[inside], 0.02)
    return float(np.std(np.log(ratio)))


@pytest.fixture(scope="module", params=[two_boxes, ball])
def surface(request):
    return request.param()


def test_lamps_reach_what_a_ray_caster_says_they_reach():
    surface = two_boxes()
    buffer = rasterize(surface.vertices, surface.faces, camera_at(25, 25, 48))
    points, normal = visible_points(buffer), normals(buffer, surface)[buffer.mask]
    transfer = RadianceTransfer.measure(surface, TransferConfig(lamps=32))
    columns = transfer.columns(points, normal)
    cosines = 4 / 32 * np.maximum(normal @ transfer.directions.T, 0)
    corners = surface.vertices[surface.faces].astype(np.float64)
    seen = np.column_stack([reaches(points + 1e-3 * normal, d, corners) for d in transfer.directions])
    wrong = np.abs(columns[:, :-1] - cosines * seen).sum() / cosines.sum()
    assert wrong < 0.02
    assert (cosines * ~seen).sum() > 3 * wrong * cosines.sum(), "there are shadows"
    np.testing.assert_allclose(columns.sum(axis=1), cosines.sum(axis=1), atol=1e-4)


def test_light_and_cast_shadows_are_more_than_half_removed(surface):
    image, truth = photograph(surface, True)[0], photograph(surface, False)[0]
    found = remove_light(image, CAMERA, surface)
    assert unevenness(found.color, truth) < 0.5 * unevenness(image.color, truth)


def test_a_cast_shadow_leaves_no_trace_on_plain_paint():
    surface = two_boxes()
    image, light = photograph(surface, True, lambda points: np.float32([0.5, 0.42, 0.3]) + 0 * points)
    found = remove_light(image, CAMERA, surface).color[..., 1]
    slab = (normals(rasterize(surface.vertices, surface.faces, CAMERA), surface)[..., 2] > 0.9) & (
        image.alpha > 0.5
    )
    shadow, sun = slab & (light < 0.5 * light[slab].max()), slab & (light > 0.9 * light[slab].max())
    assert min(shadow.sum(), sun.sum()) > 200
    before, after = (
        np.median(color[sun]) / np.median(color[shadow]) for color in (image.color[..., 1], found)
    )
    assert before > 1.4
    assert after == pytest.approx(1, abs=0.08)


def test_an_unlit_image_is_left_as_it_is(surface):
    image = photograph(surface, False)[0]
    found = remove_light(image, CAMERA, surface)
    assert found.irradiance is None
    assert found.color is image.color
    assert found.reliable.all()


def test_a_half_that_is_painted_dark_stays_dark():
    surface = ball()

    def paint(points):
        return np.where(points[..., :1] < 0, np.float32([0.05, 0.05, 0.08]), np.float32([0.6, 0.5, 0.4]))

    image = photograph(surface, False, paint)[0]
    assert unevenness(remove_light(image, CAMERA, surface).color, image) < 0.03


def test_the_sheen_of_a_dark_thing_is_light():
    surface = ball()
    buffer = rasterize(surface.vertices, surface.faces, CAMERA)
    points, normal = visible_points(buffer), normals(buffer, surface)[buffer.mask]
    transfer = RadianceTransfer.measure(surface, TransferConfig(lamps=128))
    radiance = 0.3 + 6 * np.float32(transfer.directions @ np.float32(SUN) > 0.97)
    light = transfer.light(
        points,
        normal,
        np.float32(CAMERA.directions_to(points)),
        np.append(radiance, 0)[:, None].astype(np.float32),
        Gloss(20, 0.4),
    )
    color = np.zeros((*buffer.mask.shape, 3), np.float32)
    color[buffer.mask] = encode(np.clip(np.float32([0.02, 0.015, 0.02]) * light, 0, 1))
    image, matt = Reference(color, buffer.mask.astype(np.float32)), LightConfig(lamps=LampConfig(glosses=()))
    glossy, matt = (
        remove_light(image, CAMERA, surface, config).color[buffer.mask].std()
        for config in (LightConfig(), matt)
    )
    assert glossy < 0.8 * matt, "gloss is worth something"
    assert glossy < 0.6 * color[buffer.mask].std()


def test_a_border_of_paint_moves_no_light():
    light = np.zeros((60, 60, 3), np.float32)
    light[:, 30:] = -0.4
    stripe = light[..., 0].copy()
    stripe[:, 27:30] -= 1.5
    shown = np.ones((60, 60), bool)
    np.testing.assert_array_equal(snap_shadows(light, stripe, shown), light)


def test_the_edge_of_a_shadow_moves_onto_that_of_the_image():
    light = np.zeros((60, 60, 3), np.float32)
    light[:, 31:] = -0.4
    luma = np.zeros((60, 60), np.float32)
    luma[:, 29:] = -0.4
    found = snap_shadows(light, luma, np.ones((60, 60), bool))
    np.testing.assert_allclose(found[5:-5, :, 0], luma[5:-5], atol=1e-6)


def test_highlights_do_not_disturb_the_light_and_are_not_copied(surface):
    image, truth = photograph(surface, True)[0], photograph(surface, False)[0]
    spot = np.zeros(image.alpha.shape, bool)
    spot[90:100, 85:97] = True
    spot &= image.alpha > 0.5
    image.color[spot] = 1
    found = remove_light(image, CAMERA, surface)
    assert not found.reliable[spot].any()
    assert found.reliable[image.alpha > 0.5].mean() > 0.6
    elsewhere = truth.with_alpha(truth.alpha * ~spot)
    assert unevenness(found.color, elsewhere) < 0.5 * unevenness(image.color, elsewhere)


def test_an_image_that_shows_hardly_anything_is_left_as_it_is():
    surface = ball()
    image = photograph(surface, True)[0]
    few = np.zeros_like(image.alpha)
    few[92:104, 92:104] = 1
    transfer = RadianceTransfer.measure(surface, TransferConfig(lamps=16))
    assert fit_lamps(image.color, few, CAMERA, surface, transfer) is None
    assert remove_light(image.with_alpha(few), CAMERA, surface).color is image.color
