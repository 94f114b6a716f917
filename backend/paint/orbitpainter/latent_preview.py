"""Rough images of latents at once, without the autoencoder (latent to RGB), to watch while the networks
work."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from .layouts import FRAMES_PER_LATENT, Clip, count_latent_frames

FIT_STRIDE = 7
"""Every how many pixels of the latents one is used for the fit: a few unknowns need few equations."""


@dataclass(frozen=True)
class LatentPreview:
    """Colours as a linear function of latents, which holds roughly for every autoencoder of this kind.

    Attributes:
        matrix: (C + 1, 3) float32; the last row is a constant.
    """

    matrix: np.ndarray

    @staticmethod
    def fit(
        examples: Sequence[tuple[torch.Tensor, Sequence[np.ndarray]]], clips: Sequence[Clip]
    ) -> "LatentPreview":
        """The function that fits clips whose images are known, by least squares.

        Args:
            examples: latents (1, C, T, h, w) of the clips, and the images (H, W, 3) uint8 of all views.
            clips: see :class:`backend.paint.orbitpainter.layouts.Pass`.
        """
        rows, colors = [], []
        for latents, images in examples:
            shown = np.concatenate([_shrink_clip(images, clip, latents.shape[3:]) for clip in clips])
            rows.append(_flatten_latents(latents)[::FIT_STRIDE])
            colors.append(shown.reshape(-1, 3)[::FIT_STRIDE])  # (T, h, w, 3) -> (T h w, 3)
        matrix = np.linalg.lstsq(np.concatenate(rows), np.concatenate(colors), rcond=None)[0]
        return LatentPreview(matrix.astype(np.float32))

    def render(self, latents: torch.Tensor) -> np.ndarray:
        """(T, h, w, 3) uint8 images of latents (1, C, T, h, w)."""
        colors = _flatten_latents(latents) @ self.matrix
        return np.clip(np.round(colors), 0, 255).astype(np.uint8).reshape(*latents.shape[2:], 3)


def _flatten_latents(latents: torch.Tensor) -> np.ndarray:
    """(T h w, C + 1) float32: the latents (1, C, T, h, w) of each pixel, and 1."""
    # (C, T, h, w) -> (T, h, w, C) -> (T h w, C)
    rows = latents[0].float().permute(1, 2, 3, 0).reshape(-1, latents.shape[1]).cpu().numpy()
    return np.column_stack([rows, np.ones(len(rows), np.float32)])


def _shrink_clip(images: Sequence[np.ndarray], clip: Clip, shape: Sequence[int]) -> np.ndarray:
    """(T, h, w, 3) float32: the images of a clip, as small as its latents of ``shape`` (h, w); of the four
    frames that one latent frame stands for, the last."""
    height, width = shape
    shown = [clip[FRAMES_PER_LATENT * number] for number in range(count_latent_frames(len(clip)))]
    frames = (np.hstack([images[view] for view in frame]) for frame in shown)
    return np.stack(
        [
            cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
            for frame in frames
        ]
    )
