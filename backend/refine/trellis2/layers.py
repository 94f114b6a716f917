"""The blocks of TRELLIS.2's autoencoders (specs: trellis2, b.1 and b.2), by the published names of their
tensors.

Convolutions and linear layers hold the network's type; norms are float32, and work in it.
"""

import torch
from torch import nn
from torch.nn.functional import silu

from .sparse import SparseLevel, channel_to_space, convolve, map_rows, space_to_channel


class LayerNorm(nn.LayerNorm):
    """Works in float32 and gives back the type that it got."""

    def __init__(self, channels: int, eps: float = 1e-6, affine: bool = True):
        super().__init__(channels, eps, elementwise_affine=affine, dtype=torch.float32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.float()).to(x.dtype)


class SubmanifoldConv3d(nn.Module):
    """A submanifold convolution, 3 x 3 x 3."""

    def __init__(self, inputs: int, outputs: int, dtype: torch.dtype):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, 3, 3, 3, inputs, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=dtype))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x: torch.Tensor, level: SparseLevel) -> torch.Tensor:
        return convolve(x, level, self.weight, self.bias)


class ConvNeXtBlock(nn.Module):
    """Convolution, norm, and two linear layers, beside which the input goes on."""

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
        """(n, C) of (n, C); what level follows does not matter."""
        return x + map_rows(lambda rows: self.mlp(self.norm(rows)), self.conv(x, level), 4 * x.shape[1])


class DownBlock(nn.Module):
    """To the next coarser level, with twice the channels."""

    def __init__(self, inputs: int, outputs: int, dtype: torch.dtype):
        super().__init__()
        self.norm1 = LayerNorm(inputs)
        self.conv1 = SubmanifoldConv3d(inputs, outputs // 8, dtype)
        self.norm2 = LayerNorm(outputs, affine=False)
        self.conv2 = SubmanifoldConv3d(outputs, outputs, dtype)

    def forward(self, x: torch.Tensor, fine: SparseLevel, coarse: SparseLevel) -> torch.Tensor:
        """(n_coarse, Cout) of (n_fine, Cin)."""
        h = self.conv1(_norm_silu(self.norm1, x), fine)
        h = self.conv2(_norm_silu(self.norm2, space_to_channel(h, fine, coarse)), coarse)
        # The mean of 8 Cin / Cout channels at a time; they are all one child's, so it may be taken before the
        # children are put together.
        mean = x.view(len(x), h.shape[1] // 8, -1).mean(2)
        return h + space_to_channel(mean, fine, coarse)


class UpBlock(nn.Module):
    """To the next finer level, with half the channels."""

    def __init__(self, inputs: int, outputs: int, dtype: torch.dtype):
        super().__init__()
        self.norm1 = LayerNorm(inputs)
        self.conv1 = SubmanifoldConv3d(inputs, 8 * outputs, dtype)
        self.norm2 = LayerNorm(outputs, affine=False)
        self.conv2 = SubmanifoldConv3d(outputs, outputs, dtype)

    def forward(self, x: torch.Tensor, coarse: SparseLevel, fine: SparseLevel) -> torch.Tensor:
        """(n_fine, Cout) of (n_coarse, Cin)."""
        h = channel_to_space(self.conv1(_norm_silu(self.norm1, x), coarse), fine)
        h = self.conv2(_norm_silu(self.norm2, h), fine)
        skip = channel_to_space(x, fine)
        # Every channel of x goes to as many neighbouring ones as it takes.
        return (h.view(*skip.shape, -1) + skip[:, :, None]).flatten(1)


def _norm_silu(norm: LayerNorm, x: torch.Tensor) -> torch.Tensor:
    return map_rows(lambda rows: silu(norm(rows)), x, x.shape[1])
