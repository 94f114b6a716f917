"""The align stage: joint registration of all frames to the surface's consensus (after Zhou and Koltun 2014),
coarse to fine.

In turns, the frames give the surface its colours and each frame is warped towards what the surface shows of
it. Drift that is common to all views of a place is taken out at the end of each turn, and the exposures keep
their mean.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np

from ..fuse.observations import PaintedViews, View, observe_atlas
from ..fuse.solve import blend, render_back
from ..mesh.surface import Surface
from ..parallel import map_parallel
from ..render.camera import Camera
from .common_drift import common_drift, drift_in_view
from .register import Registration


class AlignRound(NamedTuple):
    """One turn of the alignment.

    Attributes:
        blur: sigma in pixels of the images that are compared.
        tolerance: difference in 0..255 from which a pixel counts less and less.
    """

    blur: float
    tolerance: float


@dataclass(frozen=True)
class AlignConfig:
    """What the alignment is tuned by; chosen on the frames of ``benchmarks/bake.py``."""

    rounds: tuple[AlignRound, ...] = (
        AlignRound(blur=4.0, tolerance=60.0),
        AlignRound(blur=2.0, tolerance=50.0),
        AlignRound(blur=1.0, tolerance=30.0),
        AlignRound(blur=0.7, tolerance=30.0),
    )
    """Coarse to fine; none: the frames are not moved."""

    cosine_power: float = 2.0
    """Power of the cosine between surface and view in a pixel's weight in the consensus."""

    consensus_size: int = 1024
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
    painted: PaintedViews,
    frames: Sequence[np.ndarray],
    progress: Callable[[float], None],
    config: AlignConfig = AlignConfig(),
) -> Alignment:
    """Brings frames to agree on the surface.

    Args:
        surface: with UVs.
        painted: the views.
        frames: per view (H, W, 3) uint8 sRGB.
        progress: called with the fraction done.
        config: rounds and weights.
    """
    # What each view reads of the atlas, and the first consensus: the frames as they were painted.
    views = observe_atlas(surface, painted.buffers, painted.edges, painted.winding)
    weights = [
        trust * view.weights(config.cosine_power)
        for trust, view in zip(painted.preference, views, strict=True)
    ]
    size = config.consensus_size * max(1, round(max(frame.shape[1] for frame in frames) / 512))
    colors = [
        frame.reshape(-1, 3)[view.pixels].astype(np.float32)
        for frame, view in zip(frames, views, strict=True)
    ]
    consensus, _ = blend(views, weights, colors, size)
    before = after = _measure_disagreement(views, weights, colors, consensus)
    drift = [np.zeros((len(view), 2), np.float32) for view in views]
    if config.rounds:
        cameras = [buffer.camera for buffer in painted.buffers]
        normals = [
            surface.face_normals[buffer.face.ravel()[view.pixels]]
            for buffer, view in zip(painted.buffers, views, strict=True)
        ]
        registrations = [
            Registration(frame.astype(np.float32), view) for frame, view in zip(frames, views, strict=True)
        ]
        for done, (blur, tolerance) in enumerate(config.rounds):
            # Every frame towards the consensus, by itself.
            map_parallel(
                partial(Registration.improve, consensus=consensus, blur=blur, tolerance=tolerance),
                registrations,
            )
            # What all frames did alike moved the consensus, not them.
            _remove_common_drift(registrations, cameras, normals)
            _keep_mean_tone(registrations)
            # A new consensus from the moved frames; only the last one's colours are kept, and read sharply.
            interpolation = cv2.INTER_LINEAR if done + 1 < len(config.rounds) else cv2.INTER_LANCZOS4
            colors = map_parallel(partial(Registration.colors, interpolation=interpolation), registrations)
            consensus, _ = blend(views, weights, colors, size)
            progress((done + 1) / len(config.rounds))
        after = _measure_disagreement(views, weights, colors, consensus)
        drift = map_parallel(Registration.warp, registrations)
    return Alignment(views, colors, drift, before, after)


def _measure_disagreement(views, weights, colors, consensus) -> np.ndarray:
    """(S, S) float32: root mean square difference between frames and consensus, 0..255."""

    def square(view, color):
        return np.square(color - render_back(view, consensus)).mean(axis=1, keepdims=True)

    squares = map_parallel(square, views, colors)
    return np.sqrt(blend(views, weights, squares, len(consensus))[0][..., 0])


def _remove_common_drift(registrations, cameras, normals) -> None:
    """Takes the drift that all views of a place have in common out of every warp."""
    views = [one.view for one in registrations]
    shift = common_drift(views, cameras, normals, map_parallel(Registration.warp, registrations))

    def remove(one: Registration, camera: Camera, normal: np.ndarray) -> None:
        one.remove_drift(drift_in_view(shift, one.view, camera, normal))

    map_parallel(remove, registrations, cameras, normals)


def _keep_mean_tone(registrations: Sequence[Registration]) -> None:
    """Takes the mean gain and shift of all frames out of each, so that the texture keeps their exposure."""
    gain = np.exp(np.mean([np.log(one.gain) for one in registrations], axis=0))
    shift = np.mean([one.shift for one in registrations], axis=0)
    for one in registrations:
        one.gain, one.shift = one.gain / gain, (one.shift - shift) / gain
