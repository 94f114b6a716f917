"""The object in a reference that has no alpha, by Segment Anything (Kirillov et al. 2023), whose weights are
free for any use."""

from pathlib import Path

import cv2
import numpy as np
import torch
from transformers import SamModel
from transformers.utils.logging import disable_progress_bar

from ...api.errors import InvalidWeights

SAM_INPUT_SIZE = 1024
"""Width and height in pixels of the square that the network sees."""

SAM_MASK_SIZE = 256
"""Width and height in pixels of the mask that it returns for the whole square."""

SAM_MEAN = np.float32([123.675, 116.28, 103.53])
"""Mean colour, 0..255, of the images that it was trained on, which is subtracted."""

SAM_STD = np.float32([58.395, 57.12, 57.375])
"""Standard deviation of their colours, 0..255, by which colours are divided."""


def load_segmentation(folder: Path) -> SamModel:
    """The network of a folder with ``config.json`` and a ``.safetensors`` file.

    Raises:
        InvalidWeights: it cannot be read from there, or a tensor is missing.
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
    # A table that two modules share is stored once.
    if missing := sorted(set(report["missing_keys"]) - set(network.all_tied_weights_keys)):
        raise InvalidWeights(f"{folder}: the tensor '{missing[0]}' is missing. Download it again.")
    return network.eval()


def segment_object(network: SamModel, color: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """(H, W) float32 alpha 0..1 of the object in an image (H, W, 3) float32 sRGB: what the network finds in
    the bounding box of a rough foreground (H, W) bool."""
    # The image in the upper left of a normalised square.
    height, width = color.shape[:2]
    scale = SAM_INPUT_SIZE / max(height, width)
    resized = cv2.resize(
        color,
        (round(width * scale), round(height * scale)),
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC,
    )
    square = np.zeros((SAM_INPUT_SIZE, SAM_INPUT_SIZE, 3), np.float32)
    square[: resized.shape[0], : resized.shape[1]] = (255 * resized - SAM_MEAN) / SAM_STD
    # The network's mask for the box.
    box = torch.from_numpy(_find_box(foreground) * np.float32(scale))[None, None]  # (1, 1, 4)
    with torch.no_grad():
        answer = network(
            pixel_values=torch.from_numpy(square).permute(2, 0, 1)[None],  # (1, 3, 1024, 1024)
            input_boxes=box,
            multimask_output=False,
        )
    logits = answer.pred_masks[0, 0, 0].float().numpy()  # (256, 256)
    # Back to the image's pixels. Their centres lie at +0.5 here, at whole numbers in OpenCV.
    step = SAM_MASK_SIZE / SAM_INPUT_SIZE * scale
    shift = 0.5 * SAM_MASK_SIZE / SAM_INPUT_SIZE * scale - 0.5
    logits = cv2.warpAffine(
        logits,
        np.array([[step, 0, shift], [0, step, shift]]),
        (width, height),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def _find_box(foreground: np.ndarray) -> np.ndarray:
    """(4,) float32 left, top, right and bottom in pixels of a mask."""
    rows, columns = (np.flatnonzero(foreground.any(axis=axis)) for axis in (1, 0))
    return np.float32([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
