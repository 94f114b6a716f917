"""OrbitPainter with tiny random networks: what it paints means nothing, but every part is real."""

from dataclasses import replace
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from safetensors.torch import save_file

from backend.paint.orbitpainter.model import PROMPTS, Card
from backend.paint.orbitpainter.network import PACKED
from backend.paint.orbitpainter.sample import EXPERTS

CARD = Card(size=32, frames=61, trained=False)
NETWORK = {"num_attention_heads": 2, "attention_head_dim": 24, "ffn_dim": 40, "num_layers": 2, "text_dim": 20, "freq_dim": 32,
           "out_channels": 16, "patch_size": (1, 2, 2)}
AUTOENCODER = {"base_dim": 4, "z_dim": 16, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}


def write_model(folder: Path, **card) -> Path:
    """A folder of random weights in the published layout; returns it."""
    torch.manual_seed(0)
    for name in EXPERTS:
        save(WanTransformer3DModel(in_channels=PACKED, **NETWORK), folder / name, torch.bfloat16)
    save(AutoencoderKLWan(**AUTOENCODER), folder / "vae")
    texts = torch.zeros(2, 512, NETWORK["text_dim"])
    texts[:, :6] = torch.randn(2, 6, NETWORK["text_dim"])
    save_file({"wanted": texts[0].clone(), "unwanted": texts[1].clone()}, folder / PROMPTS)
    replace(CARD, **card).write(folder)
    return folder


def save(network, folder: Path, kind: torch.dtype = torch.float32) -> None:
    folder.mkdir(parents=True)
    network.save_config(folder)
    save_file({name: tensor.to(kind) for name, tensor in network.state_dict().items()}, folder / "diffusion_pytorch_model.safetensors")
