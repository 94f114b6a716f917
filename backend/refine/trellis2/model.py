"""TRELLIS.2's folder of weights, and its networks, each in memory only while it works."""

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

MODEL_CARD, IMAGE_ENCODER = "model.json", "dinov3"
"""Of the folder, beside a file for each network: what the networks are, and the folder of the network that
looks at images."""


PUBLISHED, PUBLISHED_FLOW = AutoencoderConfig(), FlowConfig()


@dataclass(frozen=True)
class LatentStatistics:
    """Mean and standard deviation of each of a latent's 32 channels; the flow knows latents without
    either."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def normalize(self, latents: torch.Tensor) -> torch.Tensor:
        """(T, 32) float32 as the flow knows them."""
        return (latents - latents.new_tensor(self.mean)) / latents.new_tensor(self.std)

    def denormalize(self, latents: torch.Tensor) -> torch.Tensor:
        """(T, 32) float32 as the decoder knows them."""
        return latents * latents.new_tensor(self.std) + latents.new_tensor(self.mean)


@dataclass(frozen=True)
class ModelCard:
    """What the networks are.

    Attributes:
        shape, texture: statistics of their latents.
        widths, flow: of the networks.
        trained: whether the weights have learnt anything; random ones make noise, and say so.
    """

    shape: LatentStatistics
    texture: LatentStatistics
    widths: AutoencoderConfig = PUBLISHED
    flow: FlowConfig = PUBLISHED_FLOW
    trained: bool = True

    @staticmethod
    def read(folder: Path) -> "Card":
        """The card of a folder.

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
        folder: see :data:`MODEL_CARD`.
        device: where they work. The CPU works in float32, which it is quickest in; a GPU as published, in
            half precision.
    """

    def __init__(self, folder: Path, device: torch.device):
        self.folder, self.device, self.card = folder, device, ModelCard.read(folder)
        halves = device.type != "cpu"
        self._torso, self._flow = (
            (torch.float16, torch.bfloat16) if halves else (torch.float32, torch.float32)
        )

    @property
    def size(self) -> int:
        """Bytes of the largest network as it is held where it works."""
        wider = 2 if self._flow == torch.float32 else 1  # the files hold half precision
        files = [self._file(name) for _, name, _ in self._networks()]
        return wider * max((file.stat().st_size for file in files if file.is_file()), default=0)

    def encoder(self, name: str) -> Encoder:
        """The encoder of ``shape`` or ``texture``, for as long as the caller holds it; so are the others."""
        return self._load(Encoder, f"{name}_encoder", self.card.widths, self._torso)

    def decoder(self) -> Decoder:
        return self._load(Decoder, "texture_decoder", self.card.widths, self._torso)

    def flow(self, resolution: int) -> Flow:
        """The flow for a grid of 512 or 1024 cells."""
        return self._load(Flow, f"flow_{resolution}", self.card.flow, self._flow)

    def image_encoder(self) -> ImageEncoder:
        return load_image_encoder(self.folder / IMAGE_ENCODER).to(self.device)

    def check(self) -> None:
        """Opens every file once, and compares names and shapes.

        Raises:
            InvalidWeights: one is missing or damaged, or of another model.
        """
        for kind, name, widths in self._networks():
            expected = {
                key: tuple(tensor.shape)
                for key, tensor in _empty(kind, widths, torch.float32).state_dict().items()
            }
            Tensors([self._file(name)]).expect(expected)
        if not (self.folder / IMAGE_ENCODER / "config.json").is_file():
            raise InvalidWeights(
                f"{self.folder / IMAGE_ENCODER} holds no network that looks at images. Delete the folder, then run: "
                f"{TRELLIS2.command}"
            )

    def _networks(self) -> list[tuple[type[nn.Module], str, AutoencoderConfig | FlowConfig]]:
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
        self, kind: type[nn.Module], name: str, widths: AutoencoderConfig | FlowConfig, dtype: torch.dtype
    ):
        return load(_empty(kind, widths, dtype), Tensors([self._file(name)]), self.device)


def _tuples(values: dict) -> dict:
    """JSON knows lists only."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _empty(kind: type[nn.Module], widths: AutoencoderConfig | FlowConfig, dtype: torch.dtype) -> nn.Module:
    with torch.device("meta"):
        return kind(widths, dtype)
