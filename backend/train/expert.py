"""An expert that is trained: the frozen base model, a LoRA on the linear layers of its blocks, and a patch
embedding of its own.

The base stays in 16 bits, what is trained is float32. The result is a file like OrbitPainter's own:
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
    LORA_RANK,
    base_shapes,
    lora_names,
    map_original_names,
    painter_shapes,
)
from ..paint.orbitpainter.network import (
    PUBLISHED_CHANNELS,
    assign_weights,
    build_empty,
    fold_patch_embedding,
    lora_layers,
)
from ..tensors import Tensors


class LoraLinear(nn.Module):
    """A linear layer and its LoRA: W x + B A x, with ``down`` for A (rank, in) and ``up`` for B (out,
    rank)."""

    def __init__(self, layer: nn.Linear, down: nn.Parameter, up: nn.Parameter):
        super().__init__()
        self.layer, self.down, self.up = layer, down, up

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) + linear(linear(x, self.down.to(x.dtype)), self.up.to(x.dtype))


class TrainablePatchEmbedding(nn.Module):
    """The published patch embedding, which is trained, and the reference's convolution, which is not, folded
    into one at every call.

    Args:
        video_weight: (D, 68, 1, 2, 2).
        bias: (D,).
        reference: weight (D, 16, 2, 2) and bias (D,) of the reference's convolution.
        dtype: of the computation.
    """

    def __init__(
        self,
        video_weight: nn.Parameter,
        bias: nn.Parameter,
        reference: tuple[torch.Tensor, torch.Tensor],
        dtype: torch.dtype,
    ):
        super().__init__()
        self.video_weight, self.bias, self.reference, self.dtype = video_weight, bias, reference, dtype

    @property
    def weight(self) -> torch.Tensor:
        """(D, 65, 1, 2, 2) of :func:`backend.paint.orbitpainter.network.fold_patch_embedding`."""
        return fold_patch_embedding(self.video_weight, self.bias, *self.reference).to(self.dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight
        return conv3d(x, weight, self.bias.to(x.dtype), stride=weight.shape[2:])


@dataclass(frozen=True)
class TrainableExpert:
    """A network and its trained parameters, by their names in the published file."""

    network: WanTransformer3DModel
    parameters: dict[str, nn.Parameter]


def open_expert(
    folder: Path,
    base: Sequence[Path],
    painter: Path | None,
    device: torch.device,
    dtype: torch.dtype = torch.bfloat16,
    rank: int = LORA_RANK,
    seed: int = 0,
) -> TrainableExpert:
    """An expert, ready to be trained.

    Args:
        folder: of a converted expert, of which only the description is read.
        base: the files of the base model's expert.
        painter: OrbitPainter's file to start from, or one of our own; None for a LoRA that changes nothing
            yet, and a patch embedding that knows the base model's channels.
        device: where it computes.
        dtype: of the computation.
        rank: of the LoRA.
        seed: of the random initial values.

    Raises:
        InvalidWeights: a file is missing, damaged or of another model.
    """
    base, network = Tensors(base), build_empty(WanTransformer3DModel, folder)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    original = map_original_names(base, shapes)
    base.expect(base_shapes(shapes, original))
    start = _read_start(painter, base, painter_shapes(shapes, original, rank), seed)
    parameters = {name: nn.Parameter(tensor.to(device)) for name, tensor in start.items()}
    # The frozen base.
    embedding = TrainablePatchEmbedding(
        parameters["patch_embedding.weight"],
        parameters["patch_embedding.bias"],
        tuple(base.read(f"ref_conv.{kind}").to(device) for kind in ("weight", "bias")),
        dtype,
    )
    frozen = {
        name: base.read(original[name]).to(device, dtype)
        for name in shapes
        if name != "patch_embedding.weight"
    }
    frozen["patch_embedding.weight"] = embedding.weight.detach()  # replaced below
    network = assign_weights(network, frozen)
    # The trained layers.
    network.patch_embedding = embedding
    diffusers_names = {published: name for name, published in original.items()}
    for layer in lora_layers(len(network.blocks)):
        name = diffusers_names[f"{layer}.weight"].removesuffix(".weight")
        down, up = (parameters[key] for key in lora_names(layer))
        network.set_submodule(name, LoraLinear(network.get_submodule(name), down, up))
    network.enable_gradient_checkpointing()
    return TrainableExpert(network, parameters)


def _read_start(
    painter: Path | None, base: Tensors, shapes: dict[str, tuple[int, ...]], seed: int
) -> dict[str, torch.Tensor]:
    """The tensors of a painter's file, or initial ones if there is none."""
    if painter is None:
        return initialize(shapes, base, torch.Generator().manual_seed(seed))
    tensors = Tensors([painter])
    tensors.expect(shapes)
    return {name: tensors.read(name) for name in shapes}


def initialize(
    shapes: dict[str, tuple[int, ...]], base: Tensors, random: torch.Generator
) -> dict[str, torch.Tensor]:
    """The tensors, of the given shapes, of a painter's file before any training
    (docs/models/orbitpainter.md#training-recipe)."""
    tensors = {}
    for name, shape in shapes.items():
        tensors[name] = torch.zeros(shape)
        if ".lora_A." in name or name == "patch_embedding.weight":
            nn.init.kaiming_uniform_(tensors[name], a=5**0.5, generator=random)  # torch's default for layers
    tensors["patch_embedding.weight"][:, : PUBLISHED_CHANNELS["base"]] = base.read("patch_embedding.weight")
    tensors["patch_embedding.bias"] = base.read("patch_embedding.bias")
    return tensors
