"""The mask of the reference, drawn over it in the Image Editor while one of the mask's tools is active.

What is not the object is dimmed, the object has an outline, and strokes are green for object and red for
ground.
"""

import bpy
import gpu
import numpy as np

from ..objects import mask_correction
from ..objects.strokes import LABELS, Stroke, rasterize_strokes
from ..viewport import image_overlay
from ..viewport.shaders import draw_shape
from .check import OUTLINE_SIZE
from .checks import checks

TOOL_PREFIX = "orbit_texture.mask_"
"""The names of the mask's tools begin with this."""

_FRAGMENT_SHADER = """
void main() {
    vec4 drawn = texture(image, texel);  // mask, object strokes, ground strokes
    vec2 right = 1.2 * dFdx(texel), up = 1.2 * dFdy(texel);
    vec4 around = vec4(texture(image, texel + right).r, texture(image, texel - right).r,
                       texture(image, texel + up).r, texture(image, texel - up).r);
    bool outline = any(greaterThan(around, vec4(0.5))) && any(lessThan(around, vec4(0.5)));
    color = vec4(0.0, 0.0, 0.0, 0.65 * (1.0 - drawn.r));
    color = mix(color, vec4(0.1, 1.0, 0.2, 0.55), drawn.g);
    color = mix(color, vec4(1.0, 0.15, 0.1, 0.55), drawn.b);
    color = outline ? vec4(1.0, 0.5, 0.02, 1.0) : color;
}
"""

_MASK_PROGRAM = image_overlay.make_program("orbit_texture_mask", _FRAGMENT_SHADER)

_BOX_COLOR = (1.0, 1.0, 1.0, 1.0)

_draw_handler = None
_texture: "tuple[tuple, gpu.types.GPUTexture] | None" = None
_live: Stroke | None = None


def show_live_stroke(stroke: Stroke | None) -> None:
    """Draws a stroke that is not finished yet; None when it is."""
    global _live
    _live = stroke


def active_tool(context: bpy.types.Context) -> str:
    """The name of the mask's tool that is active in this Image Editor, "" if none of them is."""
    tool = context.workspace.tools.from_space_image_mode("VIEW") if context.workspace else None
    return tool.idname if tool and tool.idname.startswith(TOOL_PREFIX) else ""


def layer_pixels(mask: np.ndarray | None, strokes: tuple[Stroke, ...], size: tuple[int, int]) -> np.ndarray:
    """(H, W, 4) float32, row 0 at the bottom: the mask, the object strokes and the ground strokes, each 0..1,
    and 1.

    Args:
        mask: (H, W) uint8, row 0 at the top; None where it is not known, which dims nothing.
        strokes: boxes among them are left out.
        size: width and height of the reference.
    """
    labels = rasterize_strokes(
        tuple(stroke for stroke in strokes if stroke.kind != "BOX"), size, min(OUTLINE_SIZE, max(size))
    )
    layers = np.ones((*labels.shape, 4), np.float32)
    if mask is not None:
        rows = np.arange(labels.shape[0]) * mask.shape[0] // labels.shape[0]
        columns = np.arange(labels.shape[1]) * mask.shape[1] // labels.shape[1]
        layers[..., 0] = mask[rows[:, None], columns] / np.float32(255)
    layers[..., 1], layers[..., 2] = labels == LABELS["OBJECT"], labels == LABELS["GROUND"]
    return layers[::-1]


def draw_layers(texture: gpu.types.GPUTexture, corners: list[tuple[float, float]]) -> None:
    """Draws the pixels of :func:`layer_pixels` with the current projection and model-view matrices.

    Args:
        corners: lower left, lower right, upper left and upper right corner of the image.
    """
    image_overlay.draw_texture(_MASK_PROGRAM, texture, corners)


def upload_layers(pixels: np.ndarray) -> gpu.types.GPUTexture:
    """The pixels (H, W, 4) float32 as a texture on the GPU."""
    data = gpu.types.Buffer("FLOAT", pixels.size, np.ascontiguousarray(pixels).ravel())
    return gpu.types.GPUTexture(pixels.shape[1::-1], format="RGBA16F", data=data)


def _draw_in_image_editor() -> None:
    global _texture
    context = bpy.context
    obj, panel, image = context.object, context.scene.orbit_texture, context.space_data.image
    if (
        image is None
        or image != panel.find_image(obj)
        or obj is None
        or obj.type != "MESH"
        or not active_tool(context)
    ):
        return
    check = checks.find_shown(obj, panel)
    correction = mask_correction.get_correction(obj, image)
    strokes = (correction.strokes if correction else ()) + ((_live,) if _live else ())
    mask = check.mask if check else None
    key = id(mask), strokes, tuple(image.size)
    if _texture is None or _texture[0] != key:
        _texture = key, upload_layers(layer_pixels(mask, strokes, tuple(image.size)))
    view = context.region.view2d
    to_region = [view.view_to_region(x, y, clip=False) for x, y in ((0, 0), (1, 0), (0, 1), (1, 1))]
    draw_layers(_texture[1], to_region)
    for box in [stroke for stroke in strokes if stroke.kind == "BOX"]:
        (left, bottom), (right, top) = (view.view_to_region(*point, clip=False) for point in box.points)
        corners = [(left, bottom), (right, bottom), (right, top), (left, top)]
        draw_shape("LINE_LOOP", corners, _BOX_COLOR)


def register() -> None:
    global _draw_handler
    _draw_handler = bpy.types.SpaceImageEditor.draw_handler_add(
        _draw_in_image_editor, (), "WINDOW", "POST_PIXEL"
    )


def unregister() -> None:
    global _texture
    bpy.types.SpaceImageEditor.draw_handler_remove(_draw_handler, "WINDOW")
    _texture = None
