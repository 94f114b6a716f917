"""Cameras, G-buffers and visibility."""

import numpy as np
import pytest
import trimesh

from backend.paint.orbitpainter.cameras import close_orbit, orbits
from backend.render.camera import Camera, horizontal_orbit, look_at_origin, vertical_orbit
from backend.render.contact_sheet import contact_sheet
from backend.render.gbuffer_images import normal_image, position_image
from backend.render.occlusion import ambient_occlusion
from backend.render.rasterize import normals, positions, rasterize, render
from backend.render.sample import sample_bilinear
from backend.render.video import write_video
from backend.render.visibility import edge_distance, find_winding, observe
from tests.meshes import camera_at, cast_rays, knot, surface_of


@pytest.fixture(scope="module")
def surface():
    return surface_of(knot())


def test_the_first_view_looks_from_the_front_and_the_orbit_goes_to_the_right():
    first, second = horizontal_orbit(4, 1.5, 1.0, 64).cameras[:2]
    np.testing.assert_allclose(first.position, (0, -1.5, 0), atol=1e-12)
    np.testing.assert_allclose(
        first.rotation, np.column_stack([(1, 0, 0), (0, 0, 1), (0, -1, 0)]), atol=1e-12
    )
    np.testing.assert_allclose(second.position, (1.5, 0, 0), atol=1e-12)


def test_the_vertical_orbit_goes_over_the_top_and_upside_down_behind():
    _, top, behind, _ = vertical_orbit(4, 1.5, 1.0, 64).cameras
    np.testing.assert_allclose(top.position, (0, 0, 1.5), atol=1e-12)
    np.testing.assert_allclose(top.rotation[:, 1], (0, 1, 0), atol=1e-12)
    np.testing.assert_allclose(behind.rotation[:, 1], (0, 0, -1), atol=1e-12)


def test_orbitpainters_orbits_are_the_published_views_and_the_first_again():
    horizontal, vertical = orbits(64)
    quarter = horizontal.cameras[30]
    np.testing.assert_allclose(quarter.position, (1.5, 0, 0), atol=1e-12)
    np.testing.assert_allclose(2 * np.degrees(np.arctan(0.5 / quarter.focal)), 49.134, atol=1e-3)
    over = vertical.cameras[30]
    np.testing.assert_allclose(over.position, (0, 0, 1.5), atol=1e-12)
    np.testing.assert_allclose(over.rotation, np.column_stack([(-1, 0, 0), (0, 1, 0), (0, 0, 1)]), atol=1e-12)
    assert [len(orbit.cameras) for orbit in orbits(64, 61)] == [60, 60]
    np.testing.assert_allclose(orbits(64, 61)[1].cameras[15].rotation, over.rotation, atol=1e-12)
    video = close_orbit(horizontal.cameras)
    assert len(video) == 121
    assert video[-1] is video[0]


def test_the_mirror_sign_turns_the_vertical_orbits_images_left_to_right(surface):
    for straight, mirrored in zip(
        orbits(96, 61, 1)[1].cameras[5::20], orbits(96, 61, -1)[1].cameras[5::20], strict=True
    ):
        there, here = (rasterize(surface.vertices, surface.faces, camera) for camera in (straight, mirrored))
        assert (here.face == there.face[:, ::-1]).mean() > 0.999
        both = here.mask & there.mask[:, ::-1]
        assert both.sum() > 1000
        np.testing.assert_allclose(
            normals(here, surface)[both], normals(there, surface)[:, ::-1][both], atol=0.02
        )


@pytest.mark.parametrize("orthographic", [False, True])
def test_a_camera_survives_packing(orthographic):
    camera = Camera(look_at_origin(20, 30, 5), np.array([1.0, 2, 3]), 1.3, (0.4, 0.6), 320, 200, orthographic)
    again = Camera.unpack(camera.pack())
    points = np.random.default_rng(0).normal(size=(20, 3))
    for mine, other in zip(camera.project(points), again.project(points), strict=True):
        np.testing.assert_allclose(mine, other)


def test_world_x_goes_right_and_z_up_in_the_image():
    pixels, depth = camera_at(0, 0, 100).project(np.array([[0, 0, 0], [0.1, 0, 0], [0, 0, 0.1]]))
    np.testing.assert_allclose(pixels[0], (50, 50))
    assert pixels[1, 0] > 50
    assert pixels[2, 1] < 50
    np.testing.assert_allclose(depth, 2.2)


PARALLEL = Camera(
    look_at_origin(40, -20, 10),
    2 * look_at_origin(40, -20)[:, 2],
    0.8,
    (0.45, 0.6),
    256,
    192,
    orthographic=True,
)


@pytest.mark.parametrize("camera", [camera_at(25, 15, 256), PARALLEL], ids=["perspective", "orthographic"])
def test_every_pixel_sees_the_point_under_its_centre(surface, camera):
    buffer = rasterize(surface.vertices, surface.faces, camera)
    points = points_under_pixels(buffer, surface.vertices, surface.faces)
    assert_under_centres(buffer, points)
    np.testing.assert_allclose(positions(buffer)[buffer.mask], points, atol=1e-4)
    assert np.abs(positions(buffer)[buffer.mask] - points).mean() < 2e-6


@pytest.mark.parametrize("inside_out", [False, True])
@pytest.mark.parametrize("camera", [camera_at(25, 15, 128), PARALLEL], ids=["perspective", "orthographic"])
def test_triangles_smaller_than_pixels_are_seen_as_larger_ones_are(camera, inside_out):
    sphere = trimesh.creation.icosphere(7, 0.4)
    faces = np.asarray(sphere.faces)[:, ::-1] if inside_out else np.asarray(sphere.faces)
    buffer = rasterize(sphere.vertices, faces, camera)
    points = points_under_pixels(buffer, np.asarray(sphere.vertices), faces)
    assert_under_centres(buffer, points)
    assert (buffer.depth[buffer.mask] < camera.project(np.zeros((1, 3)))[1] + 1e-3).all()
    assert (buffer.front[buffer.mask] != inside_out).all()
    assert len(np.unique(buffer.face[buffer.mask])) > 0.95 * buffer.mask.sum()


def points_under_pixels(buffer, vertices, faces):
    """(N, 3) float64: the points that the pixels' faces and weights stand for."""
    weights = buffer.barycentric[buffer.mask].astype(np.float64)
    weights = np.column_stack([weights, 1 - weights.sum(axis=1)])
    return np.einsum("nc,ncx->nx", weights, vertices[faces[buffer.face[buffer.mask]]])


def assert_under_centres(buffer, points):
    rows, columns = np.nonzero(buffer.mask)
    assert len(rows) > 1000
    pixels, depth = buffer.camera.project(points)
    np.testing.assert_allclose(pixels, np.column_stack([columns, rows]) + 0.5, atol=2e-3)
    np.testing.assert_allclose(depth, buffer.depth[buffer.mask], atol=1e-5)


def test_pixels_see_the_nearest_triangle_as_ray_casting_finds_it(surface):
    camera = camera_at(25, 15, 40)
    buffer = rasterize(surface.vertices, surface.faces, camera)
    rows, columns = np.mgrid[0:40, 0:40].reshape(2, -1)
    local = np.column_stack(
        [(columns + 0.5) / 40 - 0.5, 0.5 - (rows + 0.5) / 40, np.full(len(rows), -camera.focal)]
    )
    directions = local @ camera.rotation.T / camera.focal
    nearest = cast_rays(
        np.tile(camera.position, (len(rows), 1)),
        directions,
        surface.vertices[surface.faces].astype(np.float64),
    )
    mine = buffer.depth.ravel()
    assert (np.isfinite(mine) != np.isfinite(nearest)).mean() < 0.002
    both = np.isfinite(mine) & np.isfinite(nearest)
    assert both.sum() > 200
    assert (np.abs(mine[both] - nearest[both]) < 1e-4).mean() > 0.998


def test_normals_face_the_viewer_from_both_sides():
    surface = surface_of(trimesh.Trimesh([[-1, 0, -1], [1, 0, -1], [0, 0, 1]], [[0, 1, 2]]))
    for azimuth in (0, 180):
        camera = camera_at(azimuth, 0, 64)
        buffer = rasterize(surface.vertices, surface.faces, camera)
        np.testing.assert_allclose(
            normals(buffer, surface)[buffer.mask].mean(axis=0), camera.rotation[:, 2], atol=1e-5
        )


@pytest.mark.parametrize("faces", [[[0, 1, 2], [0, 2, 1]], [[0, 2, 1], [0, 1, 2]]])
def test_of_two_triangles_in_one_place_the_one_that_shows_its_front_is_seen(faces):
    vertices = np.array([[-0.5, 0.1, -0.5], [0.5, -0.1, -0.5], [0, 0, 0.5]], np.float32)
    for azimuth, towards in ((0, [0, 1, 2]), (180, [0, 2, 1])):
        buffer = rasterize(vertices, np.array(faces), camera_at(azimuth, 0, 64))
        assert set(buffer.face[buffer.mask]) == {faces.index(towards)}
        assert buffer.front[buffer.mask].all()


def test_pixels_on_shared_edges_and_corners_are_never_empty():
    """A grid of quads whose edges and corners fall on pixel centres, slanted in depth, over every pixel of
    the image."""
    row, column = np.mgrid[0:9, 0:9].reshape(2, -1)
    places = np.column_stack([(column * 4 - 15.5) / 32, row * 0.01 + column * 0.02, (row * 4 - 15.5) / 32])
    corner = np.arange(81).reshape(9, 9)[:-1, :-1].ravel()
    faces = np.concatenate(
        [
            np.column_stack([corner, corner + 1, corner + 10]),
            np.column_stack([corner, corner + 10, corner + 9]),
        ]
    )
    for turn in (faces, faces[:, ::-1]):
        buffer = rasterize(
            places.astype(np.float32),
            turn,
            Camera(look_at_origin(0, 0), np.array([0.0, -2, 0]), 1.0, width=32, height=32, orthographic=True),
        )
        assert buffer.mask[:-1, 1:].all()


@pytest.mark.parametrize("size", [48, 49])
def test_a_fan_of_slivers_around_a_pixel_has_no_hole(size):
    angle = np.linspace(0, 2 * np.pi, 1500, endpoint=False)
    rim = np.column_stack([0.9 * np.cos(angle), 0.2 * np.sin(5 * angle), 0.9 * np.sin(angle)])
    around = np.arange(1500)
    faces = np.column_stack([np.full(1500, 1500), around, (around + 1) % 1500])
    vertices = np.concatenate([rim, [[0, 0, 0]]]).astype(np.float32)
    assert rasterize(vertices, faces, camera_at(0, 0, size, focal=2.0)).mask.all()


@pytest.mark.parametrize(("azimuth", "end"), [(0, 0), (180, 255)])
def test_backgrounds_and_encodings_are_the_published_ones(azimuth, end):
    surface = surface_of(trimesh.creation.box())
    buffer = rasterize(surface.vertices, surface.faces, camera_at(azimuth, 0, 64))
    position, normal = position_image(buffer), normal_image(buffer, surface)
    assert tuple(position[0, 0]) == (127, 127, 127)
    assert tuple(normal[0, 0]) == (128, 128, 128)
    assert tuple(normal[32, 32]) == (128, end, 128)
    assert position[32, 32, 1] == end


@pytest.mark.parametrize(("flip", "expected"), [(False, 1), (True, -1)])
def test_the_winding_of_a_mesh_is_recognised(surface, flip, expected):
    faces = surface.faces[:, ::-1] if flip else surface.faces
    turned = surface_of(trimesh.Trimesh(surface.vertices, faces, process=False))
    winding = find_winding(turned, render(turned, horizontal_orbit(4, 2.2, 1.3, 128).cameras))
    assert (winding == expected).all()


def test_an_open_surface_counts_as_two_sided():
    triangle = surface_of(trimesh.Trimesh([[-1, 0, -1], [1, 0, -1], [0, 0, 1]], [[0, 1, 2]]))
    assert find_winding(triangle, render(triangle, horizontal_orbit(8, 2.2, 1.3, 64).cameras)) == [0]


def winding_by_piece(*pieces: trimesh.Trimesh) -> list[set[int]]:
    """The windings that the faces of each piece have, seen from all around."""
    surface = surface_of(trimesh.util.concatenate(pieces))
    views = [
        *horizontal_orbit(8, 2.4, 1.3, 128).cameras,
        *(camera_at(45, elevation, 128) for elevation in (-60, 60)),
    ]
    assert len(surface.faces) == sum(len(piece.faces) for piece in pieces)
    ends = np.cumsum([len(piece.faces) for piece in pieces])[:-1]
    return [set(part.tolist()) for part in np.split(find_winding(surface, render(surface, views)), ends)]


def inside_out(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices, mesh.faces[:, ::-1], process=False)


def ball(radius: float, *place: float) -> trimesh.Trimesh:
    return trimesh.creation.icosphere(3, radius).apply_translation(place)


def test_each_part_has_its_own_winding():
    box, sheet = (
        trimesh.creation.box((1, 0.8, 1)),
        trimesh.Trimesh([[1, 1, 0], [2, 1, 0], [1, 1, 1]], [[0, 1, 2]], process=False),
    )
    assert winding_by_piece(box, inside_out(ball(0.4, 1.3, 0, 0))) == [{1}, {-1}]
    assert winding_by_piece(inside_out(box), ball(0.4, 1.3, 0, 0)) == [{-1}, {1}]
    assert winding_by_piece(box, inside_out(ball(0.04, 0.2, -0.4, 0.2)))[0] == {1}, "an eye, half sunk in"
    assert winding_by_piece(box, inside_out(ball(0.04, 0.2, -0.4, 0.2)))[1] == {-1}
    assert winding_by_piece(box, sheet) == [{1}, {0}]
    assert winding_by_piece(ball(0.5, 0, 0, 0), ball(0.4, 0, 0, 0))[0] == {1}, "the outer of two shells"


def test_turned_faces_of_one_shell_are_a_part_of_their_own():
    body = ball(0.5, 0, 0, 0)
    top = body.triangles_center[:, 2] > 0.2
    faces = np.where(top[:, None], body.faces[:, ::-1], body.faces)
    surface = surface_of(trimesh.Trimesh(body.vertices, faces, process=False))
    views = [*horizontal_orbit(8, 2.4, 1.3, 128).cameras, camera_at(0, 80, 128), camera_at(0, -80, 128)]
    assert np.array_equal(find_winding(surface, render(surface, views)), np.where(top, -1, 1))


def test_two_sheets_a_hair_apart_have_one_outside_each():
    front = np.array([(-1, 0, -0.4), (1, 0, -0.4), (1, 0, 0.4), (-1, 0, 0.4)])
    card = trimesh.Trimesh(
        np.concatenate([front, front + np.array([0, 0.002, 0])]),
        [[0, 1, 2], [0, 2, 3], [6, 5, 4], [7, 6, 4]],
        process=False,
    )
    surface = surface_of(card)
    views = horizontal_orbit(24, 2.4, 1.3, 256).cameras
    assert find_winding(surface, render(surface, views)).tolist() == [1, 1, 1, 1]


def test_visibility_agrees_with_shadow_rays(surface):
    mesh = trimesh.Trimesh(surface.vertices, surface.faces, process=False)
    points, face = trimesh.sample.sample_surface(mesh, 800, seed=2)
    normal = surface.face_normals[face]
    camera = camera_at(25, 15, 768)
    buffer = rasterize(surface.vertices, surface.faces, camera)
    cosine, _ = observe(points.astype(np.float32), normal, buffer, edge_distance(buffer), 1)
    towards = camera.directions_to(points)
    front = (normal * towards).sum(axis=1) > 0.05
    blocked = np.isfinite(
        cast_rays(points + 1e-4 * normal, towards, surface.vertices[surface.faces].astype(np.float64))
    )
    seen = front & ~blocked
    assert ((cosine > 0) & front & ~seen).mean() < 0.02, "hidden points counted as seen"
    assert ((cosine == 0) & seen).mean() < 0.002, "seen points counted as hidden"


def test_edges_are_silhouettes_and_steps_in_depth_not_slopes():
    slope = surface_of(
        trimesh.Trimesh([[-1, -1, -1], [1, -1, -1], [1, 1, 1], [-1, 1, 1]], [[0, 1, 2], [0, 2, 3]])
    )
    buffer = rasterize(slope.vertices, slope.faces, camera_at(0, 10, 256))
    distance = edge_distance(buffer)
    assert (distance[~buffer.mask] == 0).all()
    assert distance.max() > 20
    near = trimesh.creation.box((0.4, 0.1, 0.4)).apply_translation((0, -0.5, 0))
    step = surface_of(trimesh.util.concatenate([trimesh.creation.box((1, 0.1, 1)), near]))
    buffer = rasterize(step.vertices, step.faces, camera_at(0, 0, 256))
    depth = buffer.depth[128]
    with np.errstate(invalid="ignore"):
        change = np.abs(np.diff(depth))
    jump = np.flatnonzero(np.isfinite(change) & (change > 0.2))
    assert len(jump) == 2
    assert (edge_distance(buffer)[128, jump] <= 1.5).all()


def test_an_image_is_read_linearly_between_pixels():
    ramp = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
    places = np.array([[0.5, 0.5], [1.0, 0.5], [1.5, 2.0], [99.0, 99.0]])
    np.testing.assert_allclose(sample_bilinear(ramp, places)[:, 0], [0, 0.5, 7, 11])


def test_videos_and_contact_sheets_show_the_frames(tmp_path):
    import av

    frames = [np.full((48, 64, 3), shade, np.uint8) for shade in (10, 120, 240)]
    write_video(tmp_path / "orbit.mp4", frames)
    with av.open(str(tmp_path / "orbit.mp4")) as video:
        read = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert [round(float(frame.mean()) / 5) * 5 for frame in read] == [10, 120, 240]
    assert contact_sheet(frames, 2, 32).shape == (64, 64, 3)


def test_the_floor_of_a_well_sees_as_little_of_the_sky_as_geometry_says():
    radius, depth = 0.2, 0.3
    well = trimesh.creation.annulus(radius, 0.5, depth, sections=96)
    floor = trimesh.creation.cylinder(0.5, 0.02, sections=96).apply_translation((0, 0, -depth / 2 - 0.01))
    surface = surface_of(trimesh.util.concatenate([well, floor]))
    top = surface.vertices[:, 2].max()
    points = np.float32([(0, 0, top - depth), (0.35, 0, top), (0, 0, -top)])
    found = ambient_occlusion(surface, points, np.float32([(0, 0, 1), (0, 0, 1), (0, 0, -1)]))
    # The sky over a disc's middle, weighted by the cosine, is the square of the sine of its half angle.
    np.testing.assert_allclose(found, [depth**2 / (radius**2 + depth**2), 0, 0], atol=0.06)
