"""Linear layers whose weights rest in 4 bits, for cards and machines that have no room for 8.

Groups of 64 numbers of a row, each group in 16 even steps from its least number to its greatest, rounded to
the nearest. A weight is spread out again for each use, in the type that is worked in: that costs little
beside the product itself, and needs nothing but torch.
"""

import math

import torch
from torch import nn

GROUP = 64


class FourBitLinear(nn.Module):
    """A linear layer with weights in 4 bits; see the module.

    Args:
        layer: what it stands for. Its type is the one that is worked in, and its weight has an even number of
            columns.
        device: where the rounding is done; the result lies where the layer does.
    """

    def __init__(self, layer: nn.Linear, device: torch.device):
        super().__init__()
        groups = (
            layer.weight.to(device).float().unflatten(1, (-1, math.gcd(GROUP, layer.in_features)))
        )  # (out, groups, 64)
        low, high = groups.aminmax(dim=2, keepdim=True)
        low, step = (part.to(layer.weight.dtype) for part in (low, (high - low) / 15))
        levels = (
            ((groups - low.float()) / step.float().clamp(min=1e-30))
            .round()
            .clamp(0, 15)
            .to(torch.uint8)
            .flatten(1)
        )
        for name, tensor in (
            ("packed", levels[:, 0::2] | levels[:, 1::2] << 4),
            ("low", low),
            ("step", step),
        ):
            self.register_buffer(name, tensor.to(layer.weight.device))
        self.bias = layer.bias

    def weight(self) -> torch.Tensor:
        """(out, in): what the 4 bits stand for."""
        levels = (
            torch.stack([self.packed & 15, self.packed >> 4], dim=-1)
            .flatten(1)
            .unflatten(1, (self.low.shape[1], -1))
        )
        return torch.addcmul(self.low, levels.to(self.low.dtype), self.step).flatten(1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(inputs, self.weight(), self.bias)


def squeeze(block: nn.Module, device: torch.device) -> None:
    """Puts a four-bit layer in the place of every linear layer of a block; see :class:`FourBitLinear`."""
    for name, layer in list(block.named_modules()):
        if isinstance(layer, nn.Linear):
            parent, _, own = name.rpartition(".")
            setattr(block.get_submodule(parent), own, FourBitLinear(layer, device))
