"""Frames that drift and flicker are brought to agree; frames that agree are left as they are."""

import cv2
import numpy as np
import pytest

from backend.align import lattice
from backend.align.align import ROUNDS, align
from backend.align.common_drift import common_drift, drift_in_view
from backend.fuse.observations import observe_atlas
from backend.render.camera import horizontal_orbit, vertical_orbit
from backend.render.rasterize import render
from backend.render.visibility import edge_distances, facing
from tests.meshes import knot, picture, surface_of

SIZE = 256


@pytest.fixture(scope="module")
def scene():
    """A surface, what 24 views see of it, and true pictures."""
    surface = surface_of(knot())
    cameras = [*horizontal_orbit(12, 2.2, 1.6, SIZE).cameras, *vertical_orbit(12, 2.2, 1.6, SIZE).cameras]
    buffers = render(surface, cameras)
    edges = edge_distances(buffers)
    return (
        surface,
        buffers,
        edges,
        facing(surface, buffers),
        [picture(surface, camera)[..., :3] for camera in cameras],
    )


def aligned(scene, frames, rounds=ROUNDS):
    surface, buffers, edges, side, _ = scene
    return align(
        surface, buffers, edges, frames, np.ones(len(frames), np.float32), side, lambda fraction: None, rounds
    )


def smooth_warp(random, pixels: float) -> np.ndarray:
    """(H, W, 2) float32 of the given root mean square length."""
    warp = cv2.resize(
        random.normal(size=(6, 6, 2)).astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC
    )
    return warp * np.float32(pixels / np.sqrt(np.square(warp).sum(axis=2).mean()))


def warped(image: np.ndarray, warp: np.ndarray) -> np.ndarray:
    grid = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=-1).astype(np.float32)
    return cv2.remap(image, grid + warp, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def length(drifts) -> float:
    return float(np.sqrt(np.concatenate([np.square(drift).sum(axis=1) for drift in drifts]).mean()))


def mean(atlas: np.ndarray) -> float:
    return float(atlas[atlas > 0].mean())


def test_drifted_frames_agree_after_alignment_and_the_drift_is_told(scene):
    random = np.random.default_rng(0)
    warps = [smooth_warp(random, 2.0) for _ in scene[4]]
    result = aligned(scene, [warped(image, warp) for image, warp in zip(scene[4], warps, strict=True)])
    assert mean(result.after) < 0.5 * mean(result.before)
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
    assert length(true) > 1.5
    assert length([a - b for a, b in zip(error, shifts, strict=True)]) < 0.8


def test_frames_that_agree_stay_where_they_are(scene):
    result = aligned(scene, scene[4])
    assert length(result.drift) < 0.15
    assert mean(result.after) < 1.15 * mean(result.before)


def test_exposures_are_made_alike_and_keep_their_mean(scene):
    random = np.random.default_rng(1)
    frames = [
        np.clip(image * random.normal(1, 0.06, 3) + random.normal(0, 4, 3), 0, 255).astype(np.uint8)
        for image in scene[4]
    ]
    result = aligned(scene, frames)
    assert mean(result.after) < 0.7 * mean(result.before)
    was = np.mean(
        [
            frame.reshape(-1, 3)[view.pixels].mean(axis=0)
            for frame, view in zip(frames, result.views, strict=True)
        ],
        axis=0,
    )
    now = np.mean([color.mean(axis=0) for color in result.colors], axis=0)
    np.testing.assert_allclose(now, was, atol=3)


def test_without_rounds_the_colours_are_the_frames_own(scene):
    result = aligned(scene, scene[4], ())
    for color, drift, frame, view in zip(result.colors, result.drift, scene[4], result.views, strict=True):
        assert np.array_equal(color, frame.reshape(-1, 3)[view.pixels])
        assert not drift.any()


def test_nothing_of_the_background_comes_in(scene):
    random = np.random.default_rng(2)
    result = aligned(scene, [warped(image, smooth_warp(random, 1.0)) for image in scene[4]])
    magenta = sum(int(((c[:, 0] > 200) & (c[:, 1] < 60) & (c[:, 2] > 200)).sum()) for c in result.colors)
    assert magenta < 1e-3 * sum(len(c) for c in result.colors)


def test_a_shift_of_the_surface_is_found_from_the_warps_of_all_views(scene):
    surface, buffers, edges, side, _ = scene
    views = observe_atlas(surface, buffers, edges, side)
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
    assert length(warps) > 1
    assert length(left) < 0.15 * length(warps)


def test_a_lattice_finds_the_warp_between_two_pictures():
    random = np.random.default_rng(3)
    target = cv2.GaussianBlur(random.uniform(0, 255, (SIZE, SIZE, 3)).astype(np.float32), (0, 0), 5) * 4
    warp = smooth_warp(random, 1.5)
    image, found = warped(target, -warp), lattice.flat((SIZE, SIZE))
    for _ in range(6):
        now = warped(image, lattice.dense(found, (SIZE, SIZE)))
        across, down = (cv2.Sobel(now, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
        found = lattice.moved(found, across, down, target - now, np.ones((SIZE, SIZE), np.float32))
    inner = (slice(20, -20),) * 2
    assert (
        np.abs(target - warped(image, lattice.dense(found, (SIZE, SIZE))))[inner].mean()
        < 0.15 * np.abs(target - image)[inner].mean()
    )
