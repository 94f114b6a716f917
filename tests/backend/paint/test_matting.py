"""The alpha of a matting model: what the network is given, what becomes of its answer, what goes wrong."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.api.errors import InvalidWeights
from backend.paint.matting import MATTING_MODELS, estimate_alpha, load_matting, propose_alpha
from tests.tiny_matting import make_graph, write_model

ROOT = Path(__file__).resolve().parents[3]

BIREFNET, ISNET = MATTING_MODELS["birefnet"], MATTING_MODELS["isnet"]

SMALL = replace(BIREFNET, size=8)


def resize_naively(channel: np.ndarray, width: int, height: int) -> np.ndarray:
    """Weighted means under a triangle that is two source pixels wide, or two target pixels if these are
    larger; written from the definition."""

    def along(values: np.ndarray, count: int) -> np.ndarray:
        scale = len(values) / count
        reach = max(scale, 1.0)
        rows = []
        for target in range(count):
            center = (target + 0.5) * scale
            weights = [max(0.0, 1 - abs(source + 0.5 - center) / reach) for source in range(len(values))]
            rows.append(sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights))
        return np.array(rows)

    return along(along(channel.T.astype(np.float64), width).T, height)


def sum_naively(color: np.ndarray, weights: tuple, bias: float, mean: tuple, std: tuple) -> np.ndarray:
    """(8, 8): what the tiny graph answers."""
    answer = np.full((8, 8), bias)
    for channel in range(3):
        seen = (resize_naively(color[..., channel], 8, 8) - mean[channel]) / std[channel]
        answer += weights[channel] * seen
    return answer


SHAPES = pytest.mark.parametrize("shape", [(5, 12), (20, 3), (8, 8), (31, 17)])


@SHAPES
def test_birefnets_view_of_an_image_is_that_of_a_naive_implementation(tmp_path, shape):
    color = np.random.default_rng(0).random((*shape, 3), np.float32)
    weights, bias = (0.7, -1.3, 0.4), 0.2
    logits = sum_naively(color, weights, bias, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    expected = resize_naively(1 / (1 + np.exp(-logits)), shape[1], shape[0])

    folder = write_model(tmp_path / "birefnet", weights=weights, bias=bias, size=8)
    alpha = estimate_alpha(load_matting(folder, SMALL), color, SMALL)
    assert (alpha.dtype, alpha.shape) == (np.float32, shape)
    np.testing.assert_allclose(alpha, expected, atol=1e-5)


@SHAPES
def test_isnets_view_of_an_image_is_that_of_a_naive_implementation(tmp_path, shape):
    color = np.random.default_rng(1).random((*shape, 3), np.float32)
    weights, bias = (0.3, -0.2, 0.4), 0.5
    answer = sum_naively(color, weights, bias, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0))
    stretched = (answer - answer.min()) / (answer.max() - answer.min())
    expected = resize_naively(stretched, shape[1], shape[0])

    graph = {"weights": weights, "bias": bias, "side_outputs": ("side_1", "side_2")}
    folder, model = write_model(tmp_path / "isnet", size=8, **graph), replace(ISNET, size=8)
    alpha = estimate_alpha(load_matting(folder, model), color, model)
    assert (alpha.dtype, alpha.shape) == (np.float32, shape)
    np.testing.assert_allclose(alpha, expected, atol=1e-5)


def test_an_isnet_that_sees_no_object_proposes_none(tmp_path):
    folder = write_model(tmp_path / "isnet", weights=(0, 0, 0), bias=0.7, size=8)
    alpha, notes = propose_alpha(folder, np.ones((9, 9, 3), np.float32), replace(ISNET, size=8))
    assert notes == ()
    assert not alpha.any()


@pytest.mark.parametrize("name", ["birefnet", "isnet"])
def test_the_folders_model_in_the_published_size_is_the_default(tmp_path, name):
    color = np.zeros((48, 64, 3), np.float32)
    color[:, 32:, 2] = 1
    alpha, notes = propose_alpha(write_model(tmp_path / name, weights=(0, 0, 9), bias=0), color)
    assert notes == ()
    assert alpha[:, :30].max() < 0.01
    assert alpha[:, 34:].min() > 0.99


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 512}, r"its input is 'input_image' tensor\(float\) \[1, 3, 512, 512\]"),
        ({"channels": 4, "weights": (1, 1, 1, 1)}, r"instead of 'input_image' tensor\(float\) \[1, 3, 1024"),
        ({"names": ("image", "output_image")}, "its input is 'image'"),
        ({"names": ("input_image", "mask")}, "its output is 'mask'"),
        ({"kind": np.float16}, r"tensor\(float16\)"),
        ({"data": b"no graph"}, "is not an ONNX graph that can be read"),
        ({"data": b""}, "is not an ONNX graph that can be read|belongs to another model"),
        ({"data": make_graph()[:-40]}, "is not an ONNX graph that can be read"),
    ],
)
def test_another_or_a_damaged_graph_is_refused(tmp_path, options, message):
    with pytest.raises(InvalidWeights, match=message) as refused:
        load_matting(write_model(tmp_path / "birefnet", **options), BIREFNET)
    assert "install.py download birefnet" in refused.value.message
    assert str(tmp_path / "birefnet" / BIREFNET.file) in refused.value.message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 512, "side_outputs": ("side",)}, r"its input is 'input_image' tensor\(float\) \[1, 3, 512"),
        ({"names": ("input_image", "mask"), "side_outputs": ("side",)}, "its output is 'side' .*, 'mask'"),
        ({"data": b"no graph"}, "is not an ONNX graph that can be read"),
    ],
)
def test_another_graph_in_isnets_folder_is_refused(tmp_path, options, message):
    with pytest.raises(InvalidWeights, match=message) as refused:
        load_matting(write_model(tmp_path / "isnet", **options), ISNET)
    assert "docs/matting.md" in refused.value.message
    assert "download" not in refused.value.message


def test_isnets_graph_in_birefnets_folder_is_refused(tmp_path):
    folder = write_model(tmp_path / "birefnet", side_outputs=("side",))
    with pytest.raises(InvalidWeights, match=r"belongs to another model: its output is 'side'"):
        load_matting(folder, BIREFNET)


@pytest.mark.parametrize("model", MATTING_MODELS.values(), ids=MATTING_MODELS)
def test_a_folder_without_the_graph_is_named(tmp_path, model):
    with pytest.raises(InvalidWeights, match=f"has no file '{model.file}'"):
        load_matting(tmp_path, model)


def test_a_network_that_returns_no_numbers_is_a_note(tmp_path):
    folder = write_model(tmp_path / "birefnet", weights=(np.nan,) * 3, size=8)
    alpha, [note] = propose_alpha(folder, np.zeros((9, 9, 3), np.float32), SMALL)
    assert alpha is None
    assert "returns no numbers" in note


def test_too_little_memory_is_a_note(tmp_path):
    folder = write_model(tmp_path / "birefnet", size=8)
    model = replace(SMALL, memory_per_byte=1e12)
    alpha, [note] = propose_alpha(folder, np.zeros((9, 9, 3), np.float32), model)
    assert alpha is None
    assert "of memory" in note


def test_nothing_imports_onnxruntime_without_a_model():
    code = "import sys, backend.pipeline, backend.weights.birefnet; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=300).returncode == 0
