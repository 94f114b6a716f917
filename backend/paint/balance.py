"""White balance: a slight colour cast taken off the reference, where something in it tells what ought to be
grey."""

from dataclasses import replace

import cv2
import numpy as np

from .backdrop import fit_backdrop
from .foreground import border, cut_out
from .reference import Reference

SLIGHT, LEAST = 16.0, 2.0
"""CIE Lab chroma up to which a colour is taken for grey under a cast, and below which there is none."""

FEWEST = 0.02
"""Part of the object's pixels that have to be nearly grey to bear witness."""

ALIKE = 0.7
"""Cosine between two casts, in the plane of a and b, from which on they are one."""

NORM = 6
"""Minkowski norm of shades of grey (Finlayson and Trezzi 2004), between the mean and the brightest pixel."""

HALF = 0.5
"""Share of the cast that is removed where only the object itself tells it."""


def balanced(reference: Reference, mode: str) -> Reference:
    """The reference without its cast, and with a note that says so; the reference itself where there is
    nothing to remove.

    Args:
        reference: the picture.
        mode: 'off'; 'auto', only where a plain backdrop and the nearly grey parts of the object before it
            have the same slight cast; 'on', whatever the backdrop says, or without one half of what the
            object's own shades of grey say.

    Raises:
        InvalidImage: no object can be told from the background.
    """
    if mode == "off":
        return reference
    grey = backdrop_color(reference) if reference.opaque else None
    if mode == "auto" and (grey is None or not confirmed(grey, reference)):
        return reference
    gains = gains_of(grey) if grey is not None else gains_of(shades_of_grey(reference)) ** HALF
    if np.abs(gains - 1).max() < 0.01:
        return reference
    color = np.clip(reference.color * gains, 0, 1).astype(np.float32)
    return replace(
        reference,
        color=color,
        notes=(*reference.notes, "White Balance: a colour cast was taken off the reference."),
    )


def backdrop_color(reference: Reference) -> np.ndarray | None:
    """(3,) float32 sRGB: the median of the border before a smooth backdrop; None where there is none, or it
    is no grey under a cast."""
    small = cv2.resize(reference.color, (256, 256), interpolation=cv2.INTER_AREA)
    lab, rim = cv2.cvtColor(small, cv2.COLOR_RGB2LAB), border((256, 256))
    found = fit_backdrop(lab, rim)
    if found is None:
        return None
    middle = np.median(found[0][rim], axis=0).astype(np.float32)
    # A picture of black or blown-out grey says nothing of its chroma.
    if not 25 < middle[0] < 99.5 or np.hypot(*middle[1:]) > SLIGHT:
        return None
    return cv2.cvtColor(middle[None, None], cv2.COLOR_LAB2RGB)[0, 0]


def confirmed(grey: np.ndarray, reference: Reference) -> bool:
    """Whether the object's nearly grey parts have the cast of a grey (3,) float32 sRGB too."""
    lab = cv2.cvtColor(reference.color[cut_out(reference).alpha > 0.9][None], cv2.COLOR_RGB2LAB)[0]
    near = (np.hypot(lab[:, 1], lab[:, 2]) < SLIGHT) & (lab[:, 0] > 15) & (lab[:, 0] < 98)
    if near.sum() < FEWEST * len(lab):
        return False
    own, other = lab[near, 1:].mean(axis=0), cv2.cvtColor(grey[None, None], cv2.COLOR_RGB2LAB)[0, 0, 1:]
    lengths = np.linalg.norm(own), np.linalg.norm(other)
    return min(lengths) > LEAST and own @ other > ALIKE * lengths[0] * lengths[1]


def shades_of_grey(reference: Reference) -> np.ndarray:
    """(3,) float64 sRGB: the Minkowski mean of the object's colours."""
    shown = cut_out(reference).alpha > 0.9
    return np.mean(reference.color[shown].astype(np.float64) ** NORM, axis=0) ** (1 / NORM)


def gains_of(grey: np.ndarray) -> np.ndarray:
    """(3,) float64 factors that make a colour (3,) grey of the same brightness (Rec. 709 luma), no stronger
    than 1.5 either way.

    sRGB's encoding is nearly a power, so that a factor on encoded values is one on light (von Kries).
    """
    grey = np.maximum(np.asarray(grey, np.float64), 1e-3)
    return np.clip(grey @ (0.2126, 0.7152, 0.0722) / grey, 1 / 1.5, 1.5)
