"""The demo's reference: Suzanne with a finely detailed procedural material, from a known camera; as a photo
of her that a sun lights on a sheet of paper, or unlit and cut out. Runs inside Blender."""

import contextlib
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

# The view of the reference: degrees counter-clockwise from the front (-Y), and above the horizon.
AZIMUTH = 30.0
ELEVATION = 12.0
DISTANCE = 7.4  # Blender units from the camera to the origin
LENS = 85.0  # millimetres, on a 36 mm sensor

# The colour where alpha is zero: nothing on the mesh is magenta, so background that leaks in is noticed.
BACKGROUND = (1.0, 0.0, 1.0)

# The photo's sheet of paper, sRGB, and the height at which Suzanne lies on it.
PAPER = (0.82, 0.81, 0.79)
FLOOR = -0.985

# The photo's sun: degrees counter-clockwise from the front and above the horizon, the angle that it fills in
# the sky, which makes shadows soft, and its strength beside that of the sky.
SUN_AZIMUTH, SUN_ELEVATION, SUN_ANGLE = -20.0, 48.0, 14.0
SUN_STRENGTH, SKY_STRENGTH = 2.2, 0.42

# The paints, sRGB.
CREAM = (0.93, 0.83, 0.66)
NAVY = (0.08, 0.13, 0.42)
TAN = (0.80, 0.50, 0.27)
BROWN = (0.50, 0.25, 0.12)
RED = (0.85, 0.14, 0.12)
TEAL = (0.10, 0.60, 0.58)
WHITE = (0.97, 0.97, 0.95)
GREEN = (0.20, 0.62, 0.22)


def new_scene() -> bpy.types.Scene:
    """Opens an empty file whose renders have the colours of the textures, without a view transform."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.view_settings.view_transform = "Standard"
    return scene


def add_suzanne() -> bpy.types.Object:
    """Adds a smooth Suzanne, subdivided twice, without UVs and material."""
    bpy.ops.mesh.primitive_monkey_add(size=2.0, calc_uvs=False)
    suzanne = bpy.context.object
    suzanne.modifiers.new("Subdivision", "SUBSURF").levels = 2
    bpy.ops.object.modifier_apply(modifier="Subdivision")
    bpy.ops.object.shade_smooth()
    return suzanne


def direction(azimuth: float, elevation: float) -> Vector:
    """The unit vector towards an azimuth, counter-clockwise from -Y, and an elevation, both in degrees."""
    turn, rise = math.radians(azimuth), math.radians(elevation)
    return Vector((math.sin(turn) * math.cos(rise), -math.cos(turn) * math.cos(rise), math.sin(rise)))


def add_camera(azimuth: float, elevation: float, distance: float = DISTANCE) -> bpy.types.Object:
    """Adds a camera that looks at the origin and makes it the scene's camera. The azimuth is
    counter-clockwise from -Y; both angles are in degrees."""
    place = direction(azimuth, elevation) * distance
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.lens = LENS
    camera.location = place
    camera.rotation_euler = (-place).to_track_quat("-Z", "Y").to_euler()
    bpy.context.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    bpy.context.view_layer.update()
    return camera


def render(path: Path, size: int, samples: int) -> np.ndarray:
    """Renders the emission of all materials, without any lighting, to a square PNG and returns its pixels.

    Returns:
        (size, size, 4) float32, sRGB-encoded straight-alpha RGBA, row 0 at the top.
    """
    scene = bpy.context.scene
    scene.cycles.max_bounces = 0
    scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = False
    scene.render.film_transparent = True
    output = scene.render.image_settings
    output.file_format, output.color_mode, output.color_depth = "PNG", "RGBA", "8"
    return _write_render(path, size, samples)


def _render_photo(path: Path, size: int, samples: int) -> np.ndarray:
    """Renders the scene with its light to a square JPEG and returns its pixels as :func:`render` does."""
    scene = bpy.context.scene
    scene.cycles.max_bounces = 3
    scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = True
    scene.render.film_transparent = False
    output = scene.render.image_settings
    output.file_format, output.color_mode, output.quality = "JPEG", "RGB", 90
    return _write_render(path, size, samples)


def _write_render(path: Path, size: int, samples: int) -> np.ndarray:
    scene = bpy.context.scene
    scene.cycles.device = "CPU"
    scene.cycles.samples = samples
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.render.resolution_percentage = 100
    scene.render.filepath = str(path)
    with _silence_stdout():
        bpy.ops.render.render(write_still=True)
    return load_image(path)


@contextlib.contextmanager
def _silence_stdout():
    """Suppresses the line that Blender prints for each render."""
    sys.stdout.flush()
    output, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(output, 1)
        os.close(output)
        os.close(nowhere)


def load_image(path: Path) -> np.ndarray:
    """Reads (H, W, 4) float32 values without any colour conversion, row 0 at the top."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    image.alpha_mode = "CHANNEL_PACKED"
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1].copy()


def save_image(path: Path, pixels: np.ndarray) -> None:
    """Writes (H, W, 4) values 0..1, row 0 at the top, to an 8-bit PNG without any colour conversion."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("file", width, height, alpha=True)
    image.colorspace_settings.name = "Non-Color"
    image.alpha_mode = "CHANNEL_PACKED"
    image.pixels.foreach_set(np.ascontiguousarray(pixels[::-1], np.float32).ravel())
    image.file_format = "PNG"
    image.filepath_raw = str(path)
    image.save()
    bpy.data.images.remove(image)


def render_reference(
    folder: Path, add_mesh: Callable[[], bpy.types.Object] = add_suzanne, size: int = 1024, samples: int = 10
) -> np.ndarray:
    """Paints a mesh, Suzanne or another one of her size, renders it unlit and without background from AZIMUTH
    and ELEVATION to ``reference.png``, and returns the pixels (size, size, 4)."""
    _add_painted(folder, add_mesh)
    path = folder / "reference.png"
    pixels = render(path, size, samples)
    pixels[pixels[..., 3] == 0, :3] = BACKGROUND
    save_image(path, pixels)
    return pixels


def render_photo(folder: Path, size: int = 1024, samples: int = 12) -> np.ndarray:
    """Paints Suzanne and renders her from AZIMUTH and ELEVATION to ``reference.jpg`` as a photo would show
    her: on a sheet of paper, with the light and the soft shadows of a sun.

    Returns:
        (size, size, 4) float32 sRGB: the photo; alpha, which its file does not have, is where she is.
    """
    suzanne = _add_painted(folder, add_suzanne)
    mask = render(folder / "mask.png", size, 10)[..., 3:]
    (folder / "mask.png").unlink()
    _light_material(suzanne.active_material)
    _add_paper()
    _add_sun_and_sky()
    photo = _render_photo(folder / "reference.jpg", size, samples)
    return np.concatenate([photo[..., :3], mask], axis=2)


def _add_painted(folder: Path, add_mesh: Callable[[], bpy.types.Object]) -> bpy.types.Object:
    """A mesh that wears the demo's paint, alone in a new scene, before the reference's camera."""
    new_scene()
    lettering = _render_lettering(folder / "lettering.png")
    item = add_mesh()
    item.data.materials.clear()
    item.data.materials.append(_create_painted_material(lettering))
    add_camera(AZIMUTH, ELEVATION)
    return item


def _light_material(material: bpy.types.Material) -> None:
    """Makes a material that glows in its colour a matt one that reflects light."""
    tree = material.node_tree
    emission, output = tree.nodes["Emission"], tree.nodes["Material Output"]
    shader = tree.nodes.new("ShaderNodeBsdfPrincipled")
    shader.inputs["Roughness"].default_value = 0.75
    color = emission.inputs["Color"]
    if color.is_linked:
        tree.links.new(color.links[0].from_socket, shader.inputs["Base Color"])
    else:
        shader.inputs["Base Color"].default_value = color.default_value
    tree.links.new(shader.outputs[0], output.inputs["Surface"])


def _add_paper() -> None:
    """A sheet of paper that lies under the object and rises behind it in a curve."""
    radius, reach = 4.0, 40.0
    curve = [math.radians(angle) for angle in range(0, 91, 5)]
    profile = [
        (-reach, FLOOR),
        *((3.0 + radius * math.sin(angle), FLOOR + radius * (1 - math.cos(angle))) for angle in curve),
        (3.0 + radius, reach),
    ]
    vertices = [(x, y, z) for y, z in profile for x in (-reach, reach)]
    faces = [(2 * row, 2 * row + 1, 2 * row + 3, 2 * row + 2) for row in range(len(profile) - 1)]
    mesh = bpy.data.meshes.new("Paper")
    mesh.from_pydata(vertices, [], faces)
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    material = bpy.data.materials.new("Paper")
    emit(material, PAPER)
    _light_material(material)
    mesh.materials.append(material)
    paper = bpy.data.objects.new("Paper", mesh)
    paper.rotation_euler.z = math.radians(AZIMUTH)
    bpy.context.collection.objects.link(paper)


def _add_sun_and_sky() -> None:
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.angle, sun.data.energy = math.radians(SUN_ANGLE), SUN_STRENGTH
    sun.rotation_euler = math.radians(90 - SUN_ELEVATION), 0, math.radians(SUN_AZIMUTH)
    bpy.context.collection.objects.link(sun)
    sky = bpy.data.worlds.new("Sky")
    if bpy.app.version < (5, 0, 0):
        sky.use_nodes = True
    sky.node_tree.nodes["Background"].inputs["Color"].default_value = (1, 1, 1, 1)
    sky.node_tree.nodes["Background"].inputs["Strength"].default_value = SKY_STRENGTH
    bpy.context.scene.world = sky


def _render_lettering(path: Path) -> bpy.types.Image:
    """Renders the words on the face to an image that spans -1..1 in x and z, with alpha 1 where there is
    ink."""
    words = (
        ("ORBIT", 0.24, 0.66),
        ("made by", 0.075, -0.39),
        ("its own demo", 0.075, -0.47),
        ("2358", 0.14, -0.62),
    )
    ink = bpy.data.materials.new("Ink")
    emit(ink, (1, 1, 1))
    curves = []
    for text, height, z in words:
        curve = bpy.data.curves.new(text, "FONT")
        curve.body, curve.size, curve.align_x = text, height, "CENTER"
        curve.materials.append(ink)
        word = bpy.data.objects.new(text, curve)
        word.location, word.rotation_euler = (0, 0, z), (math.pi / 2, 0, 0)
        bpy.context.collection.objects.link(word)
        curves.append(word)
    camera = add_camera(0, 0)
    camera.data.type, camera.data.ortho_scale = "ORTHO", 2.0
    render(path, 1024, 8)
    for item in (*curves, camera):
        bpy.data.objects.remove(item)
    image = bpy.data.images.load(str(path))
    image.pack()
    path.unlink()
    return image


def _create_painted_material(lettering: bpy.types.Image) -> bpy.types.Material:
    """Creates a material with stripes on the head, a checker on the ears, words on the face and ringed eyes,
    all from object coordinates, without UVs."""
    material = bpy.data.materials.new("Painted")
    paint = _Paint(material)
    x, y, z = paint.xyz()
    side = paint.math("ABSOLUTE", x)
    waves = paint.math(
        "FRACT", paint.math("MULTIPLY", paint.math("ADD", z, paint.math("MULTIPLY", y, 0.6)), 7.0)
    )
    colour = paint.mix(paint.math("LESS_THAN", waves, 0.45), BROWN, TAN)
    face = paint.math(
        "MULTIPLY", paint.ellipse(side, z, (0.0, 0.05), (0.68, 0.86)), paint.math("LESS_THAN", y, -0.22)
    )
    colour = paint.mix(face, colour, CREAM)
    muzzle = paint.math("MULTIPLY", paint.ellipse(side, z, (0.0, -0.48), (0.46, 0.34)), face)
    colour = paint.mix(muzzle, colour, TEAL)
    colour = paint.mix(paint.math("GREATER_THAN", side, 0.80), colour, paint.checker(6.5, RED, WHITE))
    colour = paint.mix(paint.math("MULTIPLY", paint.lettering(lettering), face), colour, NAVY)
    for radius, ring in ((0.25, WHITE), (0.15, GREEN), (0.085, NAVY)):
        eye = paint.math(
            "MULTIPLY",
            paint.ellipse(side, z, (0.36, 0.24), (radius, radius)),
            paint.math("LESS_THAN", y, -0.35),
        )
        colour = paint.mix(eye, colour, ring)
    paint.emit(colour)
    return material


class _Paint:
    """Builds a material's node tree from arithmetic: every method adds nodes and returns the output
    socket."""

    def __init__(self, material: bpy.types.Material):
        self.tree = _emission_tree(material)
        self.coordinates = self.tree.nodes.new("ShaderNodeTexCoord").outputs["Object"]

    def xyz(self):
        return self._node("ShaderNodeSeparateXYZ", {0: self.coordinates}).outputs

    def math(self, operation: str, a, b=0.0):
        node = self._node("ShaderNodeMath", {0: a, 1: b})
        node.operation = operation
        return node.outputs[0]

    def ellipse(self, x, z, centre, radii):
        """1 inside the ellipse, else 0."""
        across, up = (
            self.math("POWER", self.math("DIVIDE", self.math("SUBTRACT", value, middle), radius), 2.0)
            for value, middle, radius in zip((x, z), centre, radii, strict=True)
        )
        return self.math("LESS_THAN", self.math("ADD", across, up), 1.0)

    def mix(self, factor, a, b):
        node = self._node("ShaderNodeMixRGB", {"Fac": factor, "Color1": a, "Color2": b})
        return node.outputs[0]

    def checker(self, scale: float, a, b):
        shifted = self._node(
            "ShaderNodeVectorMath", {0: self.coordinates, 1: (0.0713, 0.0713, 0.0713)}
        ).outputs[0]
        return self._node(
            "ShaderNodeTexChecker", {"Vector": shifted, "Color1": a, "Color2": b, "Scale": scale}
        ).outputs["Color"]

    def lettering(self, image: bpy.types.Image):
        """The alpha of an image that spans -1..1 in x and z, projected along y."""
        x, _, z = self.xyz()
        u, v = (self.math("MULTIPLY_ADD", value, 0.5) for value in (x, z))
        for socket in (u, v):
            socket.node.inputs[2].default_value = 0.5
        place = self._node("ShaderNodeCombineXYZ", {0: u, 1: v}).outputs[0]
        node = self._node("ShaderNodeTexImage", {"Vector": place})
        node.image, node.extension = image, "CLIP"
        return node.outputs["Alpha"]

    def emit(self, colour) -> None:
        self.tree.links.new(colour, self.tree.nodes["Emission"].inputs["Color"])

    def _node(self, kind: str, values: dict):
        node = self.tree.nodes.new(kind)
        for name, value in values.items():
            socket = node.inputs[name]
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, socket)
            elif isinstance(value, tuple):
                socket.default_value = _to_linear(value) if socket.type == "RGBA" else value
            else:
                socket.default_value = value
        return node


def _emission_tree(material: bpy.types.Material) -> bpy.types.NodeTree:
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    emission, output = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(emission.outputs[0], output.inputs["Surface"])
    return tree


def emit(material: bpy.types.Material, colour: tuple) -> None:
    _emission_tree(material).nodes["Emission"].inputs["Color"].default_value = _to_linear(colour)


def _to_linear(colour: tuple) -> tuple:
    """An sRGB colour as the linear RGBA that a node socket takes."""
    return (
        *(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in colour),
        1.0,
    )
