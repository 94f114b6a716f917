"""Pictures as a network takes them, and its latents as pictures."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKLWan

from ..reference import Reference
from . import agx
from .cameras import FOCAL, RADIUS
from .layouts import Film, latent_frames
from .network import decode, encode

SHARE = 1.0875 * FOCAL / RADIUS
"""Of the square that the reference's longer side fills: as a mesh's does in the films, times what the
training enlarged it on average."""


def framed(reference: Reference, size: int, copies: int = 1, view_transform: bool = True) -> np.ndarray:
    """(size, copies * size, 3) uint8: the object over black, in the middle and as large as the films show
    theirs.

    Args:
        reference: with its foreground.
        size: of the square.
        copies: side by side, for films with as many views in a frame.
        view_transform: whether to show it through AgX, as the training's films were.
    """
    color = agx.encode(reference.color) if view_transform else reference.color
    rows, columns = (np.flatnonzero((reference.alpha > 0.5).any(axis=axis)) for axis in (1, 0))
    middle, longest = (
        (columns[[0, -1]].mean() + 0.5, rows[[0, -1]].mean() + 0.5),
        1 + max(np.ptp(rows), np.ptp(columns)),
    )
    zoom = SHARE * size / longest
    matrix = np.array([[zoom, 0, size / 2 - zoom * middle[0]], [0, zoom, size / 2 - zoom * middle[1]]])
    # Pixel centres lie at +0.5 here, at whole numbers there.
    matrix[:, 2] += 0.5 * zoom - 0.5
    pixels = (
        cv2.GaussianBlur(color * reference.alpha[..., None], (0, 0), 0.5 / zoom)
        if zoom < 1
        else color * reference.alpha[..., None]
    )
    square = cv2.warpAffine(pixels, matrix, (size, size), flags=cv2.INTER_CUBIC)
    return np.hstack([np.clip(np.round(255 * square), 0, 255).astype(np.uint8)] * copies)


def assembled(images: Sequence[np.ndarray], film: Film) -> torch.Tensor:
    """(1, 3, F, H, W) float32 -1..1 of the pictures (H, W, 3) uint8 of all views."""
    frames = np.stack([np.hstack([images[view] for view in frame]) for frame in film])
    return torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1


def taken_apart(film: Film, pixels: torch.Tensor) -> dict[int, np.ndarray]:
    """The pictures (H, W, 3) uint8 by view, of a film (1, 3, F, H, W) -1..1; a view that comes twice is taken
    the first time."""
    frames = ((pixels[0].permute(1, 2, 3, 0) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    images: dict[int, np.ndarray] = {}
    for picture, frame in zip(frames, film, strict=True):
        for view, part in zip(frame, np.split(picture, len(frame), axis=1), strict=True):
            images.setdefault(view, np.ascontiguousarray(part))
    return images


def encoded(vae: AutoencoderKLWan, images: Sequence[np.ndarray], films: Sequence[Film]) -> torch.Tensor:
    """(1, 16, T, h, w): the latents of films, one after the other."""
    return torch.cat([encode(vae, assembled(images, film).to(vae.device)) for film in films], dim=2)


def decoded(vae: AutoencoderKLWan, latents: torch.Tensor, films: Sequence[Film]) -> dict[int, np.ndarray]:
    """The pictures of all views of the films that such latents hold."""
    images: dict[int, np.ndarray] = {}
    for film, part in zip(
        films, latents.split([latent_frames(len(film)) for film in films], dim=2), strict=True
    ):
        images |= {
            view: image for view, image in taken_apart(film, decode(vae, part)).items() if view not in images
        }
    return images
