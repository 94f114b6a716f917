"""A model's mask as one more hypothesis about the object: taken where the mesh agrees, else not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from backend import pipeline, store
from backend.api.weights import find_matting
from backend.mesh.surface import Surface
from backend.paint import segmentation
from backend.paint.camera.outline import intersection_over_union
from backend.paint.camera.registration import Registration, register_reference
from backend.paint.camera.view import angle_between
from backend.paint.reference import decode
from tests import tiny_model
from tests.meshes import (
    camera_at,
    decode_png,
    ignore_progress,
    job,
    knot,
    mesh_data,
    reference_image,
    surface_of,
)
from tests.tiny_matting import write_model

SIZE = 256

# Logits from the green channel, of which the object has more than the ground everywhere.
OBJECT = {"weights": (0.0, 6.7, 0.0), "bias": 2.9}
GROUND = {"weights": (0.0, -6.7, 0.0), "bias": -2.9}
NOTHING, EVERYTHING = {"weights": (0, 0, 0), "bias": -9.0}, {"weights": (0, 0, 0), "bias": 9.0}


TILES = np.random.default_rng(0).integers(0, 256, (16, 16, 3)) // (1, 5, 1)


def photograph(surface: Surface, ground: np.ndarray = TILES) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 4) uint8: a photograph of a surface before tiles, and its true mask (H, W) bool."""
    cut = reference_image(surface, camera_at(30, 15, SIZE))
    ground = np.kron(ground, np.ones((SIZE // len(ground), SIZE // len(ground), 1)))
    alpha = cut[..., 3:] / 255
    pixels = np.full((SIZE, SIZE, 4), 255, np.uint8)
    pixels[..., :3] = np.round(alpha * cut[..., :3] + (1 - alpha) * ground)
    return pixels, alpha[..., 0] > 0.5


@pytest.fixture(scope="module")
def scene():
    """A knot, a photograph of it before random tiles, and its true mask."""
    surface = surface_of(knot())
    return surface, *photograph(surface)


def register(scene, matting, direction=None) -> Registration:
    surface, pixels, _ = scene
    return register_reference(surface, decode(pixels), direction, ignore_progress, matting=matting)


@pytest.fixture(scope="module")
def plain(scene) -> Registration:
    """What is found without a model, from a direction, which saves time."""
    return register(scene, None, (30.0, 15.0))


def overlap(registration: Registration, mask: np.ndarray) -> float:
    return intersection_over_union(registration.reference.alpha > 0.5, mask)


def test_a_proposed_mask_that_the_mesh_explains_is_taken(scene, tmp_path):
    found = register(scene, write_model(tmp_path / "birefnet", **OBJECT))
    assert overlap(found, scene[2]) > 0.98
    assert angle_between(30, 15, found.match.view) < 2
    assert not found.doubtful
    assert found.reference.segmented
    assert found.reference.mask_notes == ()


@pytest.mark.parametrize("graph", [GROUND, NOTHING, EVERYTHING])
def test_a_proposed_mask_that_the_mesh_contradicts_changes_nothing(scene, plain, tmp_path, graph):
    found = register(scene, write_model(tmp_path / "birefnet", **graph), (30.0, 15.0))
    np.testing.assert_array_equal(found.reference.alpha, plain.reference.alpha)
    assert found.candidates == plain.candidates
    assert found.reference.mask_notes == plain.reference.mask_notes


def test_a_broken_model_is_a_note(scene, plain, tmp_path):
    found = register(scene, write_model(tmp_path / "birefnet", data=b"no graph"), (30.0, 15.0))
    np.testing.assert_array_equal(found.reference.alpha, plain.reference.alpha)
    [note] = set(found.reference.mask_notes) - set(plain.reference.mask_notes)
    assert note.startswith("The matting model was not used.")


def test_a_job_uses_the_model_that_is_there(scene, tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(tmp_path / "models"))
    steep = {"weights": (0, 60, 0), "bias": 12, "activation": "Sigmoid", "side_outputs": ("side",)}
    write_model(tmp_path / "models" / "isnet", **steep)
    check = replace(job(mesh_data(knot()), scene[1]), check_reference=True)
    (tmp_path / "job").mkdir()
    result = pipeline.run(check, tmp_path / "job", lambda *progress: None)
    assert intersection_over_union(decode_png(result.textures["mask"]) > 127, scene[2]) > 0.98


def test_a_downloaded_model_starts_a_job_over_unless_it_has_a_mask(scene, tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(tmp_path))
    _, pixels, mask = scene
    without = job(mesh_data(knot()), pixels)
    masked = replace(without, mask=mask.astype(np.uint8) * 255)
    found = [(store.fingerprint(without), store.fingerprint(masked))]
    for name in ("isnet", "birefnet"):
        (tmp_path / name).mkdir()
        found.append((store.fingerprint(without), store.fingerprint(masked)))
    assert len({each for each, _ in found}) == 3
    assert len({each for _, each in found}) == 1


def test_birefnet_is_preferred_to_isnet(tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(tmp_path))
    assert find_matting() is None
    for name in ("isnet", "birefnet"):
        (tmp_path / name).mkdir()
        assert find_matting() == tmp_path / name


class GreenNetwork(torch.nn.Module):
    """Segment Anything that takes for the object what is green, or what is not; records the box."""

    def __init__(self, sign: int = 1):
        super().__init__()
        self.sign, self.box = sign, None

    def forward(self, pixel_values, input_boxes, multimask_output):
        self.box = input_boxes[0, 0].numpy() * SIZE / segmentation.SAM_INPUT_SIZE
        green = pixel_values[:, 1:2] * segmentation.SAM_STD[1].item() + segmentation.SAM_MEAN[1].item()
        mask = self.sign * (torch.nn.functional.avg_pool2d(green, 4) - 80)
        return type("Answer", (), {"pred_masks": mask[:, None]})


@pytest.fixture(scope="module")
def tall():
    """A knot, a photograph of one that is a tenth taller, and its true mask."""
    surface = surface_of(knot())
    taller = replace(surface, vertices=surface.vertices * np.float32([1, 1, 1.1]))
    return surface, *photograph(taller)


def ask(scene, folder) -> Registration:
    surface, pixels, _ = scene
    return register_reference(surface, decode(pixels), (30.0, 15.0), ignore_progress, segmentation=folder)


@pytest.fixture(scope="module")
def unasked(tall) -> Registration:
    return ask(tall, None)


def test_segment_anything_is_asked_where_the_mesh_lies(tall, unasked, tmp_path, monkeypatch):
    network = GreenNetwork()
    monkeypatch.setattr(segmentation, "load_segmentation", lambda folder: network)
    found = ask(tall, tmp_path)
    assert overlap(unasked, tall[2]) < 0.95
    assert overlap(found, tall[2]) > 0.99
    assert found.reference.mask_notes == unasked.reference.mask_notes
    rows, columns = (np.flatnonzero(tall[2].any(axis=axis)) for axis in (1, 0))
    object_box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    np.testing.assert_allclose(network.box, object_box, atol=0.1 * SIZE)


def assert_same(found: Registration, expected: Registration) -> None:
    np.testing.assert_array_equal(found.reference.alpha, expected.reference.alpha)
    assert found.candidates == expected.candidates


def test_what_segment_anything_takes_for_the_object_the_mesh_may_contradict(
    tall, unasked, tmp_path, monkeypatch
):
    found = ask(tall, tiny_model.write_segmentation(tmp_path))
    assert_same(found, unasked)
    assert found.reference.mask_notes == unasked.reference.mask_notes
    monkeypatch.setattr(segmentation, "load_segmentation", lambda folder: GreenNetwork(-1))
    assert_same(ask(tall, tmp_path), unasked)


def test_a_broken_segment_anything_is_a_note(tall, unasked, tmp_path):
    found = ask(tall, tmp_path)
    assert_same(found, unasked)
    [note] = set(found.reference.mask_notes) - set(unasked.reference.mask_notes)
    assert note.startswith("Segment Anything was not used.")


def test_segment_anything_is_not_asked_about_a_plain_ground(tmp_path):
    surface = surface_of(trimesh.creation.box((0.8, 0.5, 1)))
    plain = surface, *photograph(surface, np.full((1, 1, 3), 255))
    found = ask(plain, tmp_path)
    assert overlap(found, plain[2]) > 0.98
    assert found.reference.mask_notes == ()


def test_a_job_asks_the_segment_anything_of_orbitpainter(scene, tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_MODELS", str(tmp_path / "models"))
    plain = job(mesh_data(knot()), scene[1], azimuth=30.0, elevation=15.0)
    before = store.fingerprint(plain)
    (tmp_path / "models" / "orbitpainter" / "segmentation").mkdir(parents=True)
    (tmp_path / "job").mkdir()
    assert store.fingerprint(plain) != before
    result = pipeline.run(replace(plain, check_reference=True), tmp_path / "job", lambda *progress: None)
    assert any("Segment Anything was not used." in note for note in result.report["notes"])
