"""The draft's hidden surface: synthesised from patches of the reference."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from scipy import ndimage

from backend import parallel
from backend.api.settings import Settings
from backend.mesh.parts import segment_parts
from backend.mesh.prepare import clean
from backend.paint.draft.fill import patchmatch
from backend.paint.draft.fill.config import SynthesisConfig
from backend.paint.draft.fill.exemplar import Exemplar
from backend.paint.draft.fill.level_state import LevelState, occurrence_map
from backend.paint.draft.fill.orientation_field import OrientationField
from backend.paint.draft.fill.patchmatch import propagate_and_search, vote
from backend.paint.draft.fill.samples import Samples, sample_points, sample_surface
from backend.paint.draft.fill.seam_prior import constant_color_fallback, geodesic_distances
from backend.paint.draft.fill.synthesis import limit_cells, synthesize
from backend.paint.draft.image.projection import Projection
from backend.paint.draft.painter import DraftPainter, outward_normals
from backend.paint.preview import ignore_preview
from backend.paint.reference import decode
from backend.render.photograph import photograph
from backend.render.rasterize import positions, rasterize, render
from backend.render.sample import sample_bilinear
from backend.render.visibility import edge_distance
from benchmarks.scenes import text_page
from tests.drafts import COARSE
from tests.meshes import camera_at, mesh_data, run_at_once, surface_of

IMAGE_SIZE = 32
"""Pixels along a side of the exemplars of the search's own tests."""


def plane_state(
    image: np.ndarray, cells: int, occurrence_weight: float = 0.0
) -> tuple[LevelState, np.ndarray]:
    """The state of painting an upright square with an image (H, W, 3) float32, a pixel of it as wide as a
    spacing; and its NNF, without patches yet. Every cost but those of patches and occurrence is 0."""
    samples, exemplar = plane_samples(cells), plane_exemplar(image, cells)
    usable_pixels = np.argwhere(exemplar.usable).astype(np.int32)
    count, shape = len(samples), image.shape[:2]
    own_zeros, exemplar_zeros = np.zeros((count, 3), np.float32), np.zeros((*shape, 3), np.float32)
    state = LevelState(
        samples=samples,
        exemplar=exemplar,
        hidden=np.ones(count, bool),
        free=np.arange(count),
        ring_features=own_zeros,
        exemplar_ring_features=exemplar_zeros,
        ring_weight=np.zeros(count, np.float32),
        guides=own_zeros,
        exemplar_guides=exemplar_zeros,
        parts=np.zeros(count, np.int32),
        exemplar_parts=np.zeros(shape, np.int32),
        part_mismatch=np.zeros((1, 1), np.float32),
        fallback_color=own_zeros,
        fallback_cost=np.full(count, np.inf, np.float32),
        usable_pixels=usable_pixels,
        candidates=np.random.default_rng(1).integers(0, len(usable_pixels), (count, 4)).astype(np.int32),
        inverse_variance=10.0,
        occurrence_weight=occurrence_weight,
        seed=0,
    )
    return state, np.full((count, 3), np.nan, np.float32)


def plane_samples(cells: int) -> Samples:
    """Samples of an upright square that looks along -y."""
    corners = np.array([(-0.5, 0, -0.5), (0.5, 0, -0.5), (0.5, 0, 0.5), (-0.5, 0, 0.5)])
    surface = surface_of(trimesh.Trimesh(corners, [(0, 1, 2), (0, 2, 3)], process=False))
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (500, 3)).astype(np.float32) * np.float32((1, 0, 1))
    field = OrientationField(
        points=points,
        normals=np.tile(np.float32((0, -1, 0)), (500, 1)),
        axis=np.array([0, 0, 1.0]),
        level_direction=np.array([0, 1.0, 0]),
        center=None,
    )
    outward = np.tile(np.float32((0, -1, 0)), (len(surface.faces), 1))
    return sample_surface(surface, outward, cells, field, seed=0)


def plane_exemplar(image: np.ndarray, cells: int) -> Exemplar:
    """An image (H, W, 3) float32 that shows the square frontally, a pixel for each of its cells."""
    shape = image.shape[:2]
    return Exemplar(
        scales=np.ones(1),
        starts=np.zeros(1, np.float32),
        sizes=np.array([shape[::-1]]),
        has_lettering=False,
        colors=image,
        usable=np.ones(shape, bool),
        frames=np.tile(np.float32([(1, 0, 0), (0, 0, 1), (0, -1, 0)]), (*shape, 1, 1)),
        jacobian=np.tile(np.float32([(cells, 0), (0, -cells)]), (*shape, 1, 1)),
        points=np.zeros((*shape, 3), np.float32),
    )


def pixels_of(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns (N,) of the exemplar of IMAGE_SIZE pixels that show points (N, 3) of the square."""
    row = ((0.5 - points[:, 2]) * IMAGE_SIZE).astype(int).clip(0, IMAGE_SIZE - 1)
    column = ((points[:, 0] + 0.5) * IMAGE_SIZE).astype(int).clip(0, IMAGE_SIZE - 1)
    return row, column


def search(
    state: LevelState, nnf: np.ndarray, colors: np.ndarray, rounds: int
) -> tuple[np.ndarray, np.ndarray]:
    """NNF and costs after some rounds in which all samples are trusted, each with its own occurrence map."""
    trust = np.ones(len(colors), np.float32)
    for number in range(rounds):
        occurrence = occurrence_map(state, nnf)
        nnf, costs = propagate_and_search(state, nnf, colors, trust, occurrence, number)
    return nnf, costs


def exhaustive_costs(state: LevelState, p: int, colors: np.ndarray) -> np.ndarray:
    """(H, W): cost of every pixel of the exemplar for a sample, without rotation, by exhaustive search."""
    samples, image = state.samples, state.exemplar.colors
    height, width = image.shape[:2]
    result = np.zeros((height, width))
    weights = samples.weights[p] / samples.weights[p].sum()
    for row, column in np.ndindex(height, width):
        place = (column + 0.5, row + 0.5) + samples.offsets[p] @ state.exemplar.jacobian[row, column].T
        i, j = np.floor(place).astype(int).T
        inside = (i >= 0) & (i < width) & (j >= 0) & (j < height)
        difference = image[j.clip(0, height - 1), i.clip(0, width - 1)] - colors[samples.neighbors[p]]
        distance = np.minimum(state.inverse_variance * np.square(difference).sum(axis=1), 4)
        result[row, column] = weights @ np.where(inside, distance, patchmatch.OUTSIDE_COST)
    return result


def test_patchmatch_finds_what_exhaustive_search_finds():
    image = np.random.default_rng(3).random((IMAGE_SIZE, IMAGE_SIZE, 3)).astype(np.float32)
    state, nnf = plane_state(image, IMAGE_SIZE)
    colors = image[pixels_of(state.samples.points)]
    _, costs = search(state, nnf, colors, rounds=12)
    asked = np.random.default_rng(4).choice(len(colors), 60, replace=False)
    best = np.array([exhaustive_costs(state, p, colors).min() for p in asked])
    assert (costs[asked] <= 1.02 * best + 1e-3).mean() > 0.9


def test_patchmatch_does_not_depend_on_the_number_of_cores(monkeypatch):
    image = np.random.default_rng(3).random((IMAGE_SIZE, IMAGE_SIZE, 3)).astype(np.float32)
    state, nothing = plane_state(image, 80)
    colors = np.random.default_rng(5).random((len(state.samples), 3)).astype(np.float32)
    results = []
    for cores in (1, 4):
        monkeypatch.setattr(parallel.os, "cpu_count", lambda cores=cores: cores)
        results.append(search(state, nothing, colors, rounds=3)[0])
    assert len(state.free) > 2 * patchmatch.CHUNK_SIZE
    np.testing.assert_array_equal(*results)


def test_a_place_that_is_copied_often_becomes_expensive():
    image = np.random.default_rng(6).random((IMAGE_SIZE, IMAGE_SIZE, 3)).astype(np.float32)
    most = []
    for weight in (0.0, 0.3):
        state, nnf = plane_state(image, 48, weight)
        # One patch of the exemplar comes closest to grey.
        colors = np.full((len(state.samples), 3), 0.5, np.float32)
        nnf, _ = search(state, nnf, colors, rounds=8)
        most.append(occurrence_map(state, nnf).max())
    assert most[1] < 0.4 * most[0]


def test_occurrence_settles_although_all_samples_move_at_once():
    image = np.full((IMAGE_SIZE, IMAGE_SIZE, 3), 0.4, np.float32)
    image[:, IMAGE_SIZE // 2 :] = 0.7
    state, nnf = plane_state(image, 48, 2.0)
    # Between the halves, and closer to the left one.
    colors = np.full((len(state.samples), 3), 0.5, np.float32)
    advantage = state.inverse_variance * 3 * (0.2**2 - 0.1**2)
    occurrence, left, trust = None, [], np.ones(len(colors), np.float32)
    for number in range(16):
        occurrence = occurrence_map(state, nnf, occurrence)
        nnf, _ = propagate_and_search(state, nnf, colors, trust, occurrence, number)
        left.append((nnf[:, 0] < IMAGE_SIZE / 2).mean())
    # Either half costs the same when its occurrence, twice its fraction of the samples, makes up for its
    # colour.
    assert np.mean(left[8:]) == pytest.approx(0.5 + advantage / state.occurrence_weight / 4, abs=0.1)


def test_a_constant_colour_continues_from_the_seam_and_a_patterns_mean_does_not():
    state, _ = plane_state(np.zeros((IMAGE_SIZE, IMAGE_SIZE, 3), np.float32), IMAGE_SIZE)
    samples = state.samples
    painted_half, above = samples.points[:, 0] < 0, samples.points[:, 2] > 0
    colors = np.random.default_rng(7).random((len(samples), 3)).astype(np.float32)
    colors[above] = 0.8, 0.1, 0.1
    colors[~painted_half] = 0
    distance, origin = geodesic_distances(samples, painted_half)
    color, cost = constant_color_fallback(samples, painted_half, colors, origin, state.exemplar, 3.0)
    free = ~painted_half & (np.abs(samples.points[:, 2]) > 0.15)
    assert distance[painted_half].max() == 0
    assert abs(distance.max() - IMAGE_SIZE / 2) < 2
    assert painted_half[origin].all()
    red = np.tile(np.float32((0.8, 0.1, 0.1)), ((free & above).sum(), 1))
    np.testing.assert_allclose(color[free & above], red, atol=1e-5)
    assert cost[free & above].max() < 0.1 < 0.5 < np.median(cost[free & ~above])


def test_a_colour_that_no_patch_has_is_painted_constant():
    image = np.random.default_rng(8).random((IMAGE_SIZE, IMAGE_SIZE, 3)).astype(np.float32)
    state, nnf = plane_state(image, IMAGE_SIZE)
    count = len(state.samples)
    blue = np.tile(np.float32((0, 0, 1)), (count, 1))
    state = replace(state, fallback_color=blue, fallback_cost=np.full(count, 0.05, np.float32))
    nnf, costs = search(state, nnf, blue, rounds=1)
    assert np.isnan(nnf[:, 0]).all()
    np.testing.assert_allclose(vote(state, nnf, costs, np.zeros((count, 3), np.float32)), blue)


def paint_draft(surface, color, azimuth: float, elevation: float, others, **settings):
    """The draft of a surface of ``color`` from a reference taken at an angle; the G-buffers, the reference's
    first; the reference (H, W, 4) uint8."""
    camera = camera_at(azimuth, elevation, 400, 2.4, 1.5)
    alpha = 255 * rasterize(surface.vertices, surface.faces, camera).mask
    reference = np.dstack([photograph(surface, color, camera), alpha]).astype(np.uint8)
    buffers = render(surface, [camera, *others])
    painting = DraftPainter(COARSE).paint(
        surface,
        buffers,
        decode(reference),
        Settings(**settings),
        lambda fraction: None,
        run_at_once,
        ignore_preview,
    )
    return painting, buffers, reference


def paint_stripes(face, weights, points):
    """Twenty stripes up a pillar, of two colours, neither alike to its mirror image."""
    phase = 20 * np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi) % 1
    shade = np.where(phase < 0.25, 60, np.where(phase < 0.5, 140, 230)).astype(np.float32)
    return np.column_stack([shade, 255 - shade, np.full_like(shade, 90)])


@pytest.fixture(scope="module")
def pillar():
    surface = surface_of(trimesh.creation.cylinder(0.35, 1.0, sections=96))
    return paint_draft(surface, paint_stripes, 20, 5, [camera_at(200, 0, 400, 2.4, 1.5)])


def test_stripes_continue_at_the_back_with_their_period_and_upright(pillar):
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


def test_the_frame_of_the_references_view_is_the_reference(pillar):
    painting, _, reference = pillar
    shown = reference[..., 3] == 255
    difference = np.abs(painting.frames[0][shown].astype(int) - reference[shown][:, :3]).max(axis=1)
    assert (difference <= 1).mean() > 0.97


def test_a_mesh_with_the_surface_of_many_cubes_has_as_many_samples_as_a_cube():
    shells = [trimesh.creation.box(3 * (1 - 0.1 * number,)) for number in range(8)]
    cube, onion = (clean(mesh_data(trimesh.util.concatenate(boxes))) for boxes in (shells[:1], shells))
    config = SynthesisConfig()
    assert limit_cells(cube, cube.face_normals, 0) == [level.cells for level in config.levels]
    for cells in limit_cells(onion, onion.face_normals, 0)[1:]:
        face, _, _ = sample_points(onion, onion.face_normals, cells, 0)
        assert 0.7 * config.max_samples < len(face) < 1.2 * config.max_samples


def test_a_configured_limit_of_samples_holds_on_all_levels():
    cube = clean(mesh_data(trimesh.creation.box((3, 3, 3))))
    config = SynthesisConfig(max_samples=5000)
    for cells in limit_cells(cube, cube.face_normals, 0, config):
        face, _, _ = sample_points(cube, cube.face_normals, cells, 0)
        assert len(face) < 1.2 * config.max_samples


def test_a_surface_of_which_nothing_is_known_is_not_synthesised(pillar):
    """Shading normals may face a camera from which the triangles themselves are hardly seen, as those of
    grass do."""
    surface, (_, (front, _), reference) = (
        surface_of(trimesh.creation.cylinder(0.35, 1.0, sections=96)),
        pillar,
    )

    def nothing(points, normals, face):
        return np.zeros((len(points), 3), np.float32), np.zeros(len(points), np.float32)

    picture = Projection(decode(reference), front, np.ones(len(surface.faces), np.int8))
    assert (
        synthesize(surface, surface.face_normals, picture, nothing, lambda points, _: 0 * points, 0, print)
        is None
    )


def test_the_surface_shows_the_reference_up_to_the_rim():
    surface = surface_of(trimesh.creation.icosphere(5, 0.45))

    def paint_blots(face, weights, points):
        return 128 + 100 * np.sin(points @ np.float32([(31, 17, 29), (-23, 37, 21), (19, -33, 27)]).T)

    # A view of its own from the reference's place: the reference's own frame is the reference whatever the
    # surface shows. Its outermost pixel is not used.
    painting, (front, _), reference = paint_draft(
        surface, paint_blots, 20, 5, [camera_at(20, 5, 400, 2.4, 1.5)]
    )
    distance = edge_distance(front)
    rim = front.mask & (distance >= 2) & (distance < 12)
    error = np.square(painting.frames[1][rim] - reference[rim, :3].astype(np.float64))
    assert rim.sum() > 5000
    assert error.mean() < 20


def test_the_frame_of_the_references_view_is_the_reference_at_inner_edges():
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
    reference = decode(np.dstack([image, np.uint8(255) * buffer.mask]))
    winding = np.ones(len(surface.faces), np.int8)
    frame = Projection(reference, buffer, winding).composite_over(
        np.zeros_like(image), np.ones(image.shape[:2])
    )
    inside = ndimage.binary_erosion(buffer.mask, np.ones((3, 3)))
    assert (inside & (edge_distance(buffer) == 0)).sum() > 300
    np.testing.assert_array_equal(frame[inside], image[inside])
    assert not frame[~buffer.mask].any()


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


def test_a_parts_colour_does_not_continue_onto_the_next_part():
    surface, blue, paint = jug_with_a_blue_handle()
    painting, (_, side), _ = paint_draft(surface, paint, -35, 10, [camera_at(60, 10, 400, 2.4, 1.5)])
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


def paint_dark_wells(face, weights, points):
    shade = 20 * np.sin(points @ np.float32([(53, 22, 38), (-30, 48, 40), (25, -56, 35)]).T).mean(axis=1)
    inside = (np.abs(points) < (0.301, 0.48, 0.301)).all(axis=1)
    return np.where(inside[:, None], np.float32((55, 65, 75)), np.float32((220, 210, 170))) + shade[:, None]


def test_a_hidden_well_is_dark_where_a_visible_one_is_dark():
    painting, (_, back), _ = paint_draft(
        block_with_wells(), paint_dark_wells, 25, 25, [camera_at(180, 0, 400, 2.4, 1.5)]
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


def test_hidden_faces_of_a_material_slot_have_the_colours_of_its_visible_ones():
    surface = clean(mesh_data(lump()))
    slots = dots(surface.vertices[surface.faces].mean(axis=1)).astype(np.int32)

    def color(face, weights, points):
        grain = 30 * np.sin(60 * points[:, :1] + 20 * points[:, 2:])
        return (
            np.where(slots[face][:, None] == 1, np.float32((210, 60, 40)), np.float32((50, 110, 200))) + grain
        )

    painting, (_, back), _ = paint_draft(
        replace(surface, slots=slots), color, 20, 10, [camera_at(200, 40, 400, 2.4, 1.5)]
    )
    red = painting.frames[1][..., 0] > painting.frames[1][..., 2]
    assert (red == (slots[back.face] == 1))[back.mask].mean() > 0.9, (
        "hardly more than by chance without slots"
    )


def test_of_two_similar_places_the_one_of_the_samples_part_is_copied():
    half = np.random.default_rng(3).random((IMAGE_SIZE, IMAGE_SIZE // 2, 3)).astype(np.float32)
    state, nnf = plane_state(np.hstack([half, half]), IMAGE_SIZE)
    row, column = pixels_of(state.samples.points)
    number = 1 + np.arange(IMAGE_SIZE) // (IMAGE_SIZE // 2)
    number = np.broadcast_to(number, (IMAGE_SIZE, IMAGE_SIZE)).astype(np.int32)
    own = np.full(len(row), 2, np.int32)
    mismatch = np.float32([(0, 0, 0), (0, 0, 0.5), (0, 0.5, 0)])
    state = replace(state, parts=own, exemplar_parts=number, part_mismatch=mismatch)
    nnf, _ = search(state, nnf, half[row, column % (IMAGE_SIZE // 2)], rounds=12)
    copied = number[nnf[:, 1].astype(int), nnf[:, 0].astype(int)]
    assert (copied == own).mean() > 0.95


def test_the_hidden_surface_has_the_references_contrast_and_no_new_colours(pillar):
    painting, (front, back), reference = pillar
    colors = painting.frames[1][back.mask].astype(np.float64)
    shown = reference[front.mask][:, :3].astype(np.float64)
    assert colors.std(axis=0)[0] > 0.8 * shown.std(axis=0)[0]
    assert (colors.min(axis=0) >= shown.min(axis=0) - 1).all()
    assert (colors.max(axis=0) <= shown.max(axis=0) + 1).all()


@pytest.fixture(scope="module")
def box_with_lettering():
    """A carton with lines of letters on all six sides, and a paint for it."""
    surface, page = surface_of(trimesh.creation.box((0.8, 0.5, 1.0))), text_page(2304, 512)

    def paint_lettering(face, weights, points):
        normals = surface.face_normals[face]
        main = np.abs(normals).argmax(axis=1)
        towards = np.take_along_axis(normals, main[:, None], axis=1)[:, 0] > 0
        sign = np.where(towards, 1, -1)
        across = np.choose(main, [sign * points[:, 1], -sign * points[:, 0], points[:, 0]])
        down = np.where(main == 2, points[:, 1], points[:, 2])
        return sample_bilinear(
            page, np.column_stack([512 * (across + 0.5 + 0.55 * (2 * main + towards)), 512 * (0.5 - down)])
        )

    return surface, paint_lettering


def test_a_lettered_boxs_hidden_sides_keep_their_lines(box_with_lettering):
    surface, paint_lettering = box_with_lettering
    behind = camera_at(210, 0, 400, 2.4, 1.5)
    painting, (_, back), _ = paint_draft(surface, paint_lettering, 30, 15, [behind])
    images = painting.frames[1], photograph(surface, paint_lettering, behind)
    ours, truth = (float((image.mean(axis=2)[back.mask] < 110).mean()) for image in images)
    assert ours > 0.5 * truth


def test_lettering_is_upright_on_walls_and_not_rotated_on_level_faces(box_with_lettering):
    surface, paint_lettering = box_with_lettering
    camera = camera_at(30, 15, 400, 2.4, 1.5)
    buffer = rasterize(surface.vertices, surface.faces, camera)
    picture = Projection(
        decode(np.dstack([photograph(surface, paint_lettering, camera), 255 * buffer.mask]).astype(np.uint8)),
        buffer,
        np.zeros(len(surface.faces), np.int8),
    )
    synthesis = synthesize(
        surface,
        surface.face_normals,
        picture,
        picture.look_up,
        lambda points, normals: np.full((len(points), 3), 0.8),
        0,
        lambda fraction: None,
    )
    assert synthesis.exemplar.has_lettering
    upright, drawn = np.cos(synthesis.nnf[:, 2]) > 0.9, np.isfinite(synthesis.nnf[:, 0])
    level = np.abs(synthesis.samples.normals[:, 2]) > 0.5
    assert upright[drawn & level].mean() > 0.95
    assert upright[drawn & ~level].mean() > 0.95
    np.testing.assert_allclose(
        synthesis.samples.frames[~level, 1], np.broadcast_to((0, 0, 1), (int((~level).sum()), 3)), atol=0.05
    )


def test_normals_are_outward_whatever_the_winding_of_the_faces():
    ball = trimesh.creation.icosphere(2)
    ball.invert()
    surface = surface_of(ball)
    buffers = render(
        surface,
        [camera_at(azimuth, elevation, 128) for azimuth in range(0, 360, 90) for elevation in (-60, 0, 60)],
    )
    middles = surface.vertices[surface.faces].mean(axis=1)
    assert (np.einsum("nx,nx->n", outward_normals(surface, buffers), middles) > 0).all()
