"""From the published files to networks that diffusers loads: every tensor checked, the LoRA merged, the
reference's convolution folded into the patch embedding.

Tensors are converted one by one, so that an expert of 28 GB needs the memory of one shard. Names in the files
are those of the original Wan code; diffusers' own converter knows them
(docs/models/orbitpainter.md#tensor-names-and-what-the-converter-makes-of-them).
"""

import json
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers
from huggingface_hub import split_torch_state_dict_into_shards

from ...api.errors import InvalidWeights
from ...store import write_atomically
from ...tensors import Tensors, save, shards
from . import distilled_lora
from .model import PROMPTS_FILE, ModelCard, read_prompts
from .network import (
    INPUT_CHANNELS,
    LATENT_CHANNELS,
    PUBLISHED_CHANNELS,
    PUBLISHED_CONFIG,
    fold_patch_embedding,
    load_network,
    lora_layers,
)
from .sampler import EXPERT_NAMES

LORA_RANK = 32
"""Rank of the published LoRA."""

SHARD_SIZE = "2GB"
"""Largest size of a written file."""

_SHARD_NAMES = "diffusion_pytorch_model{suffix}.safetensors"


def convert_expert(
    base: Sequence[Path],
    painter: Path,
    target: Path,
    config: dict = PUBLISHED_CONFIG,
    rank: int = LORA_RANK,
    dtype: torch.dtype = torch.bfloat16,
    shard_size: str = SHARD_SIZE,
    progress: Callable[[float], None] = lambda fraction: None,
) -> None:
    """Writes the folder of one expert for ``WanTransformer3DModel.from_pretrained``; it appears only when it
    is complete.

    Args:
        base: the files of the base model's expert.
        painter: OrbitPainter's file for it, LoRA and patch embedding.
        target: the folder to make.
        config: of the network, all but ``in_channels``.
        rank: of the LoRA.
        dtype: to store; the LoRA is merged in float32.
        shard_size: largest size of a file.
        progress: receives the fraction done.

    Raises:
        InvalidWeights: a file is not what it should be.
        StorageError: the folder cannot be written.
    """
    # Check every name and shape before anything is written.
    base, painter = Tensors(base), Tensors([painter])
    network = _build_empty_expert(config)
    shapes = _list_shapes(network)
    original = map_original_names(base, shapes)
    base.expect(base_shapes(shapes, original))
    painter.expect(painter_shapes(shapes, original, rank))
    empty = {name: tensor.to(dtype) for name, tensor in network.state_dict().items()}
    plan = split_torch_state_dict_into_shards(empty, filename_pattern=_SHARD_NAMES, max_shard_size=shard_size)

    def write(folder: Path) -> None:
        done = 0
        for file, names in plan.filename_to_tensors.items():
            tensors = {}
            for name in names:
                tensors[name] = _convert_tensor(base, painter, original[name]).to(dtype).contiguous()
                done += 1
                progress(done / len(shapes))
            save(tensors, folder / file)
        # diffusers finds the shards by this index.
        if plan.is_sharded:
            index = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename}
            (folder / f"{_SHARD_NAMES.format(suffix='')}.index.json").write_text(json.dumps(index, indent=2))
        network.save_config(folder)

    write_atomically(target, write)


def convert_model(
    base: dict[str, Path],
    painter: dict[str, Path],
    vae: Path,
    prompts: Path,
    target: Path,
    card: ModelCard,
    progress: Callable[[str, float], None],
    four_steps: dict[str, Path] | None = None,
    config: dict = PUBLISHED_CONFIG,
    **options,
) -> None:
    """Writes a painter's whole folder, see :mod:`backend.paint.orbitpainter.model`; an earlier one stays
    until the new one is complete.

    Args:
        base: per expert the file, or the folder of files, of the base model.
        painter: per expert OrbitPainter's file.
        vae: the folder of the autoencoder, as diffusers has it.
        prompts: the file of the embedded prompts.
        target: the folder to make.
        card: what the weights were made for.
        progress: receives the name of the expert that is converted, and the fraction of it that is done.
        four_steps: per expert the file of its four-step LoRA, which is checked and copied; None for none.
        config: of the experts, all but ``in_channels``.
        options: of :func:`convert_expert`.

    Raises:
        InvalidWeights: a file is not what it should be.
        StorageError: the folder cannot be written.
    """
    # What is only copied is checked first, as converting takes minutes.
    read_prompts(prompts)
    load_network(AutoencoderKLWan, vae)

    def write(folder: Path) -> None:
        for name, file in (four_steps or {}).items():
            copy_four_steps(file, folder / distilled_lora.LORA_FILES[name], config)
        for name in EXPERT_NAMES:
            convert_expert(
                shards(base[name]),
                painter[name],
                folder / name,
                config,
                progress=partial(progress, name),
                **options,
            )
        shutil.copytree(vae, folder / "vae")
        shutil.copy(prompts, folder / PROMPTS_FILE)
        card.write(folder)

    write_atomically(target, write)


def copy_four_steps(file: Path, target: Path, config: dict) -> None:
    """Copies a four-step LoRA, see :mod:`backend.paint.orbitpainter.distilled_lora`, for experts of a
    configuration.

    Raises:
        InvalidWeights: the file is damaged or of another model.
    """
    distilled_lora.LoraAdapter(file, _list_shapes(_build_empty_expert(config)))
    shutil.copy(file, target)


def map_original_names(base: Tensors, shapes: dict[str, tuple[int, ...]]) -> dict[str, str]:
    """The original Wan name of every tensor of a diffusers network.

    Raises:
        InvalidWeights: the base model has no such tensor.
    """
    names = convert_wan_transformer_to_diffusers({name: name for name in base.shapes})
    for name in shapes:
        if name not in names:
            raise InvalidWeights(
                f"{base.title}: the tensor that diffusers calls '{name}' is missing. The download is "
                "incomplete, or of another model."
            )
    return {name: names[name] for name in shapes}


def lora_names(layer: str) -> tuple[str, str]:
    """The names of the LoRA's two tensors of a linear layer, (rank, in) and (out, rank)."""
    return f"{layer}.lora_A.default.weight", f"{layer}.lora_B.default.weight"


def _build_empty_expert(config: dict) -> WanTransformer3DModel:
    """An expert without weights (on torch's meta device)."""
    with torch.device("meta"):
        return WanTransformer3DModel(in_channels=INPUT_CHANNELS, **config)


def _list_shapes(network: WanTransformer3DModel) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def base_shapes(shapes: dict, original: dict) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors of a base model's expert, by original name.

    Args:
        shapes: of the network's tensors, by diffusers' names.
        original: of :func:`map_original_names`.
    """
    expected = {original[name]: shape for name, shape in shapes.items()}
    width, _, *kernel = expected["patch_embedding.weight"]
    return expected | {
        "patch_embedding.weight": (width, PUBLISHED_CHANNELS["base"], *kernel),
        "ref_conv.bias": (width,),
        "ref_conv.weight": (width, LATENT_CHANNELS, *kernel[1:]),
    }


def painter_shapes(shapes: dict, original: dict, rank: int) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors of OrbitPainter's file for such an expert; arguments as of
    :func:`base_shapes`."""
    by_original = {original[name]: shape for name, shape in shapes.items()}
    width, _, *kernel = by_original["patch_embedding.weight"]
    expected = {
        "patch_embedding.weight": (width, PUBLISHED_CHANNELS["painter"], *kernel),
        "patch_embedding.bias": (width,),
    }
    blocks = sum(name.endswith("self_attn.q.weight") for name in by_original)
    for layer in lora_layers(blocks):
        (out_features, in_features), (down, up) = by_original[f"{layer}.weight"], lora_names(layer)
        expected |= {down: (rank, in_features), up: (out_features, rank)}
    return expected


def _convert_tensor(base: Tensors, painter: Tensors, name: str) -> torch.Tensor:
    """A tensor of the result, by its original name: folded, replaced, merged with its LoRA or unchanged."""
    if name == "patch_embedding.weight":
        return fold_patch_embedding(
            painter.read(name),
            painter.read("patch_embedding.bias"),
            base.read("ref_conv.weight"),
            base.read("ref_conv.bias"),
        )
    if name == "patch_embedding.bias":
        return painter.read(name)
    down, up = lora_names(name.removesuffix(".weight"))
    if down not in painter.shapes:
        return base.read(name)
    return base.read(name).addmm_(painter.read(up), painter.read(down))
