"""One image of the object, and what is known of it."""

import re
from dataclasses import dataclass

import numpy as np

from .arrays import check_array
from .errors import ProtocolError

MAX_PICTURES = 16
"""The most images of the object that a job accepts."""

SIDES = ("front", "back", "left", "right", "top", "bottom")
"""The sides of an object that a picture can be said to show; left and right are the object's own."""

_WORDS = {
    "front": "front",
    "back": "back",
    "rear": "back",
    "behind": "back",
    "left": "left",
    "right": "right",
    "top": "top",
    "above": "top",
    "bottom": "bottom",
    "below": "bottom",
}
"""Words in the names of files, and the sides that they name."""

OBJECT_STROKE, GROUND_STROKE = 1, 2
"""The values of strokes; 0 is where nothing was drawn."""


@dataclass(frozen=True)
class Picture:
    """One image of the object, taken from its own direction.

    Attributes:
        image: an encoded file (N,) uint8, or pixels (H, W, 4) float32 or uint8, sRGB-encoded straight-alpha
            RGBA, row 0 at the top.
        mask: which pixels show the object, bright where they do: an encoded image file (N,) uint8 or pixels
            (H, W) uint8, of the image's size; None if that is to be found.
        strokes: what a user has drawn on the image to correct its mask, or the object that is found without
            one: (H, W) uint8, row 0 at the top, of any size, since it is scaled to the image:
            :data:`OBJECT_STROKE`, :data:`GROUND_STROKE` or 0. None if nothing was drawn.
        pins: (N, 5) float32, points of the mesh (3) and where the image shows each: fractions of its width
            from the left and of its height from the top (2). They place the camera, near the direction, and
            bend the image. None if there are none.
        direction: azimuth and elevation in degrees, as in the settings; None if they are to be found.
        side: the one of :data:`SIDES` near which the direction is looked for first; None: everywhere.
    """

    image: np.ndarray
    mask: np.ndarray | None = None
    strokes: np.ndarray | None = None
    pins: np.ndarray | None = None
    direction: tuple[float, float] | None = None
    side: str | None = None

    def __post_init__(self):
        image, mask = self.image, self.mask
        encoded = image.ndim == 1 and image.dtype == np.uint8
        pixels = image.ndim == 3 and image.shape[2] == 4 and image.dtype in (np.uint8, np.float32)
        if not (encoded or pixels):
            raise ProtocolError("The reference must be an encoded file (N,) uint8 or pixels (H, W, 4).")
        if mask is not None and not (mask.dtype == np.uint8 and mask.ndim in (1, 2)):
            raise ProtocolError("The mask must be an encoded file (N,) uint8 or pixels (H, W) uint8.")
        if self.strokes is not None:
            check_array("strokes", self.strokes, np.uint8, (None, None))
        if self.pins is not None:
            check_array("pins", self.pins, np.float32, (None, 5))
            if self.direction is None:
                raise ProtocolError("A job with pins needs an azimuth and an elevation.")
        if not np.isfinite(self.direction or 0).all():
            raise ProtocolError("The direction of a picture is not a number.")
        if self.side not in (None, *SIDES):
            raise ProtocolError(f"A picture has no side '{self.side}'.")

    def arrays(self) -> dict[str, np.ndarray]:
        """What of the picture travels as raw frames."""
        direction = None if self.direction is None else np.array(self.direction, np.float32)
        side = None if self.side is None else np.array([SIDES.index(self.side)], np.int32)
        parts = {
            "image": self.image,
            "mask": self.mask,
            "strokes": self.strokes,
            "pins": self.pins,
            "direction": direction,
            "side": side,
        }
        return {name: array for name, array in parts.items() if array is not None}

    @staticmethod
    def from_arrays(arrays: dict[str, np.ndarray], direction: tuple[float, float] | None = None) -> "Picture":
        """The picture from what :meth:`arrays` returned; ``direction`` stands in for one that is not among
        them. Raises :class:`ProtocolError`."""
        known = {"image", "mask", "strokes", "pins", "direction", "side"}
        if unknown := sorted(set(arrays) - known):
            raise ProtocolError(f"A picture has no array called '{unknown[0]}'.")
        if "image" not in arrays:
            raise ProtocolError("A picture lacks its image.")
        side = arrays.get("side")
        if "direction" in arrays:
            check_array("direction", arrays["direction"], np.float32, (2,))
            direction = tuple(float(angle) for angle in arrays["direction"])
        if side is not None:
            check_array("side", side, np.int32, (1,))
            if not 0 <= side[0] < len(SIDES):
                raise ProtocolError("A picture has a side that does not exist.")
        return Picture(
            **{name: arrays.get(name) for name in ("image", "mask", "strokes", "pins")},
            direction=direction,
            side=None if side is None else SIDES[int(side[0])],
        )


def find_side(name: str) -> str | None:
    """The side that a picture's name, without its suffix, says it shows: its last word that is one, as in
    "Hat.back", "hat_left" and "HatTop 2"; None if it has none."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    return next((_WORDS[word.lower()] for word in reversed(words) if word.lower() in _WORDS), None)
