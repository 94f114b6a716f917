"""TRELLIS.2 with tiny random networks: real code and files, meaningless textures."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import DINOv3ViTConfig, DINOv3ViTModel

from backend.api.weights import DINOV3, TRELLIS2_FILES
from backend.refine.trellis2.autoencoder import AutoencoderConfig, Decoder, Encoder
from backend.refine.trellis2.flow import Flow, FlowConfig
from backend.refine.trellis2.model import IMAGE_ENCODER, MODEL_CARD, LatentStatistics, ModelCard

AUTOENCODER_CONFIG = AutoencoderConfig(latent=4, channels=(8, 16, 32, 64, 128), blocks=(0, 1, 1, 1, 1))
FLOW_CONFIG = FlowConfig(inputs=8, outputs=4, width=48, condition=32, blocks=2, heads=2, hidden=64)
OPTIONS = {"widths": AUTOENCODER_CONFIG, "flow": FLOW_CONFIG, "trained": False}
"""Options of :func:`backend.weights.trellis2.make` for the tiny networks."""

SHAPE = LatentStatistics(mean=(0.1, 0.2, 0.3, 0.4), std=(1.0, 2.0, 3.0, 4.0))
TEXTURE = LatentStatistics(mean=(-0.1, 0.0, 0.1, 0.2), std=(0.5, 0.6, 0.7, 0.8))


def networks() -> dict[str, torch.nn.Module]:
    """The networks by their file name, without its ending."""
    torch.manual_seed(0)
    return {
        "shape_encoder": Encoder(AUTOENCODER_CONFIG),
        "texture_encoder": Encoder(AUTOENCODER_CONFIG),
        "texture_decoder": Decoder(AUTOENCODER_CONFIG),
        "flow_512": Flow(FLOW_CONFIG),
        "flow_1024": Flow(FLOW_CONFIG),
    }


def image_encoder() -> DINOv3ViTModel:
    """A random DINOv3 network."""
    torch.manual_seed(0)
    return DINOv3ViTModel(
        DINOv3ViTConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=48,
            num_register_tokens=4,
            patch_size=16,
        )
    ).eval()


def write_model(folder: Path) -> Path:
    """A folder of random weights in our layout; returns it."""
    folder.mkdir(parents=True)
    for name, network in networks().items():
        save_file(network.state_dict(), folder / f"{name}.safetensors", metadata={"format": "pt"})
    image_encoder().save_pretrained(folder / IMAGE_ENCODER)
    ModelCard(SHAPE, TEXTURE, **OPTIONS).write(folder / MODEL_CARD)
    return folder


def repositories(scratch: Path) -> dict[str, dict[str, bytes]]:
    """The published files of a download: contents by path, by repository."""
    made = write_model(scratch / "trellis2")
    published = json.dumps(
        {
            "name": "Trellis2TexturingPipeline",
            "args": {
                f"{name}_slat_normalization": vars(statistics)
                for name, statistics in (("shape", SHAPE), ("tex", TEXTURE))
            },
        }
    )
    files = (made / f"{name}.safetensors" for name in networks())
    contents = [published.encode(), *(file.read_bytes() for file in files)]
    return {
        TRELLIS2_FILES.repository: dict(zip(TRELLIS2_FILES.files, contents, strict=True)),
        DINOV3.repository: {path: (made / IMAGE_ENCODER / path).read_bytes() for path in DINOV3.files},
    }
