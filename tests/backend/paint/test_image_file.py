"""Image files are read as any viewer shows them, and nothing but images is opened."""

import contextlib
import io
import itertools
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from backend.api.errors import InvalidImage
from backend.paint import image_file
from backend.paint.reference import decode

SIZE = 64
DISC = np.hypot(*(np.mgrid[:SIZE, :SIZE] - SIZE / 2)) < 20
RED, GROUND = (220, 30, 30), (7, 8, 9)
COLORS = np.where(DISC[..., None], np.uint8(RED), np.uint8(GROUND))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def save(image: Image.Image, kind: str = "PNG", **options) -> np.ndarray:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return np.frombuffer(data.getvalue(), np.uint8)


def palette_image() -> Image.Image:
    image = Image.fromarray(DISC.astype(np.uint8)).convert("P")
    image.putpalette([*GROUND, *RED])
    return image


GREY_16 = Image.fromarray(np.where(DISC, 46260, 2570).astype(np.uint16))
GREY_8 = Image.fromarray(np.where(DISC, 180, 10).astype(np.uint8))
WITH_ALPHA = Image.fromarray(np.dstack([COLORS, 255 * DISC.astype(np.uint8)]))


@pytest.mark.parametrize(
    "data",
    [
        save(palette_image(), transparency=0),
        save(palette_image(), transparency=bytes([0, 255])),
        save(palette_image(), transparency=0, icc_profile=SRGB),
        save(GREY_8, transparency=10),
        save(GREY_16, transparency=2570),
        save(Image.fromarray(COLORS), transparency=GROUND),
        save(Image.fromarray(COLORS), transparency=GROUND, icc_profile=SRGB),
        save(WITH_ALPHA, icc_profile=SRGB),
        save(WITH_ALPHA.convert("LA")),
        save(WITH_ALPHA.convert("LA"), icc_profile=SRGB),
        save(WITH_ALPHA, "TIFF"),
        save(WITH_ALPHA, "WEBP", lossless=True),
        save(WITH_ALPHA, "AVIF", quality=100),
    ],
)
def test_what_is_transparent_stays_so(data):
    alpha = decode(data).alpha
    assert alpha[0, 0] < 0.02
    assert alpha[SIZE // 2, SIZE // 2] > 0.98


@pytest.mark.parametrize(
    "data",
    [
        save(palette_image()),
        save(palette_image(), icc_profile=SRGB),
        save(Image.fromarray(COLORS), "TIFF"),
        save(Image.fromarray(COLORS).convert("YCbCr"), "TIFF"),
        save(Image.fromarray(COLORS).convert("CMYK"), "TIFF"),
        save(Image.fromarray(COLORS), "BMP"),
        save(
            ImageCms.profileToProfile(
                Image.fromarray(COLORS),
                ImageCms.createProfile("sRGB"),
                ImageCms.createProfile("LAB"),
                outputMode="LAB",
            ),
            "TIFF",
        ),
        save(Image.fromarray(COLORS), "AVIF", quality=100),
    ],
)
def test_colours_are_those_that_viewers_show(data):
    color = 255 * decode(data).color
    np.testing.assert_allclose(color[SIZE // 2, SIZE // 2], RED, atol=8)
    np.testing.assert_allclose(color[0, 0], GROUND, atol=8)


@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
def test_an_image_without_alpha_is_opaque(kind):
    image = Image.fromarray(COLORS)
    if kind == "TIFF":
        # Its channel a* is no alpha.
        spaces = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(image, *spaces, outputMode="LAB")
    assert decode(save(image, kind)).alpha.min() == 1


def make_png(depth: int, samples: np.ndarray, transparent: tuple[int, ...]) -> np.ndarray:
    """A PNG of samples (H, W, 1 or 3) of so many bits, of which one colour is transparent."""
    height, width, channels = samples.shape
    if depth == 16:
        rows = [row.astype(">u2").tobytes() for row in samples]
    else:
        bits = (samples[..., :1] >> np.arange(depth)[::-1]) & 1
        rows = [row.tobytes() for row in np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)]
    header = struct.pack(">IIBBBBB", width, height, depth, 2 if channels == 3 else 0, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"tRNS", struct.pack(f">{channels}H", *transparent)),
        (b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))),
        (b"IEND", b""),
    )
    data = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return np.frombuffer(b"\x89PNG\r\n\x1a\n" + data, np.uint8)


@pytest.mark.parametrize(
    ("depth", "ground", "disc"),
    [
        (16, (1800, 2058, 2313), (56000, 8000, 8000)),
        (16, (2570,), (46260,)),
        (8, (10,), (180,)),
        (4, (3,), (12,)),
        (2, (1,), (3,)),
        (1, (0,), (1,)),
    ],
)
def test_the_transparent_colour_of_a_png_has_any_depth(depth, ground, disc):
    samples = np.where(DISC[..., None], np.array(disc), np.array(ground))
    assert np.array_equal(decode(make_png(depth, samples, ground)).alpha, DISC)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_float_tiff_in_colour_is_read(channels):
    pixels = np.dstack([COLORS / np.float32(255), DISC.astype(np.float32)])[..., :channels]
    blue_first = pixels[..., [2, 1, 0, 3][:channels]]
    reference = decode(cv2.imencode(".tiff", np.ascontiguousarray(blue_first, np.float32))[1].ravel())
    np.testing.assert_allclose(255 * reference.color[32, 32], RED, atol=1)
    np.testing.assert_allclose(255 * reference.color[0, 0], GROUND, atol=1)
    assert (reference.alpha[0, 0] == 0) == (channels == 4)
    assert "8 bits" in reference.notes[0]


@pytest.mark.parametrize(("values", "grey"), [((0.2, 0.8), 204), ((51, 204), 204), ((13107, 52428), 204)])
def test_a_float_tiff_is_read(values, grey):
    image = Image.fromarray(np.where(DISC, values[1], values[0]).astype(np.float32))
    assert 255 * decode(save(image, "TIFF")).color[32, 32, 0] == pytest.approx(grey, abs=1)


def test_an_hdr_image_is_read_with_white_as_white():
    linear = np.full((SIZE, SIZE, 3), 0.2158605, np.float32)  # sRGB 0.5
    linear[:8] = 7.0
    reference = decode(cv2.imencode(".hdr", linear)[1].ravel())
    assert reference.color[40, 40] == pytest.approx(0.5, abs=0.01)
    assert reference.color[2, 2] == pytest.approx(1.0)
    assert "HDR" in reference.notes[0]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nshowpage\n", "EPS"),
        (b"\xc5\xd0\xd3\xc6" + bytes(60), "EPS"),
        (b"%PDF-1.7\n" + bytes(60), "PDF"),
        (b"\xd7\xcd\xc6\x9a" + bytes(60), "WMF"),
        (b"v/1\x01" + bytes(60), "OpenEXR"),
        (b"v/1\x01\x02\x10\0\0" + bytes(60), "several parts"),
        (b"<svg xmlns=''></svg>" + b" " * 60, "SVG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(2000), "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(2000), "HEIC"),
        (b"\0\0\0\x18ftypcrx \0\0\0\0" + bytes(2000), "raw"),
        (b"nothing that anybody knows" * 4, "not an image file"),
    ],
)
def test_what_is_no_image_is_named(data, word, monkeypatch):
    monkeypatch.setattr("subprocess.Popen", None)  # no other program may be started
    with pytest.raises(InvalidImage, match=word):
        decode(np.frombuffer(data, np.uint8))


def test_only_formats_that_hold_pixels_are_opened():
    assert not {"EPS", "WMF", "FITS", "HDF5", "GRIB", "BUFR", "MPEG"} & set(image_file.FORMATS)
    Image.init()
    assert set(image_file.FORMATS) <= set(Image.OPEN)


def make_exr(pixels: np.ndarray, compression: int, kind: int = 1) -> bytes:
    """An OpenEXR file of (H, W, C) premultiplied linear values, channels A, B, G, R or Y."""
    height, width, count = pixels.shape
    names = "ABGR" if count == 4 else "BGR" if count == 3 else "Y"

    def attribute(name, kind, data):
        return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(data)) + data

    channels = b"".join(name.encode() + b"\0" + struct.pack("<iIii", kind, 0, 1, 1) for name in names)
    box = struct.pack("<4i", 3, 5, width + 2, height + 4)
    header = b"v/1\x01" + struct.pack("<I", 2)
    header += attribute("channels", "chlist", channels + b"\0")
    header += attribute("compression", "compression", bytes([compression]))
    header += attribute("dataWindow", "box2i", box) + attribute("lineOrder", "lineOrder", b"\0") + b"\0"
    rows = 16 if compression == 3 else 1
    order = [{"R": 0, "G": 1, "B": 2, "A": 3, "Y": 0}[name] for name in names]
    dtype = np.float16 if kind == 1 else np.float32
    chunks = []
    for first in range(0, height, rows):
        plain = b"".join(
            row[:, each].astype(dtype).tobytes() for row in pixels[first : first + rows] for each in order
        )
        packed = plain if compression == 0 else pack(plain, compression)
        packed = packed if len(packed) < len(plain) else plain
        chunks.append(struct.pack("<ii", first + 5, len(packed)) + packed)
    start = len(header) + 8 * len(chunks)
    offsets = np.cumsum([start, *map(len, chunks[:-1])]).astype("<u8").tobytes()
    return header + offsets + b"".join(chunks)


def pack(plain: bytes, compression: int) -> bytes:
    split = plain[::2] + plain[1::2]
    differences = bytes([split[0], *((b - a + 128) % 256 for a, b in itertools.pairwise(split))])
    if compression != 1:
        return zlib.compress(differences)
    runs = [(value, len(list(group))) for value, group in itertools.groupby(differences)]
    return b"".join(
        bytes([min(127, left) - 1, value]) if left > 1 else bytes([255, value])
        for value, count in runs
        for left in [min(127, count - done) for done in range(0, count, 127)]
    )


@pytest.mark.parametrize("compression", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", [1, 2])
def test_an_exr_image_is_read(compression, kind):
    linear = ((np.where(DISC[..., None], RED, GROUND) / 255 + 0.055) / 1.055) ** 2.4
    alpha = np.where(DISC, 1.0, 0.5)[..., None]
    data = make_exr(np.dstack([linear * alpha, alpha]), compression, kind)
    reference = decode(np.frombuffer(data, np.uint8))
    np.testing.assert_allclose(255 * reference.color[32, 32], RED, atol=1)
    assert reference.alpha[0, 0] == pytest.approx(0.5, abs=0.01)
    assert reference.alpha[32, 32] == 1


def test_a_grey_exr_image_is_read():
    data = make_exr(np.full((SIZE, SIZE, 1), 0.2158605), 3)
    assert decode(np.frombuffer(data, np.uint8)).color[5, 5] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("compression", [4, 6, 8])
def test_an_exr_compression_that_is_not_read_is_said(compression):
    data = make_exr(np.ones((SIZE, SIZE, 3)), 0).replace(
        b"compression\0\x01\0\0\0\0", b"compression\0\x01\0\0\0" + bytes([compression])
    )
    with pytest.raises(InvalidImage, match="codec ZIP"):
        decode(np.frombuffer(data, np.uint8))


def test_a_damaged_exr_image_is_a_sentence():
    data = make_exr(np.random.default_rng(0).random((SIZE, SIZE, 4)), 3)
    rng = np.random.default_rng(1)
    for _ in range(300):
        broken = bytearray(data[: rng.integers(8, len(data))])
        broken[rng.integers(4, len(broken))] = rng.integers(256)
        with contextlib.suppress(InvalidImage):  # and nothing else
            decode(np.frombuffer(bytes(broken), np.uint8))
