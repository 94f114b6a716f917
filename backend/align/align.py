"""The align stage: joint registration of all frames to the surface's consensus (after Zhou and Koltun 2014),
coarse to fine.

In turns, the frames give the surface its colours and each frame is warped towards what the surface shows of
it. Drift that is common to all views of a place is taken out at the end of each turn, and the exposures keep
their mean.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from ..fuse.observations import View, observe_atlas
from ..fuse.solve import blend, render_back
from ..mesh.surface import Surface
from ..render.camera import Camera
from ..render.rasterize import GBuffer
from .common_drift import common_drift, drift_in_view
from .register import Registration

ROUNDS = ((4.0, 60.0), (2.0, 50.0), (1.0, 30.0), (0.7, 30.0))
"""Per round: blur in pixels, and the difference in 0..255 from which a pixel counts less."""

POWER = 2.0
"""Of the cosine, in the consensus."""

CONSENSUS_SIZE = 1024
"""Texels along the consensus for frames of 512 pixels."""


@dataclass(frozen=True)
class Alignment:
    """Frames that agree, as far as they can.

    Attributes:
        views: what each view sees of the atlas.
        colors: per view (N, 3) float32 sRGB, whole numbers 0..255: its pixels, drift and exposure removed.
        drift: per view (N, 2) float32, the pixels each was moved by.
        before, after: (S, S) float32 atlas: root mean square difference between the frames, 0..255, without
            alignment and with it.
    """

    views: list[View]
    colors: list[np.ndarray]
    drift: list[np.ndarray]
    before: np.ndarray
    after: np.ndarray


def align(
    surface: Surface,
    buffers: Sequence[GBuffer],
    edges: Sequence[np.ndarray],
    frames: Sequence[np.ndarray],
    preference: np.ndarray,
    side: int,
    progress: Callable[[float], None],
    rounds=ROUNDS,
) -> Alignment:
    """Brings frames to agree on the surface.

    Args:
        surface: with UVs.
        buffers: per view what it sees.
        edges: per view (H, W) float32 pixels to the nearest silhouette or depth edge.
        frames: per view (H, W, 3) uint8 sRGB.
        preference: (T,) 0..1 per view, how much the painter trusts it.
        side: the surface's winding.
        progress: told the fraction done.
        rounds: see :data:`ROUNDS`.
    """
    views = observe_atlas(surface, buffers, edges, side)
    weights = [share * view.weights(POWER) for share, view in zip(preference, views, strict=True)]
    size = CONSENSUS_SIZE * max(1, round(max(frame.shape[1] for frame in frames) / 512))
    cameras = [buffer.camera for buffer in buffers]
    normals = [
        surface.face_normals[buffer.face.ravel()[view.pixels]]
        for buffer, view in zip(buffers, views, strict=True)
    ]
    colors = [
        frame.reshape(-1, 3)[view.pixels].astype(np.float32)
        for frame, view in zip(frames, views, strict=True)
    ]
    consensus, _ = blend(views, weights, colors, size)
    before = after = _disagreement(views, weights, colors, consensus)
    drift = [np.zeros((len(view), 2), np.float32) for view in views]
    if rounds:
        registrations = [
            Registration(frame.astype(np.float32), view) for frame, view in zip(frames, views, strict=True)
        ]
        for done, (blur, tolerance) in enumerate(rounds):
            _in_parallel(
                partial(Registration.improve, consensus=consensus, blur=blur, tolerance=tolerance),
                registrations,
            )
            _take_out_common_drift(registrations, cameras, normals)
            _keep_mean_tone(registrations)
            interpolation = cv2.INTER_LINEAR if done + 1 < len(rounds) else cv2.INTER_LANCZOS4
            colors = _in_parallel(partial(Registration.colors, interpolation=interpolation), registrations)
            consensus, _ = blend(views, weights, colors, size)
            progress((done + 1) / len(rounds))
        after = _disagreement(views, weights, colors, consensus)
        drift = _in_parallel(Registration.warp, registrations)
    return Alignment(views, colors, drift, before, after)


def _in_parallel(work: Callable, *arguments: Sequence) -> list:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(work, *arguments))


def _disagreement(views, weights, colors, consensus) -> np.ndarray:
    def square(view, color):
        return np.square(color - render_back(view, consensus)).mean(axis=1, keepdims=True)

    squares = _in_parallel(square, views, colors)
    return np.sqrt(blend(views, weights, squares, len(consensus))[0][..., 0])


def _take_out_common_drift(registrations, cameras, normals) -> None:
    views = [one.view for one in registrations]
    shift = common_drift(views, cameras, normals, _in_parallel(Registration.warp, registrations))

    def push(one: Registration, camera: Camera, normal: np.ndarray) -> None:
        one.push(drift_in_view(shift, one.view, camera, normal))

    _in_parallel(push, registrations, cameras, normals)


def _keep_mean_tone(registrations: Sequence[Registration]) -> None:
    gain = np.exp(np.mean([np.log(one.gain) for one in registrations], axis=0))
    shift = np.mean([one.shift for one in registrations], axis=0)
    for one in registrations:
        one.gain, one.shift = one.gain / gain, (one.shift - shift) / gain
