"""Where the colours of a texture are from: the image, its mirror image, or neither."""

from collections.abc import Callable

import numpy as np

from ..image import shrink_longest
from ..mesh.surface import Surface, triangle_areas
from ..mesh.texels import locate_texels, to_atlas

SOURCES = ("from_picture", "mirrored", "invented")
"""The channels of a map of sources, in order."""

MAX_SIZE = 1024
"""Texels along the largest map: finer than that nobody looks at it."""

PRESENT = "present"
"""What is from the present paint: what the channels lack of 1."""

SourceMeasure = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""``measure(points (N, 3), normals (N, 3), face (N,)) -> (N, 3)``: how much of the colour of points of the
surface is from each of :data:`SOURCES`; what they lack of 1 is from the present paint."""


def map_color_source(surface: Surface, measure: SourceMeasure, size: int) -> np.ndarray | None:
    """(S, S, 3) uint8 map of sources on a surface's UVs, at most ``size`` texels wide; each texel's channels
    sum to about 255, less what is from the present paint. None where no texel lies on the surface."""
    texels = locate_texels(surface, min(size, MAX_SIZE))
    if not len(texels):
        return None
    return to_atlas(texels, 255 * measure(texels.positions, texels.normals, texels.face))


def describe_shares(shares: dict[str, int]) -> str:
    """The sentence for the user about :func:`measure_shares`."""
    present = f"{shares[PRESENT]} % from the present texture, " if PRESENT in shares else ""
    return (
        f"{shares['from_picture']} % from the picture, {present}{shares['mirrored']} % mirrored, "
        f"{shares['invented']} % invented."
    )


def measure_shares(
    surface: Surface, sources: np.ndarray, coverage: np.ndarray, with_present: bool = False
) -> dict[str, int]:
    """How much of the area that can be seen is coloured from each of :data:`SOURCES`, and of
    :data:`PRESENT` if asked for, in whole per cent that sum to 100.

    Args:
        surface: with UVs.
        sources: (S, S, 3) uint8, :func:`map_color_source`.
        coverage: (S, S, 1) uint8, 0 where no view sees the surface, such as inside of other parts.
    """
    if len(sources) > MAX_SIZE:
        sources, coverage = (shrink_longest(image, MAX_SIZE) for image in (sources, coverage))
    texels = locate_texels(surface, len(sources))
    # The mean of each triangle's texels counts by its area.
    count = np.bincount(texels.face, minlength=len(surface.faces))
    weight = (triangle_areas(surface.vertices, surface.faces) / np.maximum(count, 1))[texels.face]
    weight *= coverage.ravel()[texels.place] > 0
    parts, names = sources.reshape(-1, 3)[texels.place].astype(np.float64), SOURCES
    if with_present:
        # Sums that miss 255 by no more than rounding lack nothing.
        lack = 255 - parts.sum(axis=1)
        parts, names = np.column_stack([parts, np.where(lack > 2, lack, 0)]), (*SOURCES, PRESENT)
    total = weight @ parts
    return dict(zip(names, _round_to_hundred(total / max(total.sum(), 1e-12)), strict=True))


def _round_to_hundred(fractions: np.ndarray) -> list[int]:
    """Fractions that sum to 1 in whole per cent that sum to 100: those that lose most are rounded up."""
    percent = np.floor(100 * fractions).astype(int)
    for index in np.argsort(percent - 100 * fractions, kind="stable")[: 100 - percent.sum()]:
        percent[index] += 1
    return percent.tolist()
