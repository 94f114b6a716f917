"""From the published files to networks that diffusers loads: every tensor checked, the LoRA merged, the
reference slot folded in.

Tensors pass one by one, so that an expert of 28 GB needs the memory of one shard. Names of the files are
those of the original Wan code; diffusers' own converter knows theirs (specs: orbitpainter c.3 to c.5).
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
from .model import PROMPTS, Card, embedded
from .network import LATENT, PACKED, PUBLISHED, PUBLISHED_CHANNELS, adapted_layers, fold, load
from .sampler import EXPERTS

RANK = 32
"""Of the published LoRA."""

SHARD = "2GB"
_NAMES = "diffusion_pytorch_model{suffix}.safetensors"


def convert_expert(
    base: Sequence[Path],
    painter: Path,
    target: Path,
    config: dict = PUBLISHED,
    rank: int = RANK,
    dtype: torch.dtype = torch.bfloat16,
    shard: str = SHARD,
    progress: Callable[[float], None] = lambda fraction: None,
) -> None:
    """Writes the folder of one expert for ``WanTransformer3DModel.from_pretrained``; it appears at the end,
    whole.

    Args:
        base: the files of the base model's expert.
        painter: OrbitPainter's file for it, LoRA and patch embedding.
        target: the folder to make.
        config: of the network, all but ``in_channels``.
        rank: of the LoRA.
        dtype: to store; the LoRA is merged in float32.
        shard: size of the files.
        progress: told the fraction done.

    Raises:
        InvalidWeights: a file is not what it should be.
        StorageError: the folder cannot be written.
    """
    base, painter = Tensors(base), Tensors([painter])
    network = _empty(config)
    empty = {name: tensor.to(dtype) for name, tensor in network.state_dict().items()}
    shapes = _shapes(network)
    original = original_names(base, shapes)
    base.expect(base_shapes(shapes, original))
    painter.expect(painter_shapes(shapes, original, rank))
    plan = split_torch_state_dict_into_shards(empty, filename_pattern=_NAMES, max_shard_size=shard)

    def write(folder: Path) -> None:
        done = 0
        for file, names in plan.filename_to_tensors.items():
            tensors = {}
            for name in names:
                tensors[name] = _merged(base, painter, original[name]).to(dtype).contiguous()
                done += 1
                progress(done / len(shapes))
            save(tensors, folder / file)
        if plan.is_sharded:
            index = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename}
            (folder / f"{_NAMES.format(suffix='')}.index.json").write_text(json.dumps(index, indent=2))
        network.save_config(folder)

    write_atomically(target, write)


def convert_model(
    base: dict[str, Path],
    painter: dict[str, Path],
    vae: Path,
    prompts: Path,
    target: Path,
    card: Card,
    progress: Callable[[str, float], None],
    four_steps: dict[str, Path] | None = None,
    config: dict = PUBLISHED,
    **options,
) -> None:
    """Writes a painter's whole folder, see :mod:`backend.paint.orbitpainter.model`; what was there before
    stays until it is whole.

    Args:
        base: per expert the file, or the folder of files, of the base model.
        painter: per expert OrbitPainter's file.
        vae: the folder of the autoencoder, as diffusers has it.
        prompts: the file of the embedded texts.
        target: the folder to make.
        card: what the weights were made for.
        progress: told what is converted, and the fraction of it that is done.
        four_steps: per expert the file of its four-step LoRA, which is checked and copied; None for none.
        config: of the experts, all but ``in_channels``.
        options: of :func:`convert_expert`.

    Raises:
        InvalidWeights: a file is not what it should be.
        StorageError: the folder cannot be written.
    """
    embedded(prompts)
    load(AutoencoderKLWan, vae)

    def write(folder: Path) -> None:
        for name, file in (four_steps or {}).items():
            copy_four_steps(file, folder / distilled_lora.FILES[name], config)
        for name in EXPERTS:
            convert_expert(
                shards(base[name]),
                painter[name],
                folder / name,
                config,
                progress=partial(progress, name),
                **options,
            )
        shutil.copytree(vae, folder / "vae")
        shutil.copy(prompts, folder / PROMPTS)
        card.write(folder)

    write_atomically(target, write)


def copy_four_steps(file: Path, target: Path, config: dict) -> None:
    """Copies a four-step LoRA, see :mod:`backend.paint.orbitpainter.distilled_lora`, for experts of a
    configuration.

    Raises:
        InvalidWeights: the file is damaged or of another model.
    """
    distilled_lora.Adapter(file, _shapes(_empty(config)))
    shutil.copy(file, target)


def original_names(base: Tensors, shapes: dict[str, tuple[int, ...]]) -> dict[str, str]:
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


def adapter_names(layer: str) -> tuple[str, str]:
    """The LoRA's two tensors of a linear layer, (rank, in) and (out, rank)."""
    return f"{layer}.lora_A.default.weight", f"{layer}.lora_B.default.weight"


def _empty(config: dict) -> WanTransformer3DModel:
    with torch.device("meta"):
        return WanTransformer3DModel(in_channels=PACKED, **config)


def _shapes(network: WanTransformer3DModel) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def base_shapes(shapes: dict, original: dict) -> dict[str, tuple[int, ...]]:
    """The tensors of a base model's expert, by original name.

    Args:
        shapes: of the network's tensors, by the name that diffusers has for them.
        original: of :func:`original_names`.
    """
    expected = {original[name]: shape for name, shape in shapes.items()}
    width, _, *kernel = expected["patch_embedding.weight"]
    return expected | {
        "patch_embedding.weight": (width, PUBLISHED_CHANNELS["base"], *kernel),
        "ref_conv.bias": (width,),
        "ref_conv.weight": (width, LATENT, *kernel[1:]),
    }


def painter_shapes(shapes: dict, original: dict, rank: int) -> dict[str, tuple[int, ...]]:
    """The tensors of OrbitPainter's file for such an expert; arguments as of :func:`base_shapes`."""
    by_original = {original[name]: shape for name, shape in shapes.items()}
    width, _, *kernel = by_original["patch_embedding.weight"]
    expected = {
        "patch_embedding.weight": (width, PUBLISHED_CHANNELS["painter"], *kernel),
        "patch_embedding.bias": (width,),
    }
    layers = sum(name.endswith("self_attn.q.weight") for name in by_original)
    for layer in adapted_layers(layers):
        (outwards, inwards), (down, up) = by_original[f"{layer}.weight"], adapter_names(layer)
        expected |= {down: (rank, inwards), up: (outwards, rank)}
    return expected


def _merged(base: Tensors, painter: Tensors, name: str) -> torch.Tensor:
    """A tensor of the result, by its original name."""
    if name == "patch_embedding.weight":
        return fold(
            painter.read(name),
            painter.read("patch_embedding.bias"),
            base.read("ref_conv.weight"),
            base.read("ref_conv.bias"),
        )
    if name == "patch_embedding.bias":
        return painter.read(name)
    down, up = adapter_names(name.removesuffix(".weight"))
    if down not in painter.shapes:
        return base.read(name)
    return base.read(name).addmm_(painter.read(up), painter.read(down))
