"""TRELLIS.2 at work on one surface: its voxels become latents, which are noised, denoised after images and
decoded (Ink3D 3.3, after SDEdit, Meng et al. 2022). From pure noise that is TRELLIS.2's own way of texturing,
which needs no colours to start from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from ...paint.painter import Keep, Progress
from .dual_grid import DualGrid
from .model import Model
from .sampler import Velocity, add_noise, average_velocities, denoise, noise_schedule
from .sparse import SparseLevel, build_levels


@dataclass(frozen=True)
class SDEditConfig:
    """How much is made anew.

    Attributes:
        start: noise level, 0 to 1; 1 makes everything anew.
        steps: from there to none.
        seed: of the noise.
    """

    start: float
    steps: int
    seed: int


def run_sdedit(
    model: Model,
    grid: DualGrid,
    values: np.ndarray | None,
    images: Sequence[np.ndarray],
    strength: SDEditConfig,
    progress: Progress,
    keep: Keep,
) -> tuple[np.ndarray, np.ndarray]:
    """What the model makes of the voxels without noise, and what with it: (N, 6) float32 0..1 each, base
    colour (sRGB-encoded), metallic, roughness, alpha.

    Args:
        model: its networks.
        grid: N cells.
        values: (N, 6) float32 0..1 of the cells; None to begin with noise alone, and then what is made
            without it is all 0.
        images: (S, S, 3) uint8 each, with as many pixels along the side as the grid has cells.
        strength: of the change.
        progress: told the fraction done.
        keep: keeps the latents, for a run that goes on.
    """
    with torch.no_grad():
        scales = build_levels(torch.from_numpy(grid.cells).to(model.device))
        progress(0.05)
        latents = keep("latents", partial(_encode_latents, model, grid, values, scales, progress))
        shape, texture = (torch.from_numpy(latents[name]).to(model.device) for name in ("shape", "texture"))
        made = keep(
            "denoised",
            partial(
                _denoise_latents,
                model,
                grid.resolution,
                scales[-1],
                shape,
                texture,
                images,
                strength,
                progress,
            ),
        )
        decoder = model.decoder()
        after = _decode_colors(model, decoder, torch.from_numpy(made["texture"]).to(model.device), scales)
        progress(0.95)
        before = np.zeros_like(after) if values is None else _decode_colors(model, decoder, texture, scales)
        return before, after


def _encode_latents(
    model: Model, grid: DualGrid, values: np.ndarray | None, scales: list[SparseLevel], progress: Progress
) -> dict[str, np.ndarray]:
    """``shape`` and ``texture``: (T, 32) float32 latents as the flow knows them."""
    features = np.concatenate([grid.offsets, grid.crossed], axis=1) - np.float32(0.5)
    shape = model.card.shape.normalize(_run_encoder(model, "shape", features, scales))
    progress(0.15)
    texture = torch.zeros_like(shape)
    if values is not None:
        texture = model.card.texture.normalize(_run_encoder(model, "texture", 2 * values - 1, scales))
    progress(0.25)
    return {"shape": shape.cpu().numpy(), "texture": texture.cpu().numpy()}


def _run_encoder(model: Model, name: str, features: np.ndarray, scales: list[SparseLevel]) -> torch.Tensor:
    return model.encoder(name)(torch.from_numpy(features.astype(np.float32)).to(model.device), scales)


def _denoise_latents(
    model: Model,
    resolution: int,
    tokens: SparseLevel,
    shape: torch.Tensor,
    texture: torch.Tensor,
    images: Sequence[np.ndarray],
    strength: SDEditConfig,
    progress: Progress,
) -> dict[str, np.ndarray]:
    """``texture``: (T, 32) float32 latents as the flow knows them."""
    image_encoder = model.image_encoder()
    conditions = [image_encoder(image) for image in images]
    del image_encoder
    progress(0.3)
    noise = torch.randn(texture.shape, generator=torch.Generator().manual_seed(strength.seed)).to(
        model.device
    )
    flow = model.flow(resolution)

    def towards(condition: torch.Tensor) -> Velocity:
        return lambda x, level: flow(torch.cat([x, shape], dim=1), level, tokens.coords, condition)

    x = denoise(
        average_velocities([towards(condition) for condition in conditions]),
        add_noise(texture, strength.start, noise),
        noise_schedule(strength.start, strength.steps),
        lambda fraction: progress(0.3 + 0.5 * fraction),
    )
    return {"texture": x.cpu().numpy()}


def _decode_colors(model: Model, decoder, latents: torch.Tensor, scales: list[SparseLevel]) -> np.ndarray:
    return (0.5 * decoder(model.card.texture.denormalize(latents), scales) + 0.5).clamp(0, 1).cpu().numpy()
