"""The refine stage: TRELLIS.2 goes over the baked voxels, and what it changed comes back onto the texture
(Ink3D 3.3)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import psutil
import torch

from ..api.errors import InvalidMesh, OutOfMemory
from ..api.settings import Settings
from ..api.weights import gigabytes
from ..bake.bake import Texture
from ..device import find_device
from ..mesh.surface import Surface
from ..paint.foreground import cut_out
from ..paint.painter import Keep, Progress
from ..paint.reference import Reference
from ..render.camera import Orbit
from ..render.rasterize import GBuffer
from .texture_merge import merge_refinement
from .trellis2.dual_grid import dual_grid
from .trellis2.image_encoder import crop_to_object
from .trellis2.model import Model, folder
from .trellis2.sdedit import SDEditConfig, run_sdedit
from .voxel_colors import voxel_colors

CPU_OVERHEAD_BYTES = 2_000_000_000
"""Bytes that a job takes on the CPU beside its largest network, at 512."""


def check(device: str = "auto") -> None:
    """Looks whether a refinement can succeed, before anything is done for it.

    Raises:
        InvalidSettings: there is no such device.
        InvalidWeights: its weights are missing or damaged.
        OutOfMemory: it would work on the CPU, and there is too little memory.
    """
    model = Model(folder(), find_device(device))
    if model.device.type == "cpu":
        needed, free = model.size + CPU_OVERHEAD_BYTES, psutil.virtual_memory().available
        if free < needed:
            raise OutOfMemory(
                f"Without a GPU the refinement takes {gigabytes(needed)} of memory, and {gigabytes(free)} "
                "are free. Close other programs, or texture without refinement.",
                "retry",
            )
    model.check()


def refine(
    surface: Surface,
    texture: Texture,
    images: Sequence[Reference],
    settings: Settings,
    progress: Progress,
    keep: Keep,
) -> Texture:
    """The refined texture; one that no view has seen is made anew.

    Args:
        surface, texture: of the bake.
        images: what to follow, each with its foreground.
        settings: of the job.
        progress: told the fraction done.
        keep: keeps latents, for a run that goes on.

    Raises:
        InvalidWeights: the weights are missing or damaged.
        InvalidMesh: there is nothing to texture anew: the mesh lies in no voxel.
        OutOfMemory: the card is too small.
    """
    model = Model(folder(), find_device(settings.device))
    anew = not texture.coverage.any()
    strength = (
        SDEditConfig(1.0, 2 * settings.refine_steps, settings.seed)
        if anew
        else SDEditConfig(settings.refine_strength, settings.refine_steps, settings.seed)
    )
    if not strength.start:
        return texture
    grid = dual_grid(surface.vertices, surface.faces, settings.refine_resolution)
    if not len(grid):
        what = "The mesh is too thin for the refinement: no voxel holds any of it."
        if anew:
            raise InvalidMesh(f"{what} Choose another painter.")
        return replace(texture, notes=(f"{what} The texture is as it was painted.",))
    progress(0.1)
    colors = voxel_colors(surface, texture, grid)
    progress(0.2)
    pictures = [crop_to_object(image, settings.refine_resolution) for image in images]
    try:
        before, after = run_sdedit(
            model,
            grid,
            None if anew else colors.values,
            pictures,
            strength,
            lambda fraction: progress(0.2 + 0.7 * fraction),
            keep,
        )
    except torch.OutOfMemoryError as error:
        smaller = (
            "Refine at 512, or not at all"
            if settings.refine_resolution > 512
            else "Texture without refinement"
        )
        raise OutOfMemory(
            f"The card has too little memory to refine {len(grid):,} voxels. {smaller}, or close other "
            "programs that use the card.",
            "retry",
        ) from error
    refined = merge_refinement(surface, texture, grid, colors, before, after)
    return (
        refined
        if model.card.trained
        else replace(refined, notes=("TRELLIS.2's weights are random: its colours mean nothing.",))
    )


def select_condition_images(
    reference: Reference,
    orbits: Sequence[Orbit],
    buffers: Sequence[GBuffer],
    frames: Sequence[np.ndarray],
    count: int,
) -> list[Reference]:
    """The images to follow: the reference and, if there are more, painted views of other sides, evenly around
    the first long orbit."""
    images = [cut_out(reference)]
    starts = np.cumsum([0, *(len(orbit.cameras) for orbit in orbits)])
    for orbit, start in zip(orbits, starts, strict=False):
        if len(orbit.cameras) >= count > 1:
            turned = np.linspace(0, len(orbit.cameras), count, endpoint=False).astype(int)[1:]
            views = [(frames[start + view], buffers[start + view].mask) for view in turned]
            return images + [
                Reference(frame.astype(np.float32) / 255, mask.astype(np.float32)) for frame, mask in views
            ]
    return images
