"""The training data: textured meshes, references, and the latents of clips."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from safetensors.torch import load_file

from backend.api.errors import InvalidMesh
from backend.mesh.files import read_textured
from backend.mesh.prepare import clean
from backend.paint.orbitpainter import agx, cameras, painter
from backend.paint.orbitpainter.model import Model
from backend.render.photograph import photograph, texture_lookup
from backend.render.rasterize import render
from backend.train import references
from backend.train.examples import REFERENCES_PER_ASSET, prepare_examples
from tests.lessons import CUBE_COLORS, ball, quarters
from tests.tiny_model import CPU


def test_colours_come_from_the_texture_of_each_part_of_a_mesh(tmp_path):
    plain = ball(quarters())
    tinted = ball(np.full((4, 4, 3), 255, np.uint8), tint=[128, 0, 255, 255])
    tinted.apply_translation([3, 0, 0])
    trimesh.Scene([plain, tinted]).export(tmp_path / "two.glb")
    mesh = read_textured(tmp_path / "two.glb")
    surface = clean(mesh.mesh.to_mesh_data())
    color = texture_lookup(surface.corner_uvs, mesh.images, mesh.image_of[surface.job_faces])
    around, over = cameras.orbits(128, mirror=1)
    front, top = (photograph(surface, color, camera) for camera in (around.cameras[0], over.cameras[30]))
    # The second ball is right of the first; a factor of 0.5 is linear, 188 in sRGB.
    np.testing.assert_allclose(front[64, 96], (188, 0, 255), atol=1)
    np.testing.assert_allclose([front[64, column] for column in (26, 48)], CUBE_COLORS[:2], atol=1)
    np.testing.assert_allclose(
        [top[row, column] for row in (75, 53) for column in (26, 48)], CUBE_COLORS, atol=1
    )
    assert front[5, 5].max() == 0


def test_textures_repeat_beyond_the_unit_square():
    texture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    uvs = np.float32([[[0.4, 0.6], [0.4, 0.6], [0.4, 0.6]], [[-1.6, 2.6], [-1.6, 2.6], [-1.6, 2.6]]])
    color = texture_lookup(uvs, [texture], np.zeros(2, int))
    np.testing.assert_allclose(
        *(color(np.array([face]), np.full((1, 3), 1 / 3), np.zeros((1, 3))) for face in (0, 1)), atol=1e-3
    )


def test_references_show_the_asset_near_its_front_and_repeat_with_the_seed(asset):
    mesh = read_textured(asset)
    surface = clean(mesh.mesh.to_mesh_data())
    color = texture_lookup(surface.corner_uvs, mesh.images, mesh.image_of)
    drawn, again, other = (
        references.render_reference(surface, color, 64, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert (drawn == again).all()
    assert (drawn != other).any()
    assert (drawn.shape, drawn.dtype) == ((64, 64, 3), np.uint8)
    fronts = [-camera.rotation[1, 2] for camera in references.list_front_views(64)]
    assert len(fronts) == 60
    assert min(fronts) > -1e-9
    random = np.random.default_rng(3)
    warps = np.array([references.draw_warp(random) for _ in range(2000)])
    assert warps.min(axis=0).tolist() > [0.9, -10]
    assert warps.max(axis=0).tolist() < [1.2, 10]
    assert warps.mean(axis=0) == pytest.approx([1.0875, 0], abs=0.3)
    assert warps[:, 0].mean() == pytest.approx(1.0875, abs=0.005)


def test_a_reference_is_warped_about_its_centre_over_black():
    image = np.zeros((65, 65, 3), np.float32)
    image[:, :] = 255
    image[32, 32] = 0
    assert (references.warp_image(image, 1.0, 0.0) == image).all()
    warped = references.warp_image(image, 0.9, 10.0)
    assert np.unravel_index(warped.sum(axis=2)[10:-10, 10:-10].argmin(), (45, 45)) == (22, 22)
    assert warped[[0, 0, -1, -1], [0, -1, 0, -1]].max() == 0
    assert warped[20, 20].min() == 255


def test_example_latents_are_those_of_the_painters_own_clips(asset, training_examples, folder):
    [example] = training_examples
    color, packed = example.read(np.random.default_rng(0))
    mesh = read_textured(asset)
    surface = clean(mesh.mesh.to_mesh_data())
    [buffer] = render(surface, cameras.orbits(32, 61)[0].cameras[:1])
    assert buffer.mask[8:16, 8:16].all()
    assert (color.shape, packed.shape) == ((1, 16, 16, 4, 4), (1, 49, 17, 4, 4))
    shown = (color[0, :3, 0, 1:3, 1] + 1) * 127.5
    np.testing.assert_allclose(shown.T, [agx.encode(CUBE_COLORS[1] / np.float32(255)) * 255] * 2, atol=2)
    position = painter.position_image(buffer)[8:16, 8:16].mean(axis=(0, 1))
    np.testing.assert_allclose((packed[0, :3, 1, 1, 1] + 1) * 127.5, position, atol=1)


@pytest.mark.parametrize(
    ("layout", "passes", "shape"), [("sequential", 2, (16, 4, 4)), ("beside", 1, (16, 4, 8))]
)
def test_examples_have_the_clips_of_the_layout(asset, folder, tmp_path, layout, passes, shape):
    model = Model(folder, CPU)
    model.card = replace(model.card, layout=layout)
    made = prepare_examples([asset], model, tmp_path, lambda sentence: None)
    assert [example.number for example in made] == list(range(passes))
    first, last = (example.read(np.random.default_rng(0)) for example in (made[0], made[-1]))
    assert (first[0].shape[2:], first[1].shape[2:]) == (shape, (shape[0] + 1, *shape[1:]))
    # A reference for every view in a frame, side by side.
    assert torch.equal(first[1][..., 0, :, :4], first[1][..., 0, :, -4:])
    assert torch.equal(first[0], last[0]) == (passes == 1)


def test_an_asset_is_encoded_once_and_again_when_the_model_card_changes(asset, folder, training_examples):
    model, reports, cache = Model(folder, CPU), [], training_examples[0].file.parent
    assert load_file(training_examples[0].file)["references"].shape == (REFERENCES_PER_ASSET, 16, 1, 4, 4)
    assert prepare_examples([asset], model, cache, reports.append) == training_examples
    assert reports == []
    model.card = replace(model.card, mirror=1)
    assert prepare_examples([asset], model, cache, reports.append) != training_examples
    assert reports == ["cube.glb is rendered and encoded."]


def test_assets_that_cannot_be_trained_on_are_reported_and_left_out(
    asset, folder, training_examples, tmp_path
):
    trimesh.creation.icosphere(1).export(tmp_path / "bare.glb")
    dark = quarters()
    dark[:32] = 0
    ball(dark).export(tmp_path / "dark.glb")
    (tmp_path / "broken.glb").write_bytes(b"glTF")
    reports, model = [], Model(folder, CPU)
    bad = [tmp_path / name for name in ("bare.glb", "dark.glb", "broken.glb", "absent.glb", "text.txt")]
    assert (
        prepare_examples([*bad, asset], model, training_examples[0].file.parent, reports.append)
        == training_examples
    )
    reasons = (
        "bare.glb has no texture",
        "dark.glb is black",
        "broken.glb cannot",
        "no file",
        "not a mesh file",
    )
    left_out = [sentence for sentence in reports if sentence.startswith("Left out")]
    for sentence, words in zip(left_out, reasons, strict=True):
        assert words in sentence
    with pytest.raises(InvalidMesh, match="None of the files"):
        prepare_examples(bad, model, tmp_path / "cache", reports.append)
