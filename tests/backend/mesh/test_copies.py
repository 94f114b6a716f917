"""Parts that share texels: copies of one another have layers, everything else has none."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from backend.bake.region import Earlier, describe_repaint
from backend.mesh.copies import find_layers, lay_side_by_side
from backend.mesh.prepare import clean
from backend.mesh.tiles import cut_cells
from backend.mesh.uvs import why_unusable
from tests.meshes import mesh_data
from tests.stacked_meshes import copy_mesh, half_body, join, move


@pytest.mark.parametrize(
    "copies",
    [
        [move(), move(mirror=(-1, 1, 1))],
        [move(), move(-0.3, 0, 0, mirror=(-1, 1, 1))],
        [
            move(),
            move(mirror=(-1, 1, 1)),
            move(0, -2, 0, mirror=(1, -1, 1)),
            move(0, -2, 0, mirror=(-1, -1, 1)),
        ],
        [move(k, 0, 0) for k in range(5)],
        [move(0, 0, 3 * k) for k in range(3)],
        [move(turn=60 * k) for k in range(6)],
        [move(), move(4, 2, 1, turn=33)],
    ],
    ids=["mirror", "mirror with a gap", "mirrors", "array that touches", "loose array", "turned", "moved"],
)
def test_copies_have_a_layer_each(copies):
    surface = clean(copy_mesh(*copies))
    assert "overlap" in why_unusable(surface.corner_uvs)
    faces = len(half_body()[1])
    assert find_layers(surface).tolist() == np.repeat(np.arange(len(copies)), faces).tolist()


def test_copies_may_be_split_into_other_triangles():
    points, faces, uvs = half_body()
    half = len(faces) // 2
    # The quads' other diagonal.
    corners = np.concatenate([uvs[:half], uvs[half:, 2:]], axis=1)
    quads = np.column_stack([faces[:half], faces[half:, 2]])
    other = [np.concatenate([quads[:, [0, 1, 3]], quads[:, [1, 2, 3]]])]
    other.append(np.concatenate([corners[:, [0, 1, 3]], corners[:, [1, 2, 3]]]))
    one, two = copy_mesh(move()), copy_mesh(move(mirror=(-1, 1, 1)), mesh=(points, *other))
    layers = find_layers(clean(join(one, two)))
    assert layers.tolist() == np.repeat([0, 1], 2 * half).tolist()


def test_what_has_no_copy_is_in_the_first_layer():
    points, faces, uvs = half_body()
    small = copy_mesh(move(), move(mirror=(-1, 1, 1)), mesh=(points, faces, uvs * 0.5))
    single = copy_mesh(move(0, 3, 0), mesh=(points, faces, uvs * 0.5 + 0.5))
    layers = find_layers(clean(join(single, small)))
    assert layers.tolist() == np.repeat([0, 0, 1], len(faces)).tolist()


def test_a_mirrored_flat_sheet_has_layers():
    flat = (half_body()[0] * (1, 0, 1), *half_body()[1:])
    assert find_layers(clean(copy_mesh(move(), move(mirror=(-1, 1, 1)), mesh=flat))).max() == 1


def test_other_shapes_on_the_same_texels_are_no_copies():
    points, faces, uvs = half_body()
    bulged = points + np.column_stack([0 * points[:, 0], 0.3 * np.sin(9 * points[:, 2]), 0 * points[:, 0]])
    larger = copy_mesh(move(5, 0, 0), mesh=(2 * points, faces, uvs))
    for other in (copy_mesh(move(mirror=(-1, 1, 1)), mesh=(bulged, faces, uvs)), larger):
        assert find_layers(clean(join(copy_mesh(move()), other))) is None


def floor() -> trimesh.Trimesh:
    """A flat grid of squares, each of two triangles."""
    corner = np.float32([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    at = [corner + np.float32([x, y, 0]) for x in range(3) for y in range(3)]
    faces = [4 * k + np.array([[0, 1, 2], [0, 2, 3]]) for k in range(len(at))]
    return trimesh.Trimesh(np.concatenate(at), np.concatenate(faces), process=False)


@pytest.mark.parametrize("shape", [trimesh.creation.icosphere(2), trimesh.creation.box(), floor()])
def test_polygons_that_each_fill_the_square_are_no_copies(shape):
    mesh = mesh_data(shape)
    square = np.float32([[0, 0], [1, 0], [1, 1], [0, 1]])
    corners = np.tile(square[[[0, 1, 2], [0, 2, 3]]], (len(mesh.faces) // 2, 1, 1))
    assert find_layers(clean(replace(mesh, corner_uvs=corners))) is None


@pytest.mark.parametrize("direction", [[1, 0, 0], [0, 1, 0], [0.6, 0.8, 0]])
def test_a_shape_seen_from_one_side_is_no_layout(direction):
    mesh = mesh_data(trimesh.creation.icosphere(3))
    across = np.cross(direction, [0, 0, 1])
    seen = np.column_stack([mesh.vertices @ across, mesh.vertices[:, 2]]) * 0.45 + 0.5
    assert find_layers(clean(replace(mesh, corner_uvs=seen[mesh.faces].astype(np.float32)))) is None


def test_a_painter_is_told_of_the_earlier_texture_and_the_region_on_every_copy():
    surface = clean(join(*(copy_mesh(move(x, 0, 0), move(x, 0, 0, mirror=(-1, 1, 1))) for x in (0, 4))))
    surface = lay_side_by_side(surface, find_layers(surface), 1024)
    assert surface.tiles == (1001,) * 4
    texture = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    region = np.zeros((64, 64), np.uint8)
    region[:32] = 255
    repaint = describe_repaint(surface, Earlier({"base_color": texture}, region))
    for image in cut_cells(repaint.base_color, surface.tiles):
        assert np.array_equal(image, texture)
    for image in cut_cells(repaint.region, surface.tiles):
        assert image[:30].min() == 1
        assert image[34:].max() == 0
