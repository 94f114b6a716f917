"""Renders the pictures of ``benchmarks/pictures.py`` with Cycles; runs in a Python with bpy.

    python picture_render.py MESH.npz FOLDER COUNT [--views]

For each of COUNT pictures of the mesh FOLDER gets ``NAME.jpg``, ``NAME.albedo.png`` (its unlit paint, sRGB,
with how much of each pixel shows it as alpha) and ``NAME.json`` (its camera and what it is a picture of).
With ``--views`` also ``NAME.view0.png`` and so on, the unlit paint from other sides, and their cameras as
``views`` in the JSON. What is there already is left alone, so that an interrupted run continues.
"""

import argparse
import json
import math
import random
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

SIZE = 640
"""Pixels along each side of a picture."""

SAMPLES = 40
"""Cycles' samples per pixel, before the denoiser."""

VIEWS = ((60, 10), (120, 10), (180, 10), (240, 10), (300, 10), (180, 70), (180, -35))
"""Azimuth from the picture's own, and elevation, of the sides from which the truth is rendered; degrees."""

VIEW_SIZE = 384
"""Pixels along each side of those."""

PAINTS = ("pale", "dark", "parts", "bands", "checks", "blotches")
GROUNDS = ("white", "grey", "clutter", "wood", "cloth")


def main(mesh: Path, folder: Path, count: int, views: bool) -> None:
    for number in range(count):
        target = folder / f"{mesh.stem}_{number}"
        if not target.with_suffix(".json").exists():
            render_picture(np.load(mesh), mesh.stem, number, target)
        if views and "views" not in json.loads(target.with_suffix(".json").read_text()):
            render_views(np.load(mesh), mesh.stem, number, target)


def render_picture(arrays, mesh: str, picture: int, target: Path) -> None:
    """One picture: its choices are drawn from a generator seeded by its name."""
    chance = random.Random(f"{mesh} {picture}")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    paint, ground = choose_paint(mesh, picture), GROUNDS[picture % len(GROUNDS)]
    obj = add_object(arrays, paint, chance)
    camera, view = add_camera(obj, chance)
    configure_render()
    render_mask_and_albedo(obj, target.with_suffix(".albedo.png"))
    add_ground(ground, chance)
    add_light(chance)
    add_depth_of_field(camera, Vector(view["position"]).length, chance)
    render(target.with_suffix(".png"))
    spoil(target.with_suffix(".png"), target.with_suffix(".jpg"), chance)
    facts = view | {"mesh": mesh, "paint": paint, "ground": ground}
    target.with_suffix(".json").write_text(json.dumps(facts, indent=1))


def choose_paint(mesh: str, picture: int) -> str:
    return PAINTS[(picture + len(mesh)) % len(PAINTS)]


def render_views(arrays, mesh: str, picture: int, target: Path) -> None:
    """The same paint, unlit, from other sides; the generator draws it first, hence as for the picture."""
    facts = json.loads(target.with_suffix(".json").read_text())
    bpy.ops.wm.read_factory_settings(use_empty=True)
    obj = add_object(arrays, choose_paint(mesh, picture), random.Random(f"{mesh} {picture}"))
    data = bpy.data.cameras.new("camera")
    data.lens, data.sensor_width, data.clip_start = 60, 36, 0.01
    camera = bpy.data.objects.new("camera", data)
    bpy.context.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    configure_render()
    bpy.context.scene.render.resolution_x = bpy.context.scene.render.resolution_y = VIEW_SIZE
    facts["views"] = []
    for number, (turn, elevation) in enumerate(VIEWS):
        a, e = math.radians(facts["azimuth"] + turn), math.radians(elevation)
        back = Vector((math.sin(a) * math.cos(e), -math.cos(a) * math.cos(e), math.sin(e)))
        rotation, position = back.to_track_quat("Z", "Y").to_matrix(), 2.6 * back
        camera.matrix_world = Matrix.Translation(obj.location + position) @ rotation.to_4x4()
        render_mask_and_albedo(obj, target.with_name(f"{target.name}.view{number}.png"))
        facts["views"].append(
            {"rotation": list(map(list, rotation)), "position": list(position), "focal": VIEW_SIZE * 60 / 36}
        )
    target.with_suffix(".json").write_text(json.dumps(facts, indent=1))


def add_object(arrays, paint: str, chance: random.Random) -> bpy.types.Object:
    """The mesh, standing on the ground, its longest side 1; it wears a procedural paint."""
    vertices, faces = arrays["vertices"].astype(np.float64), arrays["faces"]
    span = vertices.max(0) - vertices.min(0)
    middle = (vertices.max(0) + vertices.min(0)) / 2
    vertices = (vertices - middle) / span.max()
    mesh = bpy.data.meshes.new("object")
    mesh.from_pydata(vertices.tolist(), [], faces.tolist())
    smooth = bpy.ops.object
    obj = bpy.data.objects.new("object", mesh)
    bpy.context.collection.objects.link(obj)
    bpy.context.view_layer.objects.active = obj
    obj.select_set(True)
    smooth.shade_auto_smooth(angle=math.radians(40))
    colors = palette(paint, chance)
    for number in range(int(arrays["part"].max()) + 1):
        mesh.materials.append(make_paint(paint, colors, number, chance))
    mesh.polygons.foreach_set("material_index", arrays["part"].astype(np.int32))
    obj.location.z = 0.5 * span[2] / span.max()
    return obj


def palette(paint: str, chance: random.Random) -> list[tuple]:
    """Five linear colours: pale ones, dark ones, or many."""
    colors = []
    for _ in range(5):
        hue, saturation, value = chance.random(), chance.uniform(0.35, 0.9), chance.uniform(0.15, 0.8)
        if paint == "pale":
            saturation, value = chance.uniform(0.0, 0.12), chance.uniform(0.7, 0.9)
        if paint == "dark":
            saturation, value = chance.uniform(0.1, 0.5), chance.uniform(0.01, 0.06)
        step = [abs((6 * hue + shift) % 6 - 3) - 1 for shift in (0, 4, 2)]
        colors.append(
            (*tuple(value * (1 - saturation + saturation * min(max(part, 0), 1)) for part in step), 1)
        )
    return colors


def make_paint(paint: str, colors: list, part: int, chance: random.Random) -> bpy.types.Material:
    """A Principled material whose base colour is plain or a pattern in the object's own space."""
    material = bpy.data.materials.new(f"paint {part}")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    shader = nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = chance.uniform(0.35, 0.8)
    first, second = colors[part % 5], colors[(part + 2) % 5]
    if paint not in ("bands", "checks", "blotches"):
        shader.inputs["Base Color"].default_value = first
        return material
    place = nodes.new("ShaderNodeTexCoord").outputs["Object"]
    if paint == "checks":
        pattern = nodes.new("ShaderNodeTexChecker")
        pattern.inputs["Scale"].default_value = 9
        pattern.inputs["Color1"].default_value, pattern.inputs["Color2"].default_value = first, second
        links.new(place, pattern.inputs["Vector"])
        links.new(pattern.outputs["Color"], shader.inputs["Base Color"])
        return material
    pattern = nodes.new("ShaderNodeTexWave" if paint == "bands" else "ShaderNodeTexNoise")
    pattern.inputs["Scale"].default_value = 4.0 if paint == "bands" else 7.0
    if paint == "bands":
        pattern.bands_direction = "Z"
        pattern.inputs["Distortion"].default_value = 1.5
    links.new(place, pattern.inputs["Vector"])
    ramp = nodes.new("ShaderNodeValToRGB")
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.46, 0.54
    ramp.color_ramp.elements[0].color, ramp.color_ramp.elements[1].color = first, second
    links.new(pattern.outputs[0], ramp.inputs["Fac"])
    links.new(ramp.outputs["Color"], shader.inputs["Base Color"])
    return material


def add_camera(obj: bpy.types.Object, chance: random.Random) -> tuple[bpy.types.Object, dict]:
    """A camera that sees the whole object, not quite in the middle; any azimuth, elevation -15 to 60
    degrees."""
    azimuth, elevation = chance.uniform(-180, 180), chance.uniform(-15, 60)
    lens, roll = chance.uniform(35, 100), chance.gauss(0, 1.5)
    a, e = math.radians(azimuth), math.radians(elevation)
    back = Vector((math.sin(a) * math.cos(e), -math.cos(a) * math.cos(e), math.sin(e)))
    data = bpy.data.cameras.new("camera")
    data.lens, data.sensor_width, data.clip_start = lens, 36, 0.01
    camera = bpy.data.objects.new("camera", data)
    bpy.context.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    bpy.context.view_layer.update()
    points = np.array([obj.matrix_world @ vertex.co for vertex in obj.data.vertices])
    middle = Vector((points.max(0) + points.min(0)) / 2)
    turn = back.to_track_quat("Z", "Y").to_matrix() @ Matrix.Rotation(math.radians(roll), 3, "Z")
    # As near as the object fits into its share of the picture.
    local = (points - np.array(middle)) @ np.array(turn)
    fill, half = chance.uniform(0.55, 0.85), 18 / lens
    distance = max(float((np.abs(local[:, :2]).max(axis=1) / (half * fill) + local[:, 2]).max()), 0.3)
    slack = 0.6 * (1 - fill) * half * distance
    shift = turn @ Vector((chance.uniform(-slack, slack), chance.uniform(-slack, slack), 0))
    camera.matrix_world = Matrix.Translation(middle + shift + distance * back) @ turn.to_4x4()
    if camera.location.z < 0.03:  # not from below the ground
        camera.location += Vector((0, 0, 0.03 - camera.location.z))
        bpy.context.view_layer.update()
    # The view of a point in the object's middle, in the object's frame: what the search has to find.
    toward = camera.matrix_world.translation - middle
    view = {
        "azimuth": math.degrees(math.atan2(toward.x, -toward.y)),
        "elevation": math.degrees(math.asin(toward.z / toward.length)),
        "lens": lens,
        "rotation": [list(row) for row in camera.matrix_world.to_3x3()],
        "position": list(camera.matrix_world.translation - middle),
        "focal": SIZE * lens / 36,
    }
    return camera, view


def configure_render() -> None:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.max_bounces = SAMPLES, True, 4
    scene.cycles.use_adaptive_sampling = True
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    scene.render.resolution_percentage = 100
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format, scene.render.image_settings.color_mode = "PNG", "RGBA"


def render_mask_and_albedo(obj: bpy.types.Object, path: Path) -> None:
    """The truth: the object's paint as light of its own on a transparent film."""
    scene = bpy.context.scene
    scene.render.film_transparent, scene.cycles.use_denoising, scene.cycles.samples = True, False, 16
    kept = []
    for material in obj.data.materials:
        nodes, links = material.node_tree.nodes, material.node_tree.links
        shader, output = nodes["Principled BSDF"], nodes["Material Output"]
        glow = nodes.new("ShaderNodeEmission")
        base = shader.inputs["Base Color"]
        if base.links:
            links.new(base.links[0].from_socket, glow.inputs["Color"])
        else:
            glow.inputs["Color"].default_value = base.default_value
        links.new(glow.outputs[0], output.inputs["Surface"])
        kept.append((links, shader, output, nodes, glow))
    render(path)
    for links, shader, output, nodes, glow in kept:
        links.new(shader.outputs[0], output.inputs["Surface"])
        nodes.remove(glow)
    scene.render.film_transparent, scene.cycles.use_denoising, scene.cycles.samples = False, True, SAMPLES


def add_ground(ground: str, chance: random.Random) -> None:
    """A floor and a wall that meet in a curve, of one colour, wood or cloth; for clutter with things on
    them."""
    material = bpy.data.materials.new("ground")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    shader = nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = 0.7
    color = {"white": 0.85, "grey": chance.uniform(0.15, 0.5)}.get(ground, 0.3)
    shader.inputs["Base Color"].default_value = (color, color, color, 1)
    if ground in ("wood", "cloth", "clutter"):
        dark = tuple(chance.uniform(0.05, 0.3) for _ in range(3))
        light = tuple(min(1.0, chance.uniform(1.3, 2.2) * part) for part in dark)
        pattern = nodes.new("ShaderNodeTexWave" if ground == "wood" else "ShaderNodeTexNoise")
        pattern.inputs["Scale"].default_value = {"wood": 3.0, "cloth": 30.0, "clutter": 2.0}[ground]
        if ground == "wood":
            pattern.inputs["Distortion"].default_value = 7.0
        ramp = nodes.new("ShaderNodeValToRGB")
        ramp.color_ramp.elements[0].color = (*dark, 1)
        ramp.color_ramp.elements[1].color = (*light, 1)
        links.new(nodes.new("ShaderNodeTexCoord").outputs["Object"], pattern.inputs["Vector"])
        links.new(pattern.outputs[0], ramp.inputs["Fac"])
        links.new(ramp.outputs["Color"], shader.inputs["Base Color"])
    camera = bpy.context.scene.camera.matrix_world.translation
    away = math.atan2(camera.x, -camera.y)
    bpy.ops.mesh.primitive_plane_add(size=60)
    floor = bpy.context.object
    floor.data.materials.append(material)
    if ground in ("grey", "clutter", "cloth"):
        bpy.ops.mesh.primitive_plane_add(size=60)
        wall = bpy.context.object
        wall.rotation_euler = (math.pi / 2, 0, away)
        wall.location = Vector((-math.sin(away), math.cos(away), 0)) * chance.uniform(1.5, 3.0)
        wall.data.materials.append(material)
    for number in range(14 if ground == "clutter" else 0):
        add_thing(number, chance)


def add_thing(number: int, chance: random.Random) -> None:
    """One of the things that lie about, beside and behind the object."""
    angle, far = chance.uniform(0, 2 * math.pi), chance.uniform(0.95, 2.2)
    size = chance.uniform(0.06, 0.3)
    place = (far * math.cos(angle), far * math.sin(angle), size)
    camera = bpy.context.scene.camera.matrix_world.translation
    toward = Vector((camera.x, camera.y, 0)).normalized()
    if Vector((*place[:2], 0)).dot(toward) > 0.5 and abs(Vector((*place[:2], 0)).cross(toward).z) < 0.7:
        return  # it would hide the object
    makers = (
        bpy.ops.mesh.primitive_cube_add,
        bpy.ops.mesh.primitive_uv_sphere_add,
        bpy.ops.mesh.primitive_cone_add,
    )
    makers[number % 3](location=place)
    thing = bpy.context.object
    thing.scale, thing.rotation_euler.z = (size, size * chance.uniform(0.4, 1.2), size), chance.uniform(0, 6)
    material = bpy.data.materials.new("thing")
    material.use_nodes = True
    color = tuple(chance.uniform(0.03, 0.8) for _ in range(3))
    material.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (*color, 1)
    thing.data.materials.append(material)


def add_light(chance: random.Random) -> None:
    """A sun, hard or soft, and a sky that fills its shadows more or less."""
    sun = bpy.data.lights.new("sun", "SUN")
    sun.angle, sun.energy = math.radians(chance.choice((0.5, 4, 15, 40))), chance.uniform(1.2, 3.2)
    warm = chance.uniform(0.0, 0.2)
    sun.color = (1.0, 1.0 - 0.5 * warm, 1.0 - warm)
    lamp = bpy.data.objects.new("sun", sun)
    bpy.context.collection.objects.link(lamp)
    lamp.rotation_euler = (math.radians(chance.uniform(15, 60)), 0, chance.uniform(0, 2 * math.pi))
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    world.use_nodes = True
    cool = chance.uniform(0.0, 0.15)
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (1 - cool, 1 - 0.5 * cool, 1, 1)
    background.inputs["Strength"].default_value = chance.uniform(0.25, 0.8)


def add_depth_of_field(camera: bpy.types.Object, distance: float, chance: random.Random) -> None:
    """Some pictures are sharp at the object only."""
    if chance.random() < 0.35:
        camera.data.dof.use_dof = True
        camera.data.dof.focus_distance = distance
        camera.data.dof.aperture_fstop = chance.uniform(0.7, 3.0)


def render(path: Path) -> None:
    bpy.context.scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def spoil(source: Path, target: Path, chance: random.Random) -> None:
    """Exposure, vignette, noise and JPEG at quality 60 to 92, as cameras and the web leave a picture."""
    image = bpy.data.images.load(str(source))
    pixels = np.array(image.pixels[:], np.float32).reshape(SIZE, SIZE, 4)
    # As a camera's automatic exposure: the brightest places come near white.
    bright = np.quantile(pixels[..., :3].max(axis=2), 0.97)
    pixels[..., :3] *= min(max(0.9 / max(bright, 0.01), 0.8), 2.5)
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    pixels[..., :3] *= (1 - chance.uniform(0, 0.25) * (x * x + y * y) / 2)[..., None]
    noise = np.random.default_rng(chance.randrange(2**31)).normal(
        0, chance.uniform(0, 0.02), pixels[..., :3].shape
    )
    pixels[..., :3] = np.clip(pixels[..., :3] + noise, 0, 1)
    image.pixels.foreach_set(pixels.ravel())
    settings = bpy.context.scene.render.image_settings
    settings.file_format, settings.color_mode, settings.quality = "JPEG", "RGB", chance.choice((60, 75, 92))
    image.save_render(str(target))
    source.unlink()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Renders the pictures of one mesh.")
    parser.add_argument("arrays", type=Path, help="of the mesh, .npz")
    parser.add_argument("folder", type=Path, help="where the pictures are kept")
    parser.add_argument("count", type=int)
    parser.add_argument("--views", action="store_true", help="also the unlit mesh from seven other sides")
    options = parser.parse_args()
    main(options.arrays, options.folder, options.count, options.views)
