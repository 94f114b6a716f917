"""What viewports and Image Editors draw of a check of the reference: drawn into offscreen images."""

import bpy
import gpu
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.objects import mesh_io
from bl_ext.user_default.orbit_texture.addon.objects.fingerprint import fingerprint
from bl_ext.user_default.orbit_texture.addon.objects.strokes import Stroke
from bl_ext.user_default.orbit_texture.addon.reference_check import mask_overlay, projection_overlay
from bl_ext.user_default.orbit_texture.addon.reference_check.check import Question, ReferenceCheck
from mathutils import Matrix

from tests.blender import make

pytestmark = pytest.mark.every_blender

RED, GREEN = (0.8, 0.0, 0.0), (0.0, 0.8, 0.0)
SIZE = 64


def reference_of_two_colors() -> bpy.types.Image:
    """A linear image, 40 x 20, red in its left half and green in the right."""
    image = bpy.data.images.new("Reference", 40, 20, float_buffer=True, is_data=True)
    pixels = np.ones((20, 40, 4), np.float32)
    pixels[:, :20, :3], pixels[:, 20:, :3] = RED, GREEN
    image.pixels.foreach_set(pixels.ravel())
    image.update()
    return image


def check_from(obj, azimuth: float, elevation: float = 0.0, zoom: float = 0.5) -> ReferenceCheck:
    """A check that has found a view from far away, with the object in the middle."""
    camera = [azimuth, elevation, 0.0, np.log(20), np.log(zoom), 0.5, 0.5]
    check = ReferenceCheck(Question(0, 0, (), ""), "", mesh_io.read_mesh(obj), job=str((azimuth, elevation)))
    check.report = {"candidates": [{"camera": camera}], "doubtful": False, "notes": []}
    check.mask = np.full((20, 40), 255, np.uint8)
    return check


def draw(obj, check: ReferenceCheck, image, back: Matrix) -> np.ndarray:
    """(SIZE, SIZE, 4) float, row 0 at the bottom: the object in an orthographic view.

    Args:
        back: rotation of that view's camera, whose columns are right, up and back.
    """
    matrix = Matrix(((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, -0.1, 0), (0, 0, 0, 1))) @ back.inverted()
    target = gpu.types.GPUOffScreen(SIZE, SIZE, format="RGBA32F")
    with target.bind():
        framebuffer = gpu.state.active_framebuffer_get()
        framebuffer.clear(color=(0, 0, 0, 0), depth=1)
        projection_overlay.draw_projection(obj, image, check, matrix)
        pixels = framebuffer.read_color(0, 0, SIZE, SIZE, 4, 0, "FLOAT")
    target.free()
    return np.array(pixels.to_list(), np.float32).reshape(SIZE, SIZE, 4)


FRONT = Matrix(((1, 0, 0, 0), (0, 0, -1, 0), (0, 1, 0, 0), (0, 0, 0, 1)))
BACK = Matrix(((-1, 0, 0, 0), (0, 0, 1, 0), (0, 1, 0, 0), (0, 0, 0, 1)))


def is_grey(pixels: np.ndarray) -> np.ndarray:
    return (np.ptp(pixels[..., :3], axis=-1) < 1e-3) & (pixels[..., 3] > 0.99)


def test_the_front_wears_the_reference_and_the_back_is_grey(graphics):
    obj = make.cube()
    obj.matrix_world = Matrix.Translation((7, 8, 9)) @ Matrix.Scale(3, 4)
    bpy.context.view_layer.update()
    image, before, counts = reference_of_two_colors(), fingerprint(obj), make.block_counts()
    check = check_from(obj, 0)
    unmoved = obj.matrix_world.inverted()
    front = draw(obj, check, image, (unmoved.inverted() @ FRONT))
    np.testing.assert_allclose(
        front[10:-10, 2 : SIZE // 2 - 2, :3], np.broadcast_to(RED, (44, 28, 3)), atol=0.02
    )
    np.testing.assert_allclose(
        front[10:-10, SIZE // 2 + 2 : -2, :3], np.broadcast_to(GREEN, (44, 28, 3)), atol=0.02
    )
    assert is_grey(draw(obj, check, image, unmoved.inverted() @ BACK)[10:-10, 10:-10]).all()
    assert fingerprint(obj) == before
    assert make.block_counts() == counts


def test_surface_behind_other_surface_is_grey(graphics):
    # A small plate in front of a large one, both facing the reference's camera.
    corners = [
        (side * x, y, side * z)
        for side, y in ((1, 0.5), (0.25, -0.5))
        for x, z in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    mesh = bpy.data.meshes.new("Plates")
    mesh.from_pydata(corners, [], [(0, 1, 2, 3), (4, 5, 6, 7)])
    obj = bpy.data.objects.new("Plates", mesh)
    bpy.context.collection.objects.link(obj)
    make.select(obj)
    drawn = draw(obj, check_from(obj, 0), reference_of_two_colors(), FRONT)
    assert not is_grey(drawn[8:-8, 8:-8]).any(), "from the reference's own view nothing is hidden"
    # From beside it, the shadow of the small plate on the large one shows.
    turned = Matrix.Rotation(np.radians(40), 4, "Z") @ FRONT
    beside = draw(obj, check_from(obj, 0), reference_of_two_colors(), turned)
    shadow = is_grey(beside).sum() / (beside[..., 3] > 0).sum()
    assert 0.03 < shadow < 0.12  # a sixteenth of the plate


def test_surface_beside_the_image_is_grey(graphics):
    obj = make.cube()
    drawn = draw(obj, check_from(obj, 0, zoom=2.0), reference_of_two_colors(), FRONT)
    worn = ~is_grey(drawn)
    rows, columns = np.flatnonzero(worn.any(axis=1)), np.flatnonzero(worn.any(axis=0))
    assert np.ptp(columns) + 1 == pytest.approx(SIZE / 2, abs=2)  # the image is half as wide as the cube
    assert np.ptp(rows) + 1 == pytest.approx(SIZE / 4, abs=2)


def test_ground_beside_the_object_is_not_worn(graphics):
    obj = make.cube()
    check = check_from(obj, 0)
    check.mask[:10] = 0  # the upper half
    drawn = draw(obj, check, reference_of_two_colors(), FRONT)
    assert is_grey(drawn[SIZE // 2 + 4 : -2, 2:-2]).all()
    assert not is_grey(drawn[2 : SIZE // 2 - 4, 2:-2]).any()


def test_creases_are_not_taken_for_hidden_surface(graphics):
    obj = make.suzanne()
    check = check_from(obj, 20, zoom=0.3)
    back = Matrix.Rotation(np.radians(20), 4, "Z") @ FRONT
    drawn = draw(obj, check, reference_of_two_colors(), back)
    solid = drawn[..., 3] > 0
    assert solid.mean() > 0.1
    hidden = is_grey(drawn).sum() / solid.sum()
    assert hidden < 0.01, "from the reference's own view nothing is hidden but what it sees from the edge"


def test_the_far_side_of_a_bottle_is_grey_up_to_its_outline(graphics):
    bpy.ops.mesh.primitive_cylinder_add(vertices=96)
    obj = bpy.context.object
    right = Matrix.Rotation(np.radians(90), 4, "Z") @ FRONT
    drawn = draw(obj, check_from(obj, 0), reference_of_two_colors(), right)
    colorful = np.ptp(drawn[4:-4, :, :3], axis=-1)
    assert (colorful[:, SIZE // 2 + 1 : -1] < 0.05).all(), "the left half of it is the front"
    assert (colorful[:, 1 : SIZE // 2 - 6] > 0.3).all()


def test_the_mask_is_drawn_with_its_outline_and_the_strokes(graphics):
    mask = np.zeros((32, 64), np.uint8)
    mask[:, :32] = 255
    strokes = (
        Stroke("BOX", ((0, 0), (0.4, 1))),
        Stroke("OBJECT", ((0.75, 0.75),), 0.05),
        Stroke("GROUND", ((0.75, 0.25),), 0.05),
    )
    texture = mask_overlay.upload_layers(mask_overlay.layer_pixels(mask, strokes, (64, 32)))
    target = gpu.types.GPUOffScreen(64, 32)
    with target.bind():
        framebuffer = gpu.state.active_framebuffer_get()
        framebuffer.clear(color=(0.5, 0.5, 0.5, 1))
        with gpu.matrix.push_pop(), gpu.matrix.push_pop_projection():
            gpu.matrix.load_identity()
            gpu.matrix.load_projection_matrix(Matrix.Identity(4))
            mask_overlay.draw_layers(texture, [(-1, -1), (1, -1), (-1, 1), (1, 1)])
        drawn = framebuffer.read_color(0, 0, 64, 32, 4, 0, "FLOAT")
    target.free()
    pixels = np.array(drawn.to_list(), np.float32).reshape(32, 64, 4)[..., :3]
    np.testing.assert_allclose(pixels[16, 5], 0.5, atol=0.01)
    assert (pixels[16, 60] < 0.2).all(), "what is not the object is dimmed"
    red, green, blue = pixels[16, 32]
    assert red > 0.9 > green > blue, "the outline"
    assert pixels[24, 48].argmax() == 1, "what was painted as object"
    assert pixels[8, 48].argmax() == 0, "what was painted as ground"
    assert np.ptp(pixels[16, 5:28]) < 0.02, "a box is no stroke"


def test_a_mask_that_is_not_known_dims_nothing(graphics):
    layers = mask_overlay.layer_pixels(None, (), (100, 50))
    assert layers.shape == (50, 100, 4)
    assert (layers == (1, 0, 0, 1)).all()
