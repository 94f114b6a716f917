"""Reference images of every kind, and the segmentation of the object in them."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from backend.api.errors import InvalidImage
from backend.paint.foreground import cut_out, extend_colors
from backend.paint.reference import MAX_REFERENCE_SIZE, Reference, decode


def encode(image: Image.Image, file_format: str = "PNG", **options) -> np.ndarray:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return np.frombuffer(file.getvalue(), np.uint8)


def disc(background, color=(200, 60, 40), size: int = 200) -> np.ndarray:
    """(H, W, 3) uint8 image of a disc of radius 60 with a hole in the background's colour."""
    y, x = np.mgrid[0:size, 0:size]
    radius = np.hypot(x - 100, y - 90)
    image = np.empty((size, size, 3), np.uint8)
    image[...] = background
    image[(radius < 60) & (radius > 15)] = color
    return image


def test_an_rgba_file_keeps_its_alpha():
    pixels = np.dstack([disc(255), np.full((200, 200), 255, np.uint8)])
    pixels[:50, :, 3] = 0
    reference = decode(encode(Image.fromarray(pixels)))
    assert not reference.opaque
    assert reference.alpha[:50].max() == 0
    np.testing.assert_allclose(reference.color[90, 140] * 255, (200, 60, 40), atol=0.5)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_pixels_from_blender_are_used_unchanged(dtype):
    pixels = np.dstack([disc(255), np.full((200, 200), 255, np.uint8)])
    reference = decode(pixels if dtype == np.uint8 else (pixels / 255).astype(np.float32))
    np.testing.assert_allclose(reference.color[90, 140] * 255, (200, 60, 40), atol=0.5)


def test_a_sixteen_bit_image_is_used_and_reported():
    grey = Image.fromarray(disc(255)[..., 0].astype(np.uint16) * 257)
    reference = decode(encode(grey))
    np.testing.assert_allclose(reference.color[90, 140] * 255, 200, atol=1)
    assert "more than 8 bits" in reference.notes[0]


def test_a_cmyk_image_is_converted_and_reported():
    reference = decode(encode(Image.fromarray(disc(255)).convert("CMYK"), "JPEG", quality=95))
    np.testing.assert_allclose(reference.color[90, 140] * 255, (200, 60, 40), atol=12)
    assert "CMYK" in reference.notes[0]


def test_an_animated_image_gives_its_first_frame_and_is_reported():
    frames = [Image.fromarray(disc(255, color)) for color in ((200, 60, 40), (0, 0, 255))]
    reference = decode(encode(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    np.testing.assert_allclose(reference.color[90, 140] * 255, (200, 60, 40), atol=8)
    assert "first of 2 frames" in reference.notes[0]


def test_an_embedded_colour_profile_is_applied():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    reference = decode(encode(Image.fromarray(disc(255)), icc_profile=lab))
    np.testing.assert_allclose(reference.color[90, 140] * 255, (200, 60, 40), atol=1.5)


def test_an_image_with_a_broken_colour_profile_is_still_used():
    reference = decode(encode(Image.fromarray(disc(255)), icc_profile=b"nonsense"))
    np.testing.assert_allclose(reference.color[90, 140] * 255, (200, 60, 40), atol=0.5)


def test_a_rotated_photograph_is_turned_upright():
    image = Image.fromarray(np.dstack([np.full((40, 80), 255, np.uint8)] * 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encode(image, "JPEG", exif=exif)).alpha.shape == (80, 40)


def test_a_huge_image_is_scaled_down():
    assert max(decode(encode(Image.new("RGB", (5000, 1000), "red"))).alpha.shape) == MAX_REFERENCE_SIZE


def test_the_mask_that_was_found_in_a_huge_image_is_a_mask_for_it():
    image = encode(Image.new("RGB", (5001, 999), "red"))
    found = decode(image).alpha
    mask = np.zeros(found.shape, np.uint8)
    mask[:, :1000] = 255
    alpha = decode(image, mask).alpha
    assert alpha.shape == found.shape
    np.testing.assert_allclose(alpha[:, :990], 1, atol=0.01)
    np.testing.assert_allclose(alpha[:, 1010:], 0, atol=0.01)
    with pytest.raises(InvalidImage, match="The mask has 1000 x 409 pixels"):
        decode(image, mask[:, :1000])


WHOLE = encode(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.empty(0, np.uint8), "file is empty"),
        (np.frombuffer(b"not an image at all", np.uint8), "not an image file that can be read"),
        (WHOLE[: len(WHOLE) // 2], "damaged or cut short"),
        (encode(Image.new("RGB", (1, 1))), "only 1 x 1 pixels"),
        (np.zeros((1, 1, 4), np.uint8), "only 1 x 1 pixels"),
        (np.zeros((64, 64, 4), np.uint8), "transparent everywhere"),
    ],
    ids=["empty", "text", "truncated", "one pixel", "one pixel from Blender", "transparent"],
)
def test_an_image_that_cannot_be_used_is_reported(data, message):
    with pytest.raises(InvalidImage, match=message):
        decode(data)


def gradient() -> np.ndarray:
    y, x = np.mgrid[0:200, 0:200]
    return np.dstack([190 + x / 5, 210 - y / 8, 200 + (x - y) / 10]).astype(np.uint8)


def noisy() -> np.ndarray:
    return np.random.default_rng(1).integers(90, 150, (200, 200, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    "background", [np.uint8(255), gradient(), noisy()], ids=["plain", "gradient", "busy"]
)
@pytest.mark.parametrize("color", [(200, 60, 40), (30, 40, 200)])
def test_the_object_is_segmented_without_alpha(background, color):
    found = cut_out(decode(encode(Image.fromarray(disc(background, color))))).alpha > 0.5
    y, x = np.mgrid[0:200, 0:200]
    truth = np.hypot(x - 100, y - 90) < 60
    assert (found & truth).sum() / (found | truth).sum() > 0.95


def ball_with_shadow(color, size: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """``(image, truth)``: a ball on a gradient, and its soft shadow on the ground, darkest where it
    touches."""
    y, x = np.mgrid[0:size, 0:size] / size
    backdrop = np.dstack([190 + 40 * x, 205 - 25 * y, 200 + 20 * (x - y)])
    shadow = np.exp(-(((x - 0.55) / 0.22) ** 2) - ((y - 0.74) / 0.07) ** 2)
    image = backdrop * (1 - 0.55 * shadow)[..., None]
    truth = np.hypot(x - 0.5, y - 0.5) < 0.23
    light = 0.75 + 0.4 * (0.5 - y) - 0.3 * (x - 0.5)
    image[truth] = (np.float32(color) * light[..., None])[truth]
    return np.clip(image, 0, 255).astype(np.uint8), truth


@pytest.mark.parametrize("color", [(200, 60, 40), (40, 70, 160), (90, 90, 92)], ids=["red", "blue", "grey"])
def test_a_soft_contact_shadow_is_not_part_of_the_object(color):
    image, truth = ball_with_shadow(color)
    found = cut_out(decode(encode(Image.fromarray(image)))).alpha > 0.5
    assert (found & truth).sum() / (found | truth).sum() > 0.95


def checkerboard(size: int = 240) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size] // 15
    return np.where(((x + y) % 2)[..., None], np.uint8([225, 220, 205]), np.uint8([120, 140, 125]))


@pytest.mark.parametrize("color", [(200, 60, 40), (30, 40, 200)])
def test_the_object_is_segmented_in_front_of_a_checkered_cloth(color):
    image = checkerboard()
    y, x = np.mgrid[0:240, 0:240]
    truth = np.hypot(x - 120, y - 110) < 70
    image[truth] = color
    found = cut_out(decode(encode(Image.fromarray(image)))).alpha > 0.5
    assert (found & truth).sum() / (found | truth).sum() > 0.95


@pytest.mark.parametrize("side", range(4))
@pytest.mark.parametrize("background", ["plain", "gradient"])
def test_an_object_that_a_side_of_the_image_cuts_off_is_segmented(background, side):
    image = np.rot90(
        gradient() if background == "gradient" else np.full((200, 200, 3), 250, np.uint8), side
    ).copy()
    truth = np.zeros((200, 200), bool)
    truth[70:, 60:150] = True
    image[truth] = (60, 90, 150)
    image[120:150, 80:120] = (200, 180, 60)
    image, truth = np.rot90(image, side), np.rot90(truth, side)
    found = cut_out(decode(encode(Image.fromarray(np.ascontiguousarray(image))))).alpha > 0.5
    assert (found & truth).sum() / (found | truth).sum() > 0.95


def test_an_object_that_the_lower_side_cuts_off_is_segmented_in_noise():
    image = noisy()
    truth = np.zeros((200, 200), bool)
    truth[70:, 50:150] = True
    image[truth] = (220, 60, 40)
    found = cut_out(decode(encode(Image.fromarray(image)))).alpha > 0.5
    assert (found & truth).sum() / (found | truth).sum() > 0.95


def test_an_image_without_an_object_is_reported():
    with pytest.raises(InvalidImage, match="No object was found"):
        cut_out(decode(encode(Image.new("RGB", (100, 100), "white"))))


@pytest.mark.parametrize("opaque", [0, 4], ids=["a faint object", "a speck"])
def test_an_almost_transparent_image_is_reported_as_such(opaque):
    pixels = np.dstack([disc(255), np.full((200, 200), 120, np.uint8)])
    pixels[0, 0, 3] = 200
    pixels[:opaque, :opaque, 3] = 255
    with pytest.raises(InvalidImage, match="Hardly anything in the reference image is more than half opaque"):
        cut_out(decode(pixels))


def test_extended_colours_are_the_objects_without_the_background():
    alpha = np.zeros((60, 60), np.float32)
    alpha[20:40, 20:40] = 1
    color = np.where(alpha[..., None] > 0, np.float32([0.2, 0.6, 0.1]), np.float32([1, 0, 1])).astype(
        np.float32
    )
    np.testing.assert_allclose(
        extend_colors(Reference(color, alpha), inset=1),
        np.broadcast_to(np.float32([0.2, 0.6, 0.1]), (60, 60, 3)),
    )


def mask_of(size: int = 200) -> Image.Image:
    """A white square in the middle of black."""
    mask = Image.new("L", (size, size))
    mask.paste(255, (size // 4, size // 4, 3 * size // 4, 3 * size // 4))
    return mask


def cut_out_in_red() -> Image.Image:
    """The mask as the alpha of a red image."""
    image = Image.new("RGBA", (200, 200), "red")
    image.putalpha(mask_of())
    return image


MASKS = {
    "grey": lambda: encode(mask_of()),
    "one bit": lambda: encode(mask_of().convert("1")),
    "zeros and ones": lambda: encode(mask_of().point(lambda value: value // 255)),
    "pixels of zeros and ones": lambda: np.asarray(mask_of()) // 255,
    "sixteen bits": lambda: encode(Image.fromarray(np.asarray(mask_of()).astype(np.uint16) * 257)),
    "colour": lambda: encode(mask_of().convert("RGB"), "JPEG", quality=95),
    "palette": lambda: encode(mask_of().convert("P"), "GIF"),
    "black and white with an opaque alpha": lambda: encode(mask_of().convert("RGBA")),
    "cut out": lambda: encode(cut_out_in_red()),
    "pixels": lambda: np.asarray(mask_of()),
}


@pytest.mark.parametrize("kind", MASKS)
def test_a_mask_of_any_kind_of_image_becomes_the_alpha(kind):
    reference = decode(encode(Image.fromarray(disc(255))), MASKS[kind]())
    np.testing.assert_allclose(reference.alpha, np.asarray(mask_of()) / 255, atol=0.15)
    assert not reference.opaque


def test_a_mask_replaces_the_alpha_of_the_image():
    pixels = np.dstack([disc(255), np.zeros((200, 200), np.uint8)])
    reference = decode(encode(Image.fromarray(pixels)), encode(mask_of()))
    np.testing.assert_array_equal(cut_out(reference).alpha > 0.5, np.asarray(mask_of()) > 127)


def test_the_mask_of_an_image_that_is_scaled_down_has_its_original_size():
    size = MAX_REFERENCE_SIZE + 352
    reference = decode(encode(Image.new("RGB", (size, size), "red"), "JPEG"), encode(mask_of(size)))
    assert reference.alpha.shape == (MAX_REFERENCE_SIZE, MAX_REFERENCE_SIZE)
    assert reference.alpha.mean() == pytest.approx(0.25, abs=0.001)


def test_the_mask_of_a_rotated_photograph_is_as_that_is_displayed():
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph = encode(Image.new("RGB", (80, 40), "red"), "JPEG", exif=exif)
    mask = Image.new("L", (40, 80))
    mask.paste(255, (0, 0, 40, 20))
    assert decode(photograph, encode(mask)).alpha[:20].min() == 1
    assert decode(photograph, encode(mask)).alpha[20:].max() == 0
    with pytest.raises(InvalidImage, match="The mask has 80 x 40 pixels and the reference image 40 x 80"):
        decode(photograph, encode(mask.transpose(Image.Transpose.ROTATE_90)))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (encode(mask_of(100)), "The mask has 100 x 100 pixels and the reference image 200 x 200"),
        (encode(Image.new("L", (200, 200))), "black everywhere"),
        (np.zeros((200, 200), np.uint8), "black everywhere"),
        (encode(Image.new("L", (200, 200), 255)), "white everywhere"),
        (encode(Image.new("RGBA", (200, 200))), "black everywhere"),
        (np.frombuffer(b"no image", np.uint8), "not an image file"),
        (encode(mask_of())[:150], "not an image file"),
        (np.empty(0, np.uint8), "not an image file"),
    ],
    ids=["size", "black", "black pixels", "white", "transparent", "text", "truncated", "empty"],
)
def test_a_mask_that_cannot_be_used_is_reported(mask, message):
    with pytest.raises(InvalidImage, match=message):
        decode(encode(Image.fromarray(disc(255))), mask)
