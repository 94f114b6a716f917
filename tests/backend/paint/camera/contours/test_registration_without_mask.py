"""Object and view of references without a mask, ordinary ones and bad ones."""

from functools import cache

import cv2
import numpy as np
import pytest
import trimesh

from backend.api.errors import InvalidImage
from backend.mesh.prepare import clean
from backend.paint.camera.outline import intersection_over_union
from backend.paint.camera.registration import Registration, register_reference
from backend.paint.camera.view import angle_between
from tests.meshes import ignore_progress, knot, mesh_data
from tests.scenes import (
    Scene,
    chair,
    loose_leaves,
    mug,
    photograph,
    plane,
    reference_of,
    triangle,
    van,
    view_at,
)

DIRECTION = (35.0, 20.0)
PLAIN = Scene(paint=(0.3, 0.25, 0.5))


def register(surface, color: np.ndarray, direction=None) -> Registration:
    return register_reference(surface, reference_of(color), direction, ignore_progress)


def surface_of(make):
    return clean(mesh_data(make()))


ORDINARY = {
    "a pale chair on a pale ground": (chair, (-40.0, 12.0), Scene(paint=(0.9, 0.88, 0.84))),
    "a white van among other things": (van, DIRECTION, Scene(paint=(0.9, 0.9, 0.92), clutter=14)),
}


@cache
def register_ordinary(name: str) -> tuple[Registration, np.ndarray, list[float]]:
    """The registration of an ordinary reference, its true mask, and the progress that was told."""
    make, direction, scene = ORDINARY[name]
    surface, fractions = surface_of(make), []
    color, mask = photograph(surface, view_at(*direction), scene)
    found = register_reference(surface, reference_of(color), None, fractions.append)
    return found, mask, fractions


@pytest.mark.parametrize("name", ORDINARY)
def test_the_view_and_the_mask_of_an_ordinary_reference_are_found(name):
    found, mask, fractions = register_ordinary(name)
    _, direction, _ = ORDINARY[name]
    assert angle_between(*direction, found.match.view) < 3
    assert not found.doubtful
    assert found.notes == ()
    assert intersection_over_union(found.reference.alpha > 0.5, mask) > 0.95
    assert found.reference.segmented
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < fractions[-1] <= 1
    # Other candidates are other directions.
    assert 1 < len(found.candidates) <= 4
    for other in found.candidates[1:]:
        assert angle_between(*direction, other.view) > 6
        assert other.confidence == 0


def test_the_thin_legs_of_a_chair_are_in_and_the_gap_under_its_arm_is_out():
    found, mask, _ = register_ordinary("a pale chair on a pale ground")
    own = found.reference.alpha > 0.5
    thin = mask & (cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((15, 15), np.uint8)) == 0)
    assert thin.sum() > 1000
    assert own[thin].mean() > 0.9
    assert holes_of(mask).sum() > 200
    assert own[holes_of(mask)].mean() < 0.1


def test_the_hole_of_a_handle_is_out_of_the_mask():
    surface = surface_of(mug)
    color, mask = photograph(surface, view_at(10, 15), Scene(paint=(0.92, 0.92, 0.92)))
    own = register(surface, color, (10.0, 15.0)).reference.alpha > 0.5
    assert holes_of(mask).sum() > 500
    assert own[holes_of(mask)].mean() < 0.05
    assert intersection_over_union(own, mask) > 0.95


def holes_of(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool: background that the object encloses, without its rim."""
    count, label = cv2.connectedComponents((~mask).astype(np.uint8), connectivity=4)
    assert count > 2
    enclosed = ~mask & (label != label[0, 0])
    return cv2.erode(enclosed.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def test_a_given_direction_is_kept_and_repeats_to_the_bit():
    surface = surface_of(van)
    color, _ = photograph(surface, view_at(*DIRECTION), Scene(paint=(0.9, 0.9, 0.92), clutter=14))
    first, second = (register(surface, color, (37.0, 19.0)) for _ in range(2))
    view = first.match.view
    assert (view.azimuth, view.elevation, view.roll) == (37.0, 19.0, 0.0)
    assert view.parameters().tobytes() == second.match.view.parameters().tobytes()
    assert first.match == second.match
    assert first.reference.alpha.tobytes() == second.reference.alpha.tobytes()


def test_the_image_of_another_object_is_doubted():
    color, _ = photograph(surface_of(knot), view_at(30, 15), Scene(clutter=3))
    found = register(surface_of(chair), color)
    assert found.doubtful
    assert "is uncertain" in found.notes[0]


# The true direction, and the one that the search takes: from there the bonnet could be all of a van.
@pytest.mark.parametrize("direction", [DIRECTION, (112.0, 71.0)])
def test_an_object_half_outside_is_told(direction):
    surface = surface_of(van)
    color, _ = photograph(surface, view_at(*DIRECTION, zoom=0.7, x=0.9), PLAIN)
    found = register(surface, color, direction)
    assert found.doubtful or any("cut off" in note for note in found.reference.mask_notes)


@pytest.mark.parametrize(
    "color",
    [
        pytest.param(np.full((120, 160, 3), 0.9, np.float32), id="grey"),
        pytest.param(np.zeros((16, 16, 3), np.float32), id="black, 16 pixels"),
        pytest.param(np.full((60, 2000, 3), 0.5, np.float32), id="grey, very wide"),
    ],
)
@pytest.mark.parametrize("make", [van, loose_leaves])
def test_a_blank_image_is_a_sentence(make, color):
    with pytest.raises(InvalidImage, match="Nothing of the mesh's shape was found"):
        register(surface_of(make), color, DIRECTION)


@pytest.mark.parametrize("shape", [(120, 160), (16, 16), (60, 2000), (2000, 60)])
def test_noise_is_doubted_or_a_sentence(shape):
    color = np.random.default_rng(0).random((*shape, 3), np.float32)
    try:
        told = " ".join(register(surface_of(van), color, DIRECTION).notes)
    except InvalidImage as error:
        told = str(error)
    assert "Nothing of the mesh's shape was found" in told or "From the side given" in told


def test_an_object_that_fills_the_frame_is_told():
    surface = surface_of(van)
    color, mask = photograph(surface, view_at(*DIRECTION, zoom=2.6), PLAIN)
    assert mask.all()
    with pytest.raises(InvalidImage, match="shows the whole object"):
        register(surface, np.full_like(color, 0.4), DIRECTION)
    found = register(surface, color, DIRECTION)
    assert found.doubtful or any("cut off" in note for note in found.reference.mask_notes)


def test_an_object_of_few_pixels_is_doubted():
    surface = surface_of(van)
    color, _ = photograph(surface, view_at(*DIRECTION), PLAIN, (16, 16))
    assert register(surface, color, DIRECTION).doubtful


@pytest.mark.parametrize("make", [plane, triangle])
def test_a_flat_mesh_is_registered_from_its_front(make):
    surface = surface_of(make)
    color, mask = photograph(surface, view_at(10, 20), PLAIN)
    found = register(surface, color, (10.0, 20.0))
    assert intersection_over_union(found.reference.alpha > 0.5, mask) > 0.95


@pytest.mark.parametrize("make", [plane, triangle])
def test_a_flat_mesh_seen_from_its_edge_is_a_sentence(make):
    color, _ = photograph(surface_of(make), view_at(10, 20), PLAIN)
    with pytest.raises(InvalidImage, match="from its edge"):
        register(surface_of(make), color, (90.0, 0.0))


def test_loose_leaves_are_found_or_doubted():
    surface = surface_of(loose_leaves)
    color, mask = photograph(surface, view_at(*DIRECTION), PLAIN)
    found = register(surface, color, DIRECTION)
    assert found.doubtful or intersection_over_union(found.reference.alpha > 0.5, mask) > 0.7


def test_a_doubtful_view_comes_with_what_is_doubtful_about_the_image():
    color = np.full((240, 320, 3), 0.95, np.float32)
    for middle in (90, 230):
        cv2.circle(color, (middle, 120), 50, (0.8, 0.2, 0.1), -1, cv2.LINE_AA)
    found = register(surface_of(chair), color)
    assert found.doubtful
    assert any("2 separate things" in note for note in found.reference.mask_notes)


@pytest.mark.parametrize("direction", [(35.0, 20.0), (20.0, 30.0), (-50.0, 25.0)])
def test_of_two_sides_that_look_the_same_the_front_is_taken(direction):
    surface = clean(mesh_data(trimesh.creation.box((1.0, 0.6, 0.7))))
    scene = Scene(paint=(0.35, 0.3, 0.6), clutter=6, shadow=0.0 if direction[0] < 0 else 0.5)
    color, _ = photograph(surface, view_at(*direction), scene)
    assert angle_between(*direction, register(surface, color).match.view) < 3
