"""Weights into networks, strictly: what is missing, unknown or of another shape is an error, never a random
tensor."""

from typing import TypeVar

import torch
from torch import nn

from ...tensors import Tensors

Network = TypeVar("Network", bound=nn.Module)


def load(network: Network, tensors: Tensors, device: torch.device | str = "cpu") -> Network:
    """The network with its weights, ready to work; whatever type a file has, each becomes what the network
    holds it as.

    Args:
        network: made on the meta device.
        tensors: one state dict.
        device: where it shall work; tensors go there one by one.

    Raises:
        InvalidWeights: they are not the network's.
    """
    wanted = network.state_dict()
    tensors.expect({name: tuple(tensor.shape) for name, tensor in wanted.items()})
    network.load_state_dict(
        {name: tensors.read(name).to(device, tensor.dtype) for name, tensor in wanted.items()}, assign=True
    )
    return network.eval().requires_grad_(False)
