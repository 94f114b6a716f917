"""From registered pictures to the set that painters get."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..mesh.surface import Surface
from ..mesh.voxels import voxelize
from ..paint.painter import PictureSet
from ..paint.reference import Reference
from ..progress import ProgressCallback
from ..render.rasterize import GBuffer
from .choice import choose_pictures
from .harmonize import harmonize

RESOLUTION = 192
"""Voxels along the longest side of the mesh, for each of which a picture is chosen."""

CacheStep = Callable[[str, Callable[[], dict[str, np.ndarray]]], dict[str, np.ndarray]]
"""``cache(name, work)`` returns what ``work`` does, or did in an earlier run of the job."""


def bring_together(
    surface: Surface,
    references: Sequence[Reference],
    buffers: Sequence[GBuffer],
    winding: np.ndarray,
    light: str,
    cache: CacheStep,
    progress: ProgressCallback,
) -> PictureSet:
    """Pictures in one tone and in register, and which of them shows each place of the surface.

    Args:
        surface: with UVs.
        references: the pictures, cut out; the lead's first.
        buffers: the surface as each one's camera sees it.
        winding: (F,) int8 of the faces.
        light: the setting.
        cache: keeps what takes long.
        progress: called with the fraction done.
    """
    voxels = voxelize(surface, RESOLUTION)

    def work() -> dict[str, np.ndarray]:
        pictures = harmonize(
            surface, references, buffers, winding, voxels, light, lambda done: progress(0.9 * done)
        )
        arrays = {"share": choose_pictures(pictures, winding, voxels)}
        for number, picture in enumerate(pictures):
            color, alpha = picture.reference.color, picture.reference.alpha
            arrays[f"color_{number}"] = np.round(255 * np.clip(color, 0, 1)).astype(np.uint8)
            arrays[f"alpha_{number}"] = alpha
            arrays[f"reliable_{number}"] = picture.reliable
        return arrays

    arrays, numbers = cache("pictures", work), range(len(references))
    progress(1.0)
    return PictureSet(
        tuple(
            replace(
                references[number],
                color=arrays[f"color_{number}"].astype(np.float32) / 255,
                alpha=arrays[f"alpha_{number}"],
            )
            for number in numbers
        ),
        tuple(buffers),
        tuple(arrays[f"reliable_{number}"] for number in numbers),
        voxels,
        arrays["share"],
    )
