"""OrbitPainter with tiny random networks: its images mean nothing, but every component is real."""

from dataclasses import replace
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, SamConfig, SamModel, UMT5Config, UMT5EncoderModel
from transformers.models.sam.configuration_sam import (
    SamMaskDecoderConfig,
    SamPromptEncoderConfig,
    SamVisionConfig,
)

from backend.paint.orbitpainter.model import PROMPTS_FILE, ModelCard
from backend.paint.orbitpainter.network import INPUT_CHANNELS
from backend.paint.orbitpainter.sampler import EXPERT_NAMES

CPU = torch.device("cpu")

TINY_CARD = ModelCard(size=32, frames=61, trained=False)
TINY_NETWORK = {
    "num_attention_heads": 2,
    "attention_head_dim": 24,
    "ffn_dim": 40,
    "num_layers": 2,
    "text_dim": 20,
    "freq_dim": 32,
    "out_channels": 16,
    "patch_size": (1, 2, 2),
}
TINY_AUTOENCODER = {"base_dim": 4, "z_dim": 16, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}

VOCABULARY = ("<pad>", "</s>", "<unk>", "This", "is", "a", "3D", "model", "blurred", "dark")
"""The words that the tiny text encoder knows."""


def write_model(
    folder: Path, network: dict = TINY_NETWORK, vae: AutoencoderKLWan | None = None, **card
) -> Path:
    """A folder of random weights in the published layout; returns it."""
    torch.manual_seed(0)
    for name in EXPERT_NAMES:
        save(WanTransformer3DModel(in_channels=INPUT_CHANNELS, **network), folder / name, torch.bfloat16)
    save(vae or AutoencoderKLWan(**TINY_AUTOENCODER), folder / "vae")
    texts = torch.zeros(2, 512, TINY_NETWORK["text_dim"])
    texts[:, :6] = torch.randn(2, 6, TINY_NETWORK["text_dim"])
    save_file({"wanted": texts[0].clone(), "unwanted": texts[1].clone()}, folder / PROMPTS_FILE)
    replace(TINY_CARD, **card).write(folder)
    return folder


def write_text_encoder(folder: Path, width: int) -> Path:
    """Folders ``text_encoder`` and ``tokenizer``, random, that know :data:`VOCABULARY`; returns their
    folder."""
    torch.manual_seed(0)
    config = UMT5Config(
        vocab_size=len(VOCABULARY),
        d_model=width,
        d_kv=8,
        num_heads=2,
        d_ff=32,
        num_layers=2,
        pad_token_id=0,
        eos_token_id=1,
    )
    UMT5EncoderModel(config).save_pretrained(folder / "text_encoder")
    tokenizer = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(VOCABULARY)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast_tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    fast_tokenizer.save_pretrained(folder / "tokenizer")
    return folder


def write_segmentation(folder: Path) -> Path:
    """A random Segment Anything network; returns its folder."""
    torch.manual_seed(0)
    vision = SamVisionConfig(
        hidden_size=16,
        output_channels=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        window_size=4,
        num_pos_feats=4,
        global_attn_indexes=[],
        mlp_dim=16,
    )
    prompt = SamPromptEncoderConfig(hidden_size=8, mask_input_channels=4)
    decoder = SamMaskDecoderConfig(
        hidden_size=8, mlp_dim=16, num_hidden_layers=1, num_attention_heads=2, iou_head_hidden_dim=16
    )
    network = SamModel(
        SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)
    )
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    network.save_pretrained(folder)
    return folder


def save(network, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Writes a network as diffusers does, with its weights in a dtype."""
    folder.mkdir(parents=True)
    network.save_config(folder)
    save_file(
        {name: tensor.to(dtype) for name, tensor in network.state_dict().items()},
        folder / "diffusion_pytorch_model.safetensors",
    )
