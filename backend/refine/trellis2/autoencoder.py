"""TRELLIS.2's encoders and texture decoder: a latent for every block of 16 x 16 x 16 cells
(docs/models/trellis2.md#encoders-and-decoder)."""

from dataclasses import dataclass

import torch
from torch import nn

from .layers import ConvNeXtBlock, DownBlock, LayerNorm, UpBlock
from .sparse import SparseLevel, map_rows


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes of an encoder or decoder; the defaults are the published ones.

    Attributes:
        features: channels of a voxel.
        latent: channels of a latent.
        channels: of each level, finest first; they double from one to the next.
        blocks: number of ConvNeXt blocks on each level.
    """

    features: int = 6
    latent: int = 32
    channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    blocks: tuple[int, ...] = (0, 4, 8, 16, 4)


class Encoder(nn.Module):
    """The encoder of shapes or of textures, which differ only in their weights."""

    def __init__(self, config: AutoencoderConfig = AutoencoderConfig(), dtype: torch.dtype = torch.float16):
        super().__init__()
        self.dtype = dtype
        self.input_layer = nn.Linear(config.features, config.channels[0])
        self.blocks = _make_stages(config.channels, config.blocks, DownBlock, dtype)
        self.norm = LayerNorm(config.channels[-1], eps=1e-5, affine=False)
        self.to_latent = nn.Linear(config.channels[-1], 2 * config.latent)

    def forward(self, features: torch.Tensor, levels: list[SparseLevel]) -> torch.Tensor:
        """(T, 32) float32 means of the latents, in the order of the coarsest level; not normalised.

        Args:
            features: (N, 6) float32 of the finest level's cells. For a shape: the dual vertex's position in
                its cell, 0 to 1, and whether each of three edges crosses the surface, all minus 0.5. For a
                texture: base colour (sRGB-encoded), metallic, roughness, alpha, -1 to 1.
            levels: see :func:`backend.refine.trellis2.sparse.build_levels`.
        """
        # (N, 6) -> (N, 64), down to (T, 1024), then mean and log variance (T, 64) of the latents
        h = map_rows(
            lambda rows: self.input_layer(rows).to(self.dtype), features, self.input_layer.out_features
        )
        h = _run_stages(self.blocks, h, levels)
        mean, _ = self.to_latent(self.norm(h.float())).chunk(2, dim=1)
        return mean


class Decoder(nn.Module):
    """The decoder of textures onto known cells; it predicts none of its own."""

    def __init__(self, config: AutoencoderConfig = AutoencoderConfig(), dtype: torch.dtype = torch.float16):
        super().__init__()
        self.dtype = dtype
        self.from_latent = nn.Linear(config.latent, config.channels[-1])
        self.blocks = _make_stages(config.channels[::-1], config.blocks[::-1], UpBlock, dtype)
        self.norm = LayerNorm(config.channels[0], eps=1e-5, affine=False)
        self.output_layer = nn.Linear(config.channels[0], config.features)

    def forward(self, latents: torch.Tensor, levels: list[SparseLevel]) -> torch.Tensor:
        """(N, 6) float32 in the order of the finest level: features like the texture encoder's, about -1 to
        1, not clamped.

        Args:
            latents: (T, 32) float32, not normalised.
            levels: see :func:`backend.refine.trellis2.sparse.build_levels`.
        """
        # (T, 32) -> (T, 1024), up to (N, 64), then (N, 6)
        h = _run_stages(self.blocks, self.from_latent(latents).to(self.dtype), levels[::-1])
        return map_rows(lambda rows: self.output_layer(self.norm(rows.float())), h, h.shape[1])


def _make_stages(
    channels: tuple[int, ...],
    blocks: tuple[int, ...],
    change: type[DownBlock] | type[UpBlock],
    dtype: torch.dtype,
) -> nn.ModuleList:
    """For every level its ConvNeXt blocks, then the block that changes to the next level, except after the
    last."""
    stages = nn.ModuleList(
        nn.ModuleList(ConvNeXtBlock(width, dtype) for _ in range(count))
        for width, count in zip(channels, blocks, strict=True)
    )
    for stage, here, there in zip(stages, channels, channels[1:], strict=False):
        stage.append(change(here, there, dtype))
    return stages


def _run_stages(stages: nn.ModuleList, x: torch.Tensor, levels: list[SparseLevel]) -> torch.Tensor:
    """Runs the blocks of all levels; each is given its own level and the next."""
    for number, stage in enumerate(stages):
        for block in stage:
            x = block(x, *levels[number : number + 2])
    return x
