"""Images as the network takes them, and its latents as images."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKLWan

from ..reference import Reference
from . import agx
from .cameras import FOCAL_LENGTH, ORBIT_RADIUS
from .layouts import Clip, count_latent_frames
from .network import decode_video, encode_video

REFERENCE_FRACTION = 1.0875 * FOCAL_LENGTH / ORBIT_RADIUS
"""Fraction of the square that the reference's longer side fills: as a mesh's does in the clips, times the
mean enlargement of the training's references."""


def frame_reference(
    reference: Reference, size: int, copies: int = 1, view_transform: bool = True
) -> np.ndarray:
    """(size, copies * size, 3) uint8 sRGB: the object over black, centred and as large as a mesh in the
    clips.

    Args:
        reference: with its foreground.
        size: of the square in pixels.
        copies: side by side, for clips with several views in a frame.
        view_transform: whether to show it through AgX, as the training's clips were.
    """
    color = agx.encode(reference.color) if view_transform else reference.color
    # Bounding box of the foreground.
    rows, columns = (np.flatnonzero((reference.alpha > 0.5).any(axis=axis)) for axis in (1, 0))
    centre = columns[[0, -1]].mean() + 0.5, rows[[0, -1]].mean() + 0.5
    longest = 1 + max(np.ptp(rows), np.ptp(columns))
    # Its centre goes to the middle of the square. Pixel centres lie at +0.5 here, at whole numbers in OpenCV.
    zoom = REFERENCE_FRACTION * size / longest
    matrix = np.array([[zoom, 0, size / 2 - zoom * centre[0]], [0, zoom, size / 2 - zoom * centre[1]]])
    matrix[:, 2] += 0.5 * zoom - 0.5
    # Prefilter where the image shrinks.
    pixels = color * reference.alpha[..., None]
    if zoom < 1:
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.5 / zoom)
    square = cv2.warpAffine(pixels, matrix, (size, size), flags=cv2.INTER_CUBIC)
    return np.hstack([np.clip(np.round(255 * square), 0, 255).astype(np.uint8)] * copies)


def assemble_clip(images: Sequence[np.ndarray], clip: Clip) -> torch.Tensor:
    """(1, 3, F, H, W) float32 -1..1: a clip of the images (H, W, 3) uint8 of all views."""
    frames = np.stack([np.hstack([images[view] for view in frame]) for frame in clip])  # (F, H, W, 3)
    return torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1


def split_clip(clip: Clip, pixels: torch.Tensor) -> dict[int, np.ndarray]:
    """The images (H, W, 3) uint8 by view of a clip (1, 3, F, H, W) -1..1; of a view that comes twice, the
    first."""
    # (1, 3, F, H, W) -1..1 -> (F, H, W, 3) 0..255
    frames = ((pixels[0].permute(1, 2, 3, 0) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    images: dict[int, np.ndarray] = {}
    for pixels_of_frame, views in zip(frames, clip, strict=True):
        for view, image in zip(views, np.split(pixels_of_frame, len(views), axis=1), strict=True):
            images.setdefault(view, np.ascontiguousarray(image))
    return images


def encode_clips(vae: AutoencoderKLWan, images: Sequence[np.ndarray], clips: Sequence[Clip]) -> torch.Tensor:
    """(1, 16, T, h, w): the latents of clips, one after the other in time."""
    return torch.cat([encode_video(vae, assemble_clip(images, clip).to(vae.device)) for clip in clips], dim=2)


def decode_clips(
    vae: AutoencoderKLWan, latents: torch.Tensor, clips: Sequence[Clip]
) -> dict[int, np.ndarray]:
    """The images (H, W, 3) uint8 by view of all clips that latents (1, 16, T, h, w) hold."""
    images: dict[int, np.ndarray] = {}
    lengths = [count_latent_frames(len(clip)) for clip in clips]
    for clip, clip_latents in zip(clips, latents.split(lengths, dim=2), strict=True):
        for view, image in split_clip(clip, decode_video(vae, clip_latents)).items():
            images.setdefault(view, image)
    return images
