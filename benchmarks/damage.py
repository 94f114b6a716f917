"""What a video model does to frames: drift, exposure, softness, compression."""

import itertools
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

WARP_CELL = 64
"""Pixels between the control points of a warp."""


@dataclass(frozen=True)
class Damage:
    """How much frames are damaged, by each cause.

    Attributes:
        drift: root mean square length of the warps, pixels.
        correlation: frames over which a warp stays similar (sigma in frames); 0 makes the frames' warps
            independent.
        gain, shift: standard deviations of a frame's contrast per channel, and of its brightness per channel
            in 0..255.
        blur: sigma in pixels.
        compressed: encoded with H.264 (high 4:4:4, crf 10, as the published model's training data).
    """

    drift: float
    correlation: float = 0.0
    gain: float = 0.04
    shift: float = 2.0
    blur: float = 0.0
    compressed: bool = False


def damage_frames(
    frames: list[np.ndarray], orbits: list[int], damage: Damage, seed: int = 0
) -> list[np.ndarray]:
    """Frames (H, W, 3) uint8 as a video model would paint them from true ones (H, W, 3) float32 sRGB 0..255.

    Args:
        frames: the true ones, of all orbits.
        orbits: the number of frames of each orbit.
        damage: what is done to them.
        seed: of the random numbers.
    """
    random = np.random.default_rng(seed)
    warps = smooth_warps(orbits, frames[0].shape[:2], damage, random)
    result = []
    for frame, warp in zip(frames, warps, strict=True):
        # Drift.
        grid = np.stack(np.meshgrid(np.arange(frame.shape[1]), np.arange(frame.shape[0])), axis=-1)
        places = grid.astype(np.float32) + warp
        if damage.drift:
            frame = cv2.remap(frame, places, None, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
        # Softness.
        if damage.blur:
            frame = cv2.GaussianBlur(frame, (0, 0), damage.blur)
        # Exposure; the background stays black.
        exposed = frame * random.normal(1, damage.gain, 3) + random.normal(0, damage.shift, 3)
        frame = np.where(frame.max(axis=2, keepdims=True) > 1, exposed, frame)
        result.append(np.clip(np.round(frame), 0, 255).astype(np.uint8))
    if damage.compressed:
        starts = np.cumsum([0, *orbits])
        result = [
            frame for first, last in itertools.pairwise(starts) for frame in compress_h264(result[first:last])
        ]
    return result


def smooth_warps(
    orbits: list[int], shape: tuple[int, int], damage: Damage, random: np.random.Generator
) -> list[np.ndarray]:
    """Per frame a displacement (H, W, 2) float32 in pixels."""
    cells = tuple(-(-size // WARP_CELL) + 3 for size in shape)
    warps = []
    for count in orbits:
        coarse = random.normal(size=(count, *cells, 2)).astype(np.float32)
        if damage.correlation:
            coarse = gaussian_filter1d(coarse, damage.correlation, axis=0, mode="wrap")
        for grid in coarse:
            dense = cv2.resize(grid, None, fx=WARP_CELL, fy=WARP_CELL, interpolation=cv2.INTER_CUBIC)[
                WARP_CELL:, WARP_CELL:
            ]
            warps.append(dense[: shape[0], : shape[1]])
    scale = damage.drift / np.sqrt(np.mean([np.square(warp).sum(axis=2).mean() for warp in warps]))
    return [warp * np.float32(scale) for warp in warps]


def compress_h264(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Frames (H, W, 3) uint8 after encoding and decoding."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = frames[0].shape[:2]
    encoder.pix_fmt, encoder.time_base, encoder.options = "yuv444p", Fraction(1, 24), {"crf": "10"}
    packets = [
        packet for frame in frames for packet in encoder.encode(av.VideoFrame.from_ndarray(frame, "rgb24"))
    ] + encoder.encode()
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = encoder.extradata
    images = [image for packet in packets for image in decoder.decode(packet)] + decoder.decode()
    return [image.to_ndarray(format="rgb24") for image in sorted(images, key=lambda image: image.pts)]
