"""The image condition of TRELLIS.2's flow: the tokens of a DINOv3 network
(docs/models/trellis2.md#image-tokens)."""

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

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean colour of DINOv3's training images, 0..1, which is subtracted from an image."""

IMAGENET_STD = (0.229, 0.224, 0.225)
"""Standard deviation of those colours, by which an image is divided."""

MAX_IMAGE_SIZE = 1024
"""Longer side in pixels to which an image is shrunk before its object is cropped."""

OBJECT_ALPHA = 0.8
"""Alpha, relative to the largest, above which a pixel counts for the square around the object."""


class ImageEncoder(nn.Module):
    """DINOv3, which turns images into tokens."""

    def __init__(self, network: DINOv3ViTModel):
        super().__init__()
        self.network = network

    def forward(self, image: np.ndarray) -> torch.Tensor:
        """(L, C) float32 tokens of an image (S, S, 3) uint8: the class, the registers, then its patches row
        by row.

        The tokens are the output of the last block, before the network's own last norm, normalised to mean 0
        and standard deviation 1.
        """
        weight = next(self.network.parameters())
        color = (image / np.float32(255) - np.float32(IMAGENET_MEAN)) / np.float32(IMAGENET_STD)
        # (S, S, 3) -> (1, 3, S, S)
        pixels = torch.from_numpy(color).permute(2, 0, 1)[None].to(weight.device, weight.dtype)
        last = self.network(pixel_values=pixels, output_hidden_states=True).hidden_states[-1][0].float()
        return layer_norm(last, last.shape[-1:], eps=1e-5)


def load_image_encoder(folder: Path) -> ImageEncoder:
    """The network of a folder with ``config.json`` and a ``.safetensors`` file.

    Raises:
        InvalidWeights: it cannot be read from there, or is incomplete.
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
    """(size, size, 3) uint8 sRGB: the object on black, in a square that it just fills, as the flow was
    trained with.

    Args:
        reference: with its foreground.
        size: in pixels, a multiple of 16.
    """
    image = Image.fromarray(np.dstack([_to_bytes(reference.color), _to_bytes(reference.alpha)]))
    if max(image.size) > MAX_IMAGE_SIZE:
        image.thumbnail((MAX_IMAGE_SIZE, MAX_IMAGE_SIZE), Image.Resampling.LANCZOS)
    alpha = np.asarray(image)[..., 3]
    rows, columns = np.nonzero(alpha > OBJECT_ALPHA * alpha.max())
    half = max(int(np.ptp(rows)), int(np.ptp(columns)), 2) // 2
    x, y = (columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2
    cropped = np.asarray(image.crop((x - half, y - half, x + half, y + half)), np.float32) / 255
    # Truncated to bytes, not rounded, as the published code does.
    on_black = Image.fromarray((cropped[..., :3] * cropped[..., 3:] * 255).astype(np.uint8))
    return np.asarray(on_black.resize((size, size), Image.Resampling.LANCZOS))


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.round(255 * values).astype(np.uint8)
