"""The refine stage: TRELLIS.2 edits the baked voxels, and the change is merged into the texture (Ink3D
3.3)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import psutil
import torch

from ..api.errors import InvalidMesh, OutOfMemory
from ..api.settings import Settings
from ..api.weights import format_size
from ..bake.bake import Texture
from ..device import find_device
from ..mesh.surface import Surface
from ..paint.painter import LoadOrRun
from ..paint.reference import Reference
from ..progress import ProgressCallback
from ..render.camera import PICTURE_ORBIT, Orbit
from ..render.rasterize import GBuffer
from .texture_merge import merge_refinement
from .trellis2.dual_grid import DualGrid, dual_grid
from .trellis2.image_encoder import crop_to_object
from .trellis2.model import Model, folder
from .trellis2.sdedit import SDEditConfig, run_sdedit
from .voxel_colors import VoxelColors, voxel_colors

CPU_OVERHEAD_BYTES = 2_000_000_000
"""Bytes that a job takes on the CPU beside its largest network, at a resolution of 512."""


def check(device: str = "auto") -> None:
    """Checks whether a refinement can succeed, before any stage runs.

    Raises:
        InvalidSettings: there is no such device.
        InvalidWeights: its weights are missing or damaged.
        OutOfMemory: it would run on the CPU, and there is too little memory.
    """
    model = Model(folder(), find_device(device))
    if model.device.type == "cpu":
        needed, free = model.size + CPU_OVERHEAD_BYTES, psutil.virtual_memory().available
        if free < needed:
            raise OutOfMemory(
                f"Without a GPU the refinement takes {format_size(needed)} of memory, and "
                f"{format_size(free)} are free. Close other programs, or texture without refinement.",
                "retry",
            )
    model.check()


def refine(
    surface: Surface,
    texture: Texture,
    images: Sequence[Reference],
    settings: Settings,
    progress: ProgressCallback,
    load_or_run: LoadOrRun,
) -> Texture:
    """The refined texture; one that no view has seen is generated anew.

    Args:
        surface, texture: of the bake.
        images: the conditions, each with its foreground.
        settings: of the job.
        progress: called with the fraction done.
        load_or_run: stores latents, for a run that resumes.

    Raises:
        InvalidWeights: the weights are missing or damaged.
        InvalidMesh: no view has seen the texture, and the mesh lies in no voxel.
        OutOfMemory: the GPU has too little memory.
    """
    model = Model(folder(), find_device(settings.device))
    unseen = not texture.coverage.any()
    config = _sdedit_config(settings, unseen)
    if not config.noise_level:
        return texture
    # Voxels of the surface.
    grid = dual_grid(surface.vertices, surface.faces, settings.refine_resolution)
    if not len(grid):
        problem = "The mesh is too thin for the refinement: no voxel holds any of it."
        if unseen:
            raise InvalidMesh(f"{problem} Choose another painter.")
        return replace(texture, notes=(f"{problem} The texture is as it was painted.",))
    progress(0.1)
    # Their colours before and after the edit.
    colors = voxel_colors(surface, texture, grid)
    progress(0.2)
    before, after = _edit_voxels(
        model, grid, None if unseen else colors, images, config, progress, load_or_run
    )
    # Back onto the texture.
    refined = merge_refinement(surface, texture, grid, colors, before, after)
    if model.card.trained:
        return refined
    return replace(refined, notes=("TRELLIS.2's weights are random: its colours mean nothing.",))


def _sdedit_config(settings: Settings, unseen: bool) -> SDEditConfig:
    """The settings' strength; for a texture that no view has seen pure noise and twice the steps."""
    if unseen:
        return SDEditConfig(1.0, 2 * settings.refine_steps, settings.seed)
    return SDEditConfig(settings.refine_strength, settings.refine_steps, settings.seed)


def _edit_voxels(
    model: Model,
    grid: DualGrid,
    colors: VoxelColors | None,
    images: Sequence[Reference],
    config: SDEditConfig,
    progress: ProgressCallback,
    load_or_run: LoadOrRun,
) -> tuple[np.ndarray, np.ndarray]:
    """Before and after of :func:`.trellis2.sdedit.run_sdedit`; a lack of GPU memory is reported with what to
    do."""
    try:
        return run_sdedit(
            model=model,
            grid=grid,
            values=None if colors is None else colors.values,
            images=[crop_to_object(image, grid.resolution) for image in images],
            config=config,
            progress=lambda fraction: progress(0.2 + 0.7 * fraction),
            load_or_run=load_or_run,
        )
    except torch.OutOfMemoryError as error:
        smaller = "Refine at 512, or not at all" if grid.resolution > 512 else "Texture without refinement"
        raise OutOfMemory(
            f"The graphics card has too little memory to refine {len(grid):,} voxels. {smaller}, or close "
            "other programs that use it.",
            "retry",
        ) from error


def select_condition_images(
    references: Sequence[Reference],
    orbits: Sequence[Orbit],
    buffers: Sequence[GBuffer],
    frames: Sequence[np.ndarray],
    count: int,
) -> list[Reference]:
    """The images that condition the refinement: the pictures, and, if ``count`` is more, painted views of
    other sides, evenly spaced around the first orbit that has enough."""
    images = list(references[:count])
    further = [orbit.cameras[0].rotation[:, 2] for orbit in orbits if orbit.name.startswith(PICTURE_ORBIT)]
    starts = np.cumsum([0, *(len(orbit.cameras) for orbit in orbits)])
    for orbit, start in zip(orbits, starts, strict=False):
        if len(orbit.cameras) >= count > len(images):
            others = np.linspace(0, len(orbit.cameras), count, endpoint=False).astype(int)[1:]
            # Those that look from where no picture does.
            near = [
                max((orbit.cameras[view].rotation[:, 2] @ one for one in further), default=-1.0)
                for view in others
            ]
            apart = np.sort(others[np.argsort(near, kind="stable")[: count - len(images)]])
            views = [(frames[start + view], buffers[start + view].mask) for view in apart]
            return images + [
                Reference(frame.astype(np.float32) / 255, mask.astype(np.float32)) for frame, mask in views
            ]
    return images
