"""TRELLIS.2's networks: the published tensors, and the outputs of an independent implementation."""

import gc
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from backend.api.errors import InvalidWeights
from backend.refine.trellis2 import sparse
from backend.refine.trellis2.autoencoder import AutoencoderConfig, Decoder, Encoder
from backend.refine.trellis2.flow import Flow, FlowConfig, rope_frequencies
from backend.refine.trellis2.layers import LayerNorm
from backend.refine.trellis2.loading import load
from backend.refine.trellis2.sampler import (
    add_noise,
    average_velocities,
    denoise,
    noise_schedule,
)
from backend.refine.trellis2.sparse import build_levels
from backend.tensors import Tensors
from tests import naive_trellis2 as naive

SMALL_AUTOENCODER = AutoencoderConfig(latent=4, channels=(8, 16, 32, 64, 128), blocks=(0, 2, 1, 2, 1))
SMALL_FLOW = FlowConfig(inputs=8, outputs=4, width=40, condition=12, blocks=3, heads=2, hidden=64)


def shell(centre, radii, seed=0):
    """(N, 3) cells near an ellipsoid and a few anywhere, of a grid of 48, in random order."""
    grid = np.stack(np.meshgrid(*3 * [np.arange(48)], indexing="ij"), axis=3).reshape(-1, 3)
    random = np.random.default_rng(seed)
    distance = (np.linalg.norm((grid + 0.5 - centre) / radii, axis=1) - 1) * min(radii)
    return random.permutation(grid[(abs(distance) < 0.7) | (random.random(len(grid)) < 1e-4)])


@pytest.fixture(scope="module")
def cells():
    return shell([17, 20, 12], [16.8, 9, 12])


def randomize(network, seed=0):
    random = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        values = torch.randn(parameter.shape, generator=random)
        if name.endswith("weight") and parameter.dim() > 1:
            values /= parameter[0].numel() ** 0.5
        else:  # gains about 1, all else about 0
            values = 0.3 * values + (
                1 if name.endswith("gamma") or ("norm" in name and name.endswith("weight")) else 0
            )
        parameter.data = values.to(parameter.dtype)
    return network.requires_grad_(False)


def double_state(network):
    return {name: tensor.double() for name, tensor in network.state_dict().items()}


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def assert_close(mine, other, tolerance):
    assert other.std() > 0.1
    torch.testing.assert_close(mine.double(), other.double(), atol=tolerance, rtol=0)


# Tensors of the published files.


def convolution_tensors(name, inputs, outputs):
    return {f"{name}.weight": (outputs, 3, 3, 3, inputs), f"{name}.bias": (outputs,)}


def linear_tensors(name, inputs, outputs):
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm_tensors(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def convnext_tensors(name, width):
    return (
        convolution_tensors(f"{name}.conv", width, width)
        | norm_tensors(f"{name}.norm", width)
        | linear_tensors(f"{name}.mlp.0", width, 4 * width)
        | linear_tensors(f"{name}.mlp.2", 4 * width, width)
    )


def expected_encoder_tensors():
    tensors = linear_tensors("input_layer", 6, 64) | linear_tensors("to_latent", 1024, 64)
    for stage, (width, count) in enumerate([(64, 0), (128, 4), (256, 8), (512, 16), (1024, 4)]):
        for block in range(count):
            tensors |= convnext_tensors(f"blocks.{stage}.{block}", width)
        if stage < 4:
            name = f"blocks.{stage}.{count}"
            tensors |= norm_tensors(f"{name}.norm1", width) | convolution_tensors(
                f"{name}.conv1", width, width // 4
            )
            tensors |= convolution_tensors(f"{name}.conv2", 2 * width, 2 * width)
    return tensors


def expected_decoder_tensors():
    tensors = linear_tensors("from_latent", 32, 1024) | linear_tensors("output_layer", 64, 6)
    for stage, (width, count) in enumerate([(1024, 4), (512, 16), (256, 8), (128, 4)]):
        for block in range(count):
            tensors |= convnext_tensors(f"blocks.{stage}.{block}", width)
        name = f"blocks.{stage}.{count}"
        tensors |= norm_tensors(f"{name}.norm1", width) | convolution_tensors(
            f"{name}.conv1", width, 4 * width
        )
        tensors |= convolution_tensors(f"{name}.conv2", width // 2, width // 2)
    return tensors


def expected_flow_tensors():
    tensors = (
        linear_tensors("t_embedder.mlp.0", 256, 1536)
        | linear_tensors("t_embedder.mlp.2", 1536, 1536)
        | linear_tensors("adaLN_modulation.1", 1536, 9216)
    )
    tensors |= linear_tensors("input_layer", 64, 1536) | linear_tensors("out_layer", 1536, 32)
    for block in (f"blocks.{number}" for number in range(30)):
        tensors |= {f"{block}.modulation": (9216,)} | norm_tensors(f"{block}.norm2", 1536)
        tensors |= linear_tensors(f"{block}.self_attn.to_qkv", 1536, 4608) | linear_tensors(
            f"{block}.self_attn.to_out", 1536, 1536
        )
        tensors |= linear_tensors(f"{block}.cross_attn.to_q", 1536, 1536) | linear_tensors(
            f"{block}.cross_attn.to_kv", 1024, 3072
        )
        tensors |= linear_tensors(f"{block}.cross_attn.to_out", 1536, 1536)
        tensors |= {
            f"{block}.{kind}_attn.{which}_rms_norm.gamma": (12, 128)
            for kind in ("self", "cross")
            for which in "qk"
        }
        tensors |= linear_tensors(f"{block}.mlp.mlp.0", 1536, 8192) | linear_tensors(
            f"{block}.mlp.mlp.2", 8192, 1536
        )
    return tensors


@pytest.mark.parametrize(
    ("kind", "tensors", "count", "parameters"),
    [
        (Encoder, expected_encoder_tensors(), 284, 354_385_392),
        (Decoder, expected_decoder_tensors(), 284, 474_216_006),
        (Flow, expected_flow_tensors(), 640, 1_292_302_880),
    ],
)
def test_the_full_networks_have_the_published_tensors(kind, tensors, count, parameters):
    with torch.device("meta"):
        network = kind()
    state = network.state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == tensors
    assert len(state) == count
    assert sum(tensor.numel() for tensor in state.values()) == parameters


@pytest.mark.parametrize(
    ("kind", "half", "exact_layers"),
    [
        (Encoder, torch.float16, ("norm", "input_layer", "to_latent")),
        (Decoder, torch.float16, ("norm", "from_latent", "output_layer")),
        (
            Flow,
            torch.bfloat16,
            ("norm", "input_layer", "out_layer", "t_embedder", "adaLN_modulation", "modulation"),
        ),
    ],
)
def test_the_torso_is_in_half_precision_and_its_ends_are_not(kind, half, exact_layers):
    with torch.device("meta"):
        network = kind()
    for name, parameter in network.named_parameters():
        assert parameter.dtype == (torch.float32 if any(layer in name for layer in exact_layers) else half), (
            name
        )


# The hierarchy of grids.


def test_sparse_levels_and_neighbours_equal_the_naive_ones(cells):
    expected = naive.hierarchy(cells)
    mine = build_levels(cells)
    assert [list(map(tuple, level.coords.tolist())) for level in mine] == expected
    for level, finer in zip(mine[1:], mine, strict=False):
        x, y, z = (
            level.coords[finer.parent] * 2
            + torch.stack([finer.child % 2, finer.child // 2 % 2, finer.child // 4], dim=1)
        ).T
        assert torch.equal(torch.stack([x, y, z], dim=1), finer.coords)
    for level, coords in zip(mine, expected, strict=True):
        row = {cell: number for number, cell in enumerate(coords)}
        around = list(itertools.product((-1, 0, 1), repeat=3))
        assert level.neighbours.tolist() == [
            [row.get((x + i, y + j, z + k), -1) for i, j, k in around] for x, y, z in coords
        ]


@pytest.mark.parametrize("cells", [[[0, 0, 0]], [[1023, 1023, 1023], [0, 0, 0], [1023, 0, 1023]]])
def test_sparse_levels_accept_single_cells_and_the_grids_corners(cells):
    mine = build_levels(np.array(cells))
    assert mine[0].coords.tolist() == cells
    assert [len(level) for level in mine] == 5 * [len(cells)]
    assert all((level.neighbours >= 0).sum() == len(cells) for level in mine)


# Every network against the naive one.


@pytest.fixture(scope="module")
def encoder():
    return randomize(Encoder(SMALL_AUTOENCODER, torch.float32), 1)


@pytest.fixture(scope="module")
def decoder():
    return randomize(Decoder(SMALL_AUTOENCODER, torch.float32), 2)


@pytest.fixture(scope="module")
def flow():
    return randomize(Flow(SMALL_FLOW, torch.float32), 3)


@pytest.fixture(scope="module")
def tokens(cells):
    """Coarsest cells of the shape, and a condition of seven image tokens."""
    return build_levels(cells)[-1].coords, normal(7, 12)


def test_the_encoder_is_the_naive_one(encoder, cells):
    features = normal(len(cells), 6)
    assert_close(
        encoder(features, build_levels(cells)),
        naive.encode(double_state(encoder), features.double(), cells),
        1e-5,
    )


def test_the_decoder_is_the_naive_one(decoder, cells):
    grid = build_levels(cells)
    latents = normal(len(grid[-1]), 4)
    assert_close(decoder(latents, grid), naive.decode(double_state(decoder), latents.double(), cells), 1e-5)


def test_a_block_of_the_flow_is_the_naive_one(flow, tokens):
    coords, condition = tokens
    h, modulation, state = normal(len(coords), 40), normal(240, seed=1), double_state(flow)
    mine = flow.blocks[1](
        h, modulation, rope_frequencies(coords, 20), *flow.blocks[1].cross_attn.keys_values(condition)
    )
    assert_close(
        mine,
        naive.flow_block(state, "blocks.1", h.double(), modulation.double(), coords, condition.double()),
        1e-5,
    )


@pytest.mark.parametrize("noise_level", [0.0, 0.3, 1.0])
def test_the_flow_is_the_naive_one(flow, tokens, noise_level):
    coords, condition = tokens
    x = normal(len(coords), 8)
    assert_close(
        flow(x, noise_level, coords, condition),
        naive.flow(double_state(flow), x.double(), noise_level, coords, condition.double()),
        1e-5,
    )


def test_denoising_is_the_naive_one(flow, tokens):
    coords, condition = tokens
    latents, shape, noise = (normal(len(coords), 4, seed=seed) for seed in range(3))
    done = []
    mine = denoise(
        lambda x, noise_level: flow(torch.cat([x, shape], dim=1), noise_level, coords, condition),
        add_noise(latents, 0.4, noise),
        noise_schedule(0.4, 3),
        done.append,
    )
    doubles = (part.double() for part in (latents, shape))
    assert_close(
        mine,
        naive.refine(double_state(flow), *doubles, 0.4, 3, noise.double(), coords, condition.double()),
        1e-5,
    )
    assert done == [1 / 3, 2 / 3, 1]


def to_half(network, kind, dtype, widths):
    result = kind(widths, dtype)
    result.load_state_dict(network.state_dict())
    return result


def test_half_precision_errors_are_as_small_as_the_reference_ones(encoder, decoder, flow, cells, tokens):
    """The tolerances are those measured with the reference implementation, whose outputs were of the size of
    4 (docs/models/trellis2.md#precision-against-a-reference-implementation)."""
    grid, (coords, condition) = build_levels(cells), tokens
    features, latents, x = normal(len(cells), 6), normal(len(grid[-1]), 4), normal(len(coords), 8)
    half = torch.float16
    assert_close(
        to_half(encoder, Encoder, half, SMALL_AUTOENCODER)(features, grid), encoder(features, grid), 3e-3
    )
    assert_close(
        to_half(decoder, Decoder, half, SMALL_AUTOENCODER)(latents, grid), decoder(latents, grid), 2e-2
    )
    mine = to_half(flow, Flow, torch.bfloat16, SMALL_FLOW)(x, 0.3, coords, condition)
    assert_close(mine, flow(x, 0.3, coords, condition), 2e-2)
    assert mine.dtype == torch.float32


# Order of cells, memory, axis order.


def test_latents_ignore_the_order_of_cells_and_decoded_rows_follow_it(encoder, decoder, cells):
    features, order = (
        normal(len(cells), 6),
        torch.randperm(len(cells), generator=torch.Generator().manual_seed(5)),
    )
    grid, other = build_levels(cells), build_levels(cells[order])
    latents = encoder(features, grid)
    torch.testing.assert_close(encoder(features[order], other), latents, atol=1e-5, rtol=0)
    torch.testing.assert_close(decoder(latents, other), decoder(latents, grid)[order], atol=1e-5, rtol=0)


def test_cells_from_numpy_and_torch_of_any_type_of_integer_are_the_same(cells):
    for one, other in zip(
        build_levels(cells), build_levels(torch.from_numpy(cells.astype(np.int32))), strict=True
    ):
        assert torch.equal(one.coords, other.coords)
        assert torch.equal(one.neighbours, other.neighbours)


def test_the_chunk_size_does_not_change_the_networks_outputs(encoder, decoder, cells, monkeypatch):
    features, grid = normal(len(cells), 6), build_levels(cells)
    latents = encoder(features, grid)
    decoded = decoder(latents, grid)
    monkeypatch.setattr(sparse, "CHUNK_BYTES", 100_000)  # some 130 rows of 48 channels
    torch.testing.assert_close(encoder(features, grid), latents, atol=1e-5, rtol=0)
    torch.testing.assert_close(decoder(latents, grid), decoded, atol=1e-5, rtol=0)


def test_image_keys_and_values_are_cached_while_the_condition_lives(flow, tokens):
    coords, _ = tokens
    x, one, other = normal(len(coords), 8), normal(7, 12), normal(5, 12, seed=1)
    before = flow(x, 0.3, coords, one)
    assert not torch.allclose(flow(x, 0.3, coords, other), before)
    kept = flow._image_keys_values(one)
    assert torch.equal(flow(x, 0.3, coords, one), before)
    assert flow._image_keys_values(one) is kept
    gc.collect()
    held = len(flow._kv_cache)
    del one
    gc.collect()
    assert len(flow._kv_cache) == held - 1


def test_a_small_autoencoder_learns_coloured_voxels_as_the_naive_one_does():
    """Two colourings of one asymmetric shape at three levels. Any order of kernel axes and children could be
    learnt, but only with the right ones do the naive networks reconstruct as well from the same weights. With
    flipped kernels or swapped children they do not."""
    cells = shell([7, 9, 6], [5, 8, 4])
    cells = cells[(cells < 16).all(1) & (cells[:, 0] + cells[:, 2] < 16)]
    widths, grid = (
        AutoencoderConfig(latent=8, channels=(32, 64, 128), blocks=(0, 0, 0)),
        build_levels(cells)[:3],
    )
    waves = torch.sin(grid[0].coords / 6 @ normal(3, 3) + torch.tensor([0.0, 2.0, 4.0]))
    surface = torch.tensor([-1.0, 0.0, 1.0]).expand(len(cells), 3)  # not metallic, half rough, opaque
    coloured = [torch.cat([colours, surface], dim=1) for colours in (waves, waves.roll(1, dims=1))]
    torch.manual_seed(0)
    encoder, decoder = Encoder(widths, torch.float32), Decoder(widths, torch.float32)
    learner = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=5e-3)
    for step in range(70):
        learner.param_groups[0]["lr"] = 5e-3 * min(1, (step + 1) / 10) * (1 - step / 70)
        learner.zero_grad()
        (decoder(encoder(coloured[step % 2], grid), grid) - coloured[step % 2]).square().mean().backward()
        learner.step()

    inwards, outwards = encoder.state_dict(), decoder.state_dict()
    turned = {
        name: tensor.flip(1, 2, 3) if tensor.dim() == 5 else tensor for name, tensor in outwards.items()
    }
    swapped = [
        replace(level, child=level.child // 4 + level.child // 2 % 2 * 2 + level.child % 2 * 4)
        for level in grid
    ]
    for colours in coloured:

        def error(result, colours=colours):
            return float((result - colours)[:, :3].detach().square().mean() / colours[:, :3].var())

        latents = naive.encode(inwards, colours, cells)
        mine = error(decoder(encoder(colours, grid), grid))
        assert mine < 0.1
        assert error(naive.decode(outwards, latents, cells)) == pytest.approx(mine, rel=1e-3)
        assert error(naive.decode(turned, latents, cells)) > 4 * mine
        assert error(decoder(latents, swapped)) > 1.5 * mine


# The sampler.


@pytest.mark.parametrize(("start", "steps"), [(0.3, 4), (0.05, 1), (1.0, 12), (0.2143, 2)])
def test_the_noise_schedule_starts_at_its_level_and_falls_to_zero(start, steps):
    levels = noise_schedule(start, steps)
    assert len(levels) == steps + 1
    assert float(levels[0]) == start
    assert float(levels[-1]) == 0
    assert (levels.diff() < 0).all()


def test_the_noise_schedule_from_pure_noise_is_the_published_one():
    published = [1, 0.9706, 0.9375, 0.9, 0.8571, 0.8077, 0.75, 0.6818, 0.6, 0.5, 0.375, 0.2143, 0]
    np.testing.assert_allclose(noise_schedule(1, 12), published, atol=5e-5)


@pytest.mark.parametrize("start", [0.1, 0.3, 0.77, 1.0])
@pytest.mark.parametrize("steps", [1, 6])
def test_sampling_an_oracle_flow_returns_the_clean_latents(start, steps):
    latents, noise = normal(20, 32), normal(20, 32, seed=1)
    known = (1 - 1e-5) * noise - latents
    result = denoise(
        lambda x, noise_level: known,
        add_noise(latents, start, noise),
        noise_schedule(start, steps),
        lambda fraction: None,
    )
    torch.testing.assert_close(result, latents, atol=1e-4, rtol=0)


def test_noise_level_zero_changes_nothing_and_never_calls_the_flow():
    def refuse(x, noise_level):
        raise AssertionError

    latents = normal(20, 32)
    assert torch.equal(
        denoise(refuse, add_noise(latents, 0, normal(20, 32, seed=1)), noise_schedule(0, 6), refuse), latents
    )


def test_velocities_of_several_images_are_averaged():
    x = torch.ones(2, 3)
    twice, thrice = lambda x, noise_level: 2 * x, lambda x, noise_level: 3 * x
    assert torch.equal(average_velocities([twice, thrice])(x, 0.5), 2.5 * x)


# Loading.


def test_loaded_weights_have_the_networks_dtypes(tmp_path, encoder, cells):
    file = tmp_path / "half.safetensors"
    save_file({name: tensor.half() for name, tensor in encoder.state_dict().items()}, file)
    with torch.device("meta"):
        blank = Encoder(SMALL_AUTOENCODER)
    mine = load(blank, Tensors([file]))
    assert not any(parameter.is_meta or parameter.requires_grad for parameter in mine.parameters())
    assert mine.to_latent.weight.dtype == torch.float32
    assert mine.blocks[0][0].conv1.weight.dtype == torch.float16
    features = normal(len(cells), 6)
    assert_close(mine(features, build_levels(cells)), encoder(features, build_levels(cells)), 1e-2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("blocks.1.0.conv.weight"), r"'blocks\.1\.0\.conv\.weight' is missing"),
        (
            lambda tensors: tensors.update({"blocks.1.0.conv.conv.weight": torch.zeros(1)}),
            r"'blocks\.1\.0\.conv\.conv\.weight' is unknown",
        ),
        (
            lambda tensors: tensors.update({"blocks.1.0.conv.bias": torch.zeros(1)}),
            r"'blocks\.1\.0\.conv\.bias' has the shape",
        ),
    ],
)
def test_weights_of_another_model_are_refused(tmp_path, encoder, change, message):
    tensors = dict(encoder.state_dict())
    change(tensors)
    file = tmp_path / "other.safetensors"
    save_file(tensors, file)
    with torch.device("meta"):
        blank = Encoder(SMALL_AUTOENCODER)
    with pytest.raises(InvalidWeights, match=message):
        load(blank, Tensors([file]))


def test_layer_norms_compute_in_float32():
    x = 1000 + normal(4, 64).half()
    assert_close(
        LayerNorm(64, affine=False)(x), torch.nn.functional.layer_norm(x.double(), (64,), eps=1e-6), 2e-3
    )
