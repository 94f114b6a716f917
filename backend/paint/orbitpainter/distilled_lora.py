"""The four-step LoRA, with which experts need four steps and no guidance, merged into their weights as they
are loaded (docs/models/orbitpainter.md#the-four-step-lora).

Merged on loading rather than in the conversion: two more experts would take 57 GB where its two files take
1.2, and merged weights work with every memory profile. The price is some seconds per loading, and weights
that are rounded to bfloat16 a second time.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers
from torch import nn

from ...tensors import Tensors
from .network import lora_layers

LORA_FILES = {"high": "fast_high.safetensors", "low": "fast_low.safetensors"}
"""Names of the files in a painter's folder, by the expert's name."""

_PREFIX = "diffusion_model."
_PAIR_SUFFIXES = ((".lora_down.weight", ".lora_up.weight"), (".lora_A.weight", ".lora_B.weight"))
_DIFFERENCE_SUFFIXES = {".diff": ".weight", ".diff_b": ".bias", ".diff_m": ".modulation"}


class LoraAdapter:
    """What a file adds to the tensors of a network: ``alpha / rank * up @ down`` to its linear layers, whole
    differences to others.

    Args:
        file: in the original Wan code's names, as trainers of LoRAs write it: ``lora_down`` and ``lora_up``
            or ``lora_A`` and ``lora_B``; ``alpha``, which is the rank where it is not given; ``diff`` of a
            weight, ``diff_b`` of a bias, ``diff_m`` of a modulation.
        shapes: of the network's tensors, by diffusers' names.

    Raises:
        InvalidWeights: the file is damaged, a layer of the blocks is missing, or a tensor is unknown or of
            another shape.
    """

    def __init__(self, file: Path, shapes: dict[str, tuple[int, ...]]):
        self._tensors = Tensors([file])
        known = self._tensors.shapes
        # Which of the usual naming schemes the file has.
        prefix = _PREFIX if any(name.startswith(_PREFIX) for name in known) else ""
        down, up = _PAIR_SUFFIXES[any(name.endswith(_PAIR_SUFFIXES[1]) for name in known)]
        # Pairs: those that every block must have, and any others in the file.
        blocks = len({name.split(".")[1] for name in shapes if name.startswith("blocks.")})
        layers = {prefix + layer for layer in lora_layers(blocks)}
        layers |= {
            name.removesuffix(ending) for ending in (down, up) for name in known if name.endswith(ending)
        }
        self._pairs = {
            name: (stem + down, stem + up, stem + ".alpha")
            for name, stem in _match_targets(
                {stem.removeprefix(prefix) + ".weight": stem for stem in layers}, shapes
            )
            if len(shapes[name]) == 2
        }
        # Whole differences.
        changed = {
            name.removeprefix(prefix).removesuffix(ending) + kind: name
            for ending, kind in _DIFFERENCE_SUFFIXES.items()
            for name in known
            if name.endswith(ending)
        }
        self._differences = dict(_match_targets(changed, shapes))
        self._tensors.expect(self._list_expected_shapes(shapes))

    @property
    def names(self) -> set[str]:
        """diffusers' names of the tensors that change."""
        return {*self._pairs, *self._differences}

    def merge(self, parameters: dict[str, nn.Parameter], device: torch.device) -> None:
        """Adds to some of a network's parameters, by diffusers' names, computed in float32 on ``device``;
        each keeps its device and its dtype."""
        for name in parameters.keys() & self.names:
            tensor = parameters[name].data
            parameters[name].data = self._add_to(name, tensor.to(device)).to(tensor)

    def _add_to(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """float32: a tensor with what the file adds to it."""
        result = tensor.float()
        if name in self._differences:
            result = result + self._tensors.read(self._differences[name]).to(result.device)
        if name in self._pairs:
            down, up, alpha = self._pairs[name]
            rank = self._tensors.shapes[down][0]
            scale = self._tensors.read(alpha).item() / rank if alpha in self._tensors.shapes else 1.0
            result = torch.addmm(
                result,
                self._tensors.read(up).to(result.device),  # (out, rank)
                self._tensors.read(down).to(result.device),  # (rank, in)
                alpha=scale,
            )
        return result

    def _list_expected_shapes(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """The shapes of the file's tensors, by their names."""
        known = self._tensors.shapes
        expected = {key: shapes[name] for name, key in self._differences.items()}
        for name, (down, up, alpha) in self._pairs.items():
            out_features, in_features = shapes[name]
            rank = known.get(down, (0,))[0]
            expected |= {down: (rank, in_features), up: (out_features, rank)}
            if alpha in known:
                expected[alpha] = (1,) if known[alpha] == (1,) else ()
        return expected


def _match_targets(stems: dict[str, str], shapes: dict) -> Iterable[tuple[str, str]]:
    """diffusers' name and the value of those entries whose key, an original name, is one of the network's
    tensors.

    The folded patch embedding is left out: no such file was made with it.
    """
    names = convert_wan_transformer_to_diffusers({original: original for original in stems})
    return (
        (name, stems[original])
        for name, original in names.items()
        if name in shapes and not name.startswith("patch_embedding.")
    )
