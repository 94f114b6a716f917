"""Attention between tokens that show the same place, beside a dense masked one."""

import copy

import numpy as np
import pytest
import torch
import trimesh
from diffusers import WanTransformer3DModel
from safetensors.torch import save_file

from backend.paint.orbitpainter import flex_attention, gasa, network, painter
from backend.paint.orbitpainter.layouts import LAYOUTS, TOKEN_SIZE
from backend.paint.orbitpainter.model import Model
from backend.paint.orbitpainter.network import INPUT_CHANNELS, pack_condition, predict_velocity
from backend.render.camera import horizontal_orbit, vertical_orbit
from backend.render.gbuffer_images import position_image
from backend.render.rasterize import render
from tests import tiny_model
from tests.meshes import surface_of


@pytest.fixture(scope="module")
def few_tokens():
    """Voxels and frames of 200 tokens, every fifth without surface, one far from all others."""
    random = np.random.default_rng(0)
    voxel, frame = (
        random.integers(0, 9, (200, 3)).astype(np.int32),
        np.repeat(np.arange(10, dtype=np.int32), 20),
    )
    voxel[::5] = -1
    voxel[1] = 60
    return voxel, frame


def neighbour_mask(voxel, frame):
    """(N, N) bool: which tokens are neighbours, by the definition."""
    shown = voxel[:, 0] >= 0
    near = np.abs(voxel[:, None] - voxel[None]).max(axis=2) <= 3
    return torch.from_numpy(near & (frame[:, None] != frame[None]) & shown[:, None] & shown[None])


def test_found_neighbours_equal_those_of_the_definition(few_tokens):
    neighbours, mask = gasa.find_neighbours(*few_tokens), neighbour_mask(*few_tokens)
    found = torch.zeros_like(mask)
    for token in range(200):
        found[token, neighbours.indices[neighbours.indptr[token] : neighbours.indptr[token + 1]]] = True
    assert torch.equal(found, mask)
    assert 0.02 < mask.float().mean() < 0.5


@pytest.mark.parametrize("chunk", [7, 1024])
def test_gathered_attention_equals_dense_masked_attention(few_tokens, chunk, monkeypatch):
    monkeypatch.setattr(gasa, "TOKENS_PER_CHUNK", chunk)
    random = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(200, 3, 8, generator=random, dtype=torch.float64) for _ in range(3))
    mask = neighbour_mask(*few_tokens)
    dense = torch.softmax(
        (torch.einsum("nhd,mhd->hnm", query, key) / 8**0.5).masked_fill(~mask, -torch.inf), dim=-1
    ).nan_to_num(0)
    mine = gasa.find_neighbours(*few_tokens).attend(query, key, value)
    torch.testing.assert_close(mine, torch.einsum("hnm,mhd->nhd", dense, value), atol=1e-6, rtol=0)
    assert (mine[::5] == 0).all()
    assert (mine[1] == 0).all()
    assert mine[2].abs().sum() > 0


@pytest.fixture(scope="module")
def many_tokens():
    """Voxels and frames of 700 tokens, more than five blocks, scattered over the grid's lower half, some
    without surface."""
    random = np.random.default_rng(6)
    voxel = random.integers(0, 30, (700, 3)).astype(np.int32)
    voxel[random.random(700) < 0.2] = -1
    voxel[1] = gasa.VOXEL_GRID
    return voxel, random.permutation(np.repeat(np.arange(10, dtype=np.int32), 70))


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("which", ["few_tokens", "many_tokens"])
def test_block_sparse_attention_equals_dense_masked_attention(which, request):
    voxel, frame = request.getfixturevalue(which)
    random = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(len(voxel), 3, 16, generator=random) for _ in range(3))
    mask = neighbour_mask(voxel, frame)
    dense = torch.softmax(
        (torch.einsum("nhd,mhd->hnm", query, key) / 4).masked_fill(~mask, -torch.inf), dim=-1
    ).nan_to_num(0)
    blocks = flex_attention.build_block_attention(
        voxel, frame, gasa.find_neighbours(voxel, frame), torch.device("cpu")
    )
    mine = blocks.attend(query, key, value)
    torch.testing.assert_close(mine, torch.einsum("hnm,mhd->nhd", dense, value), atol=1e-5, rtol=0)
    assert (mine[~mask.any(dim=1)] == 0).all()
    assert mask[1].sum() == 0
    assert mine[mask.any(dim=1)].abs().sum(dim=(1, 2)).min() > 0


def test_block_attention_computes_only_pairs_of_blocks_with_neighbours(many_tokens):
    """As many as pairs of tokens need, in their order; and that order leaves few."""
    voxel, frame = many_tokens
    blocks = flex_attention.build_block_attention(
        voxel, frame, gasa.find_neighbours(voxel, frame), torch.device("cpu")
    )
    assert torch.equal(blocks.order[blocks.rank], torch.arange(700))
    sorted_mask = torch.nn.functional.pad(
        neighbour_mask(voxel, frame)[blocks.order][:, blocks.order], (0, 68, 0, 68)
    )
    needed = sorted_mask.unflatten(0, (6, 128)).unflatten(2, (6, 128)).any(dim=3).any(dim=1)
    for block in range(6):
        count = blocks.mask.kv_num_blocks[0, 0, block]
        assert set(blocks.mask.kv_indices[0, 0, block, :count].tolist()) == set(
            needed[block].nonzero().flatten().tolist()
        )
    unsorted = torch.nn.functional.pad(neighbour_mask(voxel, frame), (0, 68, 0, 68))
    assert (
        needed.sum()
        < 0.8 * unsorted.unflatten(0, (6, 128)).unflatten(2, (6, 128)).any(dim=3).any(dim=1).sum()
    )
    # Those without surface come last and have no block to themselves.
    assert blocks.mask.kv_num_blocks[0, 0, -1] == 0


def test_morton_order_interleaves_the_bits_of_three_numbers():
    voxel = np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1), (2, 0, 0), (64, 0, 0), (64, 64, 64)], np.int32)
    assert flex_attention.morton_code(voxel).tolist() == [1, 2, 4, 8, 8**6, 7 * 8**6]


@pytest.fixture
def tiny():
    torch.manual_seed(2)
    return WanTransformer3DModel(
        in_channels=INPUT_CHANNELS, **(tiny_model.TINY_NETWORK | {"num_layers": 2})
    ).eval()


@pytest.fixture
def call_with_neighbours():
    """The arguments of a network for 3 frames of 2 x 3 tokens, and the sparse attention between them: all in
    one voxel except two."""
    random = torch.Generator().manual_seed(3)
    noisy, position, normal = (torch.randn(1, 16, 3, 4, 6, generator=random) for _ in range(3))
    packed = pack_condition(position, normal, torch.randn(1, 16, 1, 4, 6, generator=random))
    voxel = np.zeros((18, 3), np.int32)
    voxel[3:5] = -1
    arguments = (noisy, packed, torch.tensor([900.0]), torch.randn(1, 512, 20, generator=random))
    return arguments, gasa.find_neighbours(voxel, np.repeat(np.arange(3), 6))


@torch.no_grad()
def test_a_sparse_branch_changes_nothing_while_its_gate_is_zero(tiny, call_with_neighbours):
    arguments, neighbours = call_with_neighbours
    with_branches = copy.deepcopy(tiny)
    gasa.add_sparse_branches(with_branches)
    gasa.set_sparse_attention(with_branches, neighbours, 6)
    assert torch.equal(predict_velocity(with_branches, *arguments), predict_velocity(tiny, *arguments))
    with_branches.blocks[0].attn1.gasa.gate.data.fill_(1)
    assert (
        predict_velocity(with_branches, *arguments) - predict_velocity(tiny, *arguments)
    ).abs().mean() > 1e-3


@torch.no_grad()
def test_a_sparse_branch_of_near_tokens_attends_to_all_other_frames(tiny):
    """The copy of the full attention's layers, over all tokens but those of the same frame: as the block's
    own attention under a mask."""
    attention = tiny.blocks[0].attn1
    branch = gasa.SparseBranch(attention)
    branch.gate.data.fill_(1)
    tokens, frame = (
        torch.randn(1, 12, 48, generator=torch.Generator().manual_seed(4)),
        np.repeat(np.arange(3), 4),
    )
    angle = torch.rand(1, 12, 1, 12, generator=torch.Generator().manual_seed(5)).repeat_interleave(2, dim=-1)
    rotary = angle.cos(), angle.sin()
    neighbours = gasa.find_neighbours(np.zeros((12, 3), np.int32), frame)
    mask = torch.from_numpy(frame[:, None] != frame[None])[None, None]
    dense = attention.processor(attention, tokens, None, mask, rotary)
    torch.testing.assert_close(branch(tokens, rotary, neighbours), dense, atol=1e-5, rtol=0)


@torch.no_grad()
def test_reference_tokens_take_no_part_in_sparse_attention(tiny):
    gasa.add_sparse_branches(tiny)
    attention = tiny.blocks[0].attn1
    attention.gasa.gate.data.fill_(1)
    gasa.set_sparse_attention(
        tiny, gasa.find_neighbours(np.zeros((8, 3), np.int32), np.repeat(np.arange(2), 4)), 4
    )
    tokens = torch.randn(1, 12, 48, generator=torch.Generator().manual_seed(4))
    rotary = torch.ones(1, 12, 1, 24), torch.zeros(1, 12, 1, 24)
    full, both = (
        attention.processor.base(attention, tokens, None, None, rotary),
        attention.processor(attention, tokens, None, None, rotary),
    )
    assert torch.equal(both[:, :4], full[:, :4])
    changed = tokens.clone()
    changed[:, :4] += 1
    other = (
        attention.processor(attention, changed, None, None, rotary)[:, 4:]
        - attention.processor.base(attention, changed, None, None, rotary)[:, 4:]
    )
    torch.testing.assert_close(both[:, 4:] - full[:, 4:], other, atol=1e-5, rtol=0)


def test_token_voxels_lie_on_the_surface_and_have_few_neighbours():
    """A sphere on both orbits at the published size."""
    surface = surface_of(trimesh.creation.icosphere(4))
    cameras = [
        camera
        for orbit in (horizontal_orbit, vertical_orbit)
        for camera in orbit(60, 1.5, 35 / 32, 512).cameras
    ]
    positions = [position_image(buffer) for buffer in render(surface, cameras)]
    clips = LAYOUTS["joint"](list(range(60)), list(range(60, 120)))[0].clips
    voxel, frame = gasa.compute_token_voxels(positions, clips)
    assert len(voxel) == 32 * (512 // TOKEN_SIZE) ** 2
    shown = voxel[:, 0] >= 0
    # On the sphere, except for the distance that a token sweeps over four frames.
    radius = np.linalg.norm((voxel[shown] + 0.5) / gasa.VOXEL_GRID - 0.5, axis=1)
    assert np.percentile(radius, 1) > 0.35
    assert radius.max() < 0.52
    assert not shown[0]
    neighbours = gasa.find_neighbours(voxel, frame)
    count = neighbours.indptr.diff().numpy()[shown]
    assert 50 < count.mean() < 90
    assert (count > 0).mean() > 0.98


def test_the_painter_uses_the_sparse_branches_of_a_models_files(tmp_path, monkeypatch):
    """The whole painter, its branches' gates open in one copy and closed in another."""
    monkeypatch.setitem(painter.QUALITY_PRESETS, "quality", painter.SamplingConfig(steps=2))
    results = []
    for name, gate in (("none", None), ("closed", 0.0), ("open", 1.0)):
        folder = tiny_model.write_model(tmp_path / name, layout="horizontal")
        if gate is not None:
            for expert in ("high", "low"):
                whole = network.load_network(WanTransformer3DModel, folder / expert)
                gasa.add_sparse_branches(whole)
                for block in whole.blocks:
                    block.attn1.gasa.gate.data.fill_(gate)
                save_file(
                    {key: tensor.contiguous() for key, tensor in whole.state_dict().items()},
                    folder / expert / "diffusion_pytorch_model.safetensors",
                )
        model = Model(folder, torch.device("cpu"), sampling=painter.QUALITY_PRESETS["quality"])
        positions = [np.full((32, 32, 3), 100, np.uint8)] * 60
        [video_pass] = LAYOUTS["horizontal"](list(range(60)), [])
        reference = painter.Reference(np.full((32, 32, 3), 0.5, np.float32), np.ones((32, 32), np.float32))
        settings = painter.Settings(painter="orbitpainter")
        conditions = painter.Conditions(positions, positions, reference)
        painted = painter.paint_pass(model, video_pass, conditions, {}, settings, lambda fraction: None)
        results.append(np.stack(list(painted.values())))
        assert gasa.has_sparse_branches(model.load_expert("low")) == (gate is not None)
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])
