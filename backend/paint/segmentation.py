"""The object's mask by Segment Anything (Kirillov et al. 2023), if the user has OrbitPainter's weights, with
which it comes: one more hypothesis about which pixels show the object. It is asked where the mesh lies, and
the mesh decides between the hypotheses.

Its weights are free for any use. torch is imported only when they are there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.special import expit

from ..api.errors import InvalidWeights, OrbitError
from ..api.shell_commands import install_command
from ..api.weights import SAM
from ..device import check_memory

if TYPE_CHECKING:
    from transformers import SamModel

SAM_INPUT_SIZE = 1024
"""Width and height in pixels of the square that the network sees."""

SAM_MASK_SIZE = 256
"""Width and height in pixels of the mask that it returns for the whole square."""

SAM_MEAN = np.float32([123.675, 116.28, 103.53])
"""Mean colour, 0..255, of the images that it was trained on, which is subtracted."""

SAM_STD = np.float32([58.395, 57.12, 57.375])
"""Standard deviation of their colours, 0..255, by which colours are divided."""

SAM_MEMORY = 2.5e9
"""Free bytes below which it is not run: 2.2 GB were measured with its weights."""

_REMEDY = f"Download it again: {' and '.join(SAM.files)} of {SAM.repository}."


def propose_mask(
    folder: Path, color: np.ndarray, silhouette: np.ndarray
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The mask that the network finds where the mesh lies, and sentences for the user if it could not be run.
    It never raises an :class:`OrbitError`, since nothing needs the network.

    Args:
        folder: the network's.
        color: (H, W, 3) float32 sRGB.
        silhouette: (H, W) bool of the mesh, not empty; the network is asked with its bounding box.

    Returns:
        (H, W) bool, or None; and the sentences.
    """
    try:
        check_memory(SAM_MEMORY, "a better mask")
        return segment_object(load_segmentation(folder), color, silhouette) > 0.5, ()
    except OrbitError as error:
        return None, (f"Segment Anything was not used. {error.message}",)


def load_segmentation(folder: Path) -> SamModel:
    """The network of a folder with ``config.json`` and a ``.safetensors`` file.

    Raises:
        InvalidWeights: it cannot be read from there, or a tensor is missing.
    """
    try:
        from transformers import SamModel
        from transformers.utils.logging import disable_progress_bar
    except (ImportError, OSError) as error:
        raise InvalidWeights(
            f"Segment Anything cannot be run, because transformers does not import ({error}). Run: "
            f"{install_command('backend', '--anew')}"
        ) from error
    disable_progress_bar()
    try:
        network, report = SamModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # its errors have no common base class
        raise InvalidWeights(
            f"{folder} holds no Segment Anything model that can be read ({error}). {_REMEDY}"
        ) from error
    # A table that two modules share is stored once.
    if missing := sorted(set(report["missing_keys"]) - set(network.all_tied_weights_keys)):
        raise InvalidWeights(f"{folder}: the tensor '{missing[0]}' is missing. {_REMEDY}")
    return network.eval()


def segment_object(network: SamModel, color: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """(H, W) float32 alpha 0..1 of the object in an image (H, W, 3) float32 sRGB: what the network finds in
    the bounding box of a rough foreground (H, W) bool.

    Raises:
        InvalidWeights: the network does not run, or returns no numbers.
    """
    # The image in the upper left of a normalised square.
    height, width = color.shape[:2]
    scale = SAM_INPUT_SIZE / max(height, width)
    resized = cv2.resize(
        color,
        (max(1, round(width * scale)), max(1, round(height * scale))),
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC,
    )
    square = np.zeros((SAM_INPUT_SIZE, SAM_INPUT_SIZE, 3), np.float32)
    square[: resized.shape[0], : resized.shape[1]] = (255 * resized - SAM_MEAN) / SAM_STD
    logits = _run(network, square, _find_box(foreground) * np.float32(scale))
    # Back to the image's pixels. Their centres lie at +0.5 here, at whole numbers in OpenCV.
    step = SAM_MASK_SIZE / SAM_INPUT_SIZE * scale
    shift = 0.5 * SAM_MASK_SIZE / SAM_INPUT_SIZE * scale - 0.5
    return expit(
        cv2.warpAffine(
            logits,
            np.array([[step, 0, shift], [0, step, shift]]),
            (width, height),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def _run(network: SamModel, square: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(256, 256) float32: the network's logits for a normalised square (1024, 1024, 3) float32 and a box (4,)
    float32 in its pixels."""
    import torch

    try:
        with torch.no_grad():
            answer = network(
                pixel_values=torch.from_numpy(square).permute(2, 0, 1)[None],  # (1, 3, 1024, 1024)
                input_boxes=torch.from_numpy(box)[None, None],  # (1, 1, 4)
                multimask_output=False,
            )
        logits = answer.pred_masks[0, 0, 0].float().numpy()
    except Exception as error:  # of another size, or out of memory, which is a plain RuntimeError
        raise InvalidWeights(f"Segment Anything does not run ({error}). {_REMEDY}") from error
    if not np.isfinite(logits).all():
        raise InvalidWeights(f"Segment Anything returns no numbers. {_REMEDY}")
    return logits


def _find_box(foreground: np.ndarray) -> np.ndarray:
    """(4,) float32 left, top, right and bottom in pixels of a mask."""
    rows, columns = (np.flatnonzero(foreground.any(axis=axis)) for axis in (1, 0))
    return np.float32([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
