"""Further pictures are registered with regard to those before them."""

from functools import partial

import numpy as np
import pytest
import trimesh

from backend.api.errors import InvalidImage
from backend.paint.camera.registration import register_reference
from backend.paint.camera.sector import EVERYWHERE, Sector, list_sectors
from backend.paint.camera.several import PictureToFind, register_further, register_side
from backend.paint.camera.view import degrees_between
from backend.paint.reference import Reference, decode
from backend.render.rasterize import normals, rasterize
from tests.meshes import camera_at, ignore_progress, knot, reference_image, surface_of


def paint_sides(surface, azimuth, elevation, size=224) -> Reference:
    """A picture of a mesh whose front is red, whose back is blue, and whose flanks are green and yellow."""
    camera = camera_at(azimuth, elevation, size)
    buffer = rasterize(surface.vertices, surface.faces, camera)
    x, y, _ = np.moveaxis(normals(buffer, surface), 2, 0)
    color = np.zeros((size, size, 4), np.uint8)
    color[..., :3] = np.where(
        (np.abs(y) > np.abs(x))[..., None],
        np.where((y < 0)[..., None], (210, 40, 40), (40, 60, 210)),
        np.where((x < 0)[..., None], (40, 170, 60), (220, 200, 50)),
    )
    color[..., 3] = 255 * buffer.mask
    return decode(color)


def direction_of(registration):
    return registration.match.view.azimuth, registration.match.view.elevation


def register_all(surface, *pictures: tuple[Reference, str | None]):
    """The registrations of the first picture and of the others."""

    def register(reference, sector, progress):
        return register_reference(surface, reference, None, progress, sector=sector)

    lead, _ = register_side(partial(register, pictures[0][0]), pictures[0][1], ignore_progress)
    others = [
        PictureToFind(number, reference, partial(register, reference), side)
        for number, (reference, side) in enumerate(pictures[1:], 1)
    ]
    return lead, register_further(surface, lead, pictures[0][0], others, ignore_progress)


@pytest.fixture(scope="module")
def box():
    return surface_of(trimesh.creation.box((1, 0.6, 0.8)))


@pytest.fixture(scope="module")
def solid():
    return surface_of(knot())


def test_two_pictures_of_a_box_get_its_two_sides(box):
    lead, [other] = register_all(box, (paint_sides(box, 25, 15), None), (paint_sides(box, 205, 15), None))
    assert degrees_between(direction_of(lead), direction_of(other.registration)) > 90


@pytest.mark.parametrize(("side", "azimuth"), [("front", 0), ("back", 180), ("left", 90), ("right", -90)])
def test_a_side_that_is_named_is_taken_where_outlines_are_alike(box, side, azimuth):
    lead, _ = register_all(box, (paint_sides(box, azimuth + 10, 8), side))
    assert degrees_between(direction_of(lead), (azimuth, 0)) < 30


def test_a_picture_from_the_top_is_found_there(solid):
    reference = decode(reference_image(solid, camera_at(0, 85, 224)))
    found, notes = register_side(
        lambda sector, progress: register_reference(solid, reference, None, progress, sector=sector),
        "top",
        ignore_progress,
    )
    assert degrees_between(direction_of(found), (0, 85)) < 5
    assert not notes


def test_a_name_that_is_wrong_is_told_and_does_not_count(solid):
    reference = decode(reference_image(solid, camera_at(30, 15, 224)))
    _, [other] = register_all(
        solid, (decode(reference_image(solid, camera_at(-60, 10, 224))), None), (reference, "back")
    )
    assert degrees_between(direction_of(other.registration), (30, 15)) < 5
    assert "said to show the back" in other.notes[0]


def test_the_same_picture_and_one_of_another_object_are_left_out(solid, box):
    first = decode(reference_image(solid, camera_at(30, 15, 224)))
    _, found = register_all(
        solid,
        (first, None),
        (first, None),
        (paint_sides(box, 30, 20), None),
        (decode(reference_image(solid, camera_at(150, 15, 224))), None),
    )
    assert [each.registration is None for each in found] == [True, True, False]
    assert "same" in found[0].notes[0]
    assert "another object" in found[1].notes[0]
    assert degrees_between(direction_of(found[2].registration), (150, 15)) < 5


def test_a_picture_that_shows_nothing_is_left_out(solid):
    lead = decode(reference_image(solid, camera_at(30, 15, 224)))

    def refuse(sector, progress):
        raise InvalidImage("Nothing was found.")

    registration = register_reference(solid, lead, (30, 15), ignore_progress)
    [found] = register_further(
        solid,
        registration,
        lead,
        [PictureToFind(1, decode(np.full((64, 64, 4), 200, np.uint8)), refuse)],
        ignore_progress,
    )
    assert found.registration is None
    assert found.notes == ("Nothing was found.",)


def test_sectors_hold_what_their_side_shows():
    front, [left, right] = list_sectors("front")[0], list_sectors("left")
    assert front.admits((-50, 20))
    assert not front.admits((70, 0))
    assert left.admits((90, 10))
    assert not left.admits((-90, 10))
    assert right.admits((-90, 10))
    assert not Sector(apart=((0.0, 0.0),)).admits((20, 10))
    assert EVERYWHERE.admits((123, -45))
    assert all(elevation > 80 for _, elevation in list_sectors("top")[0].select([(0, 0)]))
