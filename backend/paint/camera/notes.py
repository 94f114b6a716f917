"""What a user is told of a registration: what may be wrong with the view, and what else the reference shows
or does not. Each function gives sentences, none if there is nothing to say."""

import numpy as np

from ...mesh.surface import Surface
from ..mask_doubts import count_objects
from .contours.confidence import cut_off_fraction
from .match import MIN_CONFIDENCE, Match
from .view import View

MAX_CUT_OFF = 0.02
"""Fraction of the mesh's silhouette that may lie outside of the reference."""

OCCLUDED = (
    "Something in front of the object, such as a hand, was left out: what it covers is painted from the rest."
)
SHOWN_TWICE = (
    "The reference image shows the mesh's shape twice: one of the two was used. To choose, crop the image or "
    "give it a mask."
)
GOES_ON = (
    "The object seems to go on beyond what was found of it, to the border of the reference image: if it is "
    "cut off there, use an image that shows all of it. Else give it a mask."
)


def describe_doubts(match: Match, given: bool) -> tuple[str, ...]:
    """About a view that may be wrong; ``given``: the user gave its direction."""
    if match.confident:
        return ()
    if given:
        return (
            "From the side given the mesh does not have the outline of the object in the reference. Check "
            "azimuth and elevation; if they are right, the object was not found as it is: give it a mask.",
        )
    if match.confidence >= MIN_CONFIDENCE:
        return (
            "The object in the reference does not quite have the mesh's outline: the camera that was found "
            f"may be off by {match.degrees:.0f}°. If the texture is displaced from the mesh's edges, set "
            "Side Shown to Pins and click the same points on both.",
        )
    side = f"azimuth {(match.view.azimuth + 180) % 360 - 180:.0f}°, elevation {match.view.elevation:.0f}°"
    return (
        f"Which side the reference shows is uncertain: {side} was chosen. If that is wrong, set "
        "Side Shown to Angles (azimuth 0° is the front) and texture again. If no side is right, the "
        "reference shows another object than the mesh, or not all of it: use an image of the whole object, "
        "or give it a mask.",
    )


def describe_cut_off(surface: Surface, view: View, shape: tuple[int, int]) -> tuple[str, ...]:
    """If the border of the reference, whose height and width are ``shape``, cuts the object off."""
    if cut_off_fraction(surface, view, shape) <= MAX_CUT_OFF:
        return ()
    return (
        "The object is cut off by the border of the reference image: what lies outside is painted from the "
        "rest. An image that shows all of it gives a better texture.",
    )


def describe_parts(alpha: np.ndarray, match: Match) -> tuple[str, ...]:
    """If a mask (H, W) float32 that the mesh does not fit shows several things."""
    count = count_objects(alpha > 0.5)
    if match.confident or count < 2:
        return ()
    return (
        f"The mask of the reference image shows {count} separate things. If they are several objects, or "
        "views of one, crop the image to one of them, or mask only that.",
    )
