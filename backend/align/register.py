"""The registration of one frame to the surface: a warp that removes its drift, and a gain and shift that
remove its exposure."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from ..fuse.observations import View
from ..fuse.solve import render_back
from ..image import average_blocks
from .free_form import gauss_newton_step, identity, to_dense_flow

STEPS_PER_ROUND = 2
"""Gauss-Newton steps per round of the alignment."""

MAX_STRIDE = 4
"""Pixels along the largest squares that are compared as one."""

MAX_CONTRAST_CHANGE = 1.25
"""Factor by which a frame's contrast may change per round, and its inverse."""


@dataclass
class Registration:
    """A frame, and the warp and tone found for it so far; images are cut to the box around the view's pixels.

    Attributes:
        frame: (H, W, 3) float32 sRGB 0..255, not cut.
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
        self.corner = (
            np.array([columns.min(), rows.min()] if len(rows) else [0, 0]) // MAX_STRIDE * MAX_STRIDE
        )
        self.rows, self.columns = rows - self.corner[1], columns - self.corner[0]
        self.shape = tuple(
            int(places.max(initial=0)) // MAX_STRIDE * MAX_STRIDE + MAX_STRIDE
            for places in (self.rows, self.columns)
        )
        self.lattice, self.offset = identity(self.shape), np.zeros((*self.shape, 2), np.float32)

    def warp(self) -> np.ndarray:
        """(N, 2) float32 pixels, for the view's pixels."""
        return self._warp(1)[self.rows, self.columns]

    def colors(self, interpolation: int = cv2.INTER_LANCZOS4) -> np.ndarray:
        """(N, 3) float32 sRGB, whole numbers 0..255: the view's pixels, drift and exposure removed."""
        return np.clip(
            np.round(self._warp_frame(self.frame, 1, interpolation)[self.rows, self.columns]), 0, 255
        )

    def remove_drift(self, drift: np.ndarray) -> None:
        """Subtracts (N, 2) pixels from the warp."""
        self.offset[self.rows, self.columns] -= drift

    def improve(self, consensus: np.ndarray, blur: float, tolerance: float) -> None:
        """Moves the warp so that the frame comes closer to a texture (S, S, 3) float32, and matches the tone.

        Args:
            consensus: the texture.
            blur: sigma in pixels of the images that are compared; a large one finds far drift, and needs no
                more than one pixel per sigma.
            tolerance: difference in 0..255 from which a pixel counts less and less.
        """
        if not len(self.view):
            return
        # Everything at a resolution of one pixel per sigma.
        stride = min(max(int(blur), 1), MAX_STRIDE)
        seen, trust = (
            average_blocks(self._to_image(values), stride)
            for values in (np.float32(1), self.view.weights(0.5))
        )
        frame = average_blocks(self.frame, stride)
        blurred_seen = np.maximum(cv2.GaussianBlur(seen, (0, 0), blur / stride), 1e-3)[..., None]

        def blur_seen(image: np.ndarray) -> np.ndarray:
            # Over the view's pixels only, so that no background comes in.
            image = cv2.GaussianBlur(image, (0, 0), blur / stride)
            image /= blurred_seen
            return image

        def warp_and_blur() -> np.ndarray:
            image = self._warp_frame(frame, stride, cv2.INTER_LINEAR)
            image *= seen[..., None]
            return blur_seen(image)

        target = blur_seen(average_blocks(self._to_image(render_back(self.view, consensus)), stride))
        for _ in range(STEPS_PER_ROUND):
            # The gradient is taken of the mean of both images: the step is then right to second order.
            image = warp_and_blur()
            residual = target - image
            mean = (target + image) / 2
            across, down = (
                cv2.Sobel(mean, cv2.CV_32F, *axis, scale=1 / (8 * stride)) for axis in ((1, 0), (0, 1))
            )
            weights = stride**2 * geman_mcclure_weights(trust, residual, tolerance)
            self.lattice = gauss_newton_step(self.lattice, across, down, residual, weights, stride)
        self._match_tone(target, warp_and_blur(), stride**2 * trust, tolerance)

    def _to_image(self, values: np.ndarray) -> np.ndarray:
        """(h, w) or (h, w, C): values of the view's pixels, 0 elsewhere."""
        image = np.zeros((*self.shape, *values.shape[1:]), np.float32)
        image[self.rows, self.columns] = values
        return image

    def _warp(self, stride: int) -> np.ndarray:
        """(h, w, 2) float32 warp of the box in pixels, in the middles of squares of ``stride`` pixels."""
        middle = slice(stride // 2, None, stride)
        return (
            to_dense_flow(self.lattice, (self.shape[0] // stride, self.shape[1] // stride), stride)
            + self.offset[middle, middle]
        )

    def _warp_frame(self, frame: np.ndarray, stride: int, interpolation: int) -> np.ndarray:
        """The box of a frame that was shrunk by ``stride``, drift and exposure removed."""
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
        """Sets gain and shift so that mean and contrast per channel become those of the target. Contrast is
        compared both ways, so that noise does not shrink it."""
        weights = geman_mcclure_weights(trust, target - image, tolerance)
        total = weights.sum()
        if total < 100:
            return
        target_mean, mean = (np.einsum("yx,yxc->c", weights, colors) / total for colors in (target, image))
        target_variance, variance = (
            np.einsum("yx,yxc->c", weights, np.square(colors - middle)) / total
            for colors, middle in ((target, target_mean), (image, mean))
        )
        contrast = np.sqrt((target_variance + 1) / (variance + 1))
        factor = np.clip(contrast, 1 / MAX_CONTRAST_CHANGE, MAX_CONTRAST_CHANGE)
        self.gain, self.shift = self.gain * factor, factor * (self.shift - mean) + target_mean


def geman_mcclure_weights(trust: np.ndarray, residual: np.ndarray, tolerance: float) -> np.ndarray:
    """(h, w): weights (h, w), less where the residual (h, w, C) is large (Geman and McClure 1985)."""
    return trust / (1 + np.einsum("yxc,yxc->yx", residual, residual) / tolerance**2) ** 2
