"""Reads OpenEXR images: scanlines of one part, without compression or with RLE or ZIP, which Blender writes
(the OpenEXR file layout, openexr.com)."""

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from ..api.errors import InvalidImage

MAGIC = b"v/1\x01"
"""How an OpenEXR file begins."""

_TILED, _DEEP, _MULTIPART = 0x200, 0x800, 0x1000
"""Flags of the version field."""

_ROWS_PER_CHUNK = {0: 1, 1: 1, 2: 1, 3: 16}
"""Scanlines of a chunk by the number of the compression: none, RLE, ZIP of single scanlines, ZIP."""

_DTYPES = (np.dtype("<u4"), np.dtype("<f2"), np.dtype("<f4"))
"""By the number of a channel's pixel type."""

_MAX_PIXELS = 16384**2


@dataclass(frozen=True)
class _Header:
    """What is needed to read the pixels.

    Attributes:
        channels: name and dtype of each, in the file's order.
        compression: its number.
        box: left, top, right and bottom of the pixels, all inclusive.
        end: where the header ends in the file.
    """

    channels: list[tuple[str, np.dtype]]
    compression: int
    box: tuple[int, int, int, int]
    end: int


def read_exr(data: bytes) -> np.ndarray:
    """(H, W, 4) float32 linear RGBA with straight alpha of an OpenEXR file; grey images have three equal
    channels.

    Raises:
        InvalidImage: it is damaged, or stored in a way that is not read.
    """
    try:
        header = _read_header(data)
        layers = _read_channels(data, header)
    except (struct.error, ValueError, IndexError, KeyError, zlib.error, UnicodeDecodeError) as error:
        raise InvalidImage(
            f"The reference image is a damaged OpenEXR file ({error}). Save or download it again."
        ) from None
    names = ("R", "G", "B") if "R" in layers else ("Y", "Y", "Y")
    if names[0] not in layers:
        raise InvalidImage("The reference is an OpenEXR image without colours. Save it as PNG and try again.")
    color = np.stack([layers.get(name, layers[names[0]]) for name in names], axis=-1)
    alpha = layers.get("A", np.ones(color.shape[:2], np.float32))[..., None]
    # Colours are stored multiplied by alpha.
    straight = np.divide(color, alpha, out=color.copy(), where=alpha > 1e-4)
    return np.concatenate([straight, np.clip(alpha, 0, 1)], axis=-1).astype(np.float32)


def _read_header(data: bytes) -> _Header:
    flags = struct.unpack_from("<I", data, 4)[0]
    if flags & (_TILED | _DEEP | _MULTIPART):
        raise InvalidImage(
            "The reference is an OpenEXR image of tiles or several parts, which cannot be read. Save it as "
            "PNG and try again."
        )
    at, attributes = 8, {}
    while data[at] != 0:
        name, at = _read_text(data, at)
        _kind, at = _read_text(data, at)
        size = struct.unpack_from("<i", data, at)[0]
        if not 0 <= size <= len(data):
            raise ValueError("its header is cut short")
        attributes[name] = data[at + 4 : at + 4 + size]
        at += 4 + size
    compression = attributes["compression"][0]
    if compression not in _ROWS_PER_CHUNK:
        raise InvalidImage(
            "The reference is an OpenEXR image with a compression that cannot be read. Save it with the "
            "codec ZIP, or as PNG, and try again."
        )
    box = struct.unpack("<4i", attributes["dataWindow"])
    width, height = box[2] - box[0] + 1, box[3] - box[1] + 1
    if width < 1 or height < 1 or width * height > _MAX_PIXELS:
        raise InvalidImage("The reference image has no pixels, or too many. Scale it down and try again.")
    return _Header(_read_channel_list(attributes["channels"]), compression, box, at + 1)


def _read_channel_list(data: bytes) -> list[tuple[str, np.dtype]]:
    at, channels = 0, []
    while data[at] != 0:
        name, at = _read_text(data, at)
        kind, _linear, x_step, y_step = struct.unpack_from("<iIii", data, at)
        if (x_step, y_step) != (1, 1):
            raise ValueError("its channels differ in size")
        channels.append((name, _DTYPES[kind]))
        at += 16
    return channels


def _read_channels(data: bytes, header: _Header) -> dict[str, np.ndarray]:
    """(H, W) float32 of each channel."""
    left, top, right, bottom = header.box
    width, height = right - left + 1, bottom - top + 1
    rows = _ROWS_PER_CHUNK[header.compression]
    layers = {name: np.zeros((height, width), np.float32) for name, _ in header.channels}
    row_size = width * sum(dtype.itemsize for _, dtype in header.channels)
    chunks = -(-height // rows)
    for offset in struct.unpack_from(f"<{chunks}Q", data, header.end):
        first, size = struct.unpack_from("<ii", data, offset)
        first -= top
        count = min(rows, height - first)
        if not 0 <= first < height or size < 0:
            raise ValueError("a part lies outside")
        packed = data[offset + 8 : offset + 8 + size]
        content = _unpack(packed, header.compression, count * row_size)
        at = 0
        for row in range(first, first + count):
            for name, dtype in header.channels:
                layers[name][row] = np.frombuffer(content, dtype, width, at)
                at += width * dtype.itemsize
    return {name: np.nan_to_num(layer) for name, layer in layers.items()}


def _unpack(packed: bytes, compression: int, size: int) -> bytes:
    """The bytes of a chunk. What compression would have made larger is stored as it is."""
    if compression == 0 or len(packed) == size:
        return packed
    if compression == 1:
        content = _unpack_runs(packed)
    else:
        content = zlib.decompressobj().decompress(packed, size)
    # Each byte is the difference to the one before; the low bytes come first, then the high ones.
    values = np.frombuffer(content, np.uint8).astype(np.int64)
    values[1:] -= 128
    values = (np.cumsum(values) % 256).astype(np.uint8)
    half = (len(values) + 1) // 2
    result = np.empty_like(values)
    result[::2], result[1::2] = values[:half], values[half:]
    return result.tobytes()


def _unpack_runs(packed: bytes) -> bytes:
    """The bytes of a run-length encoding: a negative count is followed by as many bytes, another by the byte
    that is repeated once more than it says."""
    parts, at = [], 0
    while at < len(packed):
        count = packed[at] - 256 if packed[at] > 127 else packed[at]
        if count < 0:
            parts.append(packed[at + 1 : at + 1 - count])
            at += 1 - count
        else:
            parts.append(packed[at + 1 : at + 2] * (count + 1))
            at += 2
    return b"".join(parts)


def _read_text(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(b"\0", at)
    return data[at:end].decode("latin-1"), end + 1
