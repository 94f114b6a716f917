"""A matting model with one layer: real files and a real graph, whose logits are a weighted sum of the
channels that it sees."""

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from backend.paint.matting import MODEL_FILE, MattingConfig

SIZE = MattingConfig().size


def make_graph(
    weights: Sequence[float] = (0.0, 0.0, 1.0),
    bias: float = 0.0,
    size: int = SIZE,
    channels: int = 3,
    names: tuple[str, str] = ("input_image", "output_image"),
    kind: int = TensorProto.FLOAT,
) -> bytes:
    """An ONNX file whose logits are the sum of the normalised channels times ``weights``, plus ``bias``."""
    source, target = names
    graph = helper.make_graph(
        [helper.make_node("Conv", [source, "weights", "bias"], [target])],
        "matting",
        [helper.make_tensor_value_info(source, kind, (1, channels, size, size))],
        [helper.make_tensor_value_info(target, kind, (1, 1, size, size))],
        [
            helper.make_tensor("weights", kind, (1, channels, 1, 1), list(weights)),
            helper.make_tensor("bias", kind, (1,), [bias]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def write_model(folder: Path, data: bytes | None = None, **options) -> Path:
    """A folder with a model, from a file's bytes or :func:`make_graph`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(make_graph(**options) if data is None else data)
    return folder
