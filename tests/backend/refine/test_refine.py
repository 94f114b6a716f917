"""The refine stage: TRELLIS.2 with tiny random networks through the whole pipeline, and with a flow that
knows the answer."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from torch import nn

from backend import pipeline
from backend.api.errors import InvalidMesh, InvalidSettings, InvalidWeights, OutOfMemory
from backend.api.settings import Settings
from backend.bake.bake import Texture, empty_texture
from backend.mesh.surface import Surface
from backend.mesh.texels import Texels, locate_texels, to_atlas
from backend.paint.reference import Reference
from backend.refine.refine import check as check_refinement
from backend.refine.refine import refine, select_condition_images
from backend.refine.texture_merge import merge_refinement
from backend.refine.trellis2.dual_grid import DualGrid, dual_grid
from backend.refine.trellis2.image_encoder import crop_to_object, load_image_encoder
from backend.refine.trellis2.model import Model
from backend.refine.trellis2.sampler import SIGMA_MIN
from backend.refine.trellis2.sdedit import SDEditConfig, run_sdedit
from backend.refine.voxel_colors import voxel_colors
from backend.render.camera import horizontal_orbit
from backend.render.rasterize import render
from tests import tiny_trellis
from tests.command_line import run_here
from tests.meshes import decode_png, job, mesh_data, psnr, surface_of

ROOT = Path(__file__).resolve().parents[3]


def needle() -> trimesh.Trimesh:
    """A shape without symmetry that fills few cells of a grid of 512."""
    mesh = trimesh.creation.icosphere(subdivisions=3)
    x, y, z = mesh.vertices.T
    return trimesh.Trimesh(np.column_stack([0.12 * x * (1 + 0.4 * z), 0.08 * y + 0.1 * z * z, z]), mesh.faces)


@pytest.fixture(scope="module")
def reference() -> Reference:
    """An orange egg on a transparent background, off centre."""
    y, x = np.mgrid[0:160, 0:200]
    alpha = (((x - 130) / 40) ** 2 + ((y - 90) / 60) ** 2 < 1).astype(np.float32)
    return Reference(np.broadcast_to(np.float32([0.9, 0.5, 0.2]), (160, 200, 3)).copy(), alpha)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    tiny_trellis.write_model(folder / "trellis2")
    return folder


@pytest.fixture
def weights(models, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(models))
    return models / "trellis2"


@pytest.fixture(scope="module")
def surface() -> Surface:
    return surface_of(needle())


@pytest.fixture(scope="module")
def grid(surface) -> DualGrid:
    return dual_grid(surface.vertices, surface.faces, 512)


@pytest.fixture(scope="module")
def texels(surface) -> Texels:
    return locate_texels(surface, 512)


@pytest.fixture(scope="module")
def texture(texels) -> Texture:
    """Stripes, seen well below, badly in the middle and not at all above."""
    z = texels.positions[:, 2:]
    stripes = 128 + 100 * np.sign(np.sin(90 * z)) * np.float32([1, -1, 0.5])
    confidence, coverage = np.select([z < -0.1, z < 0.2], [240, 20], 0), np.where(z < 0.2, 255, 0)
    maps = [to_atlas(texels, values.astype(np.float32)) for values in (stripes, confidence, coverage)]
    return Texture(*maps, np.zeros_like(maps[0]), 0.7)


def run_without_keeping(part, work):
    return work()


def ignore_progress(stage, fraction):
    pass


def check_fraction(fraction):
    assert 0 <= fraction <= 1


# The condition images and their tokens.


def test_crop_to_object_fills_a_black_square_and_keeps_proportions(reference):
    square = crop_to_object(reference, 64)
    lit = square.max(axis=2) > 60
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    assert rows[0] <= 1
    assert rows[-1] >= 62
    assert np.ptp(columns) == pytest.approx(64 * 80 / 120, abs=2)
    assert abs(columns.mean() - 31.5) < 1.5
    assert not square[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert abs(square[32, 32].astype(int) - [229, 127, 51]).max() <= 2


def test_crop_to_object_accepts_thin_and_huge_objects():
    alpha = np.zeros((40, 2000), np.float32)
    alpha[20] = 1
    assert crop_to_object(Reference(np.ones((40, 2000, 3), np.float32), alpha), 32).shape == (32, 32, 3)


def test_image_tokens_are_the_last_blocks_output_before_the_final_norm(weights, reference):
    image_encoder, network = load_image_encoder(weights / "dinov3"), tiny_trellis.image_encoder()
    image = crop_to_object(reference, 64)
    tokens = image_encoder(image)
    assert tokens.shape == (5 + (64 // 16) ** 2, 32)
    pixels = (
        torch.from_numpy(image / 255.0).permute(2, 0, 1) - torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    ) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    caught = []
    network.model.layer[-1].register_forward_hook(lambda module, inputs, output: caught.append(output))
    with torch.no_grad():
        network(pixel_values=pixels[None].float())
    last = caught[0][0] if isinstance(caught[0], torch.Tensor) else caught[0][0][0]
    mean, deviation = (
        last.mean(dim=1, keepdim=True),
        (last.var(dim=1, unbiased=False, keepdim=True) + 1e-5).sqrt(),
    )
    assert torch.allclose(tokens, (last - mean) / deviation, atol=1e-5)


def test_an_image_encoder_that_lacks_a_tensor_is_refused(tmp_path):
    network = tiny_trellis.image_encoder()
    state = {
        name: tensor for name, tensor in network.state_dict().items() if "layer.1.norm1.bias" not in name
    }
    network.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(InvalidWeights, match=r"layer\.1.norm1\.bias' is missing"):
        load_image_encoder(tmp_path)
    with pytest.raises(InvalidWeights, match="holds no DINOv3 network"):
        load_image_encoder(tmp_path / "nowhere")


def test_condition_images_are_the_reference_and_views_of_other_sides(surface, reference):
    orbits = [horizontal_orbit(1, 2.4, 1.2, 64), horizontal_orbit(24, 2.4, 1.2, 64)]
    buffers = render(surface, [camera for orbit in orbits for camera in orbit.cameras])
    frames = [np.full((64, 64, 3), number, np.uint8) for number in range(25)]
    images = select_condition_images([reference], orbits, buffers, frames, 4)
    assert [round(255 * image.color.mean()) for image in images[1:]] == [1 + 6, 1 + 12, 1 + 18]
    assert all(
        np.array_equal(image.alpha > 0.5, buffers[number].mask)
        for image, number in zip(images[1:], (7, 13, 19), strict=True)
    )
    assert (
        len(select_condition_images([reference], orbits, buffers, frames, 1))
        == len(select_condition_images([reference], [], [], [], 4))
        == 1
    )


# The stage.


class Oracle(Model):
    """The tiny networks, with a flow that leads to the voxels' own latents."""

    def flow(self, resolution):
        return OracleFlow(self.answer)

    def encoder(self, name):
        encoder = super().encoder(name)
        if name == "texture":
            encoder.register_forward_hook(
                lambda module, inputs, latents: setattr(self, "answer", self.card.texture.normalize(latents))
            )
        return encoder


class OracleFlow(nn.Module):
    def __init__(self, latents):
        super().__init__()
        self.latents = latents

    def forward(self, x, noise_level, cells, condition):
        return ((1 - SIGMA_MIN) * x[:, :4] - self.latents) / (SIGMA_MIN + (1 - SIGMA_MIN) * noise_level)


@pytest.mark.parametrize("start", [0.2, 0.9])
def test_sdedit_with_an_oracle_flow_returns_voxels_and_texture(
    weights, surface, grid, texture, reference, start
):
    colors = voxel_colors(surface, texture, grid)
    before, after = run_sdedit(
        Oracle(weights, torch.device("cpu")),
        grid,
        colors.values,
        [crop_to_object(reference, 32)],
        SDEditConfig(start, 4, 1),
        check_fraction,
        run_without_keeping,
    )
    assert before.std() > 0.01
    assert abs(after - before).max() < 1e-4
    seen = texture.coverage[..., 0] > 0
    refined = merge_refinement(surface, texture, grid, colors, before, after)
    assert psnr(refined.base_color[seen], texture.base_color[seen]) > 45


def test_refine_strength_zero_is_the_identity(weights, surface, texture, reference):
    settings = Settings(refine=True, refine_strength=0.0)
    assert refine(surface, texture, [reference], settings, check_fraction, run_without_keeping) is texture


def test_refine_hardly_changes_what_was_seen_well_and_changes_the_rest(
    weights, surface, texture, texels, reference
):
    refined = refine(
        surface,
        texture,
        [reference, reference],
        Settings(refine=True, refine_steps=2),
        check_fraction,
        run_without_keeping,
    )
    change = abs(refined.base_color.astype(int) - texture.base_color)[texels.mask].mean(axis=1)
    height = texels.positions[:, 2]
    assert change[height < -0.12].mean() < 1
    assert change[(height > -0.05) & (height < 0.15)].mean() > 2
    assert change[height > 0.25].mean() > 5
    assert refined.metallic.std() > 0
    assert refined.roughness.std() > 0
    assert refined.notes == ("TRELLIS.2's weights are random: its colours mean nothing.",)


def test_sdedit_depends_on_its_seed_alone(weights, grid, reference):
    model, image = Model(weights, torch.device("cpu")), crop_to_object(reference, 32)
    one, other, third = (
        run_sdedit(
            model, grid, None, [image], SDEditConfig(1.0, 2, seed), check_fraction, run_without_keeping
        )
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one[1], other[1])
    assert not np.array_equal(one[1], third[1])
    assert not one[0].any(), "there were no colours before"


def test_a_resumed_refinement_does_not_denoise_again(weights, grid, reference):
    model, image, kept = Model(weights, torch.device("cpu")), crop_to_object(reference, 32), {}

    def keep(part, work):
        if part not in kept:
            kept[part] = work()
        return kept[part]

    first = run_sdedit(model, grid, None, [image], SDEditConfig(1.0, 2, 0), check_fraction, keep)
    assert set(kept) == {"latents", "denoised"}
    model.flow = model.encoder = model.image_encoder = None
    assert np.array_equal(
        run_sdedit(model, grid, None, [image], SDEditConfig(1.0, 2, 0), check_fraction, keep)[1], first[1]
    )


@pytest.mark.usefixtures("quick_draft")
def test_a_refined_job_has_material_maps_and_is_not_repeated(weights, tmp_path, reference):
    pixels = np.round(255 * np.dstack([reference.color, reference.alpha])).astype(np.uint8)
    wanted = job(mesh_data(needle()), pixels, refine=True, refine_steps=1, texture_size=1024)
    seen = []
    result = pipeline.run(wanted, tmp_path, lambda stage, fraction: seen.append((stage, fraction)))
    assert {"base_color", "metallic", "roughness"} <= set(result.textures)
    assert decode_png(result.textures["metallic"]).shape == (1024, 1024)
    assert result.report["seconds"]["refine"] > 0
    assert any("random" in note for note in result.report["notes"])
    fractions = [fraction for _, fraction in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] <= 1
    before = (tmp_path / "refine.npz").stat().st_mtime_ns
    again = pipeline.run(wanted, tmp_path, lambda stage, fraction: None)
    assert (tmp_path / "refine.npz").stat().st_mtime_ns == before
    assert all(np.array_equal(again.textures[name], data) for name, data in result.textures.items())
    assert not list(tmp_path.glob("refine.*.npz")), "parts are left"


@pytest.mark.usefixtures("quick_draft")
def test_the_refine_command_writes_a_glb_with_the_material(weights, tmp_path, reference):
    needle().export(tmp_path / "needle.ply")
    pixels = np.round(255 * np.dstack([reference.color, reference.alpha])).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "reference.png")
    paths = tmp_path / "needle.ply", "--image", tmp_path / "reference.png", "-o", tmp_path / "out"
    run_here("refine", *paths, "--texture-size", 1024, "--refine-steps", 1)
    assert (tmp_path / "out" / "metallic.png").exists()
    material = trimesh.load(tmp_path / "out" / "textured.glb", force="mesh").visual.material
    packed = np.asarray(material.metallicRoughnessTexture)
    assert np.array_equal(packed[..., 1], np.asarray(Image.open(tmp_path / "out" / "roughness.png")))
    assert np.array_equal(packed[..., 2], np.asarray(Image.open(tmp_path / "out" / "metallic.png")))


def test_the_trellis2_painter_textures_without_any_view(weights, tmp_path, reference):
    pixels = np.round(255 * np.dstack([reference.color, reference.alpha])).astype(np.uint8)
    result = pipeline.run(
        job(mesh_data(needle()), pixels, painter="trellis2", refine_steps=1, texture_size=1024),
        tmp_path,
        ignore_progress,
    )
    assert decode_png(result.textures["base_color"]).std() > 1
    assert not decode_png(result.textures["coverage"]).any()
    assert result.report["views"] == 0
    assert "bake" not in result.report["seconds"]


def test_missing_trellis2_weights_are_reported_before_painting(tmp_path, monkeypatch, reference):
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(tmp_path / "none"))
    pixels = np.round(255 * np.dstack([reference.color, reference.alpha])).astype(np.uint8)
    with pytest.raises(
        InvalidWeights, match=re.escape("TRELLIS.2's weights are not in") + ".*download trellis2"
    ):
        pipeline.run(job(mesh_data(needle()), pixels, refine=True), tmp_path / "job", ignore_progress)
    assert not list((tmp_path / "job").glob("*"))


def test_too_little_memory_to_refine_is_reported_before_painting(tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(tmp_path))
    with open(tiny_trellis.write_model(tmp_path / "trellis2") / "flow_1024.safetensors", "r+b") as file:
        file.truncate(1 << 42)
    with pytest.raises(OutOfMemory, match=r"takes 8798.1 GB of memory, and .* are free\. Close"):
        check_refinement()


def test_a_mesh_too_thin_for_voxels_keeps_its_painted_texture(weights, texture, reference):
    vertices = np.float32([[-0.3, 0.0001, 0.0001], [0.3, 0.0001, 0.0001], [0.3, 0.0002, 0.0002]])
    corners = np.zeros((1, 3, 3), np.float32)
    thread = Surface(vertices, np.int32([[0, 1, 2]]), corners, corners[..., :2], np.int32([0]), True)
    assert (
        refine(thread, texture, [reference], Settings(refine=True), check_fraction, run_without_keeping)
        .notes[0]
        .startswith("The mesh is too thin")
    )
    with pytest.raises(InvalidMesh, match="too thin for the refinement"):
        refine(
            thread,
            empty_texture(64),
            [reference],
            Settings(painter="trellis2"),
            check_fraction,
            run_without_keeping,
        )


def test_the_refine_setting_is_a_bool():
    assert Settings(refine=True).refines
    assert Settings(painter="trellis2").refines
    assert not Settings().refines
    for wrong in (1, "yes", None):
        with pytest.raises(InvalidSettings, match="'refine' must be true or false"):
            Settings(refine=wrong)
    with pytest.raises(InvalidSettings, match="'seed' must be a whole number"):
        Settings(seed=True)
