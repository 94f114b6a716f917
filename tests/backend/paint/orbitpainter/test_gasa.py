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
from backend.paint.orbitpainter.network import INPUT_CHANNELS, condition, predict_velocity
from backend.render.camera import horizontal_orbit, vertical_orbit
from backend.render.maps import position_image
from backend.render.rasterize import render
from tests import tiny_model
from tests.meshes import surface_of


@pytest.fixture(scope="module")
def places():
    """Voxels and frames of 200 tokens, every fifth without surface, one far from all others."""
    random = np.random.default_rng(0)
    voxel, frame = (
        random.integers(0, 9, (200, 3)).astype(np.int32),
        np.repeat(np.arange(10, dtype=np.int32), 20),
    )
    voxel[::5] = -1
    voxel[1] = 60
    return voxel, frame


def allowed(voxel, frame):
    """(N, N) bool by the definition."""
    shown = voxel[:, 0] >= 0
    near = np.abs(voxel[:, None] - voxel[None]).max(axis=2) <= 3
    return torch.from_numpy(near & (frame[:, None] != frame[None]) & shown[:, None] & shown[None])


def test_neighbours_are_those_of_the_definition(places):
    near, mask = gasa.find_neighbours(*places), allowed(*places)
    found = torch.zeros_like(mask)
    for token in range(200):
        found[token, near.index[near.first[token] : near.first[token + 1]]] = True
    assert torch.equal(found, mask)
    assert 0.02 < mask.float().mean() < 0.5


@pytest.mark.parametrize("chunk", [7, 1024])
def test_gathered_attention_is_dense_masked_attention(places, chunk, monkeypatch):
    monkeypatch.setattr(gasa, "CHUNK", chunk)
    random = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(200, 3, 8, generator=random, dtype=torch.float64) for _ in range(3))
    mask = allowed(*places)
    dense = torch.softmax(
        (torch.einsum("nhd,mhd->hnm", query, key) / 8**0.5).masked_fill(~mask, -torch.inf), dim=-1
    ).nan_to_num(0)
    mine = gasa.find_neighbours(*places).attend(query, key, value)
    torch.testing.assert_close(mine, torch.einsum("hnm,mhd->nhd", dense, value), atol=1e-6, rtol=0)
    assert (mine[::5] == 0).all()
    assert (mine[1] == 0).all()
    assert mine[2].abs().sum() > 0


@pytest.fixture(scope="module")
def crowd():
    """Voxels and frames of 700 tokens, more than five blocks, scattered over the grid's lower half, some
    without surface."""
    random = np.random.default_rng(6)
    voxel = random.integers(0, 30, (700, 3)).astype(np.int32)
    voxel[random.random(700) < 0.2] = -1
    voxel[1] = gasa.VOXEL_GRID
    return voxel, random.permutation(np.repeat(np.arange(10, dtype=np.int32), 70))


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("which", ["places", "crowd"])
def test_attention_by_blocks_is_dense_masked_attention(which, request):
    voxel, frame = request.getfixturevalue(which)
    random = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(len(voxel), 3, 16, generator=random) for _ in range(3))
    mask = allowed(voxel, frame)
    dense = torch.softmax(
        (torch.einsum("nhd,mhd->hnm", query, key) / 4).masked_fill(~mask, -torch.inf), dim=-1
    ).nan_to_num(0)
    near = flex_attention.build_block_attention(
        voxel, frame, gasa.find_neighbours(voxel, frame), torch.device("cpu")
    )
    mine = near.attend(query, key, value)
    torch.testing.assert_close(mine, torch.einsum("hnm,mhd->nhd", dense, value), atol=1e-5, rtol=0)
    assert (mine[~mask.any(dim=1)] == 0).all()
    assert mask[1].sum() == 0
    assert mine[mask.any(dim=1)].abs().sum(dim=(1, 2)).min() > 0


def test_only_pairs_of_blocks_with_neighbours_are_worked_on(crowd):
    """As many as pairs of tokens need, in their order; and that order leaves few."""
    voxel, frame = crowd
    near = flex_attention.build_block_attention(
        voxel, frame, gasa.find_neighbours(voxel, frame), torch.device("cpu")
    )
    assert torch.equal(near.order[near.place], torch.arange(700))
    sorted_mask = torch.nn.functional.pad(allowed(voxel, frame)[near.order][:, near.order], (0, 68, 0, 68))
    needed = sorted_mask.unflatten(0, (6, 128)).unflatten(2, (6, 128)).any(dim=3).any(dim=1)
    for block in range(6):
        count = near.mask.kv_num_blocks[0, 0, block]
        assert set(near.mask.kv_indices[0, 0, block, :count].tolist()) == set(
            needed[block].nonzero().flatten().tolist()
        )
    unsorted = torch.nn.functional.pad(allowed(voxel, frame), (0, 68, 0, 68))
    assert (
        needed.sum()
        < 0.8 * unsorted.unflatten(0, (6, 128)).unflatten(2, (6, 128)).any(dim=3).any(dim=1).sum()
    )
    # Those without surface come last and have no block to themselves.
    assert near.mask.kv_num_blocks[0, 0, -1] == 0


def test_morton_order_interleaves_the_bits_of_three_numbers():
    voxel = np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1), (2, 0, 0), (64, 0, 0), (64, 64, 64)], np.int32)
    assert flex_attention.morton_code(voxel).tolist() == [1, 2, 4, 8, 8**6, 7 * 8**6]


@pytest.fixture
def tiny():
    torch.manual_seed(2)
    return WanTransformer3DModel(
        in_channels=INPUT_CHANNELS, **(tiny_model.NETWORK | {"num_layers": 2})
    ).eval()


@pytest.fixture
def film():
    """What a network is asked about 3 frames of 2 x 3 tokens, and where their tokens are: all in one place
    but two."""
    random = torch.Generator().manual_seed(3)
    noisy, position, normal = (torch.randn(1, 16, 3, 4, 6, generator=random) for _ in range(3))
    packed = condition(position, normal, torch.randn(1, 16, 1, 4, 6, generator=random))
    voxel = np.zeros((18, 3), np.int32)
    voxel[3:5] = -1
    asked = (noisy, packed, torch.tensor([900.0]), torch.randn(1, 512, 20, generator=random))
    return asked, gasa.find_neighbours(voxel, np.repeat(np.arange(3), 6))


@torch.no_grad()
def test_a_shut_gate_changes_nothing_and_an_open_one_does(tiny, film):
    asked, near = film
    with_branches = copy.deepcopy(tiny)
    gasa.add_sparse_branches(with_branches)
    gasa.set_sparse_attention(with_branches, near, 6)
    assert torch.equal(predict_velocity(with_branches, *asked), predict_velocity(tiny, *asked))
    with_branches.blocks[0].attn1.gasa.gate.data.fill_(1)
    assert (predict_velocity(with_branches, *asked) - predict_velocity(tiny, *asked)).abs().mean() > 1e-3


@torch.no_grad()
def test_where_all_tokens_are_near_the_branch_is_attention_to_the_other_frames(tiny):
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
    near = gasa.find_neighbours(np.zeros((12, 3), np.int32), frame)
    mask = torch.from_numpy(frame[:, None] != frame[None])[None, None]
    dense = attention.processor(attention, tokens, None, mask, rotary)
    torch.testing.assert_close(branch(tokens, rotary, near), dense, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_references_tokens_take_no_part(tiny):
    gasa.add_sparse_branches(tiny)
    attention = tiny.blocks[0].attn1
    attention.gasa.gate.data.fill_(1)
    gasa.set_sparse_attention(
        tiny, gasa.find_neighbours(np.zeros((8, 3), np.int32), np.repeat(np.arange(2), 4)), 4
    )
    tokens = torch.randn(1, 12, 48, generator=torch.Generator().manual_seed(4))
    rotary = torch.ones(1, 12, 1, 24), torch.zeros(1, 12, 1, 24)
    full, both = (
        attention.processor.full(attention, tokens, None, None, rotary),
        attention.processor(attention, tokens, None, None, rotary),
    )
    assert torch.equal(both[:, :4], full[:, :4])
    changed = tokens.clone()
    changed[:, :4] += 1
    other = (
        attention.processor(attention, changed, None, None, rotary)[:, 4:]
        - attention.processor.full(attention, changed, None, None, rotary)[:, 4:]
    )
    torch.testing.assert_close(both[:, 4:] - full[:, 4:], other, atol=1e-5, rtol=0)


def test_tokens_lie_where_the_surface_is_and_their_neighbours_are_few():
    """A sphere on both orbits at the published size: the figures of the spec, d.4, measured on another
    sphere."""
    surface = surface_of(trimesh.creation.icosphere(4))
    cameras = [
        camera
        for orbit in (horizontal_orbit, vertical_orbit)
        for camera in orbit(60, 1.5, 35 / 32, 512).cameras
    ]
    positions = [position_image(buffer) for buffer in render(surface, cameras)]
    films = LAYOUTS["joint"](list(range(60)), list(range(60, 120)))[0].clips
    voxel, frame = gasa.compute_token_voxels(positions, films)
    assert len(voxel) == 32 * (512 // TOKEN_SIZE) ** 2
    shown = voxel[:, 0] >= 0
    # On the ball, but for a token's own sweep.
    radius = np.linalg.norm((voxel[shown] + 0.5) / gasa.VOXEL_GRID - 0.5, axis=1)
    assert np.percentile(radius, 1) > 0.35
    assert radius.max() < 0.52
    assert not shown[0]
    near = gasa.find_neighbours(voxel, frame)
    count = near.first.diff().numpy()[shown]
    assert 50 < count.mean() < 90
    assert (count > 0).mean() > 0.98


def test_a_model_whose_files_have_branches_uses_them(tmp_path, monkeypatch):
    """The whole painter, its branches' gates open in one copy and shut in another."""
    monkeypatch.setitem(painter.QUALITY_PRESETS, "quality", painter.SamplingConfig(steps=2))
    results = []
    for name, gate in (("none", None), ("shut", 0.0), ("open", 1.0)):
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
        [one] = LAYOUTS["horizontal"](list(range(60)), [])
        reference = painter.Reference(np.full((32, 32, 3), 0.5, np.float32), np.ones((32, 32), np.float32))
        settings = painter.Settings(painter="orbitpainter")
        painted = painter.paint_pass(
            model, one, positions, positions, reference, {}, settings, lambda fraction: None
        )
        results.append(np.stack(list(painted.values())))
        assert gasa.has_sparse_branches(model.expert("low")) == (gate is not None)
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])
