"""A painter's folder of weights, and its networks, of which only those at work are in memory."""

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
from ..reference import Reference
from . import distilled_lora
from .device_placement import placed
from .memory_plan import RUNGS, Rung
from .network import load
from .sampler import EXPERTS, Prompts, Sampling
from .segmentation import load_segmentation, segmented

CARD, PROMPTS, SEGMENTATION = "model.json", "prompts.safetensors", "segmentation"
"""The files of the folder beside a folder for each expert and ``vae``, and a folder that may be missing, as
may those of :mod:`backend.paint.orbitpainter.distilled_lora`."""


@dataclass(frozen=True)
class Card:
    """What the weights were made for.

    Attributes:
        size: width and height of a view in pixels.
        frames: of an orbit's film, 121 or 61.
        layout: one of :data:`backend.paint.orbitpainter.layouts.LAYOUTS`.
        mirror: sign of the vertical orbit, see :func:`backend.paint.orbitpainter.cameras.orbits`.
        trained: whether the weights have learnt anything; random ones paint noise, and say so.
    """

    size: int = 512
    frames: int = 121
    layout: str = "sequential"
    mirror: int = -1
    trained: bool = True

    @staticmethod
    def read(folder: Path) -> "Card":
        """The card of a folder.

        Raises:
            InvalidWeights: there is none, or it cannot be read.
        """
        file = folder / CARD
        if not file.is_file():
            raise InvalidWeights(
                f"OrbitPainter's weights are not in {folder}. Run: {ORBITPAINTER.command}. Or paint with "
                "Draft, which needs none.",
                "download_weights",
            )
        try:
            return Card(**json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise InvalidWeights(
                f"{file} cannot be read ({error}). Delete the folder, then run: {ORBITPAINTER.command}"
            ) from error

    def write(self, folder: Path) -> None:
        (folder / CARD).write_text(json.dumps(vars(self), indent=2), encoding="utf-8")


def folder() -> Path:
    """Where OrbitPainter's weights are looked for."""
    return paths.models() / "orbitpainter"


def embedded(file: Path) -> list[torch.Tensor]:
    """What the text encoder once made of the wanted text and the unwanted one, (1, 512, C) float32 each.

    Raises:
        InvalidWeights: the file is missing, damaged or of something else.
    """
    tensors = Tensors([file])
    width = tensors.shapes.get("wanted", (0, 0))[-1]
    tensors.expect({"wanted": (512, width), "unwanted": (512, width)})
    return [tensors.read(name)[None] for name in ("wanted", "unwanted")]


class Model:
    """The networks of a folder.

    Args:
        folder: see :data:`CARD`.
        device: where they work.
        rung: how an expert is held there; changed after :meth:`rest` only.
        sampling: what the experts are for.
    """

    def __init__(
        self, folder: Path, device: torch.device, rung: Rung = RUNGS[0], sampling: Sampling | None = None
    ):
        self.folder, self.device, self.rung, self.sampling = folder, device, rung, sampling or Sampling()
        self.card = Card.read(folder)
        self._name, self._network = "", None

    def expert(self, name: str) -> WanTransformer3DModel:
        """One of :data:`backend.paint.orbitpainter.sampler.EXPERTS`; the other one is let go first."""
        if name != self._name:
            self.rest()
            network, adapter = load(WanTransformer3DModel, self.folder / name), None
            if self.sampling.distilled:
                shapes = {key: tuple(tensor.shape) for key, tensor in network.named_parameters()}
                adapter = distilled_lora.Adapter(self.folder / distilled_lora.FILES[name], shapes)
            self._network, self._name = placed(network, self.rung, self.device, self.sampling, adapter), name
        return self._network

    def rest(self) -> None:
        """Lets the expert go, so that the autoencoder has its room."""
        self._name, self._network = "", None
        gc.collect()  # a network whose calls are hooked holds itself
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def autoencoder(self) -> AutoencoderKLWan:
        """The autoencoder, for as long as the caller holds it."""
        vae = load(AutoencoderKLWan, self.folder / "vae").to(self.device)
        if self.rung.tiled:
            vae.enable_tiling()
        return vae

    def prompts(self) -> Prompts:
        """The two texts."""
        return Prompts(*(text.to(self.device) for text in embedded(self.folder / PROMPTS)))

    def segmented(self, reference: Reference) -> Reference:
        """The reference with the alpha that the segmentation network gives it; as it is where the folder
        holds no such network."""
        part = self.folder / SEGMENTATION
        return (
            reference.with_alpha(segmented(load_segmentation(part), reference.color))
            if part.is_dir()
            else reference
        )

    def config(self) -> dict:
        """Of an expert, as diffusers writes it."""
        return WanTransformer3DModel.load_config(self.folder / EXPERTS[0])

    def check(self) -> None:
        """Opens every file once.

        Raises:
            InvalidWeights: one is missing or damaged, or has not what the sampling needs.
        """
        for part in (*EXPERTS, "vae"):
            files = sorted((self.folder / part).glob("*.safetensors"))
            if not files:
                raise InvalidWeights(
                    f"{self.folder / part} holds no weights. Delete the folder, then run: "
                    f"{ORBITPAINTER.command}"
                )
            Tensors(files)
        for file in distilled_lora.FILES.values():
            if self.sampling.distilled and not (self.folder / file).is_file():
                raise InvalidWeights(
                    f"Fast needs the two files of the four-step LoRA, and {self.folder / file} is missing. "
                    "Give them to 'python -m backend convert' as --fast-high and --fast-low, or choose "
                    "another quality."
                )
        embedded(self.folder / PROMPTS)
