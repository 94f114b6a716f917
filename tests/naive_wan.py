"""A second, independent OrbitPainter: the original tensor names, plain loops and formulas, float64
(docs/models/orbitpainter.md#forward-pass and #noise-levels-experts-and-guidance).

Nothing here is shared with ``backend``; it is what the networks and the sampling are tested against.
"""

import itertools
import math

import torch

HEADS = 2
"""Attention heads."""

HEAD_CHANNELS = 24
"""Channels of a head."""

TOKEN_CHANNELS = HEADS * HEAD_CHANNELS
"""Channels of a token."""

NAIVE_CONFIG = {
    "num_attention_heads": HEADS,
    "attention_head_dim": HEAD_CHANNELS,
    "ffn_dim": 40,
    "num_layers": 2,
    "text_dim": 20,
    "freq_dim": 32,
    "out_channels": 16,
    "patch_size": (1, 2, 2),
}
"""The configuration of the network."""

LORA_RANK = 4
"""Rank of the painter's LoRA."""

CONVERT_OPTIONS = {"config": NAIVE_CONFIG, "rank": LORA_RANK}
"""Options of :func:`backend.paint.orbitpainter.convert.convert_expert` for these networks."""


def base_tensors(seed: int, config: dict = NAIVE_CONFIG) -> dict[str, torch.Tensor]:
    """Random weights of a base model's expert, in the names of the published file."""
    random, width = torch.Generator().manual_seed(seed), config["num_attention_heads"] * HEAD_CHANNELS

    def tensor(*shape):
        return torch.randn(*shape, generator=random) / math.sqrt(max(shape[-1], 4))

    # Embeddings of patches, reference, text and time; the head.
    tensors = {
        "patch_embedding.weight": tensor(width, 52, 1, 2, 2),
        "patch_embedding.bias": tensor(width),
        "ref_conv.weight": tensor(width, 16, 2, 2),
        "ref_conv.bias": tensor(width),
        "head.head.weight": tensor(64, width),
        "head.head.bias": tensor(64),
        "head.modulation": tensor(1, 2, width),
    }
    for name, out_features, in_features in (
        ("text_embedding.0", width, 20),
        ("text_embedding.2", width, width),
        ("time_embedding.0", width, 32),
        ("time_embedding.2", width, width),
        ("time_projection.1", 6 * width, width),
    ):
        tensors |= {f"{name}.weight": tensor(out_features, in_features), f"{name}.bias": tensor(out_features)}
    # Blocks: modulation and norm, two attentions, feed-forward.
    for block in range(config["num_layers"]):
        own = f"blocks.{block}."
        tensors |= {
            f"{own}modulation": tensor(1, 6, width),
            f"{own}norm3.weight": 1 + tensor(width),
            f"{own}norm3.bias": tensor(width),
        }
        for attention in ("self_attn", "cross_attn"):
            for part in "qkvo":
                tensors |= {
                    f"{own}{attention}.{part}.weight": tensor(width, width),
                    f"{own}{attention}.{part}.bias": tensor(width),
                }
            tensors |= {f"{own}{attention}.norm_{part}.weight": 1 + tensor(width) for part in "qk"}
        tensors |= {
            f"{own}ffn.0.weight": tensor(40, width),
            f"{own}ffn.0.bias": tensor(40),
            f"{own}ffn.2.weight": tensor(width, 40),
            f"{own}ffn.2.bias": tensor(width),
        }
    return tensors


def painter_tensors(seed: int) -> dict[str, torch.Tensor]:
    """Random weights of OrbitPainter's file for that expert."""
    random, base = torch.Generator().manual_seed(seed), base_tensors(0)
    tensors = {
        "patch_embedding.weight": torch.randn(TOKEN_CHANNELS, 68, 1, 2, 2, generator=random) / 8,
        "patch_embedding.bias": torch.randn(TOKEN_CHANNELS, generator=random),
    }
    for name, tensor in base.items():
        if name.startswith("blocks.") and tensor.ndim == 2:
            layer, (out_features, in_features) = name.removesuffix(".weight"), tensor.shape
            tensors[f"{layer}.lora_A.default.weight"] = (
                torch.randn(LORA_RANK, in_features, generator=random) / 6
            )
            tensors[f"{layer}.lora_B.default.weight"] = (
                torch.randn(out_features, LORA_RANK, generator=random) / 6
            )
    return tensors


def merge_painter(base: dict, painter: dict) -> dict[str, torch.Tensor]:
    """One expert's weights in float64: the painter's LoRA added, its patch embedding in place of the
    base's."""
    merged = {name: tensor.double() for name, tensor in base.items()}
    for name, tensor in painter.items():
        if ".lora_A." in name:
            layer = name.split(".lora_A.")[0]
            merged[f"{layer}.weight"] = (
                merged[f"{layer}.weight"]
                + painter[f"{layer}.lora_B.default.weight"].double() @ tensor.double()
            )
        elif ".lora_B." not in name:
            merged[name] = tensor.double()
    return merged


def four_step_tensors(seed: int) -> dict[str, torch.Tensor]:
    """Random weights of a four-step LoRA for an expert: pairs with alpha for its blocks, differences for some
    other tensors."""
    random, base, tensors = torch.Generator().manual_seed(seed), base_tensors(0), {}
    for name, tensor in base.items():
        if name.startswith("blocks.") and tensor.ndim == 2:
            layer, (out_features, in_features) = (
                f"diffusion_model.{name.removesuffix('.weight')}",
                tensor.shape,
            )
            tensors[f"{layer}.lora_down.weight"] = torch.randn(3, in_features, generator=random) / 4
            tensors[f"{layer}.lora_up.weight"] = torch.randn(out_features, 3, generator=random) / 4
            tensors[f"{layer}.alpha"] = torch.tensor(6.0)
    for name, ending in (
        ("blocks.1.norm3.weight", "diff"),
        ("head.head.weight", "diff"),
        ("blocks.0.ffn.0.bias", "diff_b"),
        ("time_projection.1.bias", "diff_b"),
        ("blocks.0.modulation", "diff_m"),
        ("head.modulation", "diff_m"),
    ):
        tensors[f"diffusion_model.{name.rpartition('.')[0]}.{ending}"] = (
            torch.randn(base[name].shape, generator=random) / 8
        )
    return tensors


def add_four_step_lora(weights: dict, four_steps: dict) -> dict[str, torch.Tensor]:
    """An expert's weights with such a LoRA added; its rank is 3 and its alpha 6."""
    changed = dict(weights)
    for name, tensor in four_steps.items():
        layer, _, ending = name.removeprefix("diffusion_model.").partition(".lora_")
        if ending == "down.weight":
            up = four_steps[name.replace("lora_down", "lora_up")].double()
            changed[f"{layer}.weight"] = changed[f"{layer}.weight"] + 6 / 3 * up @ tensor.double()
    for name, tensor in four_steps.items():
        layer, _, ending = name.removeprefix("diffusion_model.").rpartition(".")
        if kind := {"diff": "weight", "diff_b": "bias", "diff_m": "modulation"}.get(ending):
            changed[f"{layer}.{kind}"] = changed[f"{layer}.{kind}"] + tensor.double()
    return changed


def predict_velocity(weights: dict, noisy, position, normal, reference, time: float, text) -> torch.Tensor:
    """(16, T, h, w) velocity of latents (16, T, h, w) and a reference (16, h, w), for a text (512, C)."""
    w = weights
    # Tokens of the reference, then of the video, with their (frame, row, column).
    frames, height, width = noisy.shape[1], noisy.shape[2] // 2, noisy.shape[3] // 2
    video = torch.cat([noisy, position, torch.zeros(20, *noisy.shape[1:], dtype=torch.float64), normal])
    tokens, places = [], []
    for row in range(height):
        for column in range(width):
            patch = reference[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            tokens.append((w["ref_conv.weight"] * patch).sum(dim=(1, 2, 3)) + w["ref_conv.bias"])
            places.append((0, row, column))
    for frame in range(frames):
        for row in range(height):
            for column in range(width):
                patch = video[:, frame : frame + 1, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
                tokens.append(
                    (w["patch_embedding.weight"] * patch).sum(dim=(1, 2, 3, 4)) + w["patch_embedding.bias"]
                )
                places.append((frame + 1, row, column))
    x = torch.stack(tokens)
    # Time and text.
    half = NAIVE_CONFIG["freq_dim"] // 2
    angles = time * torch.pow(10000.0, -torch.arange(half, dtype=torch.float64) / half)
    wave = torch.cat([angles.cos(), angles.sin()])
    time_token = linear(w, "time_embedding.2", silu(linear(w, "time_embedding.0", wave)))
    modulation = linear(w, "time_projection.1", silu(time_token)).view(6, TOKEN_CHANNELS)
    text = linear(
        w,
        "text_embedding.2",
        torch.nn.functional.gelu(linear(w, "text_embedding.0", text), approximate="tanh"),
    )
    # Blocks: self-attention, cross-attention, feed-forward.
    for block in range(NAIVE_CONFIG["num_layers"]):
        own = f"blocks.{block}."
        shift1, scale1, gate1, shift2, scale2, gate2 = modulation + w[f"{own}modulation"][0]
        inner = layer_norm(x) * (1 + scale1) + shift1
        x = x + gate1 * attention(w, f"{own}self_attn", inner, inner, places)
        inner = layer_norm(x) * w[f"{own}norm3.weight"] + w[f"{own}norm3.bias"]
        x = x + attention(w, f"{own}cross_attn", inner, text, None)
        inner = layer_norm(x) * (1 + scale2) + shift2
        x = x + gate2 * linear(
            w, f"{own}ffn.2", torch.nn.functional.gelu(linear(w, f"{own}ffn.0", inner), approximate="tanh")
        )
    # Head, and tokens back to latents.
    shift, scale = w["head.modulation"][0] + time_token
    x = linear(w, "head.head", layer_norm(x) * (1 + scale) + shift)[height * width :]
    result = torch.zeros(16, frames, 2 * height, 2 * width, dtype=torch.float64)
    for token, (frame, row, column) in zip(x, places[height * width :], strict=True):
        for down in range(2):
            for across in range(2):
                result[:, frame - 1, 2 * row + down, 2 * column + across] = token[
                    (2 * down + across) * 16 : (2 * down + across + 1) * 16
                ]
    return result


def attention(w, own, x, other, places):
    """Multi-head attention of tokens x to tokens other; ``places`` only in self-attention."""
    q, k, v = linear(w, f"{own}.q", x), linear(w, f"{own}.k", other), linear(w, f"{own}.v", other)
    q, k = rms_norm(q) * w[f"{own}.norm_q.weight"], rms_norm(k) * w[f"{own}.norm_k.weight"]
    heads = []
    for head in range(HEADS):
        mine = slice(head * HEAD_CHANNELS, (head + 1) * HEAD_CHANNELS)
        a, b = q[:, mine], k[:, mine]
        if places is not None:
            a, b = apply_rope(a, places), apply_rope(b, places)
        heads.append(torch.softmax(a @ b.T / math.sqrt(HEAD_CHANNELS), dim=1) @ v[:, mine])
    return linear(w, f"{own}.o", torch.cat(heads, dim=1))


def apply_rope(x, places):
    """Rotary embedding: adjacent pairs of channels rotated by the token's frame, row and column; frames get
    the channels that rows and columns leave."""
    third = 2 * (HEAD_CHANNELS // 6)
    result = x.clone()
    for token, place in enumerate(places):
        start = 0
        for index, size in zip(place, (HEAD_CHANNELS - 2 * third, third, third), strict=True):
            for pair in range(size // 2):
                angle = index * 10000.0 ** (-2 * pair / size)
                one, two = x[token, start + 2 * pair], x[token, start + 2 * pair + 1]
                result[token, start + 2 * pair] = one * math.cos(angle) - two * math.sin(angle)
                result[token, start + 2 * pair + 1] = one * math.sin(angle) + two * math.cos(angle)
            start += size
    return result


def linear(w, name, x):
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def silu(x):
    return x / (1 + torch.exp(-x))


def layer_norm(x):
    return (x - x.mean(dim=-1, keepdim=True)) / torch.sqrt(x.var(dim=-1, unbiased=False, keepdim=True) + 1e-6)


def rms_norm(x):
    return x / torch.sqrt((x * x).mean(dim=-1, keepdim=True) + 1e-6)


def sample_clip(
    experts,
    noisy,
    position,
    normal,
    reference,
    positive,
    negative,
    steps,
    guidance,
    first=None,
    boundary=0.875,
):
    """The whole loop: latents (16, T, h, w) at the end, and which expert was used at each step, as letters H
    and L."""
    sigmas = [5 * s / (1 + 4 * s) for s in (1 - i / steps for i in range(steps + 1))]
    experts_used, x = "", noisy.clone()
    if first is not None:
        x[:, 0] = first
    for sigma, next_sigma in itertools.pairwise(sigmas):
        high = 1000 * sigma >= 1000 * boundary
        experts_used += "H" if high else "L"
        conditional, unconditional = (
            predict_velocity(experts[0 if high else 1], x, position, normal, reference, 1000 * sigma, text)
            for text in (positive, negative)
        )
        x = x + (next_sigma - sigma) * (unconditional + guidance * (conditional - unconditional))
        if first is not None:
            x[:, 0] = first
    return x, experts_used
