"""The story of one job: a mesh and a reference image become a texture (Ink3D, figure 3)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from . import records
from .align.align import ROUNDS, Alignment, align
from .api.job import MAPS, Job, Result
from .bake.bake import Texture, bake, bare
from .bake.region import read, repaint
from .device import find_device
from .fuse.observations import observe_atlas
from .mesh.prepare import job_uvs, prepare
from .mesh.surface import Surface
from .mesh.tiles import atlas_size, cut
from .paint.balance import balanced
from .paint.painter import Painting
from .paint.preview import Show, strip, unseen
from .paint.reference import Reference, decode
from .paint.registry import painter
from .render.camera import Camera, Orbit
from .render.rasterize import GBuffer, render
from .render.sheet import sheet
from .render.visibility import edge_distances, facing
from .stages import JobProgress, Stages

REFINING = 0.5
"""What part of the time beside painting the refinement takes, roughly."""

BLENDING = 0.05
"""And the blend with an earlier texture."""


@dataclass
class Story:
    """What the stages of a job have made so far; None where a stage has not run."""

    reference: Reference
    surface: Surface | None = None
    orbits: list[Orbit] | None = None
    buffers: list[GBuffer] | None = None
    painting: Painting | None = None
    alignment: Alignment | None = None
    texture: Texture | None = None


def run(job: Job, folder: Path, progress: JobProgress, show: Show = unseen) -> Result:
    """Textures a mesh. Every finished stage is kept in ``folder``, so that a second run of the same job goes
    on where the first ended.

    Args:
        job: what to texture, and how.
        folder: the job's own.
        progress: told how far the job is.
        show: shown what is being painted.

    Raises:
        OrbitError: what the user gave cannot be used, or there is no room for the result; the message says
            what to do.
    """
    stages = Stages(folder, progress)
    return result(job, run_until(job, stages, show=show), stages.seconds)


def run_until(job: Job, stages: Stages, last: str = "refine", show: Show = unseen) -> Story:
    """Runs the stages of a job in order, up to the one named ``last``; a texture is blended with the one to
    keep if there is one."""
    settings = job.settings
    chosen = painter(settings.painter)
    stages.models = {"paint": chosen.share} | ({"blend": BLENDING * (1 - chosen.share)} if job.kept else {})
    if settings.networks:
        find_device(settings.device)
    if settings.refines:
        from .refine.refine import (
            check,
            refine,
            select_condition_images,
        )  # torch takes seconds to import, which Draft alone does not need

        stages.models["refine"] = REFINING * (1 - chosen.share)
        check(settings.device)
    reference = balanced(decode(job.reference), settings.white_balance)
    story = Story(reference)

    def prepared(progress: Callable[[float], None]) -> Surface:
        return prepare(job.mesh, settings.texture_size, progress)

    def rendered(progress: Callable[[float], None]) -> tuple[list[Orbit], list[GBuffer]]:
        orbits = chosen.orbits(story.surface, reference, settings, lambda fraction: progress(0.7 * fraction))
        return orbits, seen_from(orbits, lambda fraction: progress(0.7 + 0.3 * fraction))

    def seen_from(orbits: list[Orbit], progress: Callable[[float], None]) -> list[GBuffer]:
        return render(story.surface, [camera for orbit in orbits for camera in orbit.cameras], progress)

    def seen_again(arrays: records.Arrays) -> tuple[list[Orbit], list[GBuffer]]:
        # Drawing the views again is quicker than reading them.
        orbits = records.load_orbits(arrays)
        return orbits, seen_from(orbits, lambda fraction: stages.tell("render", fraction))

    def painted(progress: Callable[[float], None]) -> Painting:
        return chosen.paint(
            story.surface, story.buffers, reference, settings, progress, partial(stages.keep, "paint"), show
        )

    def aligned(progress: Callable[[float], None]) -> Alignment:
        rounds = () if story.painting.consistent else ROUNDS
        return align(
            story.surface,
            story.buffers,
            edges,
            story.painting.frames,
            story.painting.preference,
            side,
            progress,
            rounds,
        )

    def baked(progress: Callable[[float], None]) -> Texture:
        size = atlas_size(story.surface.tiles, settings.texture_size)
        return bake(
            story.surface,
            story.buffers,
            edges,
            story.alignment,
            story.painting.preference,
            side,
            size,
            settings.voxel_resolution,
            settings.seed,
            progress,
        )

    def refined(progress: Callable[[float], None]) -> Texture:
        images = select_condition_images(
            reference, story.orbits, story.buffers, story.painting.frames, settings.refine_views
        )
        return refine(
            story.surface, story.texture, images, settings, progress, partial(stages.keep, "refine")
        )

    def blended(progress: Callable[[float], None]) -> Texture:
        return repaint(story.surface, story.texture, earlier, progress)

    story.surface = stages.run("prepare", prepared, records.save_surface, records.load_surface)
    earlier = read(job.kept, story.surface) if job.kept else None
    if last == "prepare":
        return story
    story.orbits, story.buffers = stages.run(
        "render", rendered, lambda views: records.save_orbits(views[0]), seen_again
    )
    if last == "render":
        return story
    story.painting = stages.run("paint", painted, records.save_painting, records.load_painting)
    if last == "paint":
        return story
    if story.buffers:
        show(strip(story.painting.frames))
        edges, side = edge_distances(story.buffers), facing(story.surface, story.buffers)
        story.alignment = stages.run(
            "align",
            aligned,
            records.save_alignment,
            lambda arrays: records.load_alignment(
                arrays, observe_atlas(story.surface, story.buffers, edges, side)
            ),
        )
        story.texture = stages.run("bake", baked, records.save_texture, records.load_texture)
    else:
        story.texture = bare(atlas_size(story.surface.tiles, settings.texture_size))
    if last != "bake" and settings.refines:
        story.texture = stages.run("refine", refined, records.save_texture, records.load_texture)
    if earlier:
        story.texture = stages.run("blend", blended, records.save_texture, records.load_texture)
    return story


def result(job: Job, story: Story, seconds: dict[str, float]) -> Result:
    """What the client gets of a job whose stages have all run."""
    surface, texture = story.surface, story.texture
    report = {
        "settings": job.settings.to_dict(),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "triangles": len(job.mesh.faces),
        "views": len(story.buffers),
        "coverage": round(texture.covered, 4),
        "view": next(
            (_direction(orbit.cameras[0]) for orbit in story.orbits if orbit.name == "reference"), None
        ),
        "notes": [
            *surface.notes,
            *(note for orbit in story.orbits for note in orbit.notes),
            *story.painting.notes,
            *texture.notes,
        ],
    }
    picture = np.round(255 * story.reference.color * story.reference.alpha[..., None]).astype(np.uint8)
    looks = sheet(surface, texture.base_color, picture, report["view"]["azimuth"] if report["view"] else 0.0)
    return Result(
        job_uvs(surface, job.mesh) if surface.unwrapped else None,
        _png_files(texture, surface.tiles),
        report,
        _png(looks),
    )


def _direction(camera: Camera) -> dict[str, float]:
    back = camera.rotation[:, 2]
    return {
        "azimuth": round(float(np.degrees(np.arctan2(back[0], -back[1]))), 2),
        "elevation": round(float(np.degrees(np.arcsin(np.clip(back[2], -1, 1)))), 2),
    }


def _png_files(texture: Texture, tiles: tuple[int, ...]) -> dict[str, np.ndarray]:
    atlases = {name: atlas for name in MAPS if (atlas := getattr(texture, name)) is not None}
    if len(tiles) > 1:
        atlases = {
            f"{name}.{tile}": image
            for name, atlas in atlases.items()
            for tile, image in cut(atlas, tiles).items()
        }
    with ThreadPoolExecutor() as pool:
        return dict(zip(atlases, pool.map(_png, atlases.values()), strict=True))


def _png(image: np.ndarray) -> np.ndarray:
    """(N,) uint8 PNG file of an image (H, W, 1 or 3) uint8."""
    return cv2.imencode(".png", image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].ravel()
