"""The object in a reference by a Segment Anything network: tiny and random, so that only its inputs and
outputs are tested."""

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

from backend.api.errors import InvalidWeights
from backend.paint.orbitpainter.segmentation import (
    SAM_INPUT_SIZE,
    SAM_MEAN,
    SAM_STD,
    _find_box,
    load_segmentation,
    segment_object,
)
from tests import tiny_model


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
