"""The corrected mask of an object's reference, stored with the object: the strokes, and the mask that was
found before the first of them. A job gets both; the worker makes the corrected mask of them.

Strokes are properties, so that each is an undo step of its own.
"""

import hashlib
import json
from dataclasses import dataclass

import bpy
import numpy as np
from bpy.app.translations import pgettext_rpt as rpt_

from .color_spaces import set_color_space
from .material import pack_image
from .strokes import Stroke, rasterize_strokes

STROKES_SIZE = 1024
"""Pixels along the longer side of the strokes that a job gets."""


@dataclass(frozen=True)
class MaskCorrection:
    """What a job needs to correct the mask of its reference.

    Attributes:
        mask: the mask that was found before the first stroke, an image file; None if a box says where the
            object is, or if nothing was found before.
        strokes: in the order in which they were drawn.
        size: width and height of the reference.
    """

    mask: bytes | None
    strokes: tuple[Stroke, ...]
    size: tuple[int, int]

    def rasterize(self, longest: int = STROKES_SIZE) -> np.ndarray:
        """The strokes as a job takes them, see :func:`rasterize_strokes`."""
        return rasterize_strokes(self.strokes, self.size, longest)

    @property
    def fingerprint(self) -> str:
        """A hash that is the same for equal corrections."""
        digest = hashlib.blake2b(self.mask or b"", digest_size=16)
        digest.update(repr((self.strokes, self.size)).encode())
        return digest.hexdigest()


def get_correction(obj: bpy.types.Object, image: bpy.types.Image | None) -> MaskCorrection | None:
    """The correction of the object's mask in an image; None if there is none for this image at its present
    size."""
    own = obj.orbit_texture
    size = tuple(own.mask_size)
    if image is None or own.mask_reference != image or not own.strokes or tuple(image.size) != size:
        return None
    strokes = tuple(
        Stroke(stroke.kind, tuple(map(tuple, json.loads(stroke.points))), round(stroke.radius, 6))
        for stroke in own.strokes
    )
    return MaskCorrection(bytes(own.mask.packed_file.data) if own.mask else None, strokes, size)


def add_stroke(
    obj: bpy.types.Object, image: bpy.types.Image, stroke: Stroke, found_mask: bytes | None
) -> None:
    """Adds a stroke. A box starts over, and so does the first stroke on another image.

    Args:
        image: the reference that was drawn on.
        found_mask: image file of the mask that was shown meanwhile; None if there was none.
    """
    own = obj.orbit_texture
    if stroke.kind == "BOX" or own.mask_reference != image or tuple(own.mask_size) != tuple(image.size):
        clear_correction(obj)
    if not own.strokes:
        own.mask_reference, own.mask_size = image, image.size
        if found_mask and stroke.kind != "BOX":
            own.mask = pack_image(f"{obj.name} Mask", np.frombuffer(found_mask, np.uint8))
            set_color_space(own.mask, is_data=True)
    added = own.strokes.add()
    added.kind, added.radius = stroke.kind, stroke.radius
    added.points = json.dumps([[round(value, 5) for value in point] for point in stroke.points])


def clear_correction(obj: bpy.types.Object) -> None:
    """Removes the strokes and the mask of before."""
    own = obj.orbit_texture
    mask, own.mask, own.mask_reference = own.mask, None, None
    own.strokes.clear()
    if mask and mask.users == 0:
        bpy.data.images.remove(mask)


def drop_unfit_correction(obj: bpy.types.Object) -> str:
    """Removes the correction if its image now has another size, or is gone; returns a sentence about it, ""
    if nothing was removed."""
    own = obj.orbit_texture
    before, image = tuple(own.mask_size), own.mask_reference
    # An image whose file is missing has no size.
    if not own.strokes or (image and tuple(image.size) in (before, (0, 0))):
        return ""
    clear_correction(obj)
    if image is None:
        return rpt_("The corrected mask was dropped, since its reference is no longer in the file.")
    return rpt_(
        "The corrected mask was dropped: it was drawn on {} x {} pixels and the reference now has {} x {}."
    ).format(*before, *image.size)
