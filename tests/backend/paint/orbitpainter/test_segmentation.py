"""The object in a reference by a Segment Anything network: tiny and random, so that only the way to it and
back is tested."""

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

from backend.api.errors import InvalidWeights
from backend.paint.orbitpainter.segmentation import MEAN, SIZE, SPREAD, _box, load_segmentation, segmented
from tests import tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model.write_segmentation(tmp_path_factory.mktemp("segmentation"))


def picture(height: int, width: int, top: int, left: int) -> np.ndarray:
    """A red square of 40 pixels on grey."""
    color = np.full((height, width, 3), 0.5, np.float32)
    color[top : top + 40, left : left + 40] = (0.9, 0.1, 0.1)
    return color


class Watched(torch.nn.Module):
    """Answers with what the red channel shows of the square, in the place of masks; keeps the box."""

    def forward(self, pixel_values, input_boxes, multimask_output):
        self.box = input_boxes
        red = pixel_values[:, :1] * SPREAD[0].item() + MEAN[0].item()
        mask = torch.nn.functional.avg_pool2d(red, 4) - 178
        return type("Answer", (), {"pred_masks": mask[:, None]})


@pytest.mark.parametrize(
    ("height", "width", "top", "left"), [(100, 160, 30, 90), (160, 100, 90, 30), (1500, 1200, 1000, 800)]
)
def test_a_mask_lies_where_the_object_is_whatever_the_images_shape(height, width, top, left):
    network = Watched()
    alpha = segmented(network, picture(height, width, top, left))
    assert alpha.shape == (height, width)
    assert alpha.dtype == np.float32
    rows, columns = (np.flatnonzero((alpha > 0.5).any(axis=axis)) for axis in (1, 0))
    edge = max(1, round(4 * max(height, width) / SIZE))
    np.testing.assert_allclose(
        [rows[0], rows[-1] + 1, columns[0], columns[-1] + 1], [top, top + 40, left, left + 40], atol=edge
    )
    box = network.box[0, 0].numpy() * max(height, width) / SIZE
    np.testing.assert_allclose(box, [left, top, left + 40, top + 40], atol=max(3, 0.01 * max(height, width)))


def test_the_network_is_asked_and_heard_as_by_the_library_itself(folder):
    network, library = load_segmentation(folder), SamImageProcessorPil()
    color = cv2.GaussianBlur(picture(100, 160, 30, 90), (0, 0), 3)
    image = library(np.round(255 * color).astype(np.uint8), return_tensors="pt")
    corners = torch.from_numpy(_box(color))[None, None] * 1024 / 160
    with torch.no_grad():
        answer = network(pixel_values=image["pixel_values"], input_boxes=corners, multimask_output=False)
    masks = library.post_process_masks(
        answer.pred_masks, image["original_sizes"], image["reshaped_input_sizes"], binarize=False
    )
    wanted = torch.sigmoid(masks[0][0, 0]).numpy()
    # Random masks differ from pixel to pixel, and the two are interpolated differently.
    alpha, wanted = (cv2.GaussianBlur(mask, (0, 0), 2) for mask in (segmented(network, color), wanted))
    assert np.corrcoef(alpha.ravel(), wanted.ravel())[0, 1] > 0.95
    assert abs(alpha.mean() - wanted.mean()) < 0.01


def test_a_folder_without_a_network_or_with_half_of_one_is_named(folder, tmp_path):
    with pytest.raises(InvalidWeights, match="holds no Segment Anything model"):
        load_segmentation(tmp_path)
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    tensors = load_file(folder / "model.safetensors")
    del tensors["mask_decoder.iou_token.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InvalidWeights, match=r"'mask_decoder.iou_token.weight' is missing"):
        load_segmentation(tmp_path)
