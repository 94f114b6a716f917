"""TRELLIS.2's folder of weights and its networks, each in memory only while it works."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from ...api import paths
from ...api.errors import InvalidWeights
from ...api.weights import TRELLIS2
from ...tensors import Tensors
from .autoencoder import AutoencoderConfig, Decoder, Encoder
from .flow import Flow, FlowConfig
from .image_encoder import ImageEncoder, load_image_encoder
from .loading import load

MODEL_CARD = "model.json"
"""File of the folder that says what the networks are."""

IMAGE_ENCODER = "dinov3"
"""Folder of the image encoder, beside a file for each other network."""

PUBLISHED_AUTOENCODER = AutoencoderConfig()
"""Sizes of the published encoders and decoder."""

PUBLISHED_FLOW = FlowConfig()
"""Sizes of the published flow."""


@dataclass(frozen=True)
class LatentStatistics:
    """Mean and standard deviation of each of a latent's 32 channels, by which latents are normalised for the
    flow."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def normalize(self, latents: torch.Tensor) -> torch.Tensor:
        """(T, 32) float32 latents as the flow reads them, of an encoder's."""
        return (latents - latents.new_tensor(self.mean)) / latents.new_tensor(self.std)

    def denormalize(self, latents: torch.Tensor) -> torch.Tensor:
        """(T, 32) float32 latents as the decoder reads them, of the flow's."""
        return latents * latents.new_tensor(self.std) + latents.new_tensor(self.mean)


@dataclass(frozen=True)
class ModelCard:
    """The configuration of the networks, ``model.json``; the fields are its keys.

    Attributes:
        shape, texture: statistics of the latents of shapes and of textures.
        widths: sizes of both encoders and the decoder.
        flow: sizes of the flow.
        trained: False for random weights, whose textures come with a note that says so.
    """

    shape: LatentStatistics
    texture: LatentStatistics
    widths: AutoencoderConfig = PUBLISHED_AUTOENCODER
    flow: FlowConfig = PUBLISHED_FLOW
    trained: bool = True

    @staticmethod
    def read(folder: Path) -> "ModelCard":
        """The model card of a folder.

        Raises:
            InvalidWeights: there is none, or it cannot be read.
        """
        file = folder / MODEL_CARD
        if not file.is_file():
            raise InvalidWeights(
                f"TRELLIS.2's weights are not in {folder}. Run: {TRELLIS2.command}. Or texture without "
                "refinement, which needs none.",
                "download_weights",
            )
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            kinds = {
                "shape": LatentStatistics,
                "texture": LatentStatistics,
                "widths": AutoencoderConfig,
                "flow": FlowConfig,
            }
            return ModelCard(
                **{name: kind(**_tuples(data[name])) for name, kind in kinds.items()}, trained=data["trained"]
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidWeights(
                f"{file} cannot be read ({error!r}). Delete the folder, then run: {TRELLIS2.command}"
            ) from error

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")


def folder() -> Path:
    """Where TRELLIS.2's weights are looked for."""
    return paths.models() / TRELLIS2.name


class Model:
    """The networks of a folder.

    Args:
        folder: holds the model card, a file for each network, and the image encoder's folder.
        device: where they work. A CPU computes in float32, its fastest type; a GPU as published, in half
            precision.
    """

    def __init__(self, folder: Path, device: torch.device):
        self.folder, self.device, self.card = folder, device, ModelCard.read(folder)
        halves = device.type != "cpu"
        self._autoencoder_dtype, self._flow_dtype = (
            (torch.float16, torch.bfloat16) if halves else (torch.float32, torch.float32)
        )

    @property
    def size(self) -> int:
        """Bytes that the largest network takes on its device."""
        wider = 2 if self._flow_dtype == torch.float32 else 1  # the files are in half precision
        files = [self._file(name) for _, name, _ in self._networks()]
        return wider * max((file.stat().st_size for file in files if file.is_file()), default=0)

    def encoder(self, name: str) -> Encoder:
        """The encoder of ``shape`` or ``texture``. Every network is freed when the caller drops it."""
        return self._load(Encoder, f"{name}_encoder", self.card.widths, self._autoencoder_dtype)

    def decoder(self) -> Decoder:
        """The decoder of textures."""
        return self._load(Decoder, "texture_decoder", self.card.widths, self._autoencoder_dtype)

    def flow(self, resolution: int) -> Flow:
        """The flow for a grid of 512 or 1024 cells."""
        return self._load(Flow, f"flow_{resolution}", self.card.flow, self._flow_dtype)

    def image_encoder(self) -> ImageEncoder:
        """DINOv3, in float32 on every device."""
        return load_image_encoder(self.folder / IMAGE_ENCODER).to(self.device)

    def check(self) -> None:
        """Opens every file once and compares names and shapes of its tensors.

        Raises:
            InvalidWeights: a file is missing, damaged or of another model.
        """
        for kind, name, config in self._networks():
            state = _make_empty(kind, config, torch.float32).state_dict()
            expected = {key: tuple(tensor.shape) for key, tensor in state.items()}
            Tensors([self._file(name)]).expect(expected)
        if not (self.folder / IMAGE_ENCODER / "config.json").is_file():
            raise InvalidWeights(
                f"{self.folder / IMAGE_ENCODER} holds no image encoder. Delete the folder, then run: "
                f"{TRELLIS2.command}"
            )

    def _networks(self) -> list[tuple[type[nn.Module], str, AutoencoderConfig | FlowConfig]]:
        """Class, file name and config of every network but the image encoder."""
        card = self.card
        return [
            (Encoder, "shape_encoder", card.widths),
            (Encoder, "texture_encoder", card.widths),
            (Decoder, "texture_decoder", card.widths),
            (Flow, "flow_512", card.flow),
            (Flow, "flow_1024", card.flow),
        ]

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"

    def _load(
        self, kind: type[nn.Module], name: str, config: AutoencoderConfig | FlowConfig, dtype: torch.dtype
    ):
        return load(_make_empty(kind, config, dtype), Tensors([self._file(name)]), self.device)


def _tuples(values: dict) -> dict:
    """The lists that JSON made of a config's tuples as tuples again."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _make_empty(
    kind: type[nn.Module], config: AutoencoderConfig | FlowConfig, dtype: torch.dtype
) -> nn.Module:
    """A network on the meta device, which takes no memory."""
    with torch.device("meta"):
        return kind(config, dtype)
