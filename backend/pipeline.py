"""One job, stage by stage: a mesh and a reference image become a texture (Ink3D, figure 3)."""

from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from . import records
from .align.align import AlignConfig, Alignment, align
from .api.errors import DoubtfulView
from .api.job import Job, Result
from .bake.bake import Texture, bake, empty_texture, upscale
from .bake.present_paint import lay_present_paint
from .bake.region import blend_region, decode_kept, describe_repaint
from .bake.region_image import render_region
from .bake.share import share_texels
from .device import find_device
from .fuse.observations import PaintedViews, observe_atlas
from .job_state import JobState
from .mesh.completion import Completion, complete_half
from .mesh.copies import is_original, select_originals
from .mesh.prepare import clean, prepare
from .mesh.tiles import atlas_size
from .paint.balance import balance_white
from .paint.outline_image import make_outline_preview
from .paint.painter import Painting, PictureSet
from .paint.present import PresentSurface, decode_present
from .paint.preview import PreviewCallback, ignore_preview, make_preview_strip
from .paint.registry import load_painter
from .pictures.picture_set import bring_together
from .pictures.read import read_further, read_picture
from .pictures.register import PictureRegistration, Registered
from .pictures.views import add_pictures, picture_edges, picture_orbit
from .progress import JobProgress, ProgressCallback
from .render.camera import Orbit
from .render.rasterize import GBuffer, render
from .render.visibility import edge_distances, find_winding
from .results import make_check_result, make_result, report_registration
from .stages import StageRunner, progress_shares

PICTURES_SHARE = 0.3
"""Fraction of the painting's time that bringing several pictures together takes, roughly."""


def run(
    job: Job, folder: Path, progress: JobProgress, show_preview: PreviewCallback = ignore_preview
) -> Result:
    """Textures a mesh. Every finished stage is kept in ``folder``, so that a second run of the same job
    continues where the first ended.

    Args:
        job: what to texture, and how.
        folder: the job's own.
        progress: called as the job advances.
        show_preview: called with small images of what is being painted.

    Raises:
        DoubtfulView: the view is doubtful and the settings say to stop; what ran is kept.
        OrbitError: what the user gave cannot be used, or there is no room for the result; the message says
            what to do.
    """
    stages = StageRunner(folder, progress, progress_shares(job))
    if job.check_reference:
        return make_check_result(job, run_until(job, stages, "register", show_preview), stages.seconds)
    return make_result(job, run_until(job, stages, show_preview=show_preview), stages.seconds)


def run_until(
    job: Job, stages: StageRunner, last: str = "refine", show_preview: PreviewCallback = ignore_preview
) -> JobState:
    """Runs the stages of a job in order, up to the one named ``last``. A texture is always blended with the
    one to keep, if there is one."""
    run = JobRun(job, stages, show_preview)
    steps = (run.prepare, run.register, run.render, run.paint, run.align, run.bake, run.refine)
    for step in steps:
        step()
        if step.__name__ == last:
            break
    run.blend()
    return run.state


class JobRun:
    """One job at work: a method per stage, in the order in which they run. Each reads what the stages before
    it left in ``state``, and does nothing where the job's settings do not need it."""

    def __init__(self, job: Job, stages: StageRunner, show_preview: PreviewCallback):
        self.job, self.settings, self.stages, self.show_preview = job, job.settings, stages, show_preview
        if not job.check_reference:
            self._check_models()
            self.painter = load_painter(self.settings.painter) if self.settings.paints_views else None
        reference = read_picture(job.pictures[0])
        if job.strokes is not None and job.check_reference:
            # The user sees what a stroke did before the view is found.
            self.show_preview(make_outline_preview(reference))
        self.state = JobState(balance_white(reference, self.settings.white_balance))
        self.present_images = decode_present(job.present) if job.keeps_present else ()
        self.further = [] if job.check_reference else read_further(job)

    def prepare(self) -> None:
        """Welds, cleans and normalises the mesh; its UVs are kept or made."""
        state = self.state
        if self.job.check_reference:
            # The view needs no UVs, which may take long to make.
            self.stages.report_progress("prepare", 0.0)
            state.surface = clean(self.job.mesh)
            return
        state.surface = self.stages.run(
            "prepare",
            partial(prepare, self.job.mesh, self.settings.texture_size),
            records.save_surface,
            records.load_surface,
        )
        if self.job.kept:
            state.earlier = decode_kept(self.job.kept, state.surface)

    def register(self) -> None:
        """Finds the object in each picture, and the camera if the painter needs it."""
        state = self.state
        registering = PictureRegistration(
            self.job, state.surface, self.completion, state.reference, self.further
        )
        found = self.stages.run("register", registering.run, records.save_registered, self._load_registered)
        if not self.job.check_reference:
            found = registering.bend(found)
        state.registration, state.further, state.side_notes = found.lead, found.further, found.notes
        if found.shows_whole:
            state.completion = self.completion
            state.surface = self.completion.surface
        registration = self.state.registration
        stops = self.settings.on_doubt == "stop" and not self.job.check_reference
        if registration.doubtful and stops:
            candidates = report_registration(registration)["candidates"]
            advice = "Nothing was painted. To paint with this view all the same, set on_doubt to 'go'."
            raise DoubtfulView(" ".join([*registration.notes, advice]), candidates=candidates)

    def render(self) -> None:
        """Renders the painter's cameras: what each sees of the surface."""
        if self.settings.paints_views:
            self.state.orbits, self.state.buffers = self.stages.run(
                "render", self._render_orbits, lambda views: records.save_orbits(views[0]), self._render_again
            )

    def paint(self) -> None:
        """Paints a colour frame per view."""
        if self.settings.paints_views:
            self.state.painting = self.stages.run(
                "paint", self._paint_views, records.save_painting, records.load_painting
            )

    def align(self) -> None:
        """Brings frames that drift to agree on the surface."""
        if self.settings.paints_views:
            self.show_preview(make_preview_strip(self.state.painting.frames))
            self.state.alignment = self.stages.run(
                "align", self._align_frames, records.save_alignment, self._observe_again
            )

    def bake(self) -> None:
        """Bakes the frames to a texture; without views it is one that nothing was seen of."""
        state = self.state
        if self.settings.paints_views:
            state.texture = self.stages.run(
                "bake", self._bake_frames, records.save_texture, records.load_texture
            )
        else:
            state.texture = empty_texture(self._atlas_size())

    def refine(self) -> None:
        """Refines the texture with TRELLIS.2 over the voxels of the surface."""
        if self.settings.refines:
            self.state.texture = self.stages.run(
                "refine", self._refine_texture, records.save_texture, records.load_texture
            )

    def blend(self) -> None:
        """Brings copies to share their texels, and blends the texture with the earlier one, outside of the
        region that is repainted."""
        state = self.state
        if state.texture and state.surface.shared_uvs is not None:
            state.texture = share_texels(state.surface, state.texture)
        if state.texture and state.earlier:
            originals = select_originals(state.surface)
            state.texture = self.stages.run(
                "blend",
                partial(blend_region, originals, state.texture, state.earlier),
                records.save_texture,
                records.load_texture,
            )
            winding = self.winding if self.settings.paints_views else None
            if winding is not None and state.surface.shared_uvs is not None:
                winding = winding[is_original(state.surface)]
            self.show_preview(
                render_region(originals, state.texture.base_color, state.earlier.region, winding)[None]
            )

    def _check_models(self) -> None:
        """Raises an :class:`OrbitError` if a model that the job needs cannot run here."""
        if self.settings.networks:
            find_device(self.settings.device)
        if self.settings.refines:
            from .refine.refine import check  # torch takes seconds to import, which the draft does not need

            check(self.settings.device)

    @cached_property
    def completion(self) -> Completion | None:
        """The whole of which the job's mesh may be half."""
        texture_size = None if self.job.check_reference else self.settings.texture_size
        return complete_half(self.state.surface, texture_size)

    @cached_property
    def edges(self) -> list[np.ndarray]:
        """Per view (H, W) float32: pixels to the nearest silhouette or depth edge, or to what a picture does
        not show."""
        edges = edge_distances(self.state.buffers)
        if self.pictures is not None:
            count = len(self.pictures.references)
            edges[1 - count :] = [picture_edges(self.pictures, number) for number in range(1, count)]
        return edges

    @cached_property
    def winding(self) -> np.ndarray:
        """(F,) int8, the winding of the faces, see :func:`backend.render.visibility.find_winding`."""
        return find_winding(self.state.surface, self.state.buffers)

    def _load_registered(self, arrays: records.Arrays) -> Registered:
        return records.load_registered(
            arrays, self.state.reference, [each.reference for each in self.further]
        )

    def _render_orbits(self, progress: ProgressCallback) -> tuple[list[Orbit], list[GBuffer]]:
        _, *further = self.state.registrations
        orbits = [
            *self.painter.orbits(self.state.surface, self.state.registration),
            *(picture_orbit(number, registration) for number, registration in enumerate(further, 2)),
        ]
        return orbits, self._render_views(orbits, progress)

    def _render_again(self, arrays: records.Arrays) -> tuple[list[Orbit], list[GBuffer]]:
        # Rendering the views again is quicker than reading them from disk.
        orbits = records.load_orbits(arrays)
        return orbits, self._render_views(orbits, partial(self.stages.report_progress, "render"))

    def _render_views(self, orbits: list[Orbit], progress: ProgressCallback) -> list[GBuffer]:
        return render(self.state.surface, [camera for orbit in orbits for camera in orbit.cameras], progress)

    @cached_property
    def pictures(self) -> PictureSet | None:
        """Several pictures, brought together; None if there is only one."""
        state, count = self.state, len(self.state.registrations)
        if count == 1:
            return None
        lead = state.registration
        height, width = lead.reference.alpha.shape
        [lead_buffer] = render(state.surface, [lead.match.view.camera(width, height)], lambda done: None)
        return bring_together(
            state.surface,
            [registration.reference for registration in state.registrations],
            [lead_buffer, *state.buffers[1 - count :]],
            self.winding,
            self.settings.light,
            partial(self.stages.cache_step, "bake"),
            lambda done: self.stages.report_progress("paint", PICTURES_SHARE * done),
        )

    @cached_property
    def present(self) -> PresentSurface | None:
        """The paint that the surface wears, if some of it is to stay."""
        if not self.job.keeps_present:
            return None
        return PresentSurface.of(
            self.state.surface, self.job.present, self.present_images, self.settings.present_weight
        )

    def _paint_views(self, progress: ProgressCallback) -> Painting:
        state, pictures, begun = self.state, self.pictures, 0.0
        own = len(state.buffers)
        if pictures is not None:
            own, begun = own + 1 - len(pictures.references), PICTURES_SHARE
        painting = self.painter.paint(
            state.surface,
            state.buffers[:own],
            state.registration.reference,
            self.settings,
            lambda done: progress(begun + (1 - begun) * done),
            partial(self.stages.cache_step, "paint"),
            self.show_preview,
            None if state.earlier is None else describe_repaint(state.surface, state.earlier),
            pictures,
            self.present,
        )
        return painting if pictures is None else add_pictures(painting, pictures)

    def _align_frames(self, progress: ProgressCallback) -> Alignment:
        state, painting = self.state, self.state.painting
        config = AlignConfig(rounds=()) if painting.consistent else AlignConfig()
        return align(state.surface, self._painted_views(), painting.frames, progress, config)

    def _painted_views(self) -> PaintedViews:
        state = self.state
        return PaintedViews(state.buffers, self.edges, self.winding, state.painting.preference)

    def _observe_again(self, arrays: records.Arrays) -> Alignment:
        state = self.state
        views = observe_atlas(state.surface, state.buffers, self.edges, self.winding)
        return records.load_alignment(arrays, views)

    def _bake_frames(self, progress: ProgressCallback) -> Texture:
        state, settings = self.state, self.settings
        texture = bake(
            state.surface,
            self._painted_views(),
            state.alignment,
            self._atlas_size(),
            settings.voxel_resolution,
            settings.seed,
            progress,
        )
        source = state.painting.color_source
        if source is not None:
            texture = replace(texture, color_source=upscale(source, len(texture.base_color)))
        if self.present is not None:
            # The draft's frames have the paint already, less sharply.
            present = self.present if source is None else self.present.halved()
            texture = lay_present_paint(present, texture, state.painting.border_light)
        return texture

    def _refine_texture(self, progress: ProgressCallback) -> Texture:
        from .refine.refine import refine, select_condition_images

        state, settings, keep = self.state, self.settings, partial(self.stages.cache_step, "refine")
        frames = state.painting.frames if state.painting else []
        images = select_condition_images(
            [each.reference for each in state.registrations],
            state.orbits,
            state.buffers,
            frames,
            settings.refine_views,
        )
        return refine(state.surface, state.texture, images, settings, progress, keep)

    def _atlas_size(self) -> int:
        return atlas_size(self.state.surface.tiles, self.settings.texture_size)
