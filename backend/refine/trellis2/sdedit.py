"""TRELLIS.2 at work on one surface: its voxels become latents, which are noised, denoised after images and
decoded (Ink3D 3.3, after SDEdit, Meng et al. 2022). From pure noise that is TRELLIS.2's own way of texturing,
which needs no colours to start from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from ...paint.painter import LoadOrRun, ProgressCallback
from .dual_grid import DualGrid
from .model import Model
from .sampler import Velocity, averaged, denoise, noised, times
from .sparse import Level, levels


@dataclass(frozen=True)
class Strength:
    """How much is made anew.

    Attributes:
        start: noise level, 0 to 1; 1 makes everything anew.
        steps: from there to none.
        seed: of the noise.
    """

    start: float
    steps: int
    seed: int


def repaint(
    model: Model,
    grid: DualGrid,
    values: np.ndarray | None,
    images: Sequence[np.ndarray],
    strength: Strength,
    progress: ProgressCallback,
    load_or_run: LoadOrRun,
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
        load_or_run: stores the latents, for a run that is resumed.
    """
    with torch.no_grad():
        scales = levels(torch.from_numpy(grid.cells).to(model.device))
        progress(0.05)
        latents = load_or_run("latents", partial(_encoded, model, grid, values, scales, progress))
        shape, texture = (torch.from_numpy(latents[name]).to(model.device) for name in ("shape", "texture"))
        made = load_or_run(
            "denoised",
            partial(
                _denoised, model, grid.resolution, scales[-1], shape, texture, images, strength, progress
            ),
        )
        decoder = model.decoder()
        after = _decoded(model, decoder, torch.from_numpy(made["texture"]).to(model.device), scales)
        progress(0.95)
        before = np.zeros_like(after) if values is None else _decoded(model, decoder, texture, scales)
        return before, after


def _encoded(
    model: Model, grid: DualGrid, values: np.ndarray | None, scales: list[Level], progress: ProgressCallback
) -> dict[str, np.ndarray]:
    """``shape`` and ``texture``: (T, 32) float32 latents as the flow knows them."""
    features = np.concatenate([grid.offsets, grid.crossed], axis=1) - np.float32(0.5)
    shape = model.card.shape.normalised(_encode(model, "shape", features, scales))
    progress(0.15)
    texture = torch.zeros_like(shape)
    if values is not None:
        texture = model.card.texture.normalised(_encode(model, "texture", 2 * values - 1, scales))
    progress(0.25)
    return {"shape": shape.cpu().numpy(), "texture": texture.cpu().numpy()}


def _encode(model: Model, name: str, features: np.ndarray, scales: list[Level]) -> torch.Tensor:
    return model.encoder(name)(torch.from_numpy(features.astype(np.float32)).to(model.device), scales)


def _denoised(
    model: Model,
    resolution: int,
    tokens: Level,
    shape: torch.Tensor,
    texture: torch.Tensor,
    images: Sequence[np.ndarray],
    strength: Strength,
    progress: ProgressCallback,
) -> dict[str, np.ndarray]:
    """``texture``: (T, 32) float32 latents as the flow knows them."""
    eye = model.eye()
    conditions = [eye(image) for image in images]
    del eye
    progress(0.3)
    noise = torch.randn(texture.shape, generator=torch.Generator().manual_seed(strength.seed)).to(
        model.device
    )
    flow = model.flow(resolution)

    def towards(condition: torch.Tensor) -> Velocity:
        return lambda x, level: flow(torch.cat([x, shape], dim=1), level, tokens.coords, condition)

    x = denoise(
        averaged([towards(condition) for condition in conditions]),
        noised(texture, strength.start, noise),
        times(strength.start, strength.steps),
        lambda fraction: progress(0.3 + 0.5 * fraction),
    )
    return {"texture": x.cpu().numpy()}


def _decoded(model: Model, decoder, latents: torch.Tensor, scales: list[Level]) -> np.ndarray:
    return (0.5 * decoder(model.card.texture.restored(latents), scales) + 0.5).clamp(0, 1).cpu().numpy()
