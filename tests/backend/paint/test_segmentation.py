"""The object in a reference by a Segment Anything network: tiny and random, so that only its inputs and
outputs are tested."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

from backend.api.errors import InvalidWeights
from backend.paint.segmentation import (
    SAM_INPUT_SIZE,
    SAM_MEAN,
    SAM_STD,
    _find_box,
    load_segmentation,
    propose_mask,
    segment_object,
)
from tests import tiny_model

ROOT = Path(__file__).resolve().parents[3]

FILE = "model.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model.write_segmentation(tmp_path_factory.mktemp("segmentation"))


def red_region(color: np.ndarray) -> np.ndarray:
    return color[..., 0] > color[..., 1] + 0.2


def red_square(height: int, width: int, top: int, left: int) -> np.ndarray:
    """A red square of 40 pixels on grey."""
    color = np.full((height, width, 3), 0.5, np.float32)
    color[top : top + 40, left : left + 40] = (0.9, 0.1, 0.1)
    return color


class RedChannelNetwork(torch.nn.Module):
    """Returns the red channel of its square in place of masks, and records the box."""

    def forward(self, pixel_values, input_boxes, multimask_output):
        self.box = input_boxes
        red = pixel_values[:, :1] * SAM_STD[0].item() + SAM_MEAN[0].item()
        mask = torch.nn.functional.avg_pool2d(red, 4) - 178
        return type("Answer", (), {"pred_masks": mask[:, None]})


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1)])
def test_an_image_that_is_next_to_nothing_in_the_square_has_a_mask(shape):
    color = np.full((*shape, 3), 0.5, np.float32)
    alpha = segment_object(RedChannelNetwork(), color, np.ones(shape, bool))
    assert alpha.shape == shape
    assert np.isfinite(alpha).all()


@pytest.mark.parametrize(
    ("height", "width", "top", "left"), [(100, 160, 30, 90), (160, 100, 90, 30), (1500, 1200, 1000, 800)]
)
def test_a_segmented_mask_covers_the_object_in_images_of_any_shape(height, width, top, left):
    network = RedChannelNetwork()
    color = red_square(height, width, top, left)
    alpha = segment_object(network, color, red_region(color))
    assert alpha.shape == (height, width)
    assert alpha.dtype == np.float32
    rows, columns = (np.flatnonzero((alpha > 0.5).any(axis=axis)) for axis in (1, 0))
    edge = max(1, round(4 * max(height, width) / SAM_INPUT_SIZE))
    np.testing.assert_allclose(
        [rows[0], rows[-1] + 1, columns[0], columns[-1] + 1], [top, top + 40, left, left + 40], atol=edge
    )
    box = network.box[0, 0].numpy() * max(height, width) / SAM_INPUT_SIZE
    np.testing.assert_allclose(box, [left, top, left + 40, top + 40], atol=max(3, 0.01 * max(height, width)))


def test_the_segmentation_equals_that_of_the_transformers_library(folder):
    network, library = load_segmentation(folder), SamImageProcessorPil()
    color = cv2.GaussianBlur(red_square(100, 160, 30, 90), (0, 0), 3)
    image = library(np.round(255 * color).astype(np.uint8), return_tensors="pt")
    corners = torch.from_numpy(_find_box(red_region(color)))[None, None] * 1024 / 160
    with torch.no_grad():
        answer = network(pixel_values=image["pixel_values"], input_boxes=corners, multimask_output=False)
    masks = library.post_process_masks(
        answer.pred_masks, image["original_sizes"], image["reshaped_input_sizes"], binarize=False
    )
    expected = torch.sigmoid(masks[0][0, 0]).numpy()
    # Random masks differ from pixel to pixel, and the two are interpolated differently.
    alpha, expected = (
        cv2.GaussianBlur(mask, (0, 0), 2)
        for mask in (segment_object(network, color, red_region(color)), expected)
    )
    assert np.corrcoef(alpha.ravel(), expected.ravel())[0, 1] > 0.95
    assert abs(alpha.mean() - expected.mean()) < 0.01


def test_a_missing_or_incomplete_segmentation_network_is_reported(folder, tmp_path):
    with pytest.raises(InvalidWeights, match="holds no Segment Anything model"):
        load_segmentation(tmp_path)
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    tensors = load_file(folder / "model.safetensors")
    del tensors["mask_decoder.iou_token.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InvalidWeights, match=r"'mask_decoder.iou_token.weight' is missing"):
        load_segmentation(tmp_path)


def copy_damaged(folder: Path, target: Path, damage: str) -> None:
    """Copies a network's folder with its weights cut off, or not finite, or its configuration another's."""
    config = (folder / "config.json").read_text(encoding="utf-8")
    weights = (folder / "model.safetensors").read_bytes()
    if damage == "cut off":
        weights = weights[: len(weights) // 2]
    elif damage == "no weights":
        weights = b""
    elif damage == "no numbers":
        tensors = {name: torch.full_like(tensor, np.nan) for name, tensor in load_file(folder / FILE).items()}
        save_file(tensors, target / FILE, metadata={"format": "pt"})
        weights = (target / FILE).read_bytes()
    elif damage == "another configuration":
        config = config.replace('"hidden_size": 16', '"hidden_size": 32')
    elif damage == "another size":
        config = config.replace('"image_size": 1024', '"image_size": 512')
    else:
        config = "{"
    (target / "config.json").write_text(config, encoding="utf-8")
    (target / FILE).write_bytes(weights)


@pytest.mark.parametrize(
    "damage",
    ["cut off", "no weights", "no numbers", "another configuration", "another size", "no configuration"],
)
def test_a_damaged_segmentation_network_is_a_note(folder, tmp_path, damage):
    copy_damaged(folder, tmp_path, damage)
    color = red_square(100, 160, 30, 90)
    mask, [note] = propose_mask(tmp_path, color, red_region(color))
    assert mask is None
    assert note.startswith("Segment Anything was not used. ")
    assert "facebook/sam-vit-base" in note


def test_too_little_memory_for_the_segmentation_network_is_a_note(folder, monkeypatch):
    monkeypatch.setattr("backend.paint.segmentation.SAM_MEMORY", 1e15)
    color = red_square(100, 160, 30, 90)
    mask, [note] = propose_mask(folder, color, red_region(color))
    assert mask is None
    assert "of memory" in note


def test_a_segmentation_network_that_does_not_run_is_a_note(tmp_path, monkeypatch):
    def run_out_of_memory(**inputs):
        raise RuntimeError("can't allocate memory")

    monkeypatch.setattr("backend.paint.segmentation.load_segmentation", lambda folder: run_out_of_memory)
    color = red_square(100, 160, 30, 90)
    mask, [note] = propose_mask(tmp_path, color, red_region(color))
    assert mask is None
    assert "does not run (can't allocate memory)" in note


def test_nothing_imports_torch_without_a_network():
    code = "import sys, backend.pipeline; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=300).returncode == 0
