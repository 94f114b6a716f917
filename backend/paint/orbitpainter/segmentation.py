"""The object in a reference that has no alpha, by Segment Anything (Kirillov et al. 2023), whose weights are
free for any use."""

from pathlib import Path

import cv2
import numpy as np
import torch
from transformers import SamModel
from transformers.utils.logging import disable_progress_bar

from ...api.errors import InvalidWeights
from ..foreground import keep_large_components, segment

SIZE, MASK = 1024, 256
"""Pixels along the square that the network sees, and along the mask that it gives."""

MEAN, SPREAD = np.float32([123.675, 116.28, 103.53]), np.float32([58.395, 57.12, 57.375])
"""Of the images that it was trained on, 0..255, by which colours are normalised."""


def load_segmentation(folder: Path) -> SamModel:
    """The network of a folder with ``config.json`` and a ``.safetensors`` file.

    Raises:
        InvalidWeights: it cannot be read from there, or not whole.
    """
    disable_progress_bar()
    try:
        network, report = SamModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise InvalidWeights(
            f"{folder} holds no Segment Anything model that can be read ({error}). Download it again."
        ) from error
    # A table that two parts share stands in the file once.
    if missing := sorted(set(report["missing_keys"]) - set(network.all_tied_weights_keys)):
        raise InvalidWeights(f"{folder}: the tensor '{missing[0]}' is missing. Download it again.")
    return network.eval()


def segmented(network: SamModel, color: np.ndarray) -> np.ndarray:
    """(H, W) float32 alpha of the object in an image (H, W, 3) float32 sRGB: what the network finds in the
    box of the draft's guess."""
    height, width = color.shape[:2]
    scale = SIZE / max(height, width)
    small = cv2.resize(
        color,
        (round(width * scale), round(height * scale)),
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC,
    )
    square = np.zeros((SIZE, SIZE, 3), np.float32)
    square[: small.shape[0], : small.shape[1]] = (255 * small - MEAN) / SPREAD
    box = torch.from_numpy(_box(color) * np.float32(scale))[None, None]
    with torch.no_grad():
        answer = network(
            pixel_values=torch.from_numpy(square).permute(2, 0, 1)[None],
            input_boxes=box,
            multimask_output=False,
        )
    logits = answer.pred_masks[0, 0, 0].float().numpy()
    # Pixel centres lie at +0.5 here, at whole numbers there.
    step, shift = MASK / SIZE * scale, 0.5 * MASK / SIZE * scale - 0.5
    logits = cv2.warpAffine(
        logits,
        np.array([[step, 0, shift], [0, step, shift]]),
        (width, height),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def _box(color: np.ndarray) -> np.ndarray:
    """(4,) float32 left, top, right and bottom of the object as the draft finds it, in pixels; of the image
    where it finds none."""
    solid = keep_large_components(segment(color) > 0.5)
    if not solid.any():
        solid = np.ones(solid.shape, bool)
    rows, columns = (np.flatnonzero(solid.any(axis=axis)) for axis in (1, 0))
    return np.float32([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
