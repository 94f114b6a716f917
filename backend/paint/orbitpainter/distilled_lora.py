"""The four-step LoRA, with which experts need four steps and no guidance, added to their weights as they are
loaded (specs: orbitpainter e.4).

On loading, not in the conversion: two more experts would take 57 GB where its two files take 1.2, and merged
weights fit every rung as any others do. The price is some seconds per loading, and weights that are rounded
to bfloat16 a second time.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers
from torch import nn

from ...tensors import Tensors
from .network import adapted_layers

FILES = {"high": "fast_high.safetensors", "low": "fast_low.safetensors"}
"""In a painter's folder, by the expert's name."""

_PREFIX = "diffusion_model."
_PAIRS = ((".lora_down.weight", ".lora_up.weight"), (".lora_A.weight", ".lora_B.weight"))
_DIFFERENCES = {".diff": ".weight", ".diff_b": ".bias", ".diff_m": ".modulation"}


class Adapter:
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
        prefix = _PREFIX if any(name.startswith(_PREFIX) for name in known) else ""
        down, up = _PAIRS[any(name.endswith(_PAIRS[1]) for name in known)]
        blocks = len({name.split(".")[1] for name in shapes if name.startswith("blocks.")})
        layers = {prefix + layer for layer in adapted_layers(blocks)}
        layers |= {
            name.removesuffix(ending) for ending in (down, up) for name in known if name.endswith(ending)
        }
        self._pairs = {
            name: (stem + down, stem + up, stem + ".alpha")
            for name, stem in _targets(
                {stem.removeprefix(prefix) + ".weight": stem for stem in layers}, shapes
            )
            if len(shapes[name]) == 2
        }
        changed = {
            name.removeprefix(prefix).removesuffix(ending) + kind: name
            for ending, kind in _DIFFERENCES.items()
            for name in known
            if name.endswith(ending)
        }
        self._differences = dict(_targets(changed, shapes))
        self._tensors.expect(self._expected(shapes))

    @property
    def names(self) -> set[str]:
        """diffusers' names of the tensors that change."""
        return {*self._pairs, *self._differences}

    def merge(self, parameters: dict[str, nn.Parameter], device: torch.device) -> None:
        """Changes some of a network's parameters, by diffusers' names, worked out in float32 on ``device``;
        each stays where it lies and of its type."""
        for name in parameters.keys() & self.names:
            tensor = parameters[name].data
            parameters[name].data = self._added(name, tensor.to(device)).to(tensor)

    def _added(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        result = tensor.float()
        if name in self._differences:
            result = result + self._tensors.read(self._differences[name]).to(result.device)
        if name in self._pairs:
            down, up, alpha = self._pairs[name]
            rank = self._tensors.shapes[down][0]
            scale = self._tensors.read(alpha).item() / rank if alpha in self._tensors.shapes else 1.0
            result = torch.addmm(
                result,
                self._tensors.read(up).to(result.device),
                self._tensors.read(down).to(result.device),
                alpha=scale,
            )
        return result

    def _expected(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        known = self._tensors.shapes
        expected = {key: shapes[name] for name, key in self._differences.items()}
        for name, (down, up, alpha) in self._pairs.items():
            outwards, inwards = shapes[name]
            rank = known.get(down, (0,))[0]
            expected |= {down: (rank, inwards), up: (outwards, rank)}
            if alpha in known:
                expected[alpha] = (1,) if known[alpha] == (1,) else ()
        return expected


def _targets(stems: dict[str, str], shapes: dict) -> Iterable[tuple[str, str]]:
    """diffusers' name and the value of those entries whose key, an original name, is of one of the network's
    tensors.

    The folded patch embedding is not: no such file was made with it.
    """
    names = convert_wan_transformer_to_diffusers({original: original for original in stems})
    return (
        (name, stems[original])
        for name, original in names.items()
        if name in shapes and not name.startswith("patch_embedding.")
    )
