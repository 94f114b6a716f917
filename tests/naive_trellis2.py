"""TRELLIS.2's networks a second time, as slowly and plainly as docs/models/trellis2.md can be read (its
headings: sparse convolution, moving between scales, autoencoder blocks, encoders and decoder, texture flow,
sampling).

Driven by a state dict alone, in its dtype. Convolutions are dense, on the grid that bounds the cells; levels
are dictionaries; attention is a loop over tokens. Shares no code with the networks under test.
"""

import itertools
import math

import torch
from torch.nn.functional import conv3d, gelu, layer_norm, silu


def hierarchy(cells, depth=5):
    """The cells of every level as a list of tuples; those of the finest (N, 3) in the given order, others
    sorted."""
    result = [[tuple(cell) for cell in cells.tolist()]]
    for _ in range(depth - 1):
        result.append(sorted({(x // 2, y // 2, z // 2) for x, y, z in result[-1]}))
    return result


def layer(state, name, x):
    return x @ state[name + ".weight"].T + state[name + ".bias"]


def norm(state, name, x):
    return layer_norm(x, x.shape[-1:], state.get(name + ".weight"), state.get(name + ".bias"), 1e-6)


def conv(state, name, x, cells):
    index = torch.tensor(cells)
    index = tuple((index - index.min(0).values).T)
    grid = x.new_zeros(x.shape[1], *(int(axis.max()) + 1 for axis in index))
    grid[:, *index] = x.T
    kernel = state[name + ".weight"].permute(0, 4, 1, 2, 3)
    return conv3d(grid[None], kernel, state[name + ".bias"], padding=1)[0][:, *index].T


def gather(x, fine, coarse):
    """Concatenates the channels of eight children; x is the lowest bit of a child's number."""
    row = {cell: number for number, cell in enumerate(fine)}
    parents = []
    for x0, y0, z0 in coarse:
        children = [
            row.get((2 * x0 + dx, 2 * y0 + dy, 2 * z0 + dz))
            for dz in (0, 1)
            for dy in (0, 1)
            for dx in (0, 1)
        ]
        parents.append(
            torch.cat([x.new_zeros(x.shape[1]) if child is None else x[child] for child in children])
        )
    return torch.stack(parents)


def scatter(x, coarse, fine):
    row = {cell: number for number, cell in enumerate(coarse)}
    width = x.shape[1] // 8
    return torch.stack(
        [x[row[a // 2, b // 2, c // 2]].split(width)[a % 2 + 2 * (b % 2) + 4 * (c % 2)] for a, b, c in fine]
    )


def convnext(state, name, x, cells):
    h = norm(state, name + ".norm", conv(state, name + ".conv", x, cells))
    return x + layer(state, name + ".mlp.2", silu(layer(state, name + ".mlp.0", h)))


def down(state, name, x, fine, coarse):
    h = gather(conv(state, name + ".conv1", silu(norm(state, name + ".norm1", x)), fine), fine, coarse)
    h = conv(state, name + ".conv2", silu(norm(state, name + ".norm2", h)), coarse)
    skip = gather(x, fine, coarse)
    return h + skip.reshape(len(coarse), h.shape[1], -1).mean(-1)


def up(state, name, x, coarse, fine):
    h = scatter(conv(state, name + ".conv1", silu(norm(state, name + ".norm1", x)), coarse), coarse, fine)
    h = conv(state, name + ".conv2", silu(norm(state, name + ".norm2", h)), fine)
    skip = scatter(x, coarse, fine)
    return h + skip.repeat_interleave(h.shape[1] // skip.shape[1], dim=1)


def stages(state, x, cells, change):
    """Runs every block of the state dict, by name; ``cells`` are in the order in which the levels are
    visited."""
    for stage in range(len(cells)):
        block = 0
        while any(key.startswith(f"blocks.{stage}.{block}.") for key in state):
            name = f"blocks.{stage}.{block}"
            if f"{name}.mlp.0.weight" in state:
                x = convnext(state, name, x, cells[stage])
            else:
                x = change(state, name, x, cells[stage], cells[stage + 1])
            block += 1
    return x


def depth(state):
    """Number of levels of an autoencoder: one more than its blocks that change the level."""
    return 1 + sum(name.endswith("norm1.weight") for name in state)


def encode(state, features, cells):
    h = stages(state, layer(state, "input_layer", features), hierarchy(cells, depth(state)), down)
    latents = layer(state, "to_latent", layer_norm(h, h.shape[1:], eps=1e-5))
    return latents[:, : latents.shape[1] // 2]


def decode(state, latents, cells):
    h = stages(state, layer(state, "from_latent", latents), hierarchy(cells, depth(state))[::-1], up)
    return layer(state, "output_layer", layer_norm(h, h.shape[1:], eps=1e-5))


def rms(vector, gamma):
    return vector / max(float(vector.norm()), 1e-12) * math.sqrt(len(vector)) * gamma


def turn(vector, cell):
    """Rotary embedding of one head's channels at one cell."""
    size = len(vector)
    each = size // 2 // 3
    result = vector.clone()
    for axis in range(3):
        for number in range(each):
            angle = int(cell[axis]) * 10_000 ** (-number / each)
            pair = 2 * (axis * each + number)
            a, b = vector[pair], vector[pair + 1]
            result[pair] = a * math.cos(angle) - b * math.sin(angle)
            result[pair + 1] = a * math.sin(angle) + b * math.cos(angle)
    return result


def attend(queries, keys, values):
    """Attention of one head, on lists of vectors."""
    keys, values = torch.stack(keys), torch.stack(values)
    return [(keys @ query / math.sqrt(len(query))).softmax(0) @ values for query in queries]


def self_attention(state, name, x, cells):
    gamma = state[name + ".q_rms_norm.gamma"], state[name + ".k_rms_norm.gamma"]
    heads, size = gamma[0].shape
    tokens = [layer(state, name + ".to_qkv", token).reshape(3, heads, size) for token in x]
    results = []
    for head in range(heads):
        queries, keys = (
            [
                turn(rms(token[part, head], gamma[part][head]), cell)
                for token, cell in zip(tokens, cells, strict=True)
            ]
            for part in (0, 1)
        )
        results.append(torch.stack(attend(queries, keys, [token[2, head] for token in tokens])))
    return layer(state, name + ".to_out", torch.cat(results, dim=1))


def cross_attention(state, name, x, condition):
    heads, size = state[name + ".q_rms_norm.gamma"].shape
    tokens = [layer(state, name + ".to_q", token).reshape(heads, size) for token in x]
    image = [layer(state, name + ".to_kv", token).reshape(2, heads, size) for token in condition]
    results = []
    for head in range(heads):
        queries = [rms(token[head], state[name + ".q_rms_norm.gamma"][head]) for token in tokens]
        keys = [rms(token[0, head], state[name + ".k_rms_norm.gamma"][head]) for token in image]
        results.append(torch.stack(attend(queries, keys, [token[1, head] for token in image])))
    return layer(state, name + ".to_out", torch.cat(results, dim=1))


def flow_block(state, name, h, modulation, cells, condition):
    shift1, scale1, gate1, shift2, scale2, gate2 = (state[name + ".modulation"] + modulation).chunk(6)
    h = h + gate1 * self_attention(state, name + ".self_attn", norm({}, "", h) * (1 + scale1) + shift1, cells)
    h = h + cross_attention(state, name + ".cross_attn", norm(state, name + ".norm2", h), condition)
    a = layer(state, name + ".mlp.mlp.0", norm({}, "", h) * (1 + scale2) + shift2)
    return h + gate2 * layer(state, name + ".mlp.mlp.2", gelu(a, approximate="tanh"))


def modulation(state, noise_level):
    """The modulation that all blocks share. Its angles, up to 1000, are float32 like the published ones."""
    frequencies = torch.exp(-math.log(10_000) * torch.arange(128, dtype=torch.float32) / 128)
    angles = torch.tensor(1000 * noise_level, dtype=torch.float32) * frequencies
    waves = torch.cat([torch.cos(angles), torch.sin(angles)]).to(state["input_layer.weight"].dtype)
    embedded = layer(state, "t_embedder.mlp.2", silu(layer(state, "t_embedder.mlp.0", waves)))
    return layer(state, "adaLN_modulation.1", silu(embedded))


def flow(state, x, noise_level, cells, condition):
    h, shared, block = layer(state, "input_layer", x), modulation(state, noise_level), 0
    while f"blocks.{block}.modulation" in state:
        h = flow_block(state, f"blocks.{block}", h, shared, cells, condition)
        block += 1
    return layer(state, "out_layer", layer_norm(h, h.shape[1:], eps=1e-5))


def refine(state, latents, shape, start, steps, noise, cells, condition):
    """Partial denoising with one image."""
    x = (1 - start) * latents + (1e-5 + (1 - 1e-5) * start) * noise
    u0 = start / (3 - 2 * start)
    schedule = [3 * u / (1 + 2 * u) for u in (u0 * (steps - step) / steps for step in range(steps + 1))]
    for noise_level, following in itertools.pairwise(schedule):
        velocity = flow(state, torch.cat([x, shape], dim=1), noise_level, cells, condition)
        x = x + (following - noise_level) * velocity
    return x
