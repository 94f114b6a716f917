"""The draft's hidden surface: patches of the reference, laid where it shows nothing."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from backend.api.settings import Settings
from backend.mesh.parts import segment_parts
from backend.mesh.prepare import clean
from backend.paint.draft.fill import patchmatch
from backend.paint.draft.fill.exemplar import Source
from backend.paint.draft.fill.level_state import Problem, count_uses
from backend.paint.draft.fill.orientation_field import Field
from backend.paint.draft.fill.patchmatch import improve, vote
from backend.paint.draft.fill.samples import sample, spread
from backend.paint.draft.fill.seam_prior import plain, ways
from backend.paint.draft.fill.synthesis import LEVELS, MOST, levels_of, synthesize
from backend.paint.draft.image.projection import Projection
from backend.paint.draft.painter import DraftPainter, outward_normals
from backend.paint.preview import ignore_preview
from backend.paint.reference import decode
from backend.render.photograph import photograph
from backend.render.rasterize import positions, rasterize, render
from backend.render.sample import sample_bilinear
from backend.render.visibility import edge_distance
from benchmarks.scenes import text_page
from tests.meshes import camera_at, mesh_data, run_at_once, surface_of

SIZE = 32


def plane_problem(image: np.ndarray, cells: int, usage: float = 0.0) -> tuple[Problem, np.ndarray]:
    """Painting an upright square with an image (H, W, 3) float32, a pixel of it as wide as a spacing; and its
    maps, none yet."""
    corners = np.array([(-0.5, 0, -0.5), (0.5, 0, -0.5), (0.5, 0, 0.5), (-0.5, 0, 0.5)])
    surface = surface_of(trimesh.Trimesh(corners, [(0, 1, 2), (0, 2, 3)], process=False))
    outward = np.tile(np.float32((0, -1, 0)), (len(surface.faces), 1))
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (500, 3)).astype(np.float32) * np.float32((1, 0, 1))
    samples = sample(
        surface,
        outward,
        cells,
        Field(
            points,
            np.tile(np.float32((0, -1, 0)), (500, 1)),
            np.array([0, 0, 1.0]),
            np.array([0, 1.0, 0]),
            None,
        ),
        0,
    )
    height, width = image.shape[:2]
    frames = np.tile(np.float32([(1, 0, 0), (0, 0, 1), (0, -1, 0)]), (height, width, 1, 1))
    steps = np.tile(np.float32([(cells, 0), (0, -cells)]), (height, width, 1, 1))
    usable = np.ones((height, width), bool)
    source = Source(1.0, False, image, usable, frames, steps, np.zeros((height, width, 3), np.float32))
    places = np.argwhere(usable).astype(np.int32)
    count, free = len(samples), np.arange(len(samples))
    hints = np.random.default_rng(1).integers(0, len(places), (count, 4)).astype(np.int32)
    nothing = np.zeros((count, 3), np.float32), np.zeros((height, width, 3), np.float32)
    problem = Problem(
        samples,
        source,
        np.ones(count, bool),
        free,
        *nothing,
        np.zeros(count, np.float32),
        *nothing,
        np.zeros(count, np.int32),
        np.zeros((height, width), np.int32),
        np.zeros((1, 1), np.float32),
        nothing[0],
        np.full(count, np.inf, np.float32),
        places,
        hints,
        10.0,
        usage,
        0,
    )
    return problem, np.full((count, 3), np.nan, np.float32)


def all_costs(problem: Problem, p: int, colors: np.ndarray) -> np.ndarray:
    """(H, W): what every pixel of the source costs a sample, unturned, by going through them all."""
    samples, image = problem.samples, problem.source.colors
    height, width = image.shape[:2]
    result = np.zeros((height, width))
    weights = samples.weights[p] / samples.weights[p].sum()
    for row, column in np.ndindex(height, width):
        place = (column + 0.5, row + 0.5) + samples.offsets[p] @ problem.source.steps[row, column].T
        i, j = np.floor(place).astype(int).T
        inside = (i >= 0) & (i < width) & (j >= 0) & (j < height)
        apart = np.square(
            image[j.clip(0, height - 1), i.clip(0, width - 1)] - colors[samples.neighbors[p]]
        ).sum(axis=1)
        result[row, column] = weights @ np.where(
            inside, np.minimum(problem.gain * apart, 4), patchmatch.OUTSIDE
        )
    return result


def test_the_search_finds_what_looking_everywhere_finds():
    image = np.random.default_rng(3).random((SIZE, SIZE, 3)).astype(np.float32)
    problem, maps = plane_problem(image, SIZE)
    points = problem.samples.points
    column, row = (
        ((points[:, 0] + 0.5) * SIZE).astype(int).clip(0, SIZE - 1),
        ((0.5 - points[:, 2]) * SIZE).astype(int).clip(0, SIZE - 1),
    )
    colors = image[row, column]
    for number in range(12):
        maps, costs = improve(
            problem, maps, colors, np.ones(len(points), np.float32), count_uses(problem, maps), number
        )
    asked = np.random.default_rng(4).choice(len(points), 60, replace=False)
    best = np.array([all_costs(problem, p, colors).min() for p in asked])
    assert (costs[asked] <= 1.02 * best + 1e-3).mean() > 0.9


def test_the_search_does_not_depend_on_how_many_cores_do_it(monkeypatch):
    image = np.random.default_rng(3).random((SIZE, SIZE, 3)).astype(np.float32)
    problem, nothing = plane_problem(image, 80)
    colors = np.random.default_rng(5).random((len(problem.samples), 3)).astype(np.float32)
    results = []
    for cores in (1, 4):
        monkeypatch.setattr(patchmatch.os, "cpu_count", lambda cores=cores: cores)
        maps = nothing
        for number in range(3):
            maps, _ = improve(
                problem, maps, colors, np.ones(len(colors), np.float32), count_uses(problem, maps), number
            )
        results.append(maps)
    assert len(problem.free) > 4096  # several parts
    np.testing.assert_array_equal(*results)


def test_a_place_that_is_copied_often_becomes_dear():
    image = np.random.default_rng(6).random((SIZE, SIZE, 3)).astype(np.float32)
    most = []
    for usage in (0.0, 0.3):
        problem, maps = plane_problem(image, 48, usage)
        colors = np.full(
            (len(problem.samples), 3), 0.5, np.float32
        )  # one patch of the source comes closest to it
        for number in range(8):
            maps, _ = improve(
                problem, maps, colors, np.ones(len(colors), np.float32), count_uses(problem, maps), number
            )
        most.append(count_uses(replace(problem, usage=usage), maps).max())
    assert most[1] < 0.4 * most[0]


def test_uses_hold_although_all_samples_move_at_once():
    image = np.full((SIZE, SIZE, 3), 0.4, np.float32)
    image[:, SIZE // 2 :] = 0.7
    problem, maps = plane_problem(image, 48, 2.0)
    colors = np.full(
        (len(problem.samples), 3), 0.5, np.float32
    )  # between the halves, and closer to the left one
    apart = problem.gain * 3 * (0.2**2 - 0.1**2)
    uses, left = None, []
    for number in range(16):
        uses = count_uses(problem, maps, uses)
        maps, _ = improve(problem, maps, colors, np.ones(len(colors), np.float32), uses, number)
        left.append((maps[:, 0] < SIZE / 2).mean())
    # Either half costs the same when its uses, twice its part of the samples, make up for its colour.
    assert np.mean(left[8:]) == pytest.approx(0.5 + apart / problem.usage / 4, abs=0.1)


def test_plain_paint_goes_on_from_the_seam_and_a_pattern_does_not_go_on_as_its_mean():
    problem, _ = plane_problem(np.zeros((SIZE, SIZE, 3), np.float32), SIZE)
    samples = problem.samples
    painted_half, above = samples.points[:, 0] < 0, samples.points[:, 2] > 0
    colors = np.random.default_rng(7).random((len(samples), 3)).astype(np.float32)
    colors[above] = 0.8, 0.1, 0.1
    colors[~painted_half] = 0
    way, origin = ways(samples, painted_half)
    color, cost = plain(samples, painted_half, colors, origin, problem.source, 3.0)
    free = ~painted_half & (np.abs(samples.points[:, 2]) > 0.15)
    assert way[painted_half].max() == 0
    assert abs(way.max() - SIZE / 2) < 2
    assert painted_half[origin].all()
    np.testing.assert_allclose(
        color[free & above], np.tile(np.float32((0.8, 0.1, 0.1)), ((free & above).sum(), 1)), atol=1e-5
    )
    assert cost[free & above].max() < 0.1 < 0.5 < np.median(cost[free & ~above])


def test_a_colour_that_no_patch_has_is_painted_plain():
    problem, maps = plane_problem(np.random.default_rng(8).random((SIZE, SIZE, 3)).astype(np.float32), SIZE)
    count = len(problem.samples)
    blue = np.tile(np.float32((0, 0, 1)), (count, 1))
    problem = replace(problem, plain=blue, bare=np.full(count, 0.05, np.float32))
    maps, costs = improve(problem, maps, blue, np.ones(count, np.float32), count_uses(problem, maps), 0)
    assert np.isnan(maps[:, 0]).all()
    np.testing.assert_allclose(vote(problem, maps, costs, np.zeros((count, 3), np.float32)), blue)


def painted(surface, color, azimuth: float, elevation: float, others, **settings):
    """A surface that wears ``color``, painted from a reference taken at an angle; the G-buffers, the
    reference's first; the reference."""
    camera = camera_at(azimuth, elevation, 400, 2.4, 1.5)
    alpha = 255 * rasterize(surface.vertices, surface.faces, camera).mask
    reference = np.dstack([photograph(surface, color, camera), alpha]).astype(np.uint8)
    buffers = render(surface, [camera, *others])
    painting = DraftPainter().paint(
        surface,
        buffers,
        decode(reference),
        Settings(**settings),
        lambda fraction: None,
        run_at_once,
        ignore_preview,
    )
    return painting, buffers, reference


def turned_stripes(face, weights, points):
    """Twenty stripes up a pillar, of two colours, neither alike to its mirror image."""
    phase = 20 * np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi) % 1
    shade = np.where(phase < 0.25, 60, np.where(phase < 0.5, 140, 230)).astype(np.float32)
    return np.column_stack([shade, 255 - shade, np.full_like(shade, 90)])


@pytest.fixture(scope="module")
def pillar():
    surface = surface_of(trimesh.creation.cylinder(0.35, 1.0, sections=96))
    return painted(surface, turned_stripes, 20, 5, [camera_at(200, 0, 400, 2.4, 1.5)])


def test_stripes_go_on_behind_with_their_period_and_upright(pillar):
    painting, (_, back), _ = pillar
    points, frame = positions(back), painting.frames[1].astype(np.float64)
    inner = back.mask & (np.abs(points[..., 2]) < 0.35)
    angle = np.arctan2(points[..., 1], points[..., 0])[inner]
    red = frame[inner][:, 0] - frame[inner][:, 0].mean()
    strength = [abs((red * np.exp(1j * count * angle)).mean()) for count in range(1, 60)]
    assert abs(1 + int(np.argmax(strength)) - 20) <= 1
    assert max(strength) > 25
    across, down = (np.abs(np.diff(frame[..., 0], axis=axis)) for axis in (1, 0))
    assert across[150:250, 130:270].mean() > 4 * down[150:250, 130:270].mean()


def test_the_reference_itself_is_left_as_it_is(pillar):
    painting, _, reference = pillar
    shown = reference[..., 3] == 255
    difference = np.abs(painting.frames[0][shown].astype(int) - reference[shown][:, :3]).max(axis=1)
    assert (difference <= 1).mean() > 0.97


def test_a_mesh_with_many_times_a_cubes_surface_has_as_many_samples_as_a_cube():
    shells = [trimesh.creation.box(3 * (1 - 0.1 * number,)) for number in range(8)]
    cube, onion = (clean(mesh_data(trimesh.util.concatenate(boxes))) for boxes in (shells[:1], shells))
    assert levels_of(cube, cube.face_normals, 0) == list(LEVELS)
    for cells in levels_of(onion, onion.face_normals, 0)[1:]:
        face, _, _ = spread(onion, onion.face_normals, cells, 0)
        assert 0.7 * MOST < len(face) < 1.2 * MOST


def test_where_nothing_is_known_nothing_is_painted(pillar):
    """Shading normals may face a camera from which the triangles themselves are hardly seen, as those of
    grass do."""
    surface, (_, (front, _), reference) = (
        surface_of(trimesh.creation.cylinder(0.35, 1.0, sections=96)),
        pillar,
    )

    def nothing(points, normals):
        return np.zeros((len(points), 3), np.float32), np.zeros(len(points), np.float32)

    picture = Projection(decode(reference), front, 1)
    assert (
        synthesize(surface, surface.face_normals, picture, nothing, lambda points, _: 0 * points, 0, print)
        is None
    )


def test_up_to_the_very_rim_the_surface_wears_the_picture():
    surface = surface_of(trimesh.creation.icosphere(5, 0.45))

    def blots(face, weights, points):
        return 128 + 100 * np.sin(points @ np.float32([(31, 17, 29), (-23, 37, 21), (19, -33, 27)]).T)

    # A view of its own from the reference's place: the reference's own frame is the picture whatever the
    # surface wears.
    painting, (front, _), reference = painted(surface, blots, 20, 5, [camera_at(20, 5, 400, 2.4, 1.5)])
    distance = edge_distance(front)
    rim = front.mask & (distance >= 1) & (distance < 12)
    error = np.square(painting.frames[1][rim] - reference[rim, :3].astype(np.float64))
    assert -10 * np.log10(error.mean() / 255**2) > 35


def test_at_inner_edges_too_the_references_own_frame_is_the_reference():
    surface = surface_of(
        trimesh.util.concatenate(
            [
                trimesh.creation.box((2, 0.2, 2)),
                trimesh.creation.box((0.5, 0.4, 1.4)).apply_translation((0, -0.5, 0)),
            ]
        )
    )
    buffer = rasterize(surface.vertices, surface.faces, camera_at(20, 10, 256))
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    frame = Projection(decode(np.dstack([image, np.uint8(255) * buffer.mask])), buffer, 1).composite_over(
        np.zeros_like(image)
    )
    assert (buffer.mask & (edge_distance(buffer) == 0)).sum() > 500
    np.testing.assert_array_equal(frame, np.where(buffer.mask[..., None], image, 0))


def jug_with_a_blue_handle():
    """The surface, and a paint for it; both colours have a pattern."""
    handle = trimesh.creation.torus(0.3, 0.07, 48, 24).apply_transform(
        trimesh.transformations.rotation_matrix(np.pi / 2, (1, 0, 0))
    )
    surface = surface_of(
        trimesh.util.concatenate(
            [trimesh.creation.cylinder(0.45, 1.0, sections=64), handle.apply_translation((0.62, 0, 0))]
        )
    )
    part = segment_parts(surface)
    blue = part == part[surface.vertices[surface.faces].mean(axis=1)[:, 0].argmax()]

    def paint(face, weights, points):
        shade = 20 * np.sin(points @ np.float32([(41, 17, 29), (-23, 37, 31), (19, -43, 27)]).T).mean(axis=1)
        return (
            np.where(blue[face, None], np.float32((50, 80, 210)), np.float32((220, 80, 60))) + shade[:, None]
        )

    return surface, blue, paint


def test_a_parts_colour_does_not_flow_onto_the_next_part():
    surface, blue, paint = jug_with_a_blue_handle()
    painting, (_, side), _ = painted(surface, paint, -35, 10, [camera_at(60, 10, 400, 2.4, 1.5)])
    red, handle = painting.frames[1][..., 0] > painting.frames[1][..., 2], np.zeros(side.mask.shape, bool)
    handle[side.mask] = blue[side.face[side.mask]]
    assert red[handle].mean() < 0.02
    assert red[side.mask & ~handle].mean() > 0.97


def block_with_wells():
    """A cube with a square well, 0.6 wide and 0.3 deep, in its front and in its back."""
    bars = [
        trimesh.creation.box(size).apply_translation((x, side * 0.35, z))
        for side in (-1, 1)
        for size, x, z in (
            ((0.2, 0.3, 1), -0.4, 0),
            ((0.2, 0.3, 1), 0.4, 0),
            ((0.6, 0.3, 0.2), 0, -0.4),
            ((0.6, 0.3, 0.2), 0, 0.4),
        )
    ]
    return surface_of(trimesh.util.concatenate([trimesh.creation.box((1, 0.4, 1)), *bars]))


def dark_wells(face, weights, points):
    shade = 20 * np.sin(points @ np.float32([(53, 22, 38), (-30, 48, 40), (25, -56, 35)]).T).mean(axis=1)
    inside = (np.abs(points) < (0.301, 0.48, 0.301)).all(axis=1)
    return np.where(inside[:, None], np.float32((55, 65, 75)), np.float32((220, 210, 170))) + shade[:, None]


def test_a_well_that_is_dark_in_the_picture_brings_dark_paint_into_the_hidden_one():
    painting, (_, back), _ = painted(
        block_with_wells(), dark_wells, 25, 25, [camera_at(180, 0, 400, 2.4, 1.5)]
    )
    points, dark = positions(back), painting.frames[1].mean(axis=2) < 120
    floor, outside = (
        (back.mask & (np.abs(points) < (0.29, 0.21, 0.29)).all(axis=2)),
        back.mask & (points[..., 1] > 0.49),
    )
    assert dark[floor].mean() > 0.1
    assert dark[outside].mean() < 0.02


def lump() -> trimesh.Trimesh:
    """A smooth thing without an edge or a symmetry."""
    ball = trimesh.creation.icosphere(5, 0.5)
    x, y, z = ball.vertices.T
    ball.vertices *= (1 + 0.35 * np.sin(3 * y + 2 * x + 1) + 0.2 * np.sin(5 * z + 4 * y))[:, None]
    return ball


def dots(points: np.ndarray) -> np.ndarray:
    """In or out of discs all over the thing."""
    number = np.arange(16)
    z = 1 - (2 * number + 1) / 16
    centres = np.stack(
        [np.sqrt(1 - z**2) * np.cos(2.4 * number), np.sqrt(1 - z**2) * np.sin(2.4 * number), z]
    )
    return (points / np.linalg.norm(points, axis=1, keepdims=True) @ centres).max(axis=1) > 0.95


def test_what_is_hidden_of_a_material_slot_keeps_the_colours_that_the_picture_shows_of_it():
    surface = clean(mesh_data(lump()))
    slots = dots(surface.vertices[surface.faces].mean(axis=1)).astype(np.int32)

    def color(face, weights, points):
        grain = 30 * np.sin(60 * points[:, :1] + 20 * points[:, 2:])
        return (
            np.where(slots[face][:, None] == 1, np.float32((210, 60, 40)), np.float32((50, 110, 200))) + grain
        )

    painting, (_, back), _ = painted(
        replace(surface, slots=slots), color, 20, 10, [camera_at(200, 40, 400, 2.4, 1.5)]
    )
    red = painting.frames[1][..., 0] > painting.frames[1][..., 2]
    assert (red == (slots[back.face] == 1))[back.mask].mean() > 0.9, (
        "hardly more than by chance without slots"
    )


def test_of_two_like_places_the_one_of_the_own_part_is_copied():
    half = np.random.default_rng(3).random((SIZE, SIZE // 2, 3)).astype(np.float32)
    problem, maps = plane_problem(np.hstack([half, half]), SIZE)
    points = problem.samples.points
    column, row = (
        ((points[:, 0] + 0.5) * SIZE).astype(int).clip(0, SIZE - 1),
        ((0.5 - points[:, 2]) * SIZE).astype(int).clip(0, SIZE - 1),
    )
    number = np.broadcast_to(1 + np.arange(SIZE) // (SIZE // 2), (SIZE, SIZE)).astype(np.int32)
    own = np.full(len(points), 2, np.int32)
    problem = replace(
        problem, parts=own, source_parts=number, apart=np.float32([(0, 0, 0), (0, 0, 0.5), (0, 0.5, 0)])
    )
    colors = half[row, column % (SIZE // 2)]
    for round_ in range(12):
        maps, _ = improve(
            problem, maps, colors, np.ones(len(points), np.float32), count_uses(problem, maps), round_
        )
    copied = number[maps[:, 1].astype(int), maps[:, 0].astype(int)]
    assert (copied == own).mean() > 0.95


def test_hidden_surface_has_the_pictures_contrast_and_no_new_colours(pillar):
    painting, (front, back), reference = pillar
    colors = painting.frames[1][back.mask].astype(np.float64)
    shown = reference[front.mask][:, :3].astype(np.float64)
    assert colors.std(axis=0)[0] > 0.8 * shown.std(axis=0)[0]
    assert (colors.min(axis=0) >= shown.min(axis=0) - 1).all()
    assert (colors.max(axis=0) <= shown.max(axis=0) + 1).all()


@pytest.fixture(scope="module")
def printed_box():
    """A carton with lines of print on all six sides, and what it wears."""
    surface, page = surface_of(trimesh.creation.box((0.8, 0.5, 1.0))), text_page(2304, 512)

    def printed(face, weights, points):
        normals = surface.face_normals[face]
        main = np.abs(normals).argmax(axis=1)
        towards = np.take_along_axis(normals, main[:, None], axis=1)[:, 0] > 0
        sign = np.where(towards, 1, -1)
        across = np.choose(main, [sign * points[:, 1], -sign * points[:, 0], points[:, 0]])
        down = np.where(main == 2, points[:, 1], points[:, 2])
        return sample_bilinear(
            page, np.column_stack([512 * (across + 0.5 + 0.55 * (2 * main + towards)), 512 * (0.5 - down)])
        )

    return surface, printed


def test_a_printed_boxs_hidden_sides_keep_their_lines(printed_box):
    surface, printed = printed_box
    behind = camera_at(210, 0, 400, 2.4, 1.5)
    painting, (_, back), _ = painted(surface, printed, 30, 15, [behind])
    images = painting.frames[1], photograph(surface, printed, behind)
    ours, truth = (float((image.mean(axis=2)[back.mask] < 110).mean()) for image in images)
    assert ours > 0.5 * truth


def test_words_stand_upright_on_walls_and_are_not_turned_on_level_faces(printed_box):
    surface, printed = printed_box
    camera = camera_at(30, 15, 400, 2.4, 1.5)
    buffer = rasterize(surface.vertices, surface.faces, camera)
    picture = Projection(
        decode(np.dstack([photograph(surface, printed, camera), 255 * buffer.mask]).astype(np.uint8)),
        buffer,
        0,
    )
    patchwork = synthesize(
        surface,
        surface.face_normals,
        picture,
        picture.look_up,
        lambda points, normals: np.full((len(points), 3), 0.8),
        0,
        lambda fraction: None,
    )
    assert patchwork.source.printed
    upright, drawn = np.cos(patchwork.maps[:, 2]) > 0.9, np.isfinite(patchwork.maps[:, 0])
    level = np.abs(patchwork.samples.normals[:, 2]) > 0.5
    assert upright[drawn & level].mean() > 0.95
    assert upright[drawn & ~level].mean() > 0.95
    np.testing.assert_allclose(
        patchwork.samples.frames[~level, 1], np.broadcast_to((0, 0, 1), (int((~level).sum()), 3)), atol=0.05
    )


def test_normals_are_outward_whatever_way_the_mesh_winds_its_faces():
    ball = trimesh.creation.icosphere(2)
    ball.invert()
    surface = surface_of(ball)
    buffers = render(
        surface,
        [camera_at(azimuth, elevation, 128) for azimuth in range(0, 360, 90) for elevation in (-60, 0, 60)],
    )
    middles = surface.vertices[surface.faces].mean(axis=1)
    assert (np.einsum("nx,nx->n", outward_normals(surface, buffers), middles) > 0).all()
