"""OrbitPainter as a painter: layouts, clips, the autoencoder's latents, and tiny random networks through the
whole pipeline."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan

from backend import pipeline
from backend.api.errors import Cancelled, InvalidWeights, OutOfMemory
from backend.api.job import Job
from backend.api.settings import Settings
from backend.paint.camera.registration import Registration
from backend.paint.orbitpainter import agx, clips, layouts, memory_plan, painter
from backend.paint.orbitpainter.cameras import close_orbit
from backend.paint.orbitpainter.model import Model, ModelCard
from backend.paint.orbitpainter.network import decode_video, encode_video, pack_condition, predict_velocity
from backend.paint.orbitpainter.sampler import SamplingConfig
from backend.paint.preview import PREVIEW_COUNT, PREVIEW_SIZE, make_preview_strip
from backend.paint.reference import Reference
from backend.stages import progress_shares
from tests import tiny_model
from tests.meshes import decode_png, knot, mesh_data, run_at_once

STEPS = 3
HORIZONTAL = list(range(60))
"""Views of the horizontal orbit."""

VERTICAL = list(range(60, 120))
"""Views of the vertical orbit."""


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(1)
    return AutoencoderKLWan(**tiny_model.TINY_AUTOENCODER).eval()


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Makes the folder of a tiny model, where the painter looks for it; three steps are enough for these
    tests."""
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(tmp_path / "models"))
    monkeypatch.setitem(painter.QUALITY_PRESETS, "quality", SamplingConfig(steps=STEPS))
    return lambda **card: tiny_model.write_model(tmp_path / "models" / "orbitpainter", **card)


@pytest.fixture(scope="module")
def reference():
    """An orange ellipse on a transparent background, not centred."""
    y, x = np.mgrid[0:160, 0:200]
    alpha = (((x - 130) / 40) ** 2 + ((y - 90) / 60) ** 2 < 1).astype(np.float32)
    return Reference(np.broadcast_to(np.float32([0.9, 0.5, 0.2]), (160, 200, 3)).copy(), alpha)


def list_frames(passes):
    return [frame for video_pass in passes for clip in video_pass.clips for frame in clip]


def test_every_layout_shows_every_view_and_fits_the_autoencoder():
    for name, layout in layouts.LAYOUTS.items():
        passes = layout(HORIZONTAL, VERTICAL)
        expected = set(HORIZONTAL) if name == "horizontal" else set(HORIZONTAL + VERTICAL)
        assert {view for frame in list_frames(passes) for view in frame} == expected
        assert all(len(clip) % 4 == 1 for video_pass in passes for clip in video_pass.clips)


def test_layouts_equal_the_published_ones():
    [first, second] = layouts.sequential_layout(HORIZONTAL, VERTICAL)
    assert first.clips == [[(view,) for view in (*HORIZONTAL, 0)]]
    assert (second.clips, second.start_view) == ([[(view,) for view in (*VERTICAL, 60)]], 0)
    assert layouts.beside_layout(HORIZONTAL, VERTICAL)[0].clips == [
        [*((view, view + 60) for view in HORIZONTAL), (0, 60)]
    ]
    [clip] = layouts.interleaved_layout(HORIZONTAL, VERTICAL)[0].clips
    assert len(clip) == 121
    # One latent frame in the middle holds the end of one orbit and the beginning of the other.
    assert clip[57:61] == [(57,), (58,), (59,), (60,)]
    assert clip[-1] == (0,)
    assert [
        layouts.count_latent_frames(len(clip)) for clip in layouts.joint_layout(HORIZONTAL, VERTICAL)[0].clips
    ] == [16, 16]
    assert layouts.count_latent_frames(121) == 31
    assert layouts.count_latent_frames(1) == 1


def test_splitting_a_clip_inverts_its_assembly():
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (8, 8, 3), np.uint8) for _ in range(10)]
    clip = list(zip(close_orbit(range(5)), close_orbit(range(5, 10)), strict=True))
    pixels = clips.assemble_clip(images, clip)
    assert pixels.shape == (1, 3, 6, 8, 16)
    assert pixels.min() >= -1
    assert pixels.max() <= 1
    back = clips.split_clip(clip, pixels)
    assert all(np.array_equal(back[view], image) for view, image in enumerate(images))


def test_an_assembled_clip_has_black_at_minus_one_and_white_at_one():
    pixels = clips.assemble_clip(
        [np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)], [(0,), (1,)]
    )
    assert (pixels[:, :, 0] == -1).all()
    assert (pixels[:, :, 1] == 1).all()


def test_latents_are_normalised_by_the_published_statistics(vae):
    video = torch.randn(1, 3, 5, 32, 32, generator=torch.Generator().manual_seed(2)).clamp(-1, 1)
    latents = encode_video(vae, video)
    assert latents.shape == (1, 16, 2, 4, 4)
    raw = vae.encode(video).latent_dist.mode()
    for channel in range(16):
        expected = (raw[0, channel] - vae.config.latents_mean[channel]) / vae.config.latents_std[channel]
        torch.testing.assert_close(latents[0, channel], expected)
    torch.testing.assert_close(
        decode_video(vae, latents), vae.decode(raw).sample.clamp(-1, 1), atol=1e-5, rtol=0
    )


def test_the_latent_of_an_image_is_the_first_of_a_video_starting_with_it(vae):
    video = torch.randn(1, 3, 9, 32, 32, generator=torch.Generator().manual_seed(3)).clamp(-1, 1)
    torch.testing.assert_close(
        encode_video(vae, video[:, :, :1]), encode_video(vae, video)[:, :, :1], atol=1e-6, rtol=0
    )


def test_the_framed_reference_is_centred_on_black_as_large_as_a_mesh(reference):
    framed = clips.frame_reference(reference, 256, view_transform=False)
    rows, columns = (np.flatnonzero((framed.max(axis=2) > 100).any(axis=axis)) for axis in (1, 0))
    assert abs(rows.mean() - 127.5) < 1
    assert abs(columns.mean() - 127.5) < 1
    assert np.ptp(rows) + 1 == pytest.approx(clips.REFERENCE_FRACTION * 256, abs=3)
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(40 / 60, abs=0.02)
    assert framed[0].max() == 0
    np.testing.assert_allclose(framed[128, 128], np.array([0.9, 0.5, 0.2]) * 255, atol=1)
    transformed = clips.frame_reference(reference, 256)
    np.testing.assert_allclose(transformed[128, 128], 255 * agx.encode(np.float32([0.9, 0.5, 0.2])), atol=1)
    assert clips.frame_reference(reference, 256, copies=2).shape == (256, 512, 3)


def job(settings: Settings) -> Job:
    y, x = np.mgrid[0:128, 0:128]
    image = np.full((128, 128, 4), 255, np.uint8)
    image[..., 1] = 2 * x
    image[..., 3] = np.where((x - 64) ** 2 + (y - 64) ** 2 < 50**2, 255, 0)
    return Job("0" * 32, "knot", mesh_data(knot()), image, settings)


SETTINGS = Settings(painter="orbitpainter", texture_size=1024, voxel_resolution=128, seed=3)


@pytest.mark.parametrize("layout", list(layouts.LAYOUTS))
def test_every_layout_paints_every_view(model, layout, reference):
    model(layout=layout)
    surface = pipeline.prepare(job(SETTINGS).mesh, 1024, lambda fraction: None)
    orbit_painter, fractions, shown = painter.OrbitPainter(), [], []
    orbits = orbit_painter.orbits(surface, Registration(reference))
    assert [orbit.name for orbit in orbits] == (
        ["horizontal"] if layout == "horizontal" else ["horizontal", "vertical"]
    )
    buffers = pipeline.render(surface, [camera for orbit in orbits for camera in orbit.cameras])
    painting = orbit_painter.paint(
        surface, buffers, reference, SETTINGS, fractions.append, run_at_once, shown.append
    )
    assert len(painting.frames) == len(buffers) == sum(len(orbit.cameras) for orbit in orbits)
    assert all(frame.shape == (32, 32, 3) and frame.dtype == np.uint8 for frame in painting.frames)
    assert len({frame.tobytes() for frame in painting.frames}) == len(buffers)
    assert fractions == sorted(fractions)
    assert len(shown) == (STEPS + 1) * len(layouts.plan_passes(layout, 61)), (
        "a preview of each step, then the painted frames"
    )
    np.testing.assert_allclose(
        shown[-1].mean(axis=(1, 2)), make_preview_strip(painting.frames).mean(axis=(1, 2)), atol=8
    )
    assert all(images.shape == (PREVIEW_COUNT, PREVIEW_SIZE, PREVIEW_SIZE, 3) for images in shown)
    assert any("random" in note for note in painting.notes)
    assert any(
        re.match(r"OrbitPainter worked with 16-bit weights; expected \d+ (s|min), took \d+ (s|min)\.", note)
        for note in painting.notes
    )


def test_random_networks_texture_a_mesh_and_are_reported_as_random(model, tmp_path):
    model()
    result = pipeline.run(job(SETTINGS), tmp_path, lambda stage, fraction: None)
    texture = decode_png(result.textures["base_color"])
    assert texture.shape == (1024, 1024, 3)
    assert texture.std() > 5
    assert any("weights are random" in note for note in result.report["notes"])
    assert result.report["views"] == 120


def test_a_painted_pass_is_not_painted_again_after_cancelling(model, tmp_path):
    model()

    shares = progress_shares(job(SETTINGS))
    share = shares["paint"]
    begin = shares["prepare"] + shares["register"] + shares["render"]

    def cancel(stage, fraction):
        if stage == "paint" and fraction > begin + share * 0.7:  # in the middle of the second of two passes
            raise Cancelled

    with pytest.raises(Cancelled):
        pipeline.run(job(SETTINGS), tmp_path, cancel)
    assert [path.name for path in tmp_path.glob("paint*")] == ["paint.pass_0.npz"]
    reports = []
    pipeline.run(job(SETTINGS), tmp_path, lambda stage, fraction: reports.append((stage, fraction)))
    assert (
        min(fraction for stage, fraction in reports if stage == "paint" and fraction > begin)
        > begin + share * 0.5
    )
    assert [path.name for path in tmp_path.glob("paint*")] == ["paint.npz"]


def test_a_pass_depends_on_seed_and_reference_alone(model, reference):
    folder = model(layout="horizontal")
    images = [np.zeros((32, 32, 3), np.uint8)] * 60
    [video_pass] = layouts.horizontal_layout(HORIZONTAL, [])

    def paint(settings, reference):
        model = Model(folder, torch.device("cpu"), sampling=painter.QUALITY_PRESETS["quality"])
        conditions = painter.Conditions(images, images, reference)
        return np.stack(
            list(
                painter.paint_pass(
                    model, video_pass, conditions, {}, settings, lambda fraction: None
                ).values()
            )
        )

    usual = paint(SETTINGS, reference)
    assert np.array_equal(usual, paint(SETTINGS, reference))
    assert not np.array_equal(usual, paint(replace(SETTINGS, seed=4), reference))
    assert not np.array_equal(usual, paint(SETTINGS, replace(reference, color=1 - reference.color)))


def test_missing_weights_are_reported_with_their_folder(model, tmp_path):
    with pytest.raises(InvalidWeights, match=r"OrbitPainter's weights are not in .*orbitpainter"):
        pipeline.run(job(SETTINGS), tmp_path, lambda stage, fraction: None)
    folder = model()
    (folder / "low" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(InvalidWeights, match="low holds no weights"):
        pipeline.run(job(SETTINGS), tmp_path, lambda stage, fraction: None)


@pytest.mark.parametrize(
    ("gpu", "host", "best"),
    [
        (79, 100, "16-bit weights"),
        (47, 60, "16-bit weights"),
        (23, 60, "16-bit weights, streamed block by block"),
        (23, 20, "8-bit weights"),
        (15, 64, "16-bit weights, streamed block by block"),
        (11, 24, "8-bit weights, streamed block by block"),
        (7, 32, "8-bit weights, streamed block by block, images in tiles"),
        (15, 8, "4-bit weights"),
        (4, 8, "4-bit weights, streamed block by block, images in tiles"),
    ],
)
def test_a_gpu_gets_the_best_memory_profile_that_fits(gpu, host, best):
    profiles = memory_plan.profiles_that_fit(gpu, host, 32_768)
    assert str(profiles[0]) == best
    assert profiles == [profile for profile in memory_plan.MEMORY_PROFILES if profile in profiles]


def test_token_counts_are_those_of_the_published_sizes():
    assert painter.count_tokens(ModelCard(512, 61), layouts.horizontal_layout(HORIZONTAL, [])[0]) == 17_408
    assert painter.count_tokens(ModelCard(512, 61), layouts.joint_layout(HORIZONTAL, VERTICAL)[0]) == 33_792
    assert painter.count_tokens(ModelCard(512, 61), layouts.beside_layout(HORIZONTAL, VERTICAL)[0]) == 34_816
    assert (
        painter.count_tokens(ModelCard(512, 61), layouts.interleaved_layout(HORIZONTAL, VERTICAL)[0])
        == 32_768
    )


@pytest.mark.parametrize("profile", memory_plan.MEMORY_PROFILES, ids=str)
def test_every_memory_profile_paints_and_streaming_changes_nothing(model, inputs, profile):
    folder = model()
    with torch.no_grad():
        whole, held = (
            predict_velocity(Model(folder, torch.device("cpu"), each).load_expert("high"), *inputs)
            for each in (memory_plan.MEMORY_PROFILES[0], profile)
        )
    if profile.precision == "bf16":
        assert torch.equal(whole, held)
    else:
        assert (
            0
            < (whole - held).abs().mean()
            < {"fp8": 0.1, "4bit": 0.2}[profile.precision] * whole.abs().mean()
        )


@pytest.fixture
def inputs():
    random = torch.Generator().manual_seed(6)
    noisy, position, normal = (torch.randn(1, 16, 3, 4, 4, generator=random) for _ in range(3))
    packed = pack_condition(position, normal, torch.randn(1, 16, 1, 4, 4, generator=random))
    return (
        noisy,
        packed,
        torch.tensor([900.0]),
        torch.randn(1, 512, tiny_model.TINY_NETWORK["text_dim"], generator=random),
    )


def test_a_pass_that_runs_out_of_memory_is_retried_with_smaller_profiles(model):
    tried, networks = [], Model(model(), torch.device("cpu"))

    def paint():
        tried.append(networks.profile)
        if len(tried) < 3:
            raise torch.OutOfMemoryError
        return {0: "painted"}

    assert painter.retry_with_smaller_profiles(paint, networks, memory_plan.MEMORY_PROFILES) == {0: "painted"}
    assert tried == list(memory_plan.MEMORY_PROFILES[:3])
    tried.clear()
    with pytest.raises(OutOfMemory, match="too little memory"):
        painter.retry_with_smaller_profiles(paint, networks, memory_plan.MEMORY_PROFILES[:2])


def test_a_model_card_that_cannot_be_read_is_reported(tmp_path):
    (tmp_path / "model.json").write_text('{"sizes": 3}')
    with pytest.raises(InvalidWeights, match=r"model.json cannot be read"):
        ModelCard.read(tmp_path)
