"""The alpha of a matting model: what the network is given, what becomes of its answer, what goes wrong."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backend.api.errors import InvalidWeights
from backend.paint.matting import MODEL_FILE, MattingConfig, estimate_alpha, load_matting, propose_alpha
from tests.tiny_matting import make_graph, write_model

ROOT = Path(__file__).resolve().parents[3]

SMALL = MattingConfig(size=8)


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


@pytest.mark.parametrize("shape", [(5, 12), (20, 3), (8, 8), (31, 17)])
def test_the_networks_view_of_an_image_is_that_of_a_naive_implementation(tmp_path, shape):
    color = np.random.default_rng(0).random((*shape, 3), np.float32)
    weights, bias = (0.7, -1.3, 0.4), 0.2
    logits = np.full((8, 8), bias)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    for channel in range(3):
        seen = (resize_naively(color[..., channel], 8, 8) - mean[channel]) / std[channel]
        logits += weights[channel] * seen
    expected = resize_naively(1 / (1 + np.exp(-logits)), shape[1], shape[0])

    session = load_matting(write_model(tmp_path, weights=weights, bias=bias, size=8), SMALL)
    alpha = estimate_alpha(session, color, SMALL)
    assert (alpha.dtype, alpha.shape) == (np.float32, shape)
    np.testing.assert_allclose(alpha, expected, atol=1e-5)


def test_the_published_size_is_the_default(tmp_path):
    color = np.zeros((48, 64, 3), np.float32)
    color[:, 32:, 2] = 1
    alpha, notes = propose_alpha(write_model(tmp_path, weights=(0, 0, 9), bias=0), color)
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
        load_matting(write_model(tmp_path, **options))
    assert "python -m backend download birefnet" in refused.value.message
    assert str(tmp_path / MODEL_FILE) in refused.value.message


def test_a_folder_without_the_graph_is_named(tmp_path):
    with pytest.raises(InvalidWeights, match=r"has no file 'model\.onnx'"):
        load_matting(tmp_path)


def test_a_network_that_returns_no_numbers_is_a_note(tmp_path):
    folder = write_model(tmp_path, weights=(np.nan,) * 3, size=8)
    alpha, [note] = propose_alpha(folder, np.zeros((9, 9, 3), np.float32), SMALL)
    assert alpha is None
    assert "returns no numbers" in note


def test_too_little_memory_is_a_note(tmp_path):
    folder = write_model(tmp_path, size=8)
    config = MattingConfig(size=8, memory_per_byte=1e12)
    alpha, [note] = propose_alpha(folder, np.zeros((9, 9, 3), np.float32), config)
    assert alpha is None
    assert "of memory" in note


def test_nothing_imports_onnxruntime_without_a_model():
    code = "import sys, backend.pipeline, backend.weights.birefnet; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=300).returncode == 0
