"""A matting model's mask as one more hypothesis about the object: taken where the mesh agrees, else not."""

from dataclasses import replace

import numpy as np
import pytest

from backend import pipeline, store
from backend.api.weights import find_matting
from backend.paint.camera.outline import intersection_over_union
from backend.paint.camera.registration import Registration, register_reference
from backend.paint.camera.view import angle_between
from backend.paint.reference import decode
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


@pytest.fixture(scope="module")
def scene():
    """A knot, a photograph of it before random tiles, and its true mask."""
    surface = surface_of(knot())
    cut = reference_image(surface, camera_at(30, 15, SIZE))
    tiles = np.random.default_rng(0).integers(0, 256, (16, 16, 3))
    tiles[..., 1] //= 5
    ground = np.kron(tiles, np.ones((SIZE // 16, SIZE // 16, 1)))
    alpha = cut[..., 3:] / 255
    pixels = np.full((SIZE, SIZE, 4), 255, np.uint8)
    pixels[..., :3] = np.round(alpha * cut[..., :3] + (1 - alpha) * ground)
    return surface, pixels, alpha[..., 0] > 0.5


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
