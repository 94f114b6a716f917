"""Surfaces of revolution: the axis of exact and of nearly round ones, and what turning about it tells."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import trimesh

from backend.mesh.prepare import clean
from backend.paint.draft.fill.config import DEFAULT_CONFIG
from backend.paint.draft.fill.revolution import Revolution, RoundSurface
from backend.paint.draft.fill.samples import sample_points
from backend.paint.draft.fill.synthesis import synthesize
from backend.paint.draft.fill.turning_prior import predict_by_turning
from backend.paint.draft.image.projection import Projection
from backend.paint.reference import decode
from backend.render.photograph import photograph
from backend.render.rasterize import rasterize
from tests.meshes import camera_at, knot, mesh_data

CELLS = 80
"""Points along the longest side of the meshes."""

BLUE, WHITE, RED = ((40, 70, 170), (235, 230, 220), (190, 50, 40))


def turned(profile: list[tuple[float, float]], sections: int = 64) -> trimesh.Trimesh:
    """A profile of radii and heights, turned about z."""
    corners = np.array(profile, float)
    fine = [np.linspace(a, b, 2 + int(20 * np.linalg.norm(b - a)))[:-1] for a, b in pairwise(corners)]
    return trimesh.creation.revolve(np.vstack([*fine, corners[-1:]]), sections=sections)


def bottle() -> trimesh.Trimesh:
    return turned(
        [(0, 0), (0.25, 0), (0.25, 0.8), (0.08, 1), (0.08, 1.1), (0.1, 1.1), (0.1, 1.28), (0, 1.28)]
    )


def barrel() -> trimesh.Trimesh:
    return turned([(0, 0), (0.32, 0), (0.4, 0.5), (0.32, 1), (0, 1)])


def vase() -> trimesh.Trimesh:
    return turned([(0, 0), (0.2, 0), (0.35, 0.3), (0.3, 0.6), (0.12, 0.85), (0.18, 1), (0, 0.98)])


def mushroom() -> trimesh.Trimesh:
    return turned([(0, 0), (0.1, 0), (0.1, 0.5), (0.42, 0.5), (0.38, 0.72), (0.2, 0.84), (0, 0.88)])


def mug() -> trimesh.Trimesh:
    cup = turned([(0, 0), (0.4, 0), (0.4, 0.9), (0.36, 0.9), (0.36, 0.05), (0, 0.05)])
    handle = trimesh.creation.torus(0.25, 0.05)
    handle.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, (1, 0, 0)))
    return trimesh.util.concatenate([cup, handle.apply_translation((0.4, 0, 0.45))])


def wheel() -> trimesh.Trimesh:
    hub = turned([(0, -0.08), (0.3, -0.08), (0.3, 0.08), (0, 0.08)])
    return trimesh.util.concatenate([trimesh.creation.torus(0.42, 0.13), hub])


def head(stretch: tuple[float, float, float] = (0.75, 0.95, 1.15)) -> trimesh.Trimesh:
    nose = trimesh.creation.cone(0.2, 0.5)
    nose.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, (1, 0, 0)))
    skull = trimesh.creation.icosphere(4).apply_scale(stretch)
    return trimesh.util.concatenate([skull, nose.apply_translation((0, -0.8, 0))])


def rounded_box() -> trimesh.Trimesh:
    ball = trimesh.creation.icosphere(5)
    corners = np.array(ball.vertices)
    ball.vertices = corners / (corners**6).sum(axis=1, keepdims=True) ** (1 / 6)
    return ball


def scanned(mesh: trimesh.Trimesh, noise: float = 0.01, oval: float = 0.02) -> trimesh.Trimesh:
    """A mesh with noise, dented, not quite circular, by fractions of its radius."""
    corners = np.array(mesh.vertices)
    radius, angle = np.ptp(corners[:, 0]) / 2, np.arctan2(corners[:, 1], corners[:, 0])
    middle = corners[np.abs(angle + 0.5).argmin()]
    dent = 0.15 * np.exp(-np.square(corners - middle).sum(axis=1) / (0.2 * radius) ** 2)
    corners[:, :2] *= (1 + oval * np.cos(2 * angle) - dent)[:, None]
    mesh.vertices = corners + noise * radius * np.random.default_rng(0).normal(size=corners.shape)
    return mesh


def leaning(mesh: trimesh.Trimesh, degrees: float, about: tuple[float, float, float]) -> trimesh.Trimesh:
    return mesh.apply_transform(trimesh.transformations.rotation_matrix(np.radians(degrees), about))


def spread(mesh: trimesh.Trimesh) -> RoundSurface:
    surface = clean(mesh_data(mesh))
    _, points, normals = sample_points(surface, surface.face_normals, CELLS, 0)
    return RoundSurface(points, normals, 1 / CELLS)


def find(surface: RoundSurface) -> Revolution | None:
    return surface.find_revolution(surface.points[:, 1] < 0, np.zeros((len(surface.points), 3), np.float32))


@pytest.mark.parametrize(
    ("mesh", "lean"),
    [
        (bottle(), (0, (1, 0, 0))),
        (mug(), (0, (1, 0, 0))),
        (mushroom(), (0, (1, 0, 0))),
        (barrel(), (90, (0.3, 1, 0))),
        (wheel(), (90, (1, 0, 0))),
        (wheel(), (80, (1, 0.2, 0))),
        (scanned(vase()), (0, (1, 0, 0))),
        (scanned(vase()), (5, (0.4, 1, 0))),
        (scanned(bottle()), (14, (1, 0.4, 0))),
        (scanned(mug(), oval=0.0), (8, (0.2, 1, 0))),
        (trimesh.creation.cylinder(0.4, 0.8, sections=8), (0, (1, 0, 0))),
    ],
)
def test_the_axis_of_a_round_thing_is_found_though_it_leans_is_noisy_or_has_a_handle(mesh, lean):
    revolution = find(spread(leaning(mesh, *lean)))
    axis = trimesh.transformations.rotation_matrix(np.radians(lean[0]), lean[1])[:3, 2]
    assert abs(revolution.axis @ axis) > np.cos(np.radians(2.5))
    assert revolution.axis[np.abs(revolution.axis).argmax()] > 0, "upwards"


@pytest.mark.parametrize(
    "mesh",
    [
        trimesh.creation.box(),
        trimesh.creation.box((0.8, 0.5, 1.0)),
        scanned(trimesh.creation.box().subdivide().subdivide().subdivide(), oval=0.0),
        rounded_box(),
        trimesh.creation.cylinder(0.4, 0.8, sections=6),
        trimesh.creation.icosphere(4).apply_scale((0.8, 1, 1.2)),
        head(),
        knot(),
    ],
    ids=["cube", "box", "noisy cube", "rounded box", "six sides", "ellipsoid", "head", "knot"],
)
def test_other_things_are_not_round(mesh):
    assert find(spread(mesh)) is None


def test_a_handle_is_not_round_and_does_not_move_the_axis():
    surface = spread(mug())
    revolution = find(surface)
    roundness = surface.roundness(revolution, surface.points, surface.normals)
    radius = revolution.radii(surface.points)
    body = np.abs(radius - np.median(radius)) < 0.02
    assert np.median(roundness[body]) > 0.9
    assert np.median(roundness[radius > 1.15 * np.median(radius)]) < 0.2


@pytest.mark.parametrize("axis", [(0.5, 0.2, 0.8), (0, 0, 1), (0.9, -0.3, 0.1)])
def test_the_axis_of_a_ball_is_that_of_its_stripe(axis):
    surface, axis = spread(trimesh.creation.icosphere(5)), np.array(axis) / np.linalg.norm(axis)
    stripe = np.abs(surface.points @ axis - 0.05) < 0.12
    colors = np.where(stripe[:, None], np.float32(RED), np.float32(WHITE)) / 255
    revolution = surface.find_revolution(surface.points[:, 1] < -0.05, colors)
    assert abs(revolution.axis @ axis) > np.cos(np.radians(2))


def predict(paint, shown_degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Colours (36, 3) and confidence (36,) of the back of a cylinder, each 5 degrees, when so many degrees of
    its front are shown; ``paint(angle (N,))`` gives its colours (N, 3), the front's middle at 0."""
    surface = spread(trimesh.creation.cylinder(0.4, 0.8, sections=96))

    def angles(points: np.ndarray) -> np.ndarray:
        return np.degrees(np.arctan2(points[:, 0], -points[:, 1]))

    def look_up(places: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return paint(angles(places)), (np.abs(angles(places)) < shown_degrees / 2).astype(np.float32)

    turn = np.radians(np.arange(92.5, 270, 5))
    normals = np.column_stack([np.sin(turn), -np.cos(turn), 0 * turn]).astype(np.float32)
    points = normals * np.float32(np.hypot(*surface.points[:, :2].T).max())
    revolution = Revolution(np.array([0, 0, 1.0]), np.zeros(3))
    return predict_by_turning(surface, revolution, look_up, points, normals)


def two_colors(first: np.ndarray) -> np.ndarray:
    """(N, 3) float32: blue where ``first`` (N,) bool, else white."""
    return np.where(first[:, None], np.float32(BLUE), np.float32(WHITE)) / 255


def test_what_is_blue_over_a_quarter_is_blue_all_around():
    colors, confidence = predict(lambda angle: two_colors(angle < 1000), 90)
    assert confidence.min() > 0.9
    np.testing.assert_allclose(colors, np.tile(np.float32(BLUE) / 255, (36, 1)), atol=1e-5)


def test_a_sliver_tells_nothing_of_a_ring():
    assert predict(lambda angle: two_colors(angle < 1000), 40)[1].max() < 0.1


def test_a_label_stays_where_it_is():
    colors, confidence = predict(lambda angle: two_colors(np.abs(angle) < 40), 160)
    assert confidence.min() > 0.4
    np.testing.assert_allclose(colors, np.tile(np.float32(WHITE) / 255, (36, 1)), atol=1e-5)


@pytest.mark.parametrize(
    "paint",
    [
        lambda angle: two_colors(angle < 0),
        lambda angle: two_colors(np.sin(np.radians(14 * angle)) > 0),
        lambda angle: two_colors(np.sin(np.radians(9 * angle)) > 0),
    ],
    ids=["two halves", "fourteen stripes", "nine stripes"],
)
def test_what_changes_with_the_angle_is_not_smeared_around(paint):
    assert predict(paint, 160)[1].max() < 0.1


def bands(height: np.ndarray) -> np.ndarray:
    """(N, 3) float32 0..255 of heights (N,) of the bottle, -0.5..0.5: two thin bands and a cap."""
    color = np.tile(np.float32(WHITE), (len(height), 1))
    color[(np.abs(height + 0.2) < 0.03) | (np.abs(height + 0.3) < 0.02)] = RED
    color[height > 0.36] = BLUE
    return color


def test_bands_and_the_cap_of_a_scanned_bottle_run_all_around():
    surface = clean(mesh_data(scanned(bottle(), oval=0.01)))
    camera = camera_at(20, 5, 384, 2.4, 1.5)
    image = photograph(surface, lambda face, weights, points: bands(points[:, 2]), camera)
    buffer = rasterize(surface.vertices, surface.faces, camera)
    reference = decode(np.dstack([image[..., :3], 255 * buffer.mask]).astype(np.uint8))
    projection = Projection(reference, buffer, np.ones(len(surface.faces), np.int8))
    synthesis = synthesize(
        surface,
        surface.face_normals,
        projection,
        projection.look_up,
        lambda points, normals: np.full((len(points), 3), 0.5, np.float32),
        seed=0,
        progress=lambda fraction: None,
        config=replace(DEFAULT_CONFIG, levels=DEFAULT_CONFIG.levels[:2]),
    )
    samples = synthesis.samples
    back = samples.normals @ np.float32(camera.position / np.linalg.norm(camera.position)) < -0.2
    back &= np.abs(samples.normals[:, 2]) < 0.7
    wrong = np.abs(255 * synthesis.colors - bands(samples.points[:, 2])).max(axis=1) > 60
    assert wrong[back].mean() < 0.06
