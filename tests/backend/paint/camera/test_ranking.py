"""What decides between views with the same outline, and the notes to the user when nothing does."""

import re
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from backend import records
from backend.paint.camera.feature_edges import FeatureEdges
from backend.paint.camera.outline import angular_uncertainty
from backend.paint.camera.registration import register_reference
from backend.paint.camera.search import find_view
from backend.paint.camera.view import View
from backend.paint.reference import Reference, decode
from backend.render.camera import Camera, Orbit
from backend.render.rasterize import positions, rasterize
from tests.meshes import camera_at, knot, reference_image, surface_of


def quiet(fraction: float) -> None:
    pass


def make_boxes(*sizes_and_places) -> trimesh.Trimesh:
    return trimesh.util.concatenate(
        [trimesh.creation.box(size).apply_translation(place) for size, place in sizes_and_places]
    )


@pytest.fixture(scope="module")
def plaque():
    """A slab with a square on its front and two bars on its back, all within its outline."""
    bars = [((0.1, 0.1, 0.8), (x, 0.2, 0)) for x in (-0.25, 0.25)]
    return surface_of(make_boxes(((1, 0.3, 1), (0, 0, 0)), ((0.5, 0.1, 0.5), (0, -0.2, 0)), *bars))


def two_paints(surface, camera: Camera) -> Reference:
    """The raised parts in one colour, the slab in another, both with stripes that are no edges of the
    mesh."""
    buffer = rasterize(surface.vertices, surface.faces, camera)
    points = positions(buffer)
    stripes = 0.85 + 0.15 * np.sign(np.sin(50 * points[..., :1] + 70 * points[..., 2:]))
    color = (
        np.where(np.abs(points[..., 1:2]) > 0.155, np.float32([0.8, 0.5, 0.2]), np.float32([0.3, 0.4, 0.6]))
        * stripes
    )
    return Reference(color.astype(np.float32), buffer.mask.astype(np.float32))


def azimuth_difference(one: float, other: float) -> float:
    return abs((one - other + 180) % 360 - 180)


@pytest.mark.parametrize("azimuth", [200, -15])
def test_feature_edges_decide_between_two_sides_with_the_same_outline(plaque, azimuth):
    reference = two_paints(plaque, camera_at(azimuth, 12, 240))
    match = find_view(plaque, reference.alpha, None, quiet, reference.color)
    assert azimuth_difference(match.view.azimuth, azimuth) < 2
    assert match.confident


def test_two_sides_with_the_same_outline_are_doubtful_without_colours(plaque):
    match = find_view(plaque, two_paints(plaque, camera_at(200, 12, 240)).alpha, None, quiet)
    assert azimuth_difference(match.view.azimuth, 20) < 2
    assert not match.confident


def test_feature_edges_of_the_true_view_score_above_those_of_another(plaque):
    camera = camera_at(20, 12, 240)
    reference = two_paints(plaque, camera)
    edges = FeatureEdges(reference.color, reference.alpha)
    true = View(20, 12, 0, 2.2, 1.3 / 2.2, 0.5, 0.5)
    true_score, other_score = (
        edges.alignment_z_score(plaque, view.camera)
        for view in (true, View(200, 12, 0, 2.2, 1.3 / 2.2, 0.5, 0.5))
    )
    assert true_score > 2
    assert other_score < true_score - 2


def notes_of(surface, image: np.ndarray, direction=None) -> tuple[str, ...]:
    return register_reference(surface, decode(image), direction, quiet).notes


def test_a_doubtful_view_asks_for_the_view_and_a_confident_one_does_not():
    cube, thing = surface_of(trimesh.creation.box()), surface_of(knot())
    plain = reference_image(cube, camera_at(30, 15, 256))
    plain[..., :3] = 128
    [note] = notes_of(cube, plain)
    assert "set Side Shown" in note
    assert notes_of(thing, reference_image(thing, camera_at(30, 15, 256))) == ()


def test_an_image_of_another_shape_is_doubtful_by_some_degrees():
    thing = surface_of(knot())
    lean = replace(thing, vertices=thing.vertices * np.float32([0.97, 1.03, 1.0]))
    [note] = notes_of(thing, reference_image(lean, camera_at(30, 15, 256)))
    assert re.search(r"may be off by [2-9]°", note)
    assert "Pins" in note


def test_a_bar_in_front_of_the_object_does_not_add_uncertainty():
    thing, camera = surface_of(knot()), camera_at(30, 15, 256)
    alpha = rasterize(thing.vertices, thing.faces, camera).mask.astype(np.float32)
    alpha[:, 120:136] = 0
    view = View(30, 15, 0, 2.2, 1.3 / 2.2, 0.5, 0.5)
    exact, tilted = (
        angular_uncertainty(thing, alpha, one, 256) for one in (view, replace(view, elevation=21))
    )
    assert exact < 0.5
    assert tilted > 2


def test_a_given_view_with_another_outline_is_reported():
    surface = surface_of(make_boxes(((1, 0.1, 0.4), (0, 0, 0)), ((0.1, 0.1, 0.5), (0.4, 0, 0.4))))
    image = reference_image(surface, camera_at(0, 10, 256))
    [note] = notes_of(surface, image, (90.0, 10.0))
    assert "side given" in note
    assert notes_of(surface, image, (0.0, 10.0)) == ()


def test_notes_of_views_survive_on_disk():
    camera = camera_at(10, 20, 64)
    orbits = [Orbit("reference", (camera,), ("Doubtful.",)), Orbit("horizontal", (camera, camera))]
    again = records.load_orbits(records.save_orbits(orbits))
    assert [(orbit.name, len(orbit.cameras), orbit.notes) for orbit in again] == [
        ("reference", 1, ("Doubtful.",)),
        ("horizontal", 2, ()),
    ]
