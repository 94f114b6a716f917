"""Rough pictures of latents at once, without the autoencoder: to look at while the networks work."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from .layouts import Film, latent_frames

EVERY = 7
"""How many pixels of the latents one stands for where the pictures are learned: a few unknowns need few."""


@dataclass(frozen=True)
class Sketch:
    """Colours as a linear function of latents, which holds roughly for every autoencoder of this kind.

    Attributes:
        matrix: (C + 1, 3) float32; the last row is a constant.
    """

    matrix: np.ndarray

    @staticmethod
    def learned(
        examples: Sequence[tuple[torch.Tensor, Sequence[np.ndarray]]], films: Sequence[Film]
    ) -> "Sketch":
        """The function that fits films whose pictures are known, by least squares.

        Args:
            examples: latents (1, C, T, h, w) of the films, and the pictures (H, W, 3) uint8 of all views.
            films: see :class:`backend.paint.orbitpainter.layouts.Pass`.
        """
        rows = [_rows(latents)[::EVERY] for latents, _ in examples]
        colors = [
            np.concatenate([_reduced(images, film, latents.shape[3:]) for film in films]).reshape(-1, 3)[
                ::EVERY
            ]
            for latents, images in examples
        ]
        return Sketch(
            np.linalg.lstsq(np.concatenate(rows), np.concatenate(colors), rcond=None)[0].astype(np.float32)
        )

    def pictures(self, latents: torch.Tensor) -> np.ndarray:
        """(T, h, w, 3) uint8 of latents (1, C, T, h, w)."""
        colors = _rows(latents) @ self.matrix
        return np.clip(np.round(colors), 0, 255).astype(np.uint8).reshape(*latents.shape[2:], 3)


def _rows(latents: torch.Tensor) -> np.ndarray:
    """(T h w, C + 1) float32: the latents of each pixel, and 1."""
    rows = latents[0].float().permute(1, 2, 3, 0).reshape(-1, latents.shape[1]).cpu().numpy()
    return np.column_stack([rows, np.ones(len(rows), np.float32)])


def _reduced(images: Sequence[np.ndarray], film: Film, shape: Sequence[int]) -> np.ndarray:
    """(T, h, w, 3) float32: the pictures of a film, as small as its latents; of the four that one latent
    stands for, the last."""
    shown = [film[4 * number] for number in range(latent_frames(len(film)))]
    frames = (np.hstack([images[view] for view in frame]) for frame in shown)
    return np.stack(
        [
            cv2.resize(frame, tuple(shape)[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
            for frame in frames
        ]
    )
