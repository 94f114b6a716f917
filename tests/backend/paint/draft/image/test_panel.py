"""Which meshes are panels, and what is on their backs."""

import numpy as np
import pytest
import trimesh

from backend.paint.draft.image.panel import find_panel, find_panel_back
from backend.paint.draft.image.projection import Projection
from backend.paint.reference import Reference
from backend.render.rasterize import positions, rasterize
from backend.render.visibility import find_winding
from tests.meshes import camera_at, surface_of


def box(size, place=(0, 0, 0)) -> trimesh.Trimesh:
    return trimesh.creation.box(size).apply_translation(place)


def join(*meshes) -> trimesh.Trimesh:
    return trimesh.util.concatenate(list(meshes))


def turned(mesh: trimesh.Trimesh, degrees: float, axis=(0, 0, 1)) -> trimesh.Trimesh:
    return mesh.apply_transform(trimesh.transformations.rotation_matrix(np.radians(degrees), axis))


def upright_disc(radius: float, thickness: float) -> trimesh.Trimesh:
    return turned(trimesh.creation.cylinder(radius, thickness, sections=48), 90, (1, 0, 0))


def card() -> trimesh.Trimesh:
    """Two quads, a thousandth of their length apart."""
    front = np.array([(-1, 0, -0.4), (1, 0, -0.4), (1, 0, 0.4), (-1, 0, 0.4)])
    return trimesh.Trimesh(
        np.concatenate([front, front + np.array([0, 0.002, 0])]),
        [[0, 1, 2], [0, 2, 3], [6, 5, 4], [7, 6, 4]],
        process=False,
    )


def sign() -> trimesh.Trimesh:
    pole = trimesh.creation.cylinder(0.05, 2.4).apply_translation((0, 0.06, -0.8))
    return join(upright_disc(0.6, 0.03), pole)


def door() -> trimesh.Trimesh:
    return join(box((0.9, 0.06, 2)), box((0.14, 0.05, 0.05), (0.36, -0.05, 0)))


def book() -> trimesh.Trimesh:
    spine = trimesh.creation.cylinder(0.14, 2, sections=32).apply_translation((-0.7, 0, 0))
    return join(box((1.4, 0.28, 2)), spine)


def rough(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """With noise, as of a scan."""
    mesh = mesh.subdivide_to_size(0.15)
    mesh.vertices += 0.002 * np.random.default_rng(0).normal(size=mesh.vertices.shape)
    return mesh


def sword() -> trimesh.Trimesh:
    return join(
        box((0.12, 0.05, 0.38), (0, 0, -0.8)),
        box((0.6, 0.05, 0.08), (0, 0, -0.58)),
        box((0.18, 0.05, 1.5), (0, 0, 0.2)),
    )


PANELS = {
    "card": card(),
    "card that lies": turned(card(), 90, (1, 0, 0)),
    "turned card": turned(card(), 33),
    "sign": sign(),
    "door": door(),
    "book": book(),
    "packet": box((1, 0.35, 1.5)),
    "scan of a book": rough(book()),
    "coin": upright_disc(1, 0.15),
}

OTHERS = {
    "cube": box((1, 1, 1)),
    "bus": box((1, 3, 1.1)),
    "ball": trimesh.creation.icosphere(3),
    "cylinder": trimesh.creation.cylinder(0.5, 1.1),
    "sword": sword(),
    "quad": trimesh.Trimesh([(0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1)], [[0, 1, 2], [0, 2, 3]]),
}


@pytest.mark.parametrize("name", PANELS)
def test_two_flat_sides_close_behind_one_another_are_a_panel(name):
    surface = surface_of(PANELS[name])
    panel = find_panel(surface, surface.face_normals)
    assert panel is not None
    along = surface.face_normals @ panel.middle.normal
    assert (along[panel.sides == 1] > 0.9).all()
    assert (along[panel.sides == -1] < -0.9).all()


@pytest.mark.parametrize("name", OTHERS)
def test_other_shapes_are_no_panels(name):
    surface = surface_of(OTHERS[name])
    assert find_panel(surface, surface.face_normals) is None


def project(mesh: trimesh.Trimesh, paint, azimuth: float = 0.0):
    """A surface, and the projection of a picture of it; ``paint`` colours points (N, 3)."""
    surface, camera = surface_of(mesh), camera_at(azimuth, 5, 320, 2.4, 1.6)
    buffer = rasterize(surface.vertices, surface.faces, camera)
    color = np.zeros((320, 320, 3), np.float32)
    color[buffer.mask] = paint(positions(buffer)[buffer.mask])
    reference = Reference(color, buffer.mask.astype(np.float32))
    return surface, Projection(reference, buffer, find_winding(surface, [buffer]))


def look_behind(surface, projection):
    back = find_panel_back(find_panel(surface, surface.face_normals), projection)
    points = surface.vertices[surface.faces[back.faces]].mean(axis=1)
    return back, back.look_up(np.concatenate([points + 0.2 * (points.mean(axis=0) - points), points]))


def printed(points: np.ndarray) -> np.ndarray:
    """Blue with a red disc and a yellow stripe."""
    color = np.tile(np.float32([0.2, 0.3, 0.7]), (len(points), 1))
    color[np.hypot(points[:, 0], points[:, 2]) < 0.15] = (0.8, 0.1, 0.1)
    color[points[:, 2] > 0.15] = (0.9, 0.8, 0.2)
    return color


@pytest.mark.parametrize("azimuth", [0, 30, -50, 180])
def test_the_back_of_a_panel_has_its_main_colour(azimuth):
    surface, projection = project(card().subdivide().subdivide(), printed, azimuth)
    back, colors = look_behind(surface, projection)
    assert not back.is_pattern
    assert (np.sign(surface.face_normals[back.faces][:, 1]) == (1 if abs(azimuth) < 90 else -1)).all()
    np.testing.assert_allclose(colors, np.broadcast_to(np.float32([0.2, 0.3, 0.7]), colors.shape), atol=0.02)


def test_a_pattern_goes_on_behind_a_panel():
    def checked(points):
        odd = (np.floor(16 * points[:, 0]) + np.floor(16 * points[:, 2])) % 2
        return np.where(odd[:, None] > 0, np.float32([0.8, 0.2, 0.2]), np.float32([0.9, 0.9, 0.8]))

    surface, projection = project(box((2, 0.1, 1.4)).subdivide_to_size(0.2), checked)
    back, colors = look_behind(surface, projection)
    assert back.is_pattern
    assert 0.2 < (colors[:, 1] < 0.5).mean() < 0.8


def test_a_panel_that_is_seen_edge_on_has_no_back():
    surface, projection = project(box((2, 0.1, 1.4)), printed, 88)
    assert find_panel_back(find_panel(surface, surface.face_normals), projection) is None
