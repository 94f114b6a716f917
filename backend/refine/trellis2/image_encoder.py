"""What TRELLIS.2's flow sees of an image: the tokens of a DINOv3 network (specs: trellis2, a)."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import layer_norm
from transformers import DINOv3ViTModel
from transformers.utils.logging import disable_progress_bar

from ...api.errors import InvalidWeights
from ...paint.reference import Reference

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the images that the network was trained on, 0..1, by which colours are normalised."""

LARGEST = 1024
"""Longer side in pixels to which an image is brought down before its object is cut out."""

OBJECT = 0.8
"""Alpha, of the largest, above which a pixel counts for the square around the object."""


class ImageEncoder(nn.Module):
    """Turns images into tokens."""

    def __init__(self, network: DINOv3ViTModel):
        super().__init__()
        self.network = network

    def forward(self, image: np.ndarray) -> torch.Tensor:
        """(L, C) float32 tokens of an image (S, S, 3) uint8: the class, the registers, then its patches row
        by row.

        They are what the last block gives, before the network's own last norm, brought to mean 0 and
        deviation 1.
        """
        weight = next(self.network.parameters())
        color = (image / np.float32(255) - np.float32(MEAN)) / np.float32(SPREAD)
        pixels = torch.from_numpy(color).permute(2, 0, 1)[None].to(weight.device, weight.dtype)
        last = self.network(pixel_values=pixels, output_hidden_states=True).hidden_states[-1][0].float()
        return layer_norm(last, last.shape[-1:], eps=1e-5)


def load_image_encoder(folder: Path) -> ImageEncoder:
    """The network of a folder with ``config.json`` and a ``.safetensors`` file.

    Raises:
        InvalidWeights: it cannot be read from there, or not whole.
    """
    disable_progress_bar()
    try:
        network, report = DINOv3ViTModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype=torch.float32
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise InvalidWeights(
            f"{folder} holds no DINOv3 network that can be read ({error}). Download it again."
        ) from error
    if wrong := sorted({*report["missing_keys"], *report["unexpected_keys"], *report["mismatched_keys"]}):
        raise InvalidWeights(
            f"{folder}: the tensor '{wrong[0]}' is missing or not what it should be. Download it again."
        )
    return ImageEncoder(network.eval().requires_grad_(False))


def crop_to_object(reference: Reference, size: int) -> np.ndarray:
    """(size, size, 3) uint8 sRGB: the object as the flow's training shows one, in a square that it just
    fills, on black.

    Args:
        reference: with its foreground.
        size: in pixels, a multiple of 16.
    """
    image = Image.fromarray(np.dstack([_bytes(reference.color), _bytes(reference.alpha)]))
    if max(image.size) > LARGEST:
        image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    alpha = np.asarray(image)[..., 3]
    rows, columns = np.nonzero(alpha > OBJECT * alpha.max())
    half = max(int(np.ptp(rows)), int(np.ptp(columns)), 2) // 2
    x, y = (columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2
    cut = np.asarray(image.crop((x - half, y - half, x + half, y + half)), np.float32) / 255
    black = Image.fromarray((cut[..., :3] * cut[..., 3:] * 255).astype(np.uint8))
    return np.asarray(black.resize((size, size), Image.Resampling.LANCZOS))


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.round(255 * values).astype(np.uint8)
