"""Linear layers whose weights rest in 4 bits, for GPUs and machines that have no room for 8.

Groups of 64 numbers of a row are quantized each to 16 even steps from its minimum to its maximum, rounded to
the nearest. A weight is dequantized for each use, in the dtype of the computation: that costs little beside
the product itself, and needs nothing but torch.
"""

import math

import torch
from torch import nn

GROUP_SIZE = 64
"""Weights of a row that share a minimum and a step."""


class FourBitLinear(nn.Module):
    """A linear layer with weights in 4 bits; see the module.

    Args:
        layer: the layer to replace. Its dtype is that of the computation, and its weight has an even number
            of columns.
        device: where the quantization is computed; the result lies where the layer does.
    """

    def __init__(self, layer: nn.Linear, device: torch.device):
        super().__init__()
        # (out, in) -> (out, groups, 64)
        group_size = math.gcd(GROUP_SIZE, layer.in_features)
        groups = layer.weight.to(device).float().unflatten(1, (-1, group_size))
        # (out, groups, 1) minimum and step, rounded to the layer's dtype before they are used
        low, high = groups.aminmax(dim=2, keepdim=True)
        low, step = (x.to(layer.weight.dtype) for x in (low, (high - low) / 15))
        scaled = (groups - low.float()) / step.float().clamp(min=1e-30)
        quantized = scaled.round().clamp(0, 15).to(torch.uint8).flatten(1)  # (out, in)
        # Two columns in a byte: (out, in / 2)
        packed = quantized[:, 0::2] | quantized[:, 1::2] << 4
        for name, tensor in (("packed", packed), ("low", low), ("step", step)):
            self.register_buffer(name, tensor.to(layer.weight.device))
        self.bias = layer.bias

    def weight(self) -> torch.Tensor:
        """(out, in): the dequantized weight."""
        # (out, in / 2) -> (out, in / 2, 2) -> (out, in) -> (out, groups, 64)
        quantized = torch.stack([self.packed & 15, self.packed >> 4], dim=-1)
        quantized = quantized.flatten(1).unflatten(1, (self.low.shape[1], -1))
        return torch.addcmul(self.low, quantized.to(self.low.dtype), self.step).flatten(1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(inputs, self.weight(), self.bias)


def quantize_linear_layers(block: nn.Module, device: torch.device) -> None:
    """Replaces every linear layer of a block by a :class:`FourBitLinear`."""
    for name, layer in list(block.named_modules()):
        if isinstance(layer, nn.Linear):
            parent, _, attribute = name.rpartition(".")
            setattr(block.get_submodule(parent), attribute, FourBitLinear(layer, device))
