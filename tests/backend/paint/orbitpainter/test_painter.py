"""OrbitPainter as a painter: layouts, films, the autoencoder's latents, and tiny random networks through the
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
from backend.paint.orbitpainter import agx, clips, layouts, memory_plan, painter
from backend.paint.orbitpainter.cameras import closed
from backend.paint.orbitpainter.model import Card, Model
from backend.paint.orbitpainter.network import condition, decode, encode, velocity
from backend.paint.orbitpainter.sampler import Sampling
from backend.paint.preview import COUNT, SIZE, strip
from backend.paint.reference import Reference
from backend.stages import PAINT_SHARES
from tests import tiny_model
from tests.meshes import at_once, decoded, knot, mesh_data

STEPS = 3
AROUND, OVER = list(range(60)), list(range(60, 120))


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(1)
    return AutoencoderKLWan(**tiny_model.AUTOENCODER).eval()


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Makes the folder of a tiny model, which the painter then finds; three steps are enough for all that is
    looked at."""
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(tmp_path / "models"))
    monkeypatch.setitem(painter.QUALITY, "quality", Sampling(steps=STEPS))
    return lambda **card: tiny_model.write_model(tmp_path / "models" / "orbitpainter", **card)


@pytest.fixture(scope="module")
def reference():
    """An orange egg before nothing, not in the middle."""
    y, x = np.mgrid[0:160, 0:200]
    alpha = (((x - 130) / 40) ** 2 + ((y - 90) / 60) ** 2 < 1).astype(np.float32)
    return Reference(np.broadcast_to(np.float32([0.9, 0.5, 0.2]), (160, 200, 3)).copy(), alpha)


def views(passes):
    return [[frame for film in one.films for frame in film] for one in passes]


def test_every_layout_shows_every_view_and_fits_the_autoencoder():
    for name, layout in layouts.LAYOUTS.items():
        passes = layout(AROUND, OVER)
        wanted = set(AROUND) if name == "horizontal" else set(AROUND + OVER)
        assert {view for one in views(passes) for frame in one for view in frame} == wanted
        assert all(len(film) % 4 == 1 for one in passes for film in one.films)


def test_layouts_are_the_published_ones():
    [first, second] = layouts.sequential(AROUND, OVER)
    assert first.films == [[(view,) for view in (*AROUND, 0)]]
    assert (second.films, second.follows) == ([[(view,) for view in (*OVER, 60)]], 0)
    assert layouts.beside(AROUND, OVER)[0].films == [[*((view, view + 60) for view in AROUND), (0, 60)]]
    [film] = layouts.interleaved(AROUND, OVER)[0].films
    assert len(film) == 121
    # One latent frame in the middle holds the end of one orbit and the beginning of the other.
    assert film[57:61] == [(57,), (58,), (59,), (60,)]
    assert film[-1] == (0,)
    assert [layouts.latent_frames(len(film)) for film in layouts.joint(AROUND, OVER)[0].films] == [16, 16]
    assert layouts.latent_frames(121) == 31
    assert layouts.latent_frames(1) == 1


def test_a_film_taken_apart_gives_its_pictures_back():
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (8, 8, 3), np.uint8) for _ in range(10)]
    film = list(zip(closed(range(5)), closed(range(5, 10)), strict=True))
    pixels = clips.assembled(images, film)
    assert pixels.shape == (1, 3, 6, 8, 16)
    assert pixels.min() >= -1
    assert pixels.max() <= 1
    back = clips.taken_apart(film, pixels)
    assert all(np.array_equal(back[view], image) for view, image in enumerate(images))


def test_black_is_minus_one_and_white_is_one():
    pixels = clips.assembled([np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)], [(0,), (1,)])
    assert (pixels[:, :, 0] == -1).all()
    assert (pixels[:, :, 1] == 1).all()


def test_latents_are_normalised_by_the_published_figures(vae):
    film = torch.randn(1, 3, 5, 32, 32, generator=torch.Generator().manual_seed(2)).clamp(-1, 1)
    latents = encode(vae, film)
    assert latents.shape == (1, 16, 2, 4, 4)
    raw = vae.encode(film).latent_dist.mode()
    for channel in range(16):
        expected = (raw[0, channel] - vae.config.latents_mean[channel]) / vae.config.latents_std[channel]
        torch.testing.assert_close(latents[0, channel], expected)
    torch.testing.assert_close(decode(vae, latents), vae.decode(raw).sample.clamp(-1, 1), atol=1e-5, rtol=0)


def test_the_latent_of_an_image_is_the_first_of_a_film_that_starts_with_it(vae):
    film = torch.randn(1, 3, 9, 32, 32, generator=torch.Generator().manual_seed(3)).clamp(-1, 1)
    torch.testing.assert_close(encode(vae, film[:, :, :1]), encode(vae, film)[:, :, :1], atol=1e-6, rtol=0)


def test_the_reference_lies_in_the_middle_of_black_as_large_as_a_mesh(reference):
    shown = clips.framed(reference, 256, view_transform=False)
    rows, columns = (np.flatnonzero((shown.max(axis=2) > 100).any(axis=axis)) for axis in (1, 0))
    assert abs(rows.mean() - 127.5) < 1
    assert abs(columns.mean() - 127.5) < 1
    assert np.ptp(rows) + 1 == pytest.approx(clips.SHARE * 256, abs=3)
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(40 / 60, abs=0.02)
    assert shown[0].max() == 0
    np.testing.assert_allclose(shown[128, 128], np.array([0.9, 0.5, 0.2]) * 255, atol=1)
    transformed = clips.framed(reference, 256)
    np.testing.assert_allclose(transformed[128, 128], 255 * agx.encode(np.float32([0.9, 0.5, 0.2])), atol=1)
    assert clips.framed(reference, 256, copies=2).shape == (256, 512, 3)


def job(settings: Settings) -> Job:
    y, x = np.mgrid[0:128, 0:128]
    picture = np.full((128, 128, 4), 255, np.uint8)
    picture[..., 1] = 2 * x
    picture[..., 3] = np.where((x - 64) ** 2 + (y - 64) ** 2 < 50**2, 255, 0)
    return Job("0" * 32, "knot", mesh_data(knot()), picture, settings)


SETTINGS = Settings(painter="orbitpainter", texture_size=1024, voxel_resolution=128, seed=3)


@pytest.mark.parametrize("layout", list(layouts.LAYOUTS))
def test_every_layout_paints_every_view(model, layout, reference):
    model(layout=layout)
    surface = pipeline.prepare(job(SETTINGS).mesh, 1024, lambda fraction: None)
    chosen, told, shown = painter.OrbitPainter(), [], []
    orbits = chosen.orbits(surface, reference, SETTINGS, told.append)
    assert [orbit.name for orbit in orbits] == (
        ["horizontal"] if layout == "horizontal" else ["horizontal", "vertical"]
    )
    buffers = pipeline.render(surface, [camera for orbit in orbits for camera in orbit.cameras])
    painting = chosen.paint(surface, buffers, reference, SETTINGS, told.append, at_once, shown.append)
    assert len(painting.frames) == len(buffers) == sum(len(orbit.cameras) for orbit in orbits)
    assert all(frame.shape == (32, 32, 3) and frame.dtype == np.uint8 for frame in painting.frames)
    assert len({frame.tobytes() for frame in painting.frames}) == len(buffers)
    assert told == sorted(told)
    assert len(shown) == (STEPS + 1) * len(layouts.passes(layout, 61)), "a sketch of each step, then the film"
    np.testing.assert_allclose(shown[-1].mean(axis=(1, 2)), strip(painting.frames).mean(axis=(1, 2)), atol=8)
    assert all(pictures.shape == (COUNT, SIZE, SIZE, 3) for pictures in shown)
    assert any("random" in note for note in painting.notes)
    assert any(
        re.match(r"OrbitPainter worked with 16-bit weights; expected \d+ s, took \d+ s\.", note)
        for note in painting.notes
    )


def test_random_networks_go_through_the_whole_pipeline_and_say_what_they_are(model, tmp_path):
    model()
    result = pipeline.run(job(SETTINGS), tmp_path, lambda stage, fraction: None)
    texture = decoded(result.textures["base_color"])
    assert texture.shape == (1024, 1024, 3)
    assert texture.std() > 5
    assert any("weights are random" in note for note in result.report["notes"])
    assert result.report["views"] == 120


def test_an_orbit_that_is_painted_is_not_painted_again(model, tmp_path):
    model()

    share = PAINT_SHARES["orbitpainter"]
    begin = 0.5 * (1 - share)

    def stopping(stage, fraction):
        if stage == "paint" and fraction > begin + share * 0.7:  # in the middle of the second of two passes
            raise Cancelled

    with pytest.raises(Cancelled):
        pipeline.run(job(SETTINGS), tmp_path, stopping)
    assert [path.name for path in tmp_path.glob("paint*")] == ["paint.pass_0.npz"]
    told = []
    pipeline.run(job(SETTINGS), tmp_path, lambda stage, fraction: told.append((stage, fraction)))
    assert (
        min(fraction for stage, fraction in told if stage == "paint" and fraction > begin)
        > begin + share * 0.5
    )
    assert [path.name for path in tmp_path.glob("paint*")] == ["paint.npz"]


def test_the_seed_decides_and_the_reference_is_followed(model, reference):
    folder = model(layout="horizontal")
    buffers = [np.zeros((32, 32, 3), np.uint8)] * 60
    [one] = layouts.horizontal(AROUND, [])

    def frames(settings, shown):
        own = Model(folder, torch.device("cpu"), sampling=painter.QUALITY["quality"])
        return np.stack(
            list(
                painter.paint_pass(
                    own, one, buffers, buffers, shown, {}, settings, lambda fraction: None
                ).values()
            )
        )

    usual = frames(SETTINGS, reference)
    assert np.array_equal(usual, frames(SETTINGS, reference))
    assert not np.array_equal(usual, frames(replace(SETTINGS, seed=4), reference))
    assert not np.array_equal(usual, frames(SETTINGS, replace(reference, color=1 - reference.color)))


def test_missing_weights_are_a_sentence_that_names_the_folder(model, tmp_path):
    with pytest.raises(InvalidWeights, match=r"OrbitPainter's weights are not in .*orbitpainter"):
        pipeline.run(job(SETTINGS), tmp_path, lambda stage, fraction: None)
    folder = model()
    (folder / "low" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(InvalidWeights, match="low holds no weights"):
        pipeline.run(job(SETTINGS), tmp_path, lambda stage, fraction: None)


@pytest.mark.parametrize(
    ("card", "memory", "best"),
    [
        (79, 100, "16-bit weights"),
        (47, 60, "16-bit weights"),
        (23, 60, "16-bit weights, streamed block by block"),
        (23, 20, "8-bit weights"),
        (15, 64, "16-bit weights, streamed block by block"),
        (11, 24, "8-bit weights, streamed block by block"),
        (7, 32, "8-bit weights, streamed block by block, pictures in tiles"),
        (15, 8, "4-bit weights"),
        (4, 8, "4-bit weights, streamed block by block, pictures in tiles"),
    ],
)
def test_a_card_gets_the_best_rung_that_fits(card, memory, best):
    found = memory_plan.fitting(card, memory, 32_768)
    assert str(found[0]) == best
    assert found == [rung for rung in memory_plan.RUNGS if rung in found]


def test_tokens_are_those_of_the_published_sizes():
    assert painter.tokens(Card(512, 61), layouts.horizontal(AROUND, [])[0]) == 17_408
    assert painter.tokens(Card(512, 61), layouts.joint(AROUND, OVER)[0]) == 33_792
    assert painter.tokens(Card(512, 61), layouts.beside(AROUND, OVER)[0]) == 34_816
    assert painter.tokens(Card(512, 61), layouts.interleaved(AROUND, OVER)[0]) == 32_768


@pytest.mark.parametrize("rung", memory_plan.RUNGS, ids=str)
def test_every_rung_paints_and_streaming_changes_nothing(model, inputs, rung):
    folder = model()
    with torch.no_grad():
        whole, held = (
            velocity(Model(folder, torch.device("cpu"), each).expert("high"), *inputs)
            for each in (memory_plan.RUNGS[0], rung)
        )
    if rung.precision == "bf16":
        assert torch.equal(whole, held)
    else:
        assert (
            0 < (whole - held).abs().mean() < {"fp8": 0.1, "4bit": 0.2}[rung.precision] * whole.abs().mean()
        )


@pytest.fixture
def inputs():
    random = torch.Generator().manual_seed(6)
    films = [torch.randn(1, 16, 3, 4, 4, generator=random) for _ in range(3)]
    packed = condition(films[1], films[2], torch.randn(1, 16, 1, 4, 4, generator=random))
    return (
        films[0],
        packed,
        torch.tensor([900.0]),
        torch.randn(1, 512, tiny_model.NETWORK["text_dim"], generator=random),
    )


def test_a_card_that_is_too_small_after_all_is_tried_with_less(model):
    tried, own = [], Model(model(), torch.device("cpu"))

    def paint():
        tried.append(own.rung)
        if len(tried) < 3:
            raise torch.OutOfMemoryError
        return {0: "painted"}

    assert painter.smaller_until_it_fits(paint, own, memory_plan.RUNGS) == {0: "painted"}
    assert tried == list(memory_plan.RUNGS[:3])
    tried.clear()
    with pytest.raises(OutOfMemory, match="too little memory"):
        painter.smaller_until_it_fits(paint, own, memory_plan.RUNGS[:2])


def test_a_card_that_cannot_cannot_be_read_is_named(tmp_path):
    (tmp_path / "model.json").write_text('{"sizes": 3}')
    with pytest.raises(InvalidWeights, match=r"model.json cannot be read"):
        Card.read(tmp_path)
