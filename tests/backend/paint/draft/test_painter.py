"""The draft painter: view search, projection, mirroring, extrapolation."""

import numpy as np
import pytest
import trimesh

from backend.api.settings import Settings
from backend.mesh.prepare import clean
from backend.mesh.texels import locate_texels
from backend.mesh.voxels import voxelize
from backend.paint.camera.registration import register_reference
from backend.paint.camera.search import find_view, simplify_mesh
from backend.paint.draft.image.border_light import BorderLight
from backend.paint.draft.image.color import to_linear, to_srgb
from backend.paint.draft.image.projection import Projection
from backend.paint.draft.image.symmetry import find_mirrors
from backend.paint.draft.painter import DraftConfig, DraftPainter
from backend.paint.preview import ignore_preview
from backend.paint.reference import decode
from backend.render.camera import Camera, look_at_origin
from backend.render.rasterize import normals, positions, rasterize, render, visible_points
from backend.render.visibility import observe
from tests.drafts import COARSE, QUICK
from tests.meshes import (
    bake_frames,
    camera_at,
    knot,
    mesh_data,
    psnr,
    reference_image,
    render_textured,
    run_at_once,
    surface_of,
)


def ignore_progress(fraction: float) -> None:
    pass


@pytest.fixture(scope="module")
def surface():
    return surface_of(knot())


def pixel_error(surface, true: Camera, found: Camera) -> float:
    """Mean distance in pixels of the reference between where a point is and where the found camera puts
    it."""
    buffer = rasterize(surface.vertices, surface.faces, true)
    points = positions(buffer)[buffer.mask].astype(np.float64)
    return float(np.linalg.norm(true.project(points)[0] - found.project(points)[0], axis=1).mean())


@pytest.mark.parametrize(
    ("azimuth", "elevation", "roll", "distance", "focal"),
    [(30, 12, 0, 2.2, 1.2), (-70, 35, 0, 3.5, 1.8), (140, -20, 4, 2.0, 1.1), (10, 60, -3, 2.8, 1.4)],
)
def test_the_view_search_is_exact_to_a_fraction_of_a_pixel(
    surface, azimuth, elevation, roll, distance, focal
):
    rotation = look_at_origin(azimuth, elevation, roll)
    camera = Camera(rotation, distance * rotation[:, 2], focal, (0.47, 0.54), 512, 400)
    alpha = rasterize(surface.vertices, surface.faces, camera).mask.astype(np.float32)
    match = find_view(surface, alpha, None, ignore_progress)
    assert match.overlap > 0.99
    assert pixel_error(surface, camera, match.view.camera(512, 400)) < 0.5


def test_the_view_search_keeps_a_given_direction_and_finds_the_framing(surface):
    camera = camera_at(40, 20, 384)
    alpha = rasterize(surface.vertices, surface.faces, camera).mask.astype(np.float32)
    view = find_view(surface, alpha, (40.0, 20.0), ignore_progress).view
    assert (view.azimuth, view.elevation) == (40.0, 20.0)
    assert pixel_error(surface, camera, view.camera(384, 384)) < 0.5


@pytest.mark.parametrize(("azimuth", "expected"), [(30, 30), (-60, 30), (120, 30), (-35, -35)])
def test_the_view_nearest_the_front_wins_among_equal_outlines(azimuth, expected):
    box = surface_of(trimesh.creation.box())
    alpha = rasterize(box.vertices, box.faces, camera_at(azimuth, 15, 256)).mask.astype(np.float32)
    view = find_view(box, alpha, None, ignore_progress).view
    assert view.azimuth == pytest.approx(expected, abs=2)
    assert view.elevation == pytest.approx(15, abs=2)


def test_a_simplified_mesh_has_the_outline_of_the_heavy_one():
    heavy = clean(mesh_data(trimesh.creation.icosphere(7)))  # UVs would take long
    light = simplify_mesh(heavy)
    assert len(light.faces) < 0.6 * len(heavy.faces)
    masks = [rasterize(mesh.vertices, mesh.faces, camera_at(20, 10, 384)).mask for mesh in (heavy, light)]
    assert (masks[0] ^ masks[1]).sum() < 0.01 * masks[0].sum()


def test_a_heavy_mesh_of_small_leaves_keeps_its_outline():
    random = np.random.default_rng(0)
    places = trimesh.creation.icosphere(4).vertices[random.integers(0, 2562, 70_000)] * random.uniform(
        0.8, 1, (70_000, 1)
    )
    leaves = places[:, None] + 0.001 * random.normal(size=(70_000, 3, 3))
    tree = clean(
        mesh_data(trimesh.Trimesh(leaves.reshape(-1, 3), np.arange(210_000).reshape(-1, 3), process=False))
    )
    masks = [
        rasterize(mesh.vertices, mesh.faces, camera_at(20, 10, 192)).mask
        for mesh in (tree, simplify_mesh(tree))
    ]
    assert (masks[0] ^ masks[1]).sum() < 0.01 * masks[0].sum()


def box_with_head(size, head) -> trimesh.Trimesh:
    return trimesh.util.concatenate(
        [trimesh.creation.box(size), trimesh.creation.box((0.3, 0.3, 0.6)).apply_translation(head)]
    )


@pytest.mark.parametrize(
    ("mesh", "normal"),
    [
        (trimesh.creation.capsule(2, 0.5), (1, 0, 0)),
        (box_with_head((1, 2, 1), (0, -1, 0.8)), (1, 0, 0)),
        (box_with_head((2, 1, 1), (-1, 0, 0.8)), (0, 1, 0)),
        (knot(), None),
    ],
    ids=["capsule", "left-right", "front-back", "knot"],
)
def test_a_plane_of_symmetry_is_found_if_there_is_one(mesh, normal):
    mirrors = find_mirrors(voxelize(surface_of(mesh), 96), None, np.array([0, -1, 0]), 0)
    if normal is None:
        assert not mirrors
    else:
        np.testing.assert_allclose(np.abs(mirrors[0].plane.normal), normal, atol=1e-6)


@pytest.mark.parametrize(
    ("slot", "normal"),
    [
        (lambda x, y, z: np.floor(12 * np.abs(x)) + 10 * np.floor(9 * z), (1, 0, 0)),
        (lambda x, y, z: x > 0, (0, 1, 0)),
        (lambda x, y, z: (x > 0) & (y > 0), None),
    ],
    ids=["alike on both sides", "one on either side", "one in a corner"],
)
def test_a_plane_of_symmetry_maps_material_slots_onto_themselves(slot, normal):
    surface = clean(mesh_data(trimesh.creation.icosphere(5).apply_scale((1, 0.8, 0.6))))
    middles = surface.vertices[surface.faces].mean(axis=1)
    mirrors = find_mirrors(voxelize(surface, 96), slot(*middles.T).astype(np.int32), np.array([0, -1, 0]), 0)
    assert not mirrors if normal is None else np.allclose(np.abs(mirrors[0].plane.normal), normal)


def paint_and_bake(surface, reference: np.ndarray, config: DraftConfig = COARSE, **settings):
    """The draft's texture and painting from an image (H, W, 4) uint8."""
    painter, settings = DraftPainter(config), Settings(**settings)
    direction = None if settings.azimuth is None else (settings.azimuth, settings.elevation)
    registration = register_reference(surface, decode(reference), direction, ignore_progress)
    cameras = [camera for orbit in painter.orbits(surface, registration) for camera in orbit.cameras]
    buffers = render(surface, cameras)
    painting = painter.paint(
        surface, buffers, registration.reference, settings, ignore_progress, run_at_once, ignore_preview
    )
    texture = bake_frames(surface, buffers, painting.frames, painting.preference, 1024, 128)
    return texture, painting


@pytest.fixture(scope="module")
def draft(surface):
    camera = camera_at(35, 15, 768, 2.4, 1.5)
    image = reference_image(surface, camera)
    return camera, image, *paint_and_bake(surface, image)


def test_a_draft_looks_like_the_reference_from_its_view(surface, draft):
    camera, image, texture, _ = draft
    mask, worn = render_textured(surface, surface.corner_uvs, texture.base_color.astype(np.float32), camera)
    inside = mask & (image[..., 3] == 255)
    assert psnr(worn[inside], image[inside, :3]) > 28


def test_a_draft_has_no_holes_and_no_background_from_24_views(surface, draft):
    texture = draft[2].base_color.astype(np.float32)
    for azimuth in range(0, 360, 45):
        for elevation in (-50, 0, 50):
            mask, worn = render_textured(
                surface, surface.corner_uvs, texture, camera_at(azimuth, elevation, 192)
            )
            red, green, blue = worn[mask].T
            assert worn[mask].max(axis=1).min() > 60, "black"
            assert not ((green < 70) & (red > 160) & (blue > 160)).any(), "the magenta under alpha 0"


def test_a_draft_is_reported_as_made_without_ai(draft):
    assert any("no AI model" in note for note in draft[3].notes)


def symmetric_surface():
    return surface_of(
        trimesh.util.concatenate(
            [
                trimesh.creation.capsule(1.2, 0.5),
                trimesh.creation.box((2.4, 0.3, 0.4)).apply_translation((0, 0, 1.1)),
                trimesh.creation.box((0.3, 0.8, 0.3)).apply_translation((0, -0.6, 0.3)),
            ]
        )
    )


def two_sided(surface, camera, left, right) -> np.ndarray:
    """An image of a mesh with one colour for x < 0 and another for x > 0, with a pattern along z that both
    share."""
    image = reference_image(surface, camera)
    buffer = rasterize(surface.vertices, surface.faces, camera)
    points = positions(buffer)
    shade = 0.6 + 0.4 * (np.sin(40 * points[..., 2]) > 0)[..., None]
    color = np.where(points[..., :1] < 0, np.float32(left), np.float32(right)) * shade
    image[..., :3][buffer.mask] = color[buffer.mask]
    return image


def test_the_hidden_side_of_a_symmetric_mesh_mirrors_the_visible_one():
    surface = symmetric_surface()
    camera = camera_at(55, 10, 512, 2.6, 1.4)
    texture, painting = paint_and_bake(
        surface, two_sided(surface, camera, (220, 120, 90), (220, 120, 90)), azimuth=55.0, elevation=10.0
    )
    assert any("symmetric" in note for note in painting.notes)
    texels = locate_texels(surface, 1024)
    sources = painting.color_source.reshape(-1, 3)[texels.place].argmax(axis=1)
    right, left = texels.normals[:, 0] > 0.5, texels.normals[:, 0] < -0.5
    assert (sources[right] == 0).mean() > 0.7, "from the picture"
    assert (sources[left] == 1).mean() > 0.6, "mirrored"
    assert (sources[texels.normals[:, 2] < -0.9] == 2).mean() > 0.8, "invented"
    here, there = (
        render_textured(
            surface, surface.corner_uvs, texture.base_color.astype(np.float32), camera_at(a, 10, 256)
        )[1]
        for a in (60, -60)
    )
    shown = rasterize(surface.vertices, surface.faces, camera_at(60, 10, 256)).mask
    assert psnr(here[shown], there[:, ::-1][shown]) > 20


def test_a_plane_of_symmetry_that_the_image_contradicts_is_not_used():
    surface = symmetric_surface()
    camera = camera_at(15, 10, 512, 2.6, 1.4)
    _, painting = paint_and_bake(
        surface, two_sided(surface, camera, (230, 40, 40), (40, 60, 230)), QUICK, azimuth=15.0, elevation=10.0
    )
    assert not any("mirrors" in note for note in painting.notes)
    assert any("different colours on its two halves" in note for note in painting.notes)


def test_the_same_seed_gives_the_same_draft():
    surface = surface_of(trimesh.creation.torus(1, 0.4, 24, 12))
    image = reference_image(surface, camera_at(20, 40, 256))
    first, second = (paint_and_bake(surface, image, QUICK, seed=5)[0] for _ in range(2))
    assert np.array_equal(first.base_color, second.base_color)


def lit_image(surface, camera) -> np.ndarray:
    """An image (H, W, 4) uint8 of one paint under a lamp from the left and a weak sky."""
    buffer = rasterize(surface.vertices, surface.faces, camera)
    cosine = normals(buffer, surface) @ np.float32([-0.75, -0.35, 0.56])
    light = 0.2 + 0.9 * np.maximum(cosine, 0)
    color = 255 * (np.float32([0.5, 0.35, 0.2]) * light[..., None]) ** (1 / 2.2)
    return np.dstack([np.where(buffer.mask[..., None], color, 0), 255 * buffer.mask]).astype(np.uint8)


@pytest.fixture(scope="module")
def lit_drafts(surface):
    """Frames of drafts from a lit image, with each value of the setting, and what each view does not see of
    the image."""
    reference = decode(lit_image(surface, camera_at(20, 15, 384)))
    cameras = [camera_at(20, 15, 384), *(camera_at(20 + turn, 10, 256) for turn in (90, 180, 270))]
    buffers = render(surface, cameras)
    paintings = {
        light: DraftPainter(COARSE).paint(
            surface, buffers, reference, Settings(light=light), ignore_progress, run_at_once, ignore_preview
        )
        for light in ("keep", "automatic", "remove")
    }
    return reference, buffers, paintings


def spread(frames: list, masks: list) -> float:
    """Standard deviation of the logarithm of a plain paint's green over masks (H, W) of frames (H, W, 3)."""
    green = [frame[mask][:, 1] for frame, mask in zip(frames, masks, strict=True)]
    return float(np.std(np.log(np.maximum(np.concatenate(green), 8.0))))


def hidden_pixels(surface, buffer, reference_buffer) -> np.ndarray:
    """(H, W) bool: what a view sees and the reference's does not."""
    mask = buffer.mask.copy()
    face_normals = surface.face_normals[buffer.face[mask]]
    seen = observe(visible_points(buffer), face_normals, reference_buffer, reference_buffer.depth, 0)[0]
    mask[mask] = seen == 0
    return mask


def test_hidden_sides_of_a_lit_image_are_painted_without_its_light(surface, lit_drafts):
    _, buffers, paintings = lit_drafts
    hidden = [hidden_pixels(surface, buffer, buffers[0]) for buffer in buffers[1:]]
    keep, automatic = (spread(paintings[light].frames[1:], hidden) for light in ("keep", "automatic"))
    assert automatic < 0.6 * keep


@pytest.mark.parametrize(("light", "kept"), [("keep", True), ("automatic", True), ("remove", False)])
def test_the_front_keeps_its_light_unless_it_is_to_be_removed(lit_drafts, light, kept):
    reference, buffers, paintings = lit_drafts
    frame, inside = paintings[light].frames[0], buffers[0].mask & (reference.alpha == 1)
    likeness = psnr(frame[inside], 255 * reference.color[inside])
    assert likeness > 40 if kept else likeness < 25
    if not kept:
        assert spread([frame], [inside]) < 0.5 * spread([255 * reference.color], [inside])


def test_removed_light_is_reported(lit_drafts):
    told = {
        light: [note for note in painting.notes if "light" in note]
        for light, painting in lit_drafts[2].items()
    }
    assert not told["keep"]
    assert "hidden sides" in told["automatic"][0]
    assert "all over" in told["remove"][0]


def test_the_light_of_the_front_fades_over_its_border_without_a_step():
    surface = surface_of(trimesh.creation.icosphere(5))
    camera = camera_at(0, 0, 384)
    buffer, voxels = rasterize(surface.vertices, surface.faces, camera), voxelize(surface, 96)
    reference = decode(lit_image(surface, camera))
    points = positions(buffer)
    irradiance = np.repeat(np.float32(np.where(points[..., :1] < 0, 1.5, 0.4)), 3, axis=2)
    border = BorderLight.measure(
        irradiance, Projection(reference, buffer, np.ones(len(surface.faces), np.int8)), voxels, 0
    )
    # Along the equator from the border, where the ball turns away, to its back, on the dark side.
    angle = np.radians(np.arange(70, 180, 0.5))
    circle = 0.5 * np.column_stack([np.sin(angle), -np.cos(angle), 0 * angle])
    shone = border.shine_on(np.full((len(circle), 3), 0.5, np.float32), circle.astype(np.float32))[:, 1]
    dark = to_srgb(to_linear(np.float32(0.5)) * np.float32(0.4))
    assert shone[0] == pytest.approx(dark, abs=0.03)
    assert shone[angle > np.radians(115)] == pytest.approx(0.5, abs=0.01)
    assert np.abs(np.diff(shone)).max() < 0.1 * (0.5 - dark)
