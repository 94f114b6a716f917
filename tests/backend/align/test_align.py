"""Frames that drift and flicker are brought to agree; frames that agree are left as they are."""

import cv2
import numpy as np
import pytest

from backend.align import free_form
from backend.align.align import AlignConfig, align
from backend.align.common_drift import common_drift, drift_in_view
from backend.fuse.observations import PaintedViews, observe_atlas
from backend.render.camera import horizontal_orbit, vertical_orbit
from backend.render.rasterize import render
from backend.render.visibility import edge_distances, find_winding
from tests.meshes import ignore_progress, knot, reference_image, surface_of

FRAME_SIZE = 256
ALL_ROUNDS = AlignConfig()


@pytest.fixture(scope="module")
def scene():
    """A surface, what 24 views see of it, and true images."""
    surface = surface_of(knot())
    cameras = [
        *horizontal_orbit(12, 2.2, 1.6, FRAME_SIZE).cameras,
        *vertical_orbit(12, 2.2, 1.6, FRAME_SIZE).cameras,
    ]
    buffers = render(surface, cameras)
    edges = edge_distances(buffers)
    return (
        surface,
        buffers,
        edges,
        find_winding(surface, buffers),
        [reference_image(surface, camera)[..., :3] for camera in cameras],
    )


def align_scene(scene, frames, config=ALL_ROUNDS):
    surface, buffers, edges, winding, _ = scene
    painted = PaintedViews(buffers, edges, winding, np.ones(len(frames), np.float32))
    return align(surface, painted, frames, ignore_progress, config)


def smooth_warp(random, pixels: float) -> np.ndarray:
    """(H, W, 2) float32 of the given root mean square length."""
    warp = cv2.resize(
        random.normal(size=(6, 6, 2)).astype(np.float32),
        (FRAME_SIZE, FRAME_SIZE),
        interpolation=cv2.INTER_CUBIC,
    )
    return warp * np.float32(pixels / np.sqrt(np.square(warp).sum(axis=2).mean()))


def warp_image(image: np.ndarray, warp: np.ndarray) -> np.ndarray:
    grid = np.stack(np.meshgrid(np.arange(FRAME_SIZE), np.arange(FRAME_SIZE)), axis=-1).astype(np.float32)
    return cv2.remap(image, grid + warp, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def root_mean_square_length(drifts) -> float:
    return float(np.sqrt(np.concatenate([np.square(drift).sum(axis=1) for drift in drifts]).mean()))


def mean_of_covered(atlas: np.ndarray) -> float:
    return float(atlas[atlas > 0].mean())


def test_drifted_frames_agree_after_alignment_and_their_drift_is_found(scene):
    random = np.random.default_rng(0)
    warps = [smooth_warp(random, 2.0) for _ in scene[4]]
    result = align_scene(
        scene, [warp_image(image, warp) for image, warp in zip(scene[4], warps, strict=True)]
    )
    assert mean_of_covered(result.after) < 0.5 * mean_of_covered(result.before)
    # A frame was read at p + warp; what the surface shows at p is found near p - warp.
    true = [-warp.reshape(-1, 2)[view.pixels] for warp, view in zip(warps, result.views, strict=True)]
    normals = [
        scene[0].face_normals[buffer.face.ravel()[view.pixels]]
        for buffer, view in zip(scene[1], result.views, strict=True)
    ]
    cameras = [buffer.camera for buffer in scene[1]]
    error = [a - b for a, b in zip(result.drift, true, strict=True)]
    unknowable = common_drift(result.views, cameras, normals, error)
    shifts = [drift_in_view(unknowable, *seen) for seen in zip(result.views, cameras, normals, strict=True)]
    assert root_mean_square_length(true) > 1.5
    assert root_mean_square_length([a - b for a, b in zip(error, shifts, strict=True)]) < 0.8


def test_frames_that_agree_are_not_moved(scene):
    result = align_scene(scene, scene[4])
    assert root_mean_square_length(result.drift) < 0.15
    assert mean_of_covered(result.after) < 1.15 * mean_of_covered(result.before)


def test_exposures_of_frames_are_matched_and_keep_their_mean(scene):
    random = np.random.default_rng(1)
    frames = [
        np.clip(image * random.normal(1, 0.06, 3) + random.normal(0, 4, 3), 0, 255).astype(np.uint8)
        for image in scene[4]
    ]
    result = align_scene(scene, frames)
    assert mean_of_covered(result.after) < 0.7 * mean_of_covered(result.before)
    was = np.mean(
        [
            frame.reshape(-1, 3)[view.pixels].mean(axis=0)
            for frame, view in zip(frames, result.views, strict=True)
        ],
        axis=0,
    )
    now = np.mean([color.mean(axis=0) for color in result.colors], axis=0)
    np.testing.assert_allclose(now, was, atol=3)


def test_alignment_without_rounds_keeps_the_frames_colours(scene):
    result = align_scene(scene, scene[4], AlignConfig(rounds=()))
    for color, drift, frame, view in zip(result.colors, result.drift, scene[4], result.views, strict=True):
        assert np.array_equal(color, frame.reshape(-1, 3)[view.pixels])
        assert not drift.any()


def test_aligned_colours_hold_no_background(scene):
    random = np.random.default_rng(2)
    result = align_scene(scene, [warp_image(image, smooth_warp(random, 1.0)) for image in scene[4]])
    magenta = sum(int(((c[:, 0] > 200) & (c[:, 1] < 60) & (c[:, 2] > 200)).sum()) for c in result.colors)
    assert magenta < 1e-3 * sum(len(c) for c in result.colors)


def test_a_shift_of_the_surface_is_found_from_the_warps_of_all_views(scene):
    surface, buffers, edges, winding, _ = scene
    views = observe_atlas(surface, buffers, edges, winding)
    cameras = [buffer.camera for buffer in buffers]
    normals = [
        surface.face_normals[buffer.face.ravel()[view.pixels]]
        for buffer, view in zip(buffers, views, strict=True)
    ]
    shift = np.broadcast_to(np.float32([0.004, -0.006, 0.005]), (64, 64, 64, 3)).copy()
    warps = [drift_in_view(shift, *seen) for seen in zip(views, cameras, normals, strict=True)]
    found = common_drift(views, cameras, normals, warps)
    left = [
        warp - drift_in_view(found, *seen) for warp, *seen in zip(warps, views, cameras, normals, strict=True)
    ]
    assert root_mean_square_length(warps) > 1
    assert root_mean_square_length(left) < 0.15 * root_mean_square_length(warps)


def test_a_free_form_deformation_finds_the_warp_between_two_images():
    random = np.random.default_rng(3)
    target = (
        cv2.GaussianBlur(random.uniform(0, 255, (FRAME_SIZE, FRAME_SIZE, 3)).astype(np.float32), (0, 0), 5)
        * 4
    )
    warp = smooth_warp(random, 1.5)
    image, found = warp_image(target, -warp), free_form.identity((FRAME_SIZE, FRAME_SIZE))
    for _ in range(6):
        now = warp_image(image, free_form.to_dense_flow(found, (FRAME_SIZE, FRAME_SIZE)))
        across, down = (cv2.Sobel(now, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
        found = free_form.gauss_newton_step(
            found, across, down, target - now, np.ones((FRAME_SIZE, FRAME_SIZE), np.float32)
        )
    inner = (slice(20, -20),) * 2
    assert (
        np.abs(target - warp_image(image, free_form.to_dense_flow(found, (FRAME_SIZE, FRAME_SIZE))))[
            inner
        ].mean()
        < 0.15 * np.abs(target - image)[inner].mean()
    )
