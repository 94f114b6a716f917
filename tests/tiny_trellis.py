"""TRELLIS.2 with tiny random networks: what it makes means nothing, but every part is real."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import DINOv3ViTConfig, DINOv3ViTModel

from backend.api.weights import DINOV3, TRELLIS2_FILES
from backend.refine.trellis2.autoencoder import AutoencoderConfig, Decoder, Encoder
from backend.refine.trellis2.flow import Flow, FlowConfig
from backend.refine.trellis2.model import IMAGE_ENCODER, MODEL_CARD, LatentStatistics, ModelCard

WIDTHS = AutoencoderConfig(latent=4, channels=(8, 16, 32, 64, 128), blocks=(0, 1, 1, 1, 1))
FLOW = FlowConfig(inputs=8, outputs=4, width=48, condition=32, blocks=2, heads=2, hidden=64)
OPTIONS = {"widths": WIDTHS, "flow": FLOW, "trained": False}
"""Of :func:`backend.weights.trellis2.make`: what is tiny."""

SHAPE, TEXTURE = (
    LatentStatistics((0.1, 0.2, 0.3, 0.4), (1.0, 2.0, 3.0, 4.0)),
    LatentStatistics((-0.1, 0.0, 0.1, 0.2), (0.5, 0.6, 0.7, 0.8)),
)


def networks() -> dict[str, torch.nn.Module]:
    """By their file."""
    torch.manual_seed(0)
    return {
        "shape_encoder": Encoder(WIDTHS),
        "texture_encoder": Encoder(WIDTHS),
        "texture_decoder": Decoder(WIDTHS),
        "flow_512": Flow(FLOW),
        "flow_1024": Flow(FLOW),
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
    """What a download brings, contents by path by repository, under the published names."""
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
