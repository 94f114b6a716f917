"""An expert that learns: the base model as it is, a LoRA on the linear layers of its blocks, and a patch
embedding of its own.

The base stays in 16 bits, what learns is float32. What it has learnt is a file like OrbitPainter's own:
``convert`` takes it as such.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import WanTransformer3DModel
from torch import nn
from torch.nn.functional import conv3d, linear

from ..paint.orbitpainter.convert import (
    RANK,
    adapted_layers,
    adapter_names,
    base_shapes,
    original_names,
    painter_shapes,
)
from ..paint.orbitpainter.network import PUBLISHED_CHANNELS, blank, filled, fold
from ..tensors import Tensors


class Adapted(nn.Module):
    """A linear layer and its LoRA: W x + B A x."""

    def __init__(self, layer: nn.Linear, down: nn.Parameter, up: nn.Parameter):
        super().__init__()
        self.layer, self.down, self.up = layer, down, up

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) + linear(linear(x, self.down.to(x.dtype)), self.up.to(x.dtype))


class PatchEmbedding(nn.Module):
    """The published patch embedding, which learns, and the reference's convolution, which does not, folded
    into one at every call."""

    def __init__(
        self,
        video: nn.Parameter,
        bias: nn.Parameter,
        reference: tuple[torch.Tensor, torch.Tensor],
        kind: torch.dtype,
    ):
        super().__init__()
        self.video, self.bias, self.reference, self.kind = video, bias, reference, kind

    @property
    def weight(self) -> torch.Tensor:
        """(D, 65, 1, 2, 2) of :func:`backend.paint.orbitpainter.network.fold`, in the type that the network
        works in."""
        return fold(self.video, self.bias, *self.reference).to(self.kind)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight
        return conv3d(x, weight, self.bias.to(x.dtype), stride=weight.shape[2:])


@dataclass(frozen=True)
class Expert:
    """A network and what of it learns, by its name in the published file."""

    network: WanTransformer3DModel
    learning: dict[str, nn.Parameter]


def open_expert(
    folder: Path,
    base: Sequence[Path],
    painter: Path | None,
    device: torch.device,
    kind: torch.dtype = torch.bfloat16,
    rank: int = RANK,
    seed: int = 0,
) -> Expert:
    """An expert, ready to learn.

    Args:
        folder: of a converted expert, of which only the description is read.
        base: the files of the base model's expert.
        painter: OrbitPainter's file to go on from, or one of our own; None for a LoRA that changes nothing
            yet, and a patch embedding that knows the base model's channels.
        device: where it works.
        kind: in what.
        rank: of the LoRA.
        seed: of what is random in the beginning.

    Raises:
        InvalidWeights: a file is missing, damaged or of another model.
    """
    base, network = Tensors(base), blank(WanTransformer3DModel, folder)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    original = original_names(base, shapes)
    base.expect(base_shapes(shapes, original))
    expected = painter_shapes(shapes, original, rank)
    if painter:
        start = Tensors([painter])
        start.expect(expected)
        learnt = {name: start.read(name) for name in expected}
    else:
        learnt = beginning(expected, base, torch.Generator().manual_seed(seed))
    learning = {name: nn.Parameter(tensor.to(device)) for name, tensor in learnt.items()}
    video, bias = learning["patch_embedding.weight"], learning["patch_embedding.bias"]
    reference = tuple(base.read(f"ref_conv.{part}").to(device) for part in ("weight", "bias"))
    embedding = fold(video, bias, *reference).detach()  # holds the place until the one that learns takes it
    tensors = {
        name: (embedding if name == "patch_embedding.weight" else base.read(original[name])).to(device, kind)
        for name in shapes
    }
    network = filled(network, tensors)
    network.patch_embedding = PatchEmbedding(video, bias, reference, kind)
    place = {published: name for name, published in original.items()}
    for layer in adapted_layers(len(network.blocks)):
        name = place[f"{layer}.weight"].removesuffix(".weight")
        network.set_submodule(
            name, Adapted(network.get_submodule(name), *(learning[part] for part in adapter_names(layer)))
        )
    network.enable_gradient_checkpointing()
    return Expert(network, learning)


def beginning(
    shapes: dict[str, tuple[int, ...]], base: Tensors, random: torch.Generator
) -> dict[str, torch.Tensor]:
    """The tensors (of the given shapes) of a painter's file that has learnt nothing yet (specs: orbitpainter
    a.9)."""
    tensors = {}
    for name, shape in shapes.items():
        tensors[name] = torch.zeros(shape)
        if ".lora_A." in name or name == "patch_embedding.weight":
            nn.init.kaiming_uniform_(tensors[name], a=5**0.5, generator=random)  # as torch's own layers begin
    tensors["patch_embedding.weight"][:, : PUBLISHED_CHANNELS["base"]] = base.read("patch_embedding.weight")
    tensors["patch_embedding.bias"] = base.read("patch_embedding.bias")
    return tensors
