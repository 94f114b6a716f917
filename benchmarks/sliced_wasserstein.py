"""How alike two sets of images look, wherever things are in them: sliced Wasserstein distances of their
patches and colours."""

from collections.abc import Sequence

import cv2
import numpy as np

PYRAMID_LEVELS = 3
"""Levels of the Laplacian pyramid from which patches are taken."""

PATCH_SIZE = 7
"""Pixels along a patch."""

MAX_ROWS = 12_000
"""Patches per level and set, and colours per set: more hardly change the second digit."""

PATCHES_PER_IMAGE = MAX_ROWS // 8
"""Patches per level that one image gives."""

SLICES = 128
"""Random directions along which distributions are compared."""

QUANTILES = 2000
"""Evenly spread quantiles that are compared along each direction."""


def patch_and_color_distances(
    truth: Sequence[np.ndarray],
    shown: Sequence[np.ndarray],
    other: Sequence[np.ndarray],
    others: Sequence[np.ndarray],
) -> tuple[float, float]:
    """The distances between patches, and between colours, both in units of 0..255 per value.

    Args:
        truth, other: images (H, W, 3) 0..255.
        shown, others: (H, W) bool, the pixels of each that count; a patch counts if all of it does.

    A patch is one of a level of the Laplacian pyramid, as in Karras et al. 2018 (section 5); unlike there it
    keeps its contrast, in which a blurred side differs from the truth. The distance is the mean over levels;
    colours have a distance of their own.
    """
    bands = [_patches(images, masks) for images, masks in ((truth, shown), (other, others))]
    patches = float(np.mean([sliced_wasserstein(one, two) for one, two in zip(*bands, strict=True)]))
    colors = [
        _sample_rows(
            np.concatenate([image[mask] for image, mask in zip(images, masks, strict=True)]).astype(
                np.float32
            )
        )
        for images, masks in ((truth, shown), (other, others))
    ]
    return patches, sliced_wasserstein(*colors)


def sliced_wasserstein(one: np.ndarray, two: np.ndarray) -> float:
    """The mean distance between two sets (N, D) and (M, D) along random unit directions."""
    random = np.random.default_rng(0)
    directions = random.normal(size=(one.shape[1], SLICES)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=0)
    quantiles = np.linspace(0, 1, QUANTILES)
    one, two = (
        np.sort(rows @ directions, axis=0)[np.round(quantiles * (len(rows) - 1)).astype(int)]
        for rows in (one, two)
    )
    return float(np.abs(one - two).mean())


def _patches(images: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Per level (N, 147) float32."""
    levels = [[] for _ in range(PYRAMID_LEVELS)]
    kernel, half = np.ones((PATCH_SIZE, PATCH_SIZE)), PATCH_SIZE // 2
    for image, mask in zip(images, masks, strict=True):
        image = _fill_from_nearest(image.astype(np.float32), mask)
        for level in range(PYRAMID_LEVELS):
            # The level's band of the Laplacian pyramid.
            smaller = cv2.pyrDown(image)
            band = image - cv2.pyrUp(smaller, dstsize=image.shape[1::-1])
            # Centres of patches that count as a whole.
            padded = np.pad(mask, PATCH_SIZE).astype(np.uint8)
            whole = cv2.erode(padded, kernel)[PATCH_SIZE:-PATCH_SIZE, PATCH_SIZE:-PATCH_SIZE] > 0
            rows, columns = np.nonzero(whole)
            if not len(rows):
                break
            windows = np.lib.stride_tricks.sliding_window_view(band, (PATCH_SIZE, PATCH_SIZE), axis=(0, 1))
            chosen = np.linspace(0, len(rows) - 1, min(len(rows), PATCHES_PER_IMAGE)).astype(int)
            patches = windows[rows[chosen] - half, columns[chosen] - half]
            levels[level].append(patches.reshape(len(chosen), -1))
            # The next level.
            smaller_mask = cv2.resize(
                mask.astype(np.uint8), smaller.shape[1::-1], interpolation=cv2.INTER_NEAREST
            )
            image, mask = smaller, smaller_mask > 0
    return [_sample_rows(np.concatenate(level)) for level in levels]


def _sample_rows(rows: np.ndarray) -> np.ndarray:
    return rows[np.random.default_rng(0).choice(len(rows), min(len(rows), MAX_ROWS), replace=False)]


def _fill_from_nearest(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image with the nearest counted pixel wherever pixels do not count, so that no band shows the border
    between the two."""
    _, label = cv2.distanceTransformWithLabels(
        (~mask).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    index = np.zeros(label.max() + 1, np.int64)
    index[label[mask]] = np.flatnonzero(mask)
    return image.reshape(-1, 3)[index[label]] if mask.any() else image
