"""White balance: removes a slight colour cast from the reference, if something in the image shows what should
be grey."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from .backdrop import fit_backdrop
from .foreground import border_mask, cut_out
from .reference import Reference


@dataclass(frozen=True)
class WhiteBalanceConfig:
    """What counts as a colour cast, and how much of it is removed."""

    # CIE Lab chroma up to which a colour is taken for grey under a cast.
    max_chroma: float = 16.0
    # CIE Lab chroma below which there is no cast.
    min_chroma: float = 2.0
    # Smallest fraction of the object's pixels that have to be nearly grey to confirm a cast.
    min_grey_fraction: float = 0.02
    # Cosine, in Lab's plane of a and b, from which on the casts of backdrop and object are the same.
    min_cosine: float = 0.7
    # Minkowski norm of shades of grey (Finlayson and Trezzi 2004): 1 is the mean, infinity the brightest
    # pixel.
    minkowski_norm: int = 6
    # Exponent of the gains where only the object itself shows the cast: half of it is removed.
    object_strength: float = 0.5


def balance_white(
    reference: Reference, mode: str, config: WhiteBalanceConfig = WhiteBalanceConfig()
) -> Reference:
    """The reference without its colour cast, and with a note about that; the reference itself if there is
    nothing to remove.

    Args:
        reference: the user's image.
        mode: 'off'; 'auto', only if a plain backdrop and the nearly grey parts of the object in front of it
            have the same slight cast; 'on', whatever cast the backdrop has, or without a backdrop half of the
            cast that shades of grey estimates from the object.
        config: thresholds.

    Raises:
        InvalidImage: no object can be told from the background.
    """
    if mode == "off":
        return reference
    grey = backdrop_color(reference, config) if reference.opaque else None
    if mode == "auto" and (grey is None or not object_confirms_cast(grey, reference, config)):
        return reference
    if grey is not None:
        gains = von_kries_gains(grey)
    else:
        gains = von_kries_gains(shades_of_grey(reference, config)) ** config.object_strength
    if np.abs(gains - 1).max() < 0.01:
        return reference
    color = np.clip(reference.color * gains, 0, 1).astype(np.float32)
    note = "White Balance: a colour cast was removed from the reference."
    return replace(reference, color=color, image_notes=(*reference.image_notes, note))


def backdrop_color(
    reference: Reference, config: WhiteBalanceConfig = WhiteBalanceConfig()
) -> np.ndarray | None:
    """(3,) float32 sRGB: the median of a smooth backdrop at the image's border; None if there is none, or its
    colour is not grey under a slight cast."""
    small = cv2.resize(reference.color, (256, 256), interpolation=cv2.INTER_AREA)
    lab, border = cv2.cvtColor(small, cv2.COLOR_RGB2LAB), border_mask((256, 256))
    fit = fit_backdrop(lab, border)
    if fit is None:
        return None
    median = np.median(fit[0][border], axis=0).astype(np.float32)
    # Black and blown-out grey have no reliable chroma.
    if not 25 < median[0] < 99.5 or np.hypot(*median[1:]) > config.max_chroma:
        return None
    return cv2.cvtColor(median[None, None], cv2.COLOR_LAB2RGB)[0, 0]


def object_confirms_cast(
    grey: np.ndarray, reference: Reference, config: WhiteBalanceConfig = WhiteBalanceConfig()
) -> bool:
    """Whether the object's nearly grey parts have the same cast as a grey (3,) float32 sRGB."""
    lab = cv2.cvtColor(reference.color[cut_out(reference).alpha > 0.9][None], cv2.COLOR_RGB2LAB)[0]
    nearly_grey = (np.hypot(lab[:, 1], lab[:, 2]) < config.max_chroma) & (lab[:, 0] > 15) & (lab[:, 0] < 98)
    if nearly_grey.sum() < config.min_grey_fraction * len(lab):
        return False
    own, other = (
        lab[nearly_grey, 1:].mean(axis=0),
        cv2.cvtColor(grey[None, None], cv2.COLOR_RGB2LAB)[0, 0, 1:],
    )
    lengths = np.linalg.norm(own), np.linalg.norm(other)
    return min(lengths) > config.min_chroma and own @ other > config.min_cosine * lengths[0] * lengths[1]


def shades_of_grey(reference: Reference, config: WhiteBalanceConfig = WhiteBalanceConfig()) -> np.ndarray:
    """(3,) float64 sRGB: the Minkowski mean of the object's colours (Finlayson and Trezzi 2004)."""
    shown, norm = cut_out(reference).alpha > 0.9, config.minkowski_norm
    return np.mean(reference.color[shown].astype(np.float64) ** norm, axis=0) ** (1 / norm)


def von_kries_gains(grey: np.ndarray) -> np.ndarray:
    """(3,) float64 factors that turn a colour (3,) into grey of the same brightness (Rec. 709 luma), at most
    1.5 and at least 1 / 1.5.

    sRGB's encoding is nearly a power, so a factor on encoded values is nearly one on light (von Kries).
    """
    grey = np.maximum(np.asarray(grey, np.float64), 1e-3)
    return np.clip(grey @ (0.2126, 0.7152, 0.0722) / grey, 1 / 1.5, 1.5)
