"""The blocks of TRELLIS.2's autoencoders (docs/models/trellis2.md#autoencoder-blocks), by the published names
of their tensors.

Convolutions and linear layers have the network's dtype; norms compute in float32.
"""

import torch
from torch import nn
from torch.nn.functional import silu

from .sparse import SparseLevel, channel_to_space, convolve, map_rows, space_to_channel


class LayerNorm(nn.LayerNorm):
    """Layer norm that computes in float32 and returns its input's dtype."""

    def __init__(self, channels: int, eps: float = 1e-6, affine: bool = True):
        super().__init__(channels, eps, elementwise_affine=affine, dtype=torch.float32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.float()).to(x.dtype)


class SubmanifoldConv3d(nn.Module):
    """Submanifold convolution, 3 x 3 x 3."""

    def __init__(self, inputs: int, outputs: int, dtype: torch.dtype):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, 3, 3, 3, inputs, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=dtype))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x: torch.Tensor, level: SparseLevel) -> torch.Tensor:
        return convolve(x, level, self.weight, self.bias)


class ConvNeXtBlock(nn.Module):
    """Convolution, norm and two linear layers, with a skip connection."""

    def __init__(self, channels: int, dtype: torch.dtype):
        super().__init__()
        self.conv = SubmanifoldConv3d(channels, channels, dtype)
        self.norm = LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 4 * channels, dtype=dtype),
            nn.SiLU(),
            nn.Linear(4 * channels, channels, dtype=dtype),
        )

    def forward(
        self, x: torch.Tensor, level: SparseLevel, following: SparseLevel | None = None
    ) -> torch.Tensor:
        """(n, C) to (n, C); the following level is not used."""
        return x + map_rows(lambda rows: self.mlp(self.norm(rows)), self.conv(x, level), 4 * x.shape[1])


class DownBlock(nn.Module):
    """Downsampling to the next coarser level, with twice the channels."""

    def __init__(self, inputs: int, outputs: int, dtype: torch.dtype):
        super().__init__()
        self.norm1 = LayerNorm(inputs)
        self.conv1 = SubmanifoldConv3d(inputs, outputs // 8, dtype)
        self.norm2 = LayerNorm(outputs, affine=False)
        self.conv2 = SubmanifoldConv3d(outputs, outputs, dtype)

    def forward(self, x: torch.Tensor, fine: SparseLevel, coarse: SparseLevel) -> torch.Tensor:
        """(n_fine, Cin) to (n_coarse, Cout)."""
        h = self.conv1(_norm_silu(self.norm1, x), fine)  # (n_fine, Cout / 8)
        h = self.conv2(_norm_silu(self.norm2, space_to_channel(h, fine, coarse)), coarse)
        # Skip connection: the mean of 8 Cin / Cout channels at a time. They all belong to one child, so the
        # mean may be taken before the children are concatenated: (n_fine, Cin) -> (n_fine, Cout / 8).
        mean = x.view(len(x), h.shape[1] // 8, -1).mean(2)
        return h + space_to_channel(mean, fine, coarse)


class UpBlock(nn.Module):
    """Upsampling to the next finer level, with half the channels."""

    def __init__(self, inputs: int, outputs: int, dtype: torch.dtype):
        super().__init__()
        self.norm1 = LayerNorm(inputs)
        self.conv1 = SubmanifoldConv3d(inputs, 8 * outputs, dtype)
        self.norm2 = LayerNorm(outputs, affine=False)
        self.conv2 = SubmanifoldConv3d(outputs, outputs, dtype)

    def forward(self, x: torch.Tensor, coarse: SparseLevel, fine: SparseLevel) -> torch.Tensor:
        """(n_coarse, Cin) to (n_fine, Cout)."""
        # (n_coarse, 8 Cout) -> (n_fine, Cout)
        h = channel_to_space(self.conv1(_norm_silu(self.norm1, x), coarse), fine)
        h = self.conv2(_norm_silu(self.norm2, h), fine)
        # Skip connection: (n_fine, Cin / 8), every channel repeated for as many neighbouring outputs as
        # needed.
        skip = channel_to_space(x, fine)
        return (h.view(*skip.shape, -1) + skip[:, :, None]).flatten(1)


def _norm_silu(norm: LayerNorm, x: torch.Tensor) -> torch.Tensor:
    return map_rows(lambda rows: silu(norm(rows)), x, x.shape[1])
