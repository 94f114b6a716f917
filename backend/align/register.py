"""One frame and its way onto the surface: a warp that removes its drift, and the tone that removes its
exposure."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from ..fuse.observations import View
from ..fuse.solve import render_back
from .lattice import dense, flat, moved

STEPS = 2
"""Gauss-Newton steps per round."""

COARSEST = 4
"""Largest number of pixels along the squares that are compared as one."""


@dataclass
class Registration:
    """A frame on its way; its images are cut to the box around the view's pixels.

    Attributes:
        frame: (H, W, 3) float32 sRGB 0..255, whole.
        view: what the frame should show.
        lattice: (R, C, 2) float32 warp of the box.
        offset: (h, w, 2) float32 pixels added to the lattice's warp.
        gain, shift: (3,) float32, per channel: ``gain * color + shift`` is the frame's colour at the common
            exposure.
    """

    frame: np.ndarray
    view: View
    lattice: np.ndarray = field(init=False)
    offset: np.ndarray = field(init=False)
    gain: np.ndarray = field(default_factory=lambda: np.ones(3, np.float32))
    shift: np.ndarray = field(default_factory=lambda: np.zeros(3, np.float32))

    def __post_init__(self):
        rows, columns = np.divmod(self.view.pixels, self.frame.shape[1])
        self.corner = np.array([columns.min(), rows.min()] if len(rows) else [0, 0]) // COARSEST * COARSEST
        self.rows, self.columns = rows - self.corner[1], columns - self.corner[0]
        self.shape = tuple(
            int(places.max(initial=0)) // COARSEST * COARSEST + COARSEST
            for places in (self.rows, self.columns)
        )
        self.lattice, self.offset = flat(self.shape), np.zeros((*self.shape, 2), np.float32)

    def warp(self) -> np.ndarray:
        """(N, 2) float32 pixels, for the view's pixels."""
        return self._warp(1)[self.rows, self.columns]

    def colors(self, interpolation: int = cv2.INTER_LANCZOS4) -> np.ndarray:
        """(N, 3) float32 sRGB, whole numbers 0..255: the view's pixels, drift and exposure removed."""
        return np.clip(np.round(self._moved(self.frame, 1, interpolation)[self.rows, self.columns]), 0, 255)

    def push(self, drift: np.ndarray) -> None:
        """Takes (N, 2) pixels off the warp."""
        self.offset[self.rows, self.columns] -= drift

    def improve(self, consensus: np.ndarray, blur: float, tolerance: float) -> None:
        """Moves the warp so that the frame comes closer to a texture (S, S, 3) float32, and matches the tone.

        Args:
            consensus: the texture.
            blur: sigma in pixels of what is compared; large ones see far, and need no more than a pixel per
                sigma.
            tolerance: difference in 0..255 from which a pixel counts less and less.
        """
        if not len(self.view):
            return
        stride = min(max(int(blur), 1), COARSEST)
        seen, trust = (
            _reduced(self._image(values), stride) for values in (np.float32(1), self.view.weights(0.5))
        )
        frame = _reduced(self.frame, stride)
        share = np.maximum(cv2.GaussianBlur(seen, (0, 0), blur / stride), 1e-3)[..., None]

        def blurred(image: np.ndarray) -> np.ndarray:
            # Over the view's pixels only, so that no background comes in.
            image = cv2.GaussianBlur(image, (0, 0), blur / stride)
            image /= share
            return image

        def moved_frame() -> np.ndarray:
            image = self._moved(frame, stride, cv2.INTER_LINEAR)
            image *= seen[..., None]
            return blurred(image)

        target = blurred(_reduced(self._image(render_back(self.view, consensus)), stride))
        for _ in range(STEPS):
            image = moved_frame()
            residual = target - image
            mean = (target + image) / 2
            across, down = (
                cv2.Sobel(mean, cv2.CV_32F, *axis, scale=1 / (8 * stride)) for axis in ((1, 0), (0, 1))
            )
            weights = stride**2 * _robust(trust, residual, tolerance)
            self.lattice = moved(self.lattice, across, down, residual, weights, stride)
        self._match_tone(target, moved_frame(), stride**2 * trust, tolerance)

    def _image(self, values: np.ndarray) -> np.ndarray:
        """(h, w) or (h, w, C): values of the view's pixels, 0 elsewhere."""
        image = np.zeros((*self.shape, *values.shape[1:]), np.float32)
        image[self.rows, self.columns] = values
        return image

    def _warp(self, stride: int) -> np.ndarray:
        middle = slice(stride // 2, None, stride)
        return (
            dense(self.lattice, (self.shape[0] // stride, self.shape[1] // stride), stride)
            + self.offset[middle, middle]
        )

    def _moved(self, frame: np.ndarray, stride: int, interpolation: int) -> np.ndarray:
        """The box of a frame that was reduced by ``stride``, drift and exposure removed."""
        places = self._warp(stride)
        places /= np.float32(stride)
        left, top = self.corner // stride
        places[..., 0] += np.arange(left, left + places.shape[1], dtype=np.float32)
        places[..., 1] += np.arange(top, top + places.shape[0], dtype=np.float32)[:, None]
        image = cv2.remap(frame, places, None, interpolation, borderMode=cv2.BORDER_REPLICATE)
        image *= self.gain
        image += self.shift
        return image

    def _match_tone(self, target: np.ndarray, image: np.ndarray, trust: np.ndarray, tolerance: float) -> None:
        """Mean and contrast per channel become those of the target; contrast is compared both ways, so that
        noise does not shrink it."""
        weights = _robust(trust, target - image, tolerance)
        total = weights.sum()
        if total < 100:
            return
        wanted, mean = (np.einsum("yx,yxc->c", weights, colors) / total for colors in (target, image))
        wanted_variance, variance = (
            np.einsum("yx,yxc->c", weights, np.square(colors - middle)) / total
            for colors, middle in ((target, wanted), (image, mean))
        )
        factor = np.clip(np.sqrt((wanted_variance + 1) / (variance + 1)), 0.8, 1.25)
        self.gain, self.shift = self.gain * factor, factor * (self.shift - mean) + wanted


def _reduced(image: np.ndarray, stride: int) -> np.ndarray:
    """Means over squares of ``stride`` pixels; rows and columns that fill no square are left out."""
    if stride == 1:
        return image
    height, width = image.shape[0] // stride, image.shape[1] // stride
    return cv2.resize(
        image[: height * stride, : width * stride], (width, height), interpolation=cv2.INTER_AREA
    )


def _robust(trust: np.ndarray, residual: np.ndarray, tolerance: float) -> np.ndarray:
    return trust / (1 + np.einsum("yxc,yxc->yx", residual, residual) / tolerance**2) ** 2
