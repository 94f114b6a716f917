"""The reference registered with the mesh: what is kept of it, and the images of its candidate views."""

import numpy as np
import pytest
import trimesh

from backend import records
from backend.paint.camera.candidate_images import IMAGE_SIZE, draw_candidate
from backend.paint.camera.match import Match, pack_matches, unpack_matches
from backend.paint.camera.registration import Registration, register_reference
from backend.paint.camera.several import FurtherPicture
from backend.paint.camera.view import View
from backend.paint.reference import Reference, decode
from backend.pictures.register import Registered
from tests.meshes import camera_at, ignore_progress, knot, reference_image, surface_of

MATCHES = (
    Match(View(30.0, 15.0, 2.0, 2.2, 1.3, 0.5, 0.45), 0.97, 0.004, 0.9, 1.5),
    Match(View(-150.0, -5.0, 0.0, 25.0, 1.0, 0.52, 0.5), 0.8, 0.02, 0.2, 0.0),
)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_packed_matches_are_unpacked_unchanged(count):
    again = unpack_matches(pack_matches(MATCHES[:count]))
    assert len(again) == count
    for match, before in zip(again, MATCHES, strict=False):
        np.testing.assert_allclose(match.view.parameters(), before.view.parameters())
        assert (match.overlap, match.error, match.confidence, match.degrees) == (
            before.overlap,
            before.error,
            before.confidence,
            before.degrees,
        )


def test_a_registration_survives_on_disk(tmp_path):
    color, alpha = np.zeros((40, 30, 3), np.float32), np.eye(40, 30, dtype=np.float32)
    reference = Reference(color, np.ones_like(alpha), ("Converted.",))
    cut = Reference(color, alpha, ("Converted.",), True, ("Doubtful.",))
    found = Registration(cut, MATCHES, True)
    left_out = FurtherPicture(1, None, ("Another object.",))
    registered = Registered(found, True, (left_out, FurtherPicture(2, found)), ("Another side.",))
    np.savez(tmp_path / "file.npz", **records.save_registered(registered))
    with np.load(tmp_path / "file.npz", allow_pickle=False) as file:
        loaded = records.load_registered(dict(file), reference, [None, reference])
    assert loaded.shows_whole
    assert loaded.notes == ("Another side.",)
    assert loaded.further[0] == left_out
    again = loaded.further[1].registration
    np.testing.assert_array_equal(loaded.lead.reference.alpha, again.reference.alpha)
    np.testing.assert_array_equal(again.reference.alpha, alpha)
    assert again.reference.notes == ("Converted.", "Doubtful.")
    assert (again.reference.segmented, again.given, len(again.candidates)) == (True, True, 2)
    assert again.notes == Registration(cut, MATCHES, True).notes


@pytest.fixture(scope="module")
def checkered():
    """A knot, and a reference that shows checks on it."""
    surface = surface_of(knot())
    return surface, decode(reference_image(surface, camera_at(30, 15, 384)))


def colored_share(image: np.ndarray) -> float:
    """Fraction of the mesh in an image that wears colours of the object, none of which is grey."""
    color = image[image[..., 3] > 0, :3].astype(int)
    return float((np.ptp(color, axis=1) > 25).mean())


def background_share(image: np.ndarray) -> float:
    """Fraction of the mesh in an image that wears the telling magenta of the reference's background."""
    color = image[image[..., 3] > 0, :3].astype(int)
    return float((np.abs(color - (255, 0, 255)).max(axis=1) < 40).mean())


def test_the_image_of_the_right_candidate_wears_the_objects_colours(checkered):
    surface, reference = checkered
    view = register_reference(surface, reference, (30.0, 15.0), ignore_progress).match.view
    image = draw_candidate(surface, reference, view)
    assert image.shape == (IMAGE_SIZE, IMAGE_SIZE, 4)
    assert 0.1 < (image[..., 3] > 0).mean() < 0.9
    assert not image[[0, -1], :, 3].any(), "the mesh is cut off"
    assert not image[:, [0, -1], 3].any(), "the mesh is cut off"
    assert colored_share(image) > 0.4
    assert background_share(image) < 0.02


def test_the_image_of_a_wrong_candidate_wears_the_background_too(checkered):
    surface, reference = checkered
    view = register_reference(surface, reference, (30.0, 15.0), ignore_progress).match.view
    wrong = View(view.azimuth + 90, *view.parameters()[1:3], view.distance, view.zoom, view.x, view.y)
    assert background_share(draw_candidate(surface, reference, wrong)) > 0.1


def test_surface_that_a_candidate_does_not_see_is_grey():
    surface = surface_of(trimesh.creation.box())
    reference = decode(reference_image(surface, camera_at(0, 10, 256)))
    view = register_reference(surface, reference, (0.0, 10.0), ignore_progress).match.view
    image = draw_candidate(surface, reference, view)
    # The camera of the image sees the box's front, and a side that the candidate does not see.
    assert 0.1 < 1 - colored_share(image) < 0.8


def two_balls() -> np.ndarray:
    """(200, 320, 4) uint8: two things before a transparent background."""
    y, x = np.mgrid[0:200, 0:320]
    image = np.zeros((200, 320, 4), np.uint8)
    for middle in (80, 240):
        image[np.hypot(x - middle, y - 100) < 60] = (200, 60, 40, 255)
    return image


def test_a_mask_of_two_things_is_told_if_the_mesh_is_one():
    found = register_reference(surface_of(knot()), decode(two_balls()), None, ignore_progress)
    assert found.doubtful
    assert any("2 separate things" in note for note in found.reference.mask_notes)
    pair = [knot(), knot().apply_translation((2, 0, 0))]
    surface = surface_of(trimesh.util.concatenate(pair))
    reference = decode(reference_image(surface, camera_at(20, 15, 256)))
    both = register_reference(surface, reference, (20.0, 15.0), ignore_progress)
    assert not both.doubtful
    assert both.reference.mask_notes == ()


def test_an_object_that_the_border_cuts_off_is_told_with_a_mask_too(checkered):
    surface, reference = checkered
    columns = np.flatnonzero((reference.alpha > 0.5).any(axis=0))
    right = slice(int(columns[0] + 0.2 * len(columns)), None)
    cut = decode(np.ascontiguousarray(reference_image(surface, camera_at(30, 15, 384))[:, right]))
    found = register_reference(surface, cut, (30.0, 15.0), ignore_progress)
    assert any("cut off by the border" in note for note in found.reference.mask_notes)
    whole = register_reference(surface, reference, (30.0, 15.0), ignore_progress)
    assert whole.reference.mask_notes == ()
