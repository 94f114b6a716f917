"""One message as frames: a JSON header, then the bytes of each array, in one frame or several. See
``docs/protocol.md``."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from . import messages
from .errors import ProtocolError, VersionMismatch

MAX_HEADER = 4 * 2**20
"""Bytes of a header."""

MAX_FRAME = MAX_HEADER
"""Bytes of a frame. libzmq receives a whole one before it knows who sends it, so this is what a stranger can
make it hold with a connection."""

MAX_ARRAY = 512 * 2**20
"""Bytes of one array."""

MAX_TOTAL = 1024 * 2**20
"""Bytes of all arrays of a message."""

MAX_ARRAYS = 640
"""Arrays of a message: every map of a texture on 64 UDIM tiles, and what else a job has."""

MAX_DIMENSIONS = 4
"""Dimensions of an array."""

MAX_SIZE = 2**31
"""Length of one dimension."""

_DTYPES = {"uint8": np.dtype(np.uint8), "int32": np.dtype(np.int32), "float32": np.dtype(np.float32)}


@dataclass(frozen=True)
class Message:
    """A message that follows the protocol.

    Attributes:
        type: a key of :mod:`backend.api.messages`' tables.
        body: exactly the fields that the table names.
        arrays: by name; uint8, int32 or float32, C-order, read-only.
    """

    type: str
    body: dict
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def pack(
    message_type: str, body: dict | None = None, arrays: Mapping[str, np.ndarray] | None = None
) -> list[bytes | memoryview]:
    """The frames of a message. Array frames share memory with C-ordered ``arrays``: do not change those until
    they are sent.

    Raises:
        ProtocolError: the message does not follow the protocol or exceeds its limits.
    """
    body = body or {}
    arrays = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    descriptions = [
        {"name": name, "dtype": array.dtype.name, "shape": list(array.shape)}
        for name, array in arrays.items()
    ]
    messages.check(message_type, body)
    _check_descriptions(message_type, descriptions)
    try:
        header = json.dumps(
            {"v": messages.PROTOCOL, "type": message_type, "body": body, "arrays": descriptions},
            allow_nan=False,
        ).encode()
    except (TypeError, ValueError) as error:
        raise ProtocolError(
            f"The body of a message '{message_type}' cannot be written as JSON: {error}."
        ) from error
    if len(header) > MAX_HEADER:
        raise ProtocolError(f"The header of a message '{message_type}' is too long.")
    return [header, *(frame for array in arrays.values() for frame in _split(array))]


def unpack(frames: Sequence[bytes | memoryview]) -> Message:
    """The message from the frames that :func:`pack` made. An array in one frame shares memory with it.

    Raises:
        VersionMismatch: the message has another version of the protocol.
        ProtocolError: it does not follow the protocol.
    """
    header = _header(frames[0] if frames else b"")
    if header.get("v") != messages.PROTOCOL:
        raise VersionMismatch(
            "Blender and the worker are of different versions of Orbit Texture. Restart the worker.",
            "restart_worker",
        )
    if set(header) != {"v", "type", "body", "arrays"}:
        raise ProtocolError("A message's header must have the fields v, type, body and arrays.")
    message_type, body, descriptions = header["type"], header["body"], header["arrays"]
    if not (isinstance(message_type, str) and isinstance(body, dict) and isinstance(descriptions, list)):
        raise ProtocolError("A field of a message's header has the wrong type.")
    messages.check(message_type, body)
    _check_descriptions(message_type, descriptions)
    arrays, data = {}, list(frames[1:])
    for entry in descriptions:
        dtype, shape = _DTYPES[entry["dtype"]], entry["shape"]
        sizes = _frame_sizes(math.prod(shape) * dtype.itemsize)
        if [len(frame) for frame in data[: len(sizes)]] != sizes:
            raise ProtocolError(f"The array '{entry['name']}' does not have the shape that its header says.")
        array = np.frombuffer(_join(data[: len(sizes)]), dtype).reshape(shape)
        array.flags.writeable = False
        arrays[entry["name"]], data = array, data[len(sizes) :]
    if data:
        raise ProtocolError(f"A message '{message_type}' carries more arrays than it describes.")
    return Message(message_type, body, arrays)


def _frame_sizes(size: int) -> list[int]:
    """The bytes of the frames in which an array of ``size`` bytes travels."""
    full, rest = divmod(size, MAX_FRAME)
    return [MAX_FRAME] * full + ([rest] if rest or not full else [])


def _split(array: np.ndarray) -> list[bytes | memoryview]:
    """The frames of an array, which share its memory."""
    if not array.size:
        return [b""]
    data = array.reshape(-1).view(np.uint8).data
    return [data[start : start + MAX_FRAME] for start in range(0, len(data), MAX_FRAME)]


def _join(frames: list[bytes | memoryview]) -> bytes | memoryview | np.ndarray:
    """The bytes of the frames of an array."""
    return (
        frames[0] if len(frames) == 1 else np.concatenate([np.frombuffer(part, np.uint8) for part in frames])
    )


def _header(frame: bytes | memoryview) -> dict:
    if len(frame) > MAX_HEADER:
        raise ProtocolError("A message's header is too long.")
    try:
        header = json.loads(bytes(frame), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("A message's header is not JSON.") from error
    if not isinstance(header, dict):
        raise ProtocolError("A message's header must be a JSON object.")
    return header


def _refuse_constant(name: str):
    raise ValueError(f"{name} is not JSON")


def _check_descriptions(message_type: str, descriptions: list) -> None:
    """Raises :class:`ProtocolError` unless the header's entries, a name, dtype and shape per array, describe
    arrays within the limits."""
    if descriptions and message_type not in messages.WITH_ARRAYS:
        raise ProtocolError(f"A message '{message_type}' carries no arrays.")
    if len(descriptions) > MAX_ARRAYS:
        raise ProtocolError(
            f"A message '{message_type}' describes {len(descriptions)} arrays. The limit is {MAX_ARRAYS}."
        )
    names, sizes = set(), [0]
    for entry in descriptions:
        if (
            not isinstance(entry, dict)
            or set(entry) != {"name", "dtype", "shape"}
            or not isinstance(entry["name"], str)
        ):
            raise ProtocolError("An array must be described by its name, dtype and shape.")
        name, dtype, shape = entry["name"], entry["dtype"], entry["shape"]
        if name in names or not 0 < len(name) <= 64:
            raise ProtocolError(f"An array needs a name of its own of 1 to 64 characters, not '{name[:64]}'.")
        names.add(name)
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            raise ProtocolError(f"The array '{name}' must be one of {', '.join(_DTYPES)}.")
        valid = isinstance(shape, list) and all(
            isinstance(count, int) and not isinstance(count, bool) and 0 <= count < MAX_SIZE
            for count in shape
        )
        if not valid or len(shape) > MAX_DIMENSIONS:
            raise ProtocolError(f"The array '{name}' has a shape that no array can have.")
        sizes.append(math.prod(shape) * _DTYPES[dtype].itemsize)
    if sum(sizes) > MAX_TOTAL or max(sizes) > MAX_ARRAY:
        raise ProtocolError(
            f"The arrays of a message '{message_type}' are too large: {sum(sizes) / 2**20:,.0f} MiB in all. "
            f"The limit is {MAX_ARRAY >> 20} MiB per array and {MAX_TOTAL >> 20} MiB per message."
        )
