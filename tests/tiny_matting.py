"""A matting model with one layer: real files and a real graph, whose answer is a weighted sum of the
channels that it sees. The file is written field by field (ONNX is protocol buffers), so that tests need no
package that onnxruntime does not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from backend.api.weights import BIREFNET
from backend.paint.matting import MATTING_MODELS

SIZE = MATTING_MODELS[BIREFNET.name].size

ELEMENT_TYPES = {np.float32: 1, np.float16: 10, np.float64: 11}
"""ONNX's numbers of the types of elements."""


def make_graph(
    weights: Sequence[float] = (0.0, 0.0, 1.0),
    bias: float = 0.0,
    size: int = SIZE,
    channels: int = 3,
    names: tuple[str, str] = ("input_image", "output_image"),
    kind: type = np.float32,
    side_outputs: Sequence[str] = (),
    activation: str = "Identity",
) -> bytes:
    """An ONNX file whose answer is the activation (ONNX's name) of the sum of the normalised channels times
    ``weights``, plus ``bias``; the outputs ``side_outputs`` are the negative of the sum."""
    source, target = names
    graph = [
        _node("Conv", (source, "weights", "bias"), "sum"),
        _node(activation, ("sum",), target),
        *(_node("Neg", ("sum",), name) for name in side_outputs),
        _text(2, "matting"),
        _message(5, _tensor("weights", np.array(weights, kind).reshape(1, channels, 1, 1))),
        _message(5, _tensor("bias", np.array([bias], kind))),
        _message(11, _value(source, kind, (1, channels, size, size))),
        *(_message(12, _value(name, kind, (1, 1, size, size))) for name in (*side_outputs, target)),
    ]
    opset = [_text(1, ""), _number(2, 17)]
    return b"".join([_number(1, 8), _message(7, graph), _message(8, opset)])


def _varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _message(field: int, parts: Sequence[bytes]) -> bytes:
    return _bytes(field, b"".join(parts))


def _node(kind: str, sources: Sequence[str], target: str) -> bytes:
    return _message(1, [*(_text(1, source) for source in sources), _text(2, target), _text(4, kind)])


def _tensor(name: str, values: np.ndarray) -> list[bytes]:
    dims = [_number(1, size) for size in values.shape]
    return [*dims, _number(2, ELEMENT_TYPES[values.dtype.type]), _text(8, name), _bytes(9, values.tobytes())]


def _value(name: str, kind: type, shape: Sequence[int]) -> list[bytes]:
    dims = [_message(1, [_number(1, size)]) for size in shape]
    tensor = [_number(1, ELEMENT_TYPES[kind]), _message(2, dims)]
    return [_text(1, name), _message(2, [_message(1, tensor)])]


def write_model(folder: Path, data: bytes | None = None, **options) -> Path:
    """The folder of the model that it is named after, from a file's bytes or :func:`make_graph`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = MATTING_MODELS[folder.name].file
    (folder / file).write_bytes(make_graph(**options) if data is None else data)
    return folder
