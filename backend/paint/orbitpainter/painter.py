"""OrbitPainter: a video model paints the orbits of the untextured mesh after the reference (Ink3D, section
3.1)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from torch.utils._triton import has_triton

from ...api.errors import OutOfMemory
from ...api.settings import Settings
from ...device import find_device
from ...mesh.surface import Surface
from ...progress import ProgressCallback
from ...render.camera import Orbit
from ...render.gbuffer_images import normal_image, position_image
from ...render.rasterize import GBuffer
from ..camera.registration import Registration
from ..painter import LoadOrRun, Painting, PictureSet, Repaint
from ..present import PresentSurface
from ..preview import PreviewCallback, ignore_preview, make_preview_strip
from ..reference import Reference
from . import agx, cameras, clips, cost_model, flex_attention, gasa
from .latent_preview import LatentPreview
from .layouts import TOKEN_SIZE, Pass, count_latent_frames, plan_passes
from .memory_plan import MemoryProfile, plan_memory
from .model import Model, ModelCard, weights_folder
from .network import LATENT_CHANNELS, pack_condition
from .sampler import SamplingConfig, denoise, sample_noise

QUALITY_PRESETS = {
    "quality": SamplingConfig(),
    "balanced": SamplingConfig(steps=30, guided=("high",), cache_threshold=0.05),
    "fast": SamplingConfig(steps=4, guidance=1.0, distilled=True),
}
"""How clips are sampled, by the value of the setting."""

ENCODED_PROGRESS = 0.05
"""Progress of a pass, 0..1, when its conditions are encoded."""

DENOISED_PROGRESS = 0.9
"""Progress of a pass, 0..1, when only decoding is left."""


@dataclass(frozen=True)
class PassTime:
    """Seconds that a pass was expected to take, and took."""

    expected: float
    taken: float


class Conditions(NamedTuple):
    """What the network is given beside the noise.

    Attributes:
        positions: per view (H, W, 3) uint8 of :func:`backend.render.gbuffer_images.position_image`.
        normals: per view (H, W, 3) uint8 of :func:`backend.render.gbuffer_images.normal_image`.
        reference: with its foreground.
    """

    positions: Sequence[np.ndarray]
    normals: Sequence[np.ndarray]
    reference: Reference


class OrbitPainter:
    """Paints with the published model; see :class:`backend.paint.painter.Painter`."""

    def orbits(self, surface: Surface, registration: Registration) -> list[Orbit]:
        """The views that the weights were trained on."""
        card = ModelCard.read(weights_folder())
        both = cameras.orbits(card.size, card.frames, card.mirror)
        return both[:1] if card.layout == "horizontal" else both

    def paint(
        self,
        surface: Surface,
        buffers: Sequence[GBuffer],
        reference: Reference,
        settings: Settings,
        progress: ProgressCallback,
        load_or_run: LoadOrRun,
        show_preview: PreviewCallback,
        repaint: Repaint | None = None,
        pictures: PictureSet | None = None,
        present: PresentSurface | None = None,
    ) -> Painting:
        """Every view as the model paints it; each pass is stored as soon as it is done.

        Raises:
            InvalidWeights: the weights are missing or damaged.
        """
        model = Model(
            weights_folder(), find_device(settings.device), sampling=QUALITY_PRESETS[settings.quality]
        )
        model.check()
        conditions = Conditions(
            [position_image(buffer) for buffer in buffers],
            [normal_image(buffer, surface) for buffer in buffers],
            reference,
        )
        # One pass after the other; later ones may start with a frame of earlier ones.
        passes = plan_passes(model.card.layout, model.card.frames)
        painted: dict[int, np.ndarray] = {}
        times: list[PassTime] = []
        for number, video_pass in enumerate(passes):
            report_progress = partial(_report_pass_progress, progress, number, len(passes))
            paint = partial(
                paint_pass, model, video_pass, conditions, painted, settings, report_progress, show_preview
            )
            work = partial(_time_pass, model, count_tokens(model.card, video_pass), paint, times)
            images = load_or_run(f"pass_{number}", work)
            painted |= {int(view): image for view, image in images.items()}
            strip = make_preview_strip([image for _, image in sorted(painted.items())])
            show_preview(_to_base_color(strip, settings))
        frames = [_to_base_color(painted[view], settings) for view in range(len(buffers))]
        notes = [*reference.notes, *_write_notes(model, passes, times)]
        return Painting(frames, np.ones(len(frames), np.float32), notes=tuple(notes))


def _write_notes(model: Model, passes: Sequence[Pass], times: Sequence[PassTime]) -> list[str]:
    """Sentences for the user: memory and time of the passes that were not read from disk, and random
    weights."""
    notes = []
    if times:
        expected = format_duration(sum(each.expected for each in times))
        taken = format_duration(sum(each.taken for each in times))
        peak = max(
            model.profile.gpu_gigabytes(count_tokens(model.card, each), model.sampling.caches_blocks)
            for each in passes
        )
        memory = f", estimated at {peak:.0f} GB of graphics memory" if model.device.type == "cuda" else ""
        notes.append(f"OrbitPainter worked with {model.profile}{memory}; expected {expected}, took {taken}.")
    if not model.card.trained:
        notes.append("OrbitPainter's weights are random: the colours mean nothing.")
    return notes


def count_tokens(card: ModelCard, video_pass: Pass) -> int:
    """How many tokens the network processes at once in a pass, the reference's among them."""
    frames = 1 + sum(count_latent_frames(len(clip)) for clip in video_pass.clips)
    views_per_frame = len(video_pass.clips[0][0])
    return frames * views_per_frame * (card.size // TOKEN_SIZE) ** 2


def retry_with_smaller_profiles(
    paint: Callable[[], dict[int, np.ndarray]], model: Model, profiles: Sequence[MemoryProfile]
) -> dict[int, np.ndarray]:
    """What ``paint`` returns with the first of the memory profiles with which the GPU's memory is enough.

    Raises:
        OutOfMemory: it is not enough with any.
    """
    for profile in profiles:
        model.unload_expert()
        model.profile = profile
        try:
            return paint()
        except torch.OutOfMemoryError:
            continue
    raise OutOfMemory(
        "The graphics card has too little memory for OrbitPainter, even with 4-bit weights that are streamed "
        "block by block. Close other programs that use it, or paint with Draft."
    )


def paint_pass(
    model: Model,
    video_pass: Pass,
    conditions: Conditions,
    painted: dict[int, np.ndarray],
    settings: Settings,
    progress: ProgressCallback,
    show_preview: PreviewCallback = ignore_preview,
) -> dict[int, np.ndarray]:
    """The images (H, W, 3) uint8 by view that one run of the network paints.

    Args:
        model: its networks.
        video_pass: which clips.
        conditions: of all views.
        painted: images of earlier passes by view.
        settings: of the job.
        progress: receives the fraction done.
        show_preview: receives rough images of the clips at every step.
    """
    positions, normals, reference = conditions
    views_per_frame = len(video_pass.clips[0][0])
    framed = clips.frame_reference(
        reference, model.card.size, views_per_frame, settings.view_transform == "agx"
    )
    with torch.no_grad():
        # Encode conditions, reference and start frame.
        vae = model.load_autoencoder()
        position, normal = (
            clips.encode_clips(vae, images, video_pass.clips) for images in (positions, normals)
        )
        reference_latent = _encode_image(vae, framed)
        start = video_pass.start_view
        first_frame = None if start is None else _encode_image(vae, painted[start])
        del vae  # its memory is for the experts
        latent_preview = LatentPreview.fit([(position, positions), (normal, normals)], video_pass.clips)

        def preview(latents: torch.Tensor) -> None:
            show_preview(_to_base_color(make_preview_strip(latent_preview.render(latents)), settings))

        progress(ENCODED_PROGRESS)
        # Denoise. The sparse attention is built only if the experts have branches for it.
        noise = sample_noise((1, LATENT_CHANNELS, *position.shape[2:]), settings.seed).to(model.device)
        sparse = cache(partial(_build_sparse_attention, model, positions, video_pass))
        reference_tokens = framed.size // (3 * TOKEN_SIZE**2)
        latents = denoise(
            partial(_load_expert, model, sparse, reference_tokens),
            noise,
            pack_condition(position, normal, reference_latent),
            model.load_prompts(),
            model.sampling,
            lambda fraction: progress(ENCODED_PROGRESS + (DENOISED_PROGRESS - ENCODED_PROGRESS) * fraction),
            first_frame,
            preview,
        )
        # Decode.
        model.unload_expert()
        return clips.decode_clips(model.load_autoencoder(), latents, video_pass.clips)


def _encode_image(vae: AutoencoderKLWan, image: np.ndarray) -> torch.Tensor:
    """(1, 16, 1, h, w) latent of an image (H, W, 3) uint8, as a clip of one frame."""
    return clips.encode_clips(vae, [image], [[(0,)]])


def _to_base_color(frame: np.ndarray, settings: Settings) -> np.ndarray:
    """(..., 3) uint8 sRGB base colour of one or several frames (..., 3) uint8 as the model paints them."""
    return (
        np.round(255 * agx.decode(frame / np.float32(255))).astype(np.uint8)
        if settings.view_transform == "agx"
        else frame
    )


def _load_expert(
    model: Model, sparse: Callable[[], gasa.SparseAttention], reference_tokens: int, name: str
) -> WanTransformer3DModel:
    """An expert, whose branches know the neighbours in the clips that it is about to paint."""
    network = model.load_expert(name)
    if gasa.has_sparse_branches(network):
        gasa.set_sparse_attention(network, sparse(), reference_tokens)
    return network


def _build_sparse_attention(
    model: Model, positions: Sequence[np.ndarray], video_pass: Pass
) -> gasa.SparseAttention:
    voxel, frame = gasa.compute_token_voxels(positions, video_pass.clips)
    neighbours = gasa.find_neighbours(voxel, frame)
    if model.device.type == "cuda" and has_triton():
        return flex_attention.build_block_attention(voxel, frame, neighbours, model.device)
    return neighbours.to(model.device)


def _time_pass(
    model: Model, tokens: int, paint: Callable[[], dict[int, np.ndarray]], times: list[PassTime]
) -> dict[str, np.ndarray]:
    """The images of a pass of ``tokens`` tokens by view, named for a file; its time is appended to
    ``times``."""
    speed, start = cost_model.measure_speed(model.device), time.monotonic()
    images = retry_with_smaller_profiles(paint, model, plan_memory(model.device, tokens, model.sampling))
    expected = cost_model.estimate_seconds(model.load_config(), tokens, model.sampling, model.profile, speed)
    times.append(PassTime(expected, time.monotonic() - start))
    return {str(view): image for view, image in images.items()}


def format_duration(seconds: float) -> str:
    """Seconds, or minutes where they are many."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _report_pass_progress(progress: ProgressCallback, number: int, count: int, fraction: float) -> None:
    """Reports the fraction of one of ``count`` passes as the fraction of all."""
    progress((number + fraction) / count)
