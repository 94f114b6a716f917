"""A painter's folder of weights, and its networks, of which only those in use are in memory."""

import gc
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel

from ...api import paths
from ...api.errors import InvalidWeights
from ...api.weights import ORBITPAINTER
from ...tensors import Tensors
from . import distilled_lora
from .device_placement import prepare_for_device
from .memory_plan import MEMORY_PROFILES, MemoryProfile
from .network import load_network
from .sampler import EXPERT_NAMES, Prompts, SamplingConfig

CARD_FILE = "model.json"
"""The model card in a painter's folder, which also has a folder for each expert, ``vae``, and perhaps the
files of :mod:`backend.paint.orbitpainter.distilled_lora`."""

PROMPTS_FILE = "prompts.safetensors"
"""The embedded prompts in a painter's folder."""


@dataclass(frozen=True)
class ModelCard:
    """What the weights were made for.

    Attributes:
        size: width and height of a view in pixels.
        frames: of an orbit's clip, 121 or 61.
        layout: one of :data:`backend.paint.orbitpainter.layouts.LAYOUTS`.
        mirror: sign of the vertical orbit, see :func:`backend.paint.orbitpainter.cameras.orbits`.
        trained: whether the weights have been trained; random ones paint noise, and the job's notes say so.
    """

    size: int = 512
    frames: int = 121
    layout: str = "sequential"
    mirror: int = -1
    trained: bool = True

    @staticmethod
    def read(folder: Path) -> "ModelCard":
        """The card of a folder.

        Raises:
            InvalidWeights: there is none, or it cannot be read.
        """
        file = folder / CARD_FILE
        if not file.is_file():
            raise InvalidWeights(
                f"OrbitPainter's weights are not in {folder}. Run: {ORBITPAINTER.command}. Or paint with "
                "Draft, which needs none.",
                "download_weights",
            )
        try:
            return ModelCard(**json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise InvalidWeights(
                f"{file} cannot be read ({error}). Delete the folder, then run: {ORBITPAINTER.command}"
            ) from error

    def write(self, folder: Path) -> None:
        (folder / CARD_FILE).write_text(json.dumps(vars(self), indent=2), encoding="utf-8")


def weights_folder() -> Path:
    """Where OrbitPainter's weights are looked for."""
    return paths.models() / "orbitpainter"


def read_prompts(file: Path) -> Prompts:
    """The embedded prompts (1, 512, C) float32 of a file.

    Raises:
        InvalidWeights: the file is missing, damaged or of something else.
    """
    tensors = Tensors([file])
    width = tensors.shapes.get("wanted", (0, 0))[-1]
    tensors.expect({"wanted": (512, width), "unwanted": (512, width)})
    return Prompts(positive=tensors.read("wanted")[None], negative=tensors.read("unwanted")[None])


class Model:
    """The networks of a folder.

    Args:
        folder: see :data:`CARD_FILE`.
        device: where they compute.
        profile: how an expert is held there; changed only after :meth:`unload_expert`.
        sampling: what the experts are used for.
    """

    def __init__(
        self,
        folder: Path,
        device: torch.device,
        profile: MemoryProfile = MEMORY_PROFILES[0],
        sampling: SamplingConfig | None = None,
    ):
        self.folder, self.device, self.profile = folder, device, profile
        self.sampling = sampling or SamplingConfig()
        self.card = ModelCard.read(folder)
        self._name, self._network = "", None

    def load_expert(self, name: str) -> WanTransformer3DModel:
        """One of :data:`backend.paint.orbitpainter.sampler.EXPERT_NAMES`, loaded once; the other one is
        unloaded first."""
        if name != self._name:
            self.unload_expert()
            network, adapter = load_network(WanTransformer3DModel, self.folder / name), None
            if self.sampling.distilled:
                shapes = {key: tuple(tensor.shape) for key, tensor in network.named_parameters()}
                adapter = distilled_lora.LoraAdapter(self.folder / distilled_lora.LORA_FILES[name], shapes)
            self._network = prepare_for_device(network, self.profile, self.device, self.sampling, adapter)
            self._name = name
        return self._network

    def unload_expert(self) -> None:
        """Frees the expert's memory, for the autoencoder or the other expert."""
        self._name, self._network = "", None
        gc.collect()  # a network with hooks refers to itself
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def load_autoencoder(self) -> AutoencoderKLWan:
        """The autoencoder, in memory for as long as the caller holds it."""
        vae = load_network(AutoencoderKLWan, self.folder / "vae").to(self.device)
        if self.profile.tiled:
            vae.enable_tiling()
        return vae

    def load_prompts(self) -> Prompts:
        """The two prompts, on the device."""
        prompts = read_prompts(self.folder / PROMPTS_FILE)
        return Prompts(prompts.positive.to(self.device), prompts.negative.to(self.device))

    def load_config(self) -> dict:
        """The configuration of an expert, as diffusers writes it."""
        return WanTransformer3DModel.load_config(self.folder / EXPERT_NAMES[0])

    def check(self) -> None:
        """Opens every file once.

        Raises:
            InvalidWeights: one is missing or damaged, or lacks what the sampling needs.
        """
        for component in (*EXPERT_NAMES, "vae"):
            files = sorted((self.folder / component).glob("*.safetensors"))
            if not files:
                raise InvalidWeights(
                    f"{self.folder / component} holds no weights. Delete the folder, then run: "
                    f"{ORBITPAINTER.command}"
                )
            Tensors(files)
        for file in distilled_lora.LORA_FILES.values():
            if self.sampling.distilled and not (self.folder / file).is_file():
                raise InvalidWeights(
                    f"Fast needs the two files of the four-step LoRA, and {self.folder / file} is missing. "
                    "Convert the model again with --fast-high and --fast-low (docs/orbitpainter.md), or "
                    "choose another quality."
                )
        read_prompts(self.folder / PROMPTS_FILE)
