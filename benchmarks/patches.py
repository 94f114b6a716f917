"""How alike two sets of pictures look, whatever is where: sliced Wasserstein distances of their patches and
colours."""

from collections.abc import Sequence

import cv2
import numpy as np

LEVELS, SIDE = 3, 7
PATCHES = 12_000
"""Per level and set: more hardly change the second digit."""

DIRECTIONS, RANKS = 128, 2000


def distances(
    truth: Sequence[np.ndarray],
    shown: Sequence[np.ndarray],
    other: Sequence[np.ndarray],
    others: Sequence[np.ndarray],
) -> tuple[float, float]:
    """Of patches and of colours, both in units of 0..255 per value.

    Args:
        truth, other: images (H, W, 3) 0..255.
        shown, others: (H, W) bool, the pixels that count; a patch counts where all of it does.

    A patch is one of a level of the Laplacian pyramid, as in Karras et al. 2018 (section 5); unlike there it
    keeps its contrast, in which a blurred side differs from the truth. The distance is the mean over levels,
    colours have one of their own.
    """
    bands = [_patches(images, masks) for images, masks in ((truth, shown), (other, others))]
    patches = float(np.mean([sliced(one, two) for one, two in zip(*bands, strict=True)]))
    colors = [
        _some(
            np.concatenate([image[mask] for image, mask in zip(images, masks, strict=True)]).astype(
                np.float32
            )
        )
        for images, masks in ((truth, shown), (other, others))
    ]
    return patches, sliced(*colors)


def sliced(one: np.ndarray, two: np.ndarray) -> float:
    """The mean distance between two sets (N, D) and (M, D) along random unit directions."""
    random = np.random.default_rng(0)
    directions = random.normal(size=(one.shape[1], DIRECTIONS)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=0)
    ranks = np.linspace(0, 1, RANKS)
    one, two = (
        np.sort(rows @ directions, axis=0)[np.round(ranks * (len(rows) - 1)).astype(int)]
        for rows in (one, two)
    )
    return float(np.abs(one - two).mean())


def _patches(images: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Per level (N, 147) float32."""
    levels = [[] for _ in range(LEVELS)]
    for image, mask in zip(images, masks, strict=True):
        image = _filled(image.astype(np.float32), mask)
        for level in range(LEVELS):
            smaller = cv2.pyrDown(image)
            band = image - cv2.pyrUp(smaller, dstsize=image.shape[1::-1])
            whole = (
                cv2.erode(np.pad(mask, SIDE).astype(np.uint8), np.ones((SIDE, SIDE)))[SIDE:-SIDE, SIDE:-SIDE]
                > 0
            )
            rows, columns = np.nonzero(whole)
            if not len(rows):
                break
            windows = np.lib.stride_tricks.sliding_window_view(band, (SIDE, SIDE), axis=(0, 1))
            chosen = np.linspace(0, len(rows) - 1, min(len(rows), PATCHES // 8)).astype(int)
            half = SIDE // 2
            levels[level].append(
                windows[rows[chosen] - half, columns[chosen] - half].reshape(len(chosen), -1)
            )
            image, mask = (
                smaller,
                cv2.resize(mask.astype(np.uint8), smaller.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0,
            )
    return [_some(np.concatenate(level)) for level in levels]


def _some(rows: np.ndarray) -> np.ndarray:
    return rows[np.random.default_rng(0).choice(len(rows), min(len(rows), PATCHES), replace=False)]


def _filled(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image with the nearest counted pixel everywhere else, so that no band shows the border of what
    counts."""
    _, label = cv2.distanceTransformWithLabels(
        (~mask).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    number = np.zeros(label.max() + 1, np.int64)
    number[label[mask]] = np.flatnonzero(mask)
    return image.reshape(-1, 3)[number[label]] if mask.any() else image
