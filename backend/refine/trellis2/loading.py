"""Strict loading of weights: a tensor that is missing, unknown or of another shape is an error and never
stays random."""

from typing import TypeVar

import torch
from torch import nn

from ...tensors import Tensors

Network = TypeVar("Network", bound=nn.Module)


def load(network: Network, tensors: Tensors, device: torch.device | str = "cpu") -> Network:
    """The network with its weights, in evaluation mode; each tensor is converted to the dtype that the
    network declares.

    Args:
        network: on the meta device.
        tensors: its state dict.
        device: where to put the tensors, one by one.

    Raises:
        InvalidWeights: they are not the network's.
    """
    expected = network.state_dict()
    tensors.expect({name: tuple(tensor.shape) for name, tensor in expected.items()})
    network.load_state_dict(
        {name: tensors.read(name).to(device, tensor.dtype) for name, tensor in expected.items()}, assign=True
    )
    return network.eval().requires_grad_(False)
