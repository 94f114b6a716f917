"""Something in front of the object, as the hand that holds it.

What covers the object crosses its contour: along a stretch of it the colours do not change from outside to
inside, and at both ends of that stretch they change on both sides. Outside, the occluder goes on to the
border of the image.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from ....image import resize_longest
from .contour import Contour, follow_contour
from .features import DARKEST_SHADOW, Observation, observe_image
from .histograms import color_histogram


@dataclass(frozen=True)
class OccluderConfig:
    """What counts as something in front. Colours are compared in CIE Lab."""

    # Pixels along the image's longer side.
    size: int = 320
    # Pixels from the contour at which the colours outside and inside are read.
    outside: tuple[float, ...] = (3.0, 4.0, 5.0)
    inside: tuple[float, ...] = (-2.0, -3.0, -4.0)
    # Mean depth of the object there from which on what is read is the object, and not what is behind it.
    min_depth: float = 2.4
    # Distance of these colours up to which nothing ends between them.
    same_color: float = 17.0
    # Gaps, as fractions of the contour, over which a stretch goes on, as between fingers,
    max_gap: float = 0.012
    # and its own length.
    length: tuple[float, float] = (0.025, 0.5)
    # Fraction of the contour on either side with which the stretch is compared,
    beside: float = 0.02
    # and the distance of colours from which on it differs, inside,
    min_change: float = 7.0
    # and outside, where a shadow of the ground's own colour is no change.
    min_off_shade: float = 6.0
    # Pixels on both sides of the contour from which the occluder's colours are learnt.
    band: tuple[int, int] = (-4, 7)
    # How much likelier a colour has to be there than elsewhere.
    likelier: float = 1.5
    # Pixels of the image's border at which the occluder comes in, at least,
    min_border: int = 6
    # and the fraction of what is around the object that it covers, at most.
    max_area: float = 0.4


def find_occluder(
    silhouette: np.ndarray, color: np.ndarray, config: OccluderConfig = OccluderConfig()
) -> np.ndarray:
    """(H, W) bool: pixels of the silhouette that show something in front of the object; none in most images.

    Args:
        silhouette: (H, W) bool, the mesh as the camera sees it.
        color: (H, W, 3) float32 sRGB, the reference.
        config: what counts as something in front.
    """
    seen = observe_image(resize_longest(color, config.size))
    mask = resize_longest(silhouette.astype(np.float32), config.size) > 0.5
    covered = np.zeros(mask.shape, bool)
    if mask.any():
        for pixels, normal in _find_crossings(follow_contour(mask), mask, seen.lab, config):
            covered |= _grow_occluder(_draw_band(pixels, normal, mask.shape, config), mask, seen, config)
    # A pixel more, for its rim is a mixture of both.
    covered = cv2.dilate(covered.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    return silhouette & (cv2.resize(covered, silhouette.shape[::-1]) > 0.5)


def _find_crossings(
    contour: Contour, mask: np.ndarray, lab: np.ndarray, config: OccluderConfig
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Stretches of the contour that something crosses: pixels (N, 2) and their normals (N, 2)."""
    lab = cv2.GaussianBlur(lab, (0, 0), 0.8)
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    # A mask without an outside has no depth.
    depth = np.minimum(depth, max(mask.shape))
    for line in range(contour.line[-1] + 1):
        own = contour.line == line
        pixels, normal, count = contour.pixels[own], contour.normal[own], int(own.sum())
        outside = _read_beside(lab, pixels, normal, config.outside)
        inside = _read_beside(lab, pixels, normal, config.inside)
        far = pixels + normal * max(config.outside)
        same = np.linalg.norm(outside - inside, axis=1) < config.same_color
        same &= ((far >= 0) & (far < mask.shape[::-1])).all(axis=1)
        same &= _read_beside(depth, pixels, normal, config.inside) > config.min_depth
        for stretch in _find_stretches(same, config):
            beside = np.arange(1, 1 + max(4, int(config.beside * count)))
            for_both = [(stretch[0] - beside) % count, (stretch[-1] + beside) % count]
            changes = all(
                np.linalg.norm(_median(inside[near]) - _median(inside[stretch])) > config.min_change
                and _off_shade(_median(outside[stretch]), _median(outside[near])) > config.min_off_shade
                for near in for_both
            )
            if changes:
                yield pixels[stretch], normal[stretch]


def _read_beside(
    image: np.ndarray, pixels: np.ndarray, normal: np.ndarray, distances: tuple[float, ...]
) -> np.ndarray:
    """(N, ...) the mean of an image (H, W, ...) at some distances along the normals of pixels."""
    height, width = image.shape[:2]
    places = [
        np.clip(np.round(pixels + normal * distance).astype(int), 0, (width - 1, height - 1))
        for distance in distances
    ]
    return np.mean([image[place[:, 1], place[:, 0]] for place in places], axis=0)


def _find_stretches(same: np.ndarray, config: OccluderConfig) -> Iterator[np.ndarray]:
    """Indices of each stretch of a closed line along which ``same`` (N,) holds, but for gaps."""
    count = len(same)
    gap = max(3, int(config.max_gap * count))
    around = np.concatenate([same[-gap:], same, same[:gap]]).astype(np.uint8)[None]
    closed = cv2.morphologyEx(around, cv2.MORPH_CLOSE, np.ones((1, gap), np.uint8))[0, gap:-gap] > 0
    # Begin where none is, so that none is cut in two.
    first = int(np.argmin(closed))
    number, stretches = cv2.connectedComponents(np.roll(closed, -first).astype(np.uint8)[None])
    for k in range(1, number):
        stretch = (np.flatnonzero(stretches[0] == k) + first) % count
        if config.length[0] <= len(stretch) / count <= config.length[1]:
            yield stretch


def _median(colors: np.ndarray) -> np.ndarray:
    """(3,) of colours (N, 3)."""
    return np.median(colors, axis=0)


def _off_shade(color: np.ndarray, ground: np.ndarray) -> float:
    """Distance of a colour (3,) from the ground's (3,) in any light; chroma counts twice."""
    light = np.clip(color[0] / max(float(ground[0]), 1.0), DARKEST_SHADOW, 1.05)
    return float(np.linalg.norm((color - light * ground) * (1, 2, 2)))


def _draw_band(
    pixels: np.ndarray, normal: np.ndarray, shape: tuple[int, int], config: OccluderConfig
) -> np.ndarray:
    """(H, W) bool: what lies beside a stretch of the contour, on both sides."""
    band = np.zeros(shape, bool)
    for distance in range(config.band[0], config.band[1] + 1):
        places = np.round(pixels + normal * distance).astype(int)
        column, row = places[((places >= 0) & (places < shape[::-1])).all(axis=1)].T
        band[row, column] = True
    return band


def _grow_occluder(
    band: np.ndarray, mask: np.ndarray, seen: Observation, config: OccluderConfig
) -> np.ndarray:
    """(H, W) bool: pixels of the mask that have the colours of the band and are connected to it; none if
    outside of the mask what has them does not come from the border."""
    own = color_histogram(seen.bins[band])

    def has_colors(where: np.ndarray) -> np.ndarray:
        rest = color_histogram(seen.bins[where & ~band])
        return where & (own > config.likelier * rest)[seen.bins]

    around = _close(has_colors(~mask)) & ~mask
    around = _connected_to(around, band)
    border = int(around[[0, -1]].sum() + around[:, [0, -1]].sum())
    if border < config.min_border or around.sum() > config.max_area * (~mask).sum():
        return np.zeros(mask.shape, bool)
    opened = cv2.morphologyEx(_close(has_colors(mask)).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3)))
    return _connected_to((opened > 0) | (band & mask), band & mask) & mask


def _close(mask: np.ndarray) -> np.ndarray:
    """The mask (H, W) bool without small gaps."""
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) > 0


def _connected_to(mask: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """(H, W) bool: the connected components of a mask that contain seeds."""
    _, label = cv2.connectedComponents(mask.astype(np.uint8))
    return mask & np.isin(label, np.unique(label[mask & seeds]))
