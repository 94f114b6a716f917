"""One frame and its way onto the surface: a warp that removes its drift, and the tone that removes its exposure."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from ..fuse.observations import View
from ..fuse.solve import render_back
from .lattice import dense, flat, moved

STEPS = 2
"""Gauss-Newton steps per round."""


@dataclass
class Registration:
    """A frame on its way; the image is cut to the box around the view's pixels.

    Attributes:
        frame: (H, W, 3) float32 sRGB 0..255, whole.
        view: what the frame should show.
        lattice: (R, C, 2) float32 warp of the box.
        offset: (h, w, 2) float32 pixels added to the lattice's warp.
        gain, shift: (3,) float32, per channel: ``gain * color + shift`` is the frame's colour at the common exposure.
    """

    frame: np.ndarray
    view: View
    lattice: np.ndarray = field(init=False)
    offset: np.ndarray = field(init=False)
    gain: np.ndarray = field(default_factory=lambda: np.ones(3, np.float32))
    shift: np.ndarray = field(default_factory=lambda: np.zeros(3, np.float32))

    def __post_init__(self):
        rows, columns = np.divmod(self.view.pixels, self.frame.shape[1])
        top, left = (rows.min(), columns.min()) if len(rows) else (0, 0)
        self.rows, self.columns = rows - top, columns - left
        self.shape = (int(self.rows.max(initial=0)) + 1, int(self.columns.max(initial=0)) + 1)
        x, y = np.meshgrid(np.arange(self.shape[1]) + left, np.arange(self.shape[0]) + top)
        self.grid = np.stack([x, y], axis=-1).astype(np.float32)
        self.seen = np.zeros(self.shape, np.float32)
        self.seen[self.rows, self.columns] = 1
        self.trust = np.zeros(self.shape, np.float32)
        self.trust[self.rows, self.columns] = self.view.weights(0.5)
        self.lattice, self.offset = flat(self.shape), np.zeros((*self.shape, 2), np.float32)

    @property
    def warp(self) -> np.ndarray:
        """(N, 2) float32 pixels, for the view's pixels."""
        return self._warp()[self.rows, self.columns]

    def colors(self) -> np.ndarray:
        """(N, 3) float32 sRGB, whole numbers 0..255: the view's pixels, drift and exposure removed."""
        return np.clip(np.round(self._moved_frame(cv2.INTER_LANCZOS4)[self.rows, self.columns]), 0, 255)

    def push(self, drift: np.ndarray) -> None:
        """Takes (N, 2) pixels off the warp."""
        self.offset[self.rows, self.columns] -= drift

    def improve(self, consensus: np.ndarray, blur: float, tolerance: float) -> None:
        """Moves the warp so that the frame comes closer to a texture (S, S, 3) float32, and matches the tone.

        Args:
            consensus: the texture.
            blur: sigma in pixels of what is compared; large ones see far.
            tolerance: difference in 0..255 from which a pixel counts less and less.
        """
        if not len(self.view):
            return
        target = np.zeros((*self.shape, 3), np.float32)
        target[self.rows, self.columns] = render_back(self.view, consensus)
        target = self._blurred(target, blur)
        for _ in range(STEPS):
            image = self._blurred(self._moved_frame(cv2.INTER_LINEAR), blur)
            residual = target - image
            mean = (target + image) / 2
            across, down = (cv2.Sobel(mean, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
            self.lattice = moved(self.lattice, across, down, residual, self._robust(residual, tolerance))
        self._match_tone(target, self._blurred(self._moved_frame(cv2.INTER_LINEAR), blur), tolerance)

    def _warp(self) -> np.ndarray:
        return dense(self.lattice, self.shape) + self.offset

    def _moved_frame(self, interpolation: int) -> np.ndarray:
        warped = cv2.remap(self.frame, self.grid + self._warp(), None, interpolation, borderMode=cv2.BORDER_REPLICATE)
        warped *= self.gain
        warped += self.shift
        return warped

    def _blurred(self, image: np.ndarray, blur: float) -> np.ndarray:
        """Blurred over the view's pixels only, so that no background comes in; the image is used up."""
        image *= self.seen[..., None]
        blurred = cv2.GaussianBlur(image, (0, 0), blur)
        blurred /= np.maximum(cv2.GaussianBlur(self.seen, (0, 0), blur), 1e-3)[..., None]
        return blurred

    def _robust(self, residual: np.ndarray, tolerance: float) -> np.ndarray:
        return self.trust / (1 + np.einsum("yxc,yxc->yx", residual, residual) / tolerance**2) ** 2

    def _match_tone(self, target: np.ndarray, image: np.ndarray, tolerance: float) -> None:
        """Mean and contrast per channel become those of the target; contrast is compared both ways, so that noise does not shrink it."""
        weights = self._robust(target - image, tolerance)
        total = weights.sum()
        if total < 100:
            return
        wanted, mean = (np.einsum("yx,yxc->c", weights, colors) / total for colors in (target, image))
        wanted_variance, variance = (np.einsum("yx,yxc->c", weights, np.square(colors - middle)) / total
                                     for colors, middle in ((target, wanted), (image, mean)))
        factor = np.clip(np.sqrt((wanted_variance + 1) / (variance + 1)), 0.8, 1.25)
        self.gain, self.shift = self.gain * factor, factor * (self.shift - mean) + wanted
