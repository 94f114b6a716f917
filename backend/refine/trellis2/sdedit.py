"""SDEdit on the voxels of one surface: they become latents, which are noised, denoised after images and
decoded (Ink3D 3.3, after Meng et al. 2022). From pure noise this is TRELLIS.2's own texturing, which needs no
colours to start from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from ...paint.painter import LoadOrRun
from ...progress import ProgressCallback
from .autoencoder import Decoder
from .dual_grid import DualGrid
from .model import Model
from .sampler import Velocity, add_noise, average_velocities, denoise, noise_schedule
from .sparse import SparseLevel, build_levels


@dataclass(frozen=True)
class SDEditConfig:
    """How much of the texture is generated anew.

    Attributes:
        noise_level: where denoising starts, 0 to 1; 1 generates everything anew.
        steps: Euler steps from there to 0.
        seed: of the noise.
    """

    noise_level: float
    steps: int
    seed: int


def run_sdedit(
    model: Model,
    grid: DualGrid,
    values: np.ndarray | None,
    images: Sequence[np.ndarray],
    config: SDEditConfig,
    progress: ProgressCallback,
    load_or_run: LoadOrRun,
) -> tuple[np.ndarray, np.ndarray]:
    """The voxels decoded without noise (before), and after denoising (after): (N, 6) float32 0..1 each, base
    colour (sRGB-encoded), metallic, roughness, alpha.

    Args:
        model: its networks.
        grid: N cells.
        values: (N, 6) float32 0..1 of the cells; None to start from noise alone, and then "before" is all 0.
        images: (S, S, 3) uint8 each, with as many pixels along a side as the grid has cells.
        config: strength of the change.
        progress: called with the fraction done.
        load_or_run: stores the latents, for a run that resumes.
    """
    with torch.no_grad():
        levels = build_levels(torch.from_numpy(grid.cells).to(model.device))
        progress(0.05)
        # Encode: N voxels to T latents.
        latents = load_or_run("latents", partial(_encode_latents, model, grid, values, levels, progress))
        shape, texture = (torch.from_numpy(latents[name]).to(model.device) for name in ("shape", "texture"))
        # Add noise and denoise.
        denoised = load_or_run(
            "denoised",
            partial(
                _denoise_latents,
                model,
                grid.resolution,
                levels[-1],
                shape,
                texture,
                images,
                config,
                progress,
            ),
        )
        # Decode both: T latents to N voxels.
        decoder = model.decoder()
        after = _decode_colors(model, decoder, torch.from_numpy(denoised["texture"]).to(model.device), levels)
        progress(0.95)
        before = np.zeros_like(after) if values is None else _decode_colors(model, decoder, texture, levels)
        return before, after


def _encode_latents(
    model: Model,
    grid: DualGrid,
    values: np.ndarray | None,
    levels: list[SparseLevel],
    progress: ProgressCallback,
) -> dict[str, np.ndarray]:
    """``shape`` and ``texture``: (T, 32) float32 normalised latents."""
    features = np.concatenate([grid.offsets, grid.crossed], axis=1) - np.float32(0.5)
    shape = model.card.shape.normalize(_run_encoder(model, "shape", features, levels))
    progress(0.15)
    texture = torch.zeros_like(shape)
    if values is not None:
        texture = model.card.texture.normalize(_run_encoder(model, "texture", 2 * values - 1, levels))
    progress(0.25)
    return {"shape": shape.cpu().numpy(), "texture": texture.cpu().numpy()}


def _run_encoder(model: Model, name: str, features: np.ndarray, levels: list[SparseLevel]) -> torch.Tensor:
    """(T, 32) float32 latents, not normalised, of features (N, 6)."""
    return model.encoder(name)(torch.from_numpy(features.astype(np.float32)).to(model.device), levels)


def _denoise_latents(
    model: Model,
    resolution: int,
    coarsest: SparseLevel,
    shape: torch.Tensor,
    texture: torch.Tensor,
    images: Sequence[np.ndarray],
    config: SDEditConfig,
    progress: ProgressCallback,
) -> dict[str, np.ndarray]:
    """``texture``: (T, 32) float32 normalised latents."""
    image_encoder = model.image_encoder()
    conditions = [image_encoder(image) for image in images]
    del image_encoder
    progress(0.3)
    # The noise is drawn on the CPU, so that a seed gives the same on every device.
    noise = torch.randn(texture.shape, generator=torch.Generator().manual_seed(config.seed)).to(model.device)
    flow = model.flow(resolution)

    def velocity_towards(condition: torch.Tensor) -> Velocity:
        # The flow reads (T, 64): the texture's latents beside the shape's.
        return lambda x, noise_level: flow(
            torch.cat([x, shape], dim=1), noise_level, coarsest.coords, condition
        )

    x = denoise(
        average_velocities([velocity_towards(condition) for condition in conditions]),
        add_noise(texture, config.noise_level, noise),
        noise_schedule(config.noise_level, config.steps),
        lambda fraction: progress(0.3 + 0.5 * fraction),
    )
    return {"texture": x.cpu().numpy()}


def _decode_colors(
    model: Model, decoder: Decoder, latents: torch.Tensor, levels: list[SparseLevel]
) -> np.ndarray:
    """(N, 6) float32 0..1 of normalised latents (T, 32)."""
    return (0.5 * decoder(model.card.texture.denormalize(latents), levels) + 0.5).clamp(0, 1).cpu().numpy()
