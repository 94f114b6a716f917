"""The base colour that an object wears is read whatever its materials are; nothing of the file changes."""

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs.entry import JobEntry
from bl_ext.user_default.orbit_texture.addon.jobs.submission import make_request, read_target
from bl_ext.user_default.orbit_texture.addon.objects import mesh_io, present_paint
from bl_ext.user_default.orbit_texture.addon.objects.fingerprint import fingerprint
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

from tests.blender import make

pytestmark = pytest.mark.every_blender

RED, GREEN, BLUE = (1, 0, 0), (0, 1, 0), (0, 0, 1)


def image_of(*rows: list[tuple], name: str = "Paint") -> bpy.types.Image:
    """An image of rows of colours, the lowest first, 4 x 4 pixels each."""
    colors = np.array(rows, np.float32).repeat(4, axis=0).repeat(4, axis=1)
    image = bpy.data.images.new(name, colors.shape[1], colors.shape[0])
    image.pixels.foreach_set(np.dstack([colors, np.ones(colors.shape[:2], np.float32)]).ravel())
    return image


def material_of(build, shader: str = "ShaderNodeBsdfPrincipled", **inputs) -> bpy.types.Material:
    """A material whose base colour ``build`` makes of a tree: an output, or a colour."""
    material = bpy.data.materials.new("Material")
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    node, output = tree.nodes.new(shader), tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(node.outputs[0], output.inputs["Surface"])
    color = build(tree)
    if isinstance(color, tuple):
        node.inputs[0].default_value = (*color, 1)
    else:
        tree.links.new(color, node.inputs[0])
    for name, value in inputs.items():
        node.inputs[name].default_value = value
    return material


def textured(image: bpy.types.Image, vector=None, **settings):
    def build(tree):
        node = tree.nodes.new("ShaderNodeTexImage")
        node.image = image
        for name, value in settings.items():
            setattr(node, name, value)
        if vector:
            tree.links.new(vector(tree), node.inputs["Vector"])
        return node.outputs["Color"]

    return build


def plain(color: tuple):
    return lambda tree: color


def square(*materials: bpy.types.Material) -> bpy.types.Object:
    """Two squares side by side, with a slot each, or one for both; their UVs are those of a unit square
    each."""
    mesh = bpy.data.meshes.new("Squares")
    mesh.from_pydata(
        [(0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1), (2, 0, 0), (2, 0, 1)],
        [],
        [(0, 1, 2, 3), (1, 4, 5, 2)],
    )
    uvs = mesh.uv_layers.new(name="UVMap")
    uvs.data.foreach_set("uv", [0, 0, 1, 0, 1, 1, 0, 1] * 2)
    obj = bpy.data.objects.new("Squares", mesh)
    bpy.context.collection.objects.link(obj)
    for material in materials:
        mesh.materials.append(material)
    mesh.polygons[1].material_index = len(materials) - 1
    bpy.context.view_layer.update()
    return obj


def read_colors(obj: bpy.types.Object, places) -> np.ndarray:
    """(N, 3): what the paint that is read shows at places (x, z) of the object; NaN where it has none. It
    is found by the nearest texel."""
    target = mesh_io.read_mesh(obj, with_paint=True)
    paint, mesh = target.present_paint(), target.mesh_data()
    found = np.full((len(places), 3), np.nan)
    for number, place in enumerate(places):
        for face, corners in enumerate(mesh.vertices[mesh.faces][..., [0, 2]]):
            weights = np.linalg.solve(np.vstack([corners.T, np.ones(3)]), [*place, 1])
            if weights.min() < -1e-6 or (paint.mask is not None and not paint.mask[face]):
                continue
            color = np.ones(3) if paint.corner_colors is None else weights @ paint.corner_colors[face]
            if paint.image_of_face[face] >= 0:
                image = paint.images[paint.image_of_face[face]]
                u, v = weights @ paint.corner_uvs[face] % 1
                height, width = image.shape[:2]
                color = color * image[int((1 - v) * height), int(u * width)] / 255
            found[number] = color
            break
    return found


CORNERS = [(0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (1.2, 0.2)]


def test_an_image_is_read_by_its_uv_map():
    obj = square(material_of(textured(image_of([RED, GREEN], [BLUE, RED]))))
    assert np.allclose(read_colors(obj, CORNERS), [RED, GREEN, BLUE, RED], atol=0.01)


@pytest.mark.parametrize("is_baked", [False, True])
def test_a_repeated_scaled_and_turned_image_is_read_as_cycles_bakes_it(is_baked, monkeypatch):
    def vector(tree):
        mapping, coordinates = tree.nodes.new("ShaderNodeMapping"), tree.nodes.new("ShaderNodeTexCoord")
        tree.links.new(coordinates.outputs["UV"], mapping.inputs["Vector"])
        mapping.inputs["Scale"].default_value = (2, 2, 1)
        mapping.inputs["Rotation"].default_value = (0, 0, np.pi / 2)
        mapping.inputs["Location"].default_value = (0.5, 0, 0)
        return mapping.outputs[0]

    obj = square(material_of(textured(image_of([RED, GREEN], [BLUE, (0, 0, 0)]), vector)))
    if is_baked:
        monkeypatch.setattr(present_paint, "read_base_color", lambda material: None)
    # A quarter turn takes (u, v) to (-v, u), twice as large and moved by half an image.
    expected = [RED, BLUE, GREEN]
    assert np.allclose(read_colors(obj, [(0.1, 0.1), (0.3, 0.1), (0.1, 0.3)]), expected, atol=0.02)
    assert np.allclose(read_colors(obj, [(0.6, 0.1), (0.8, 0.1)]), [RED, BLUE], atol=0.02)


def test_each_of_two_materials_gives_its_faces_their_colour():
    linear = 0.2140411
    obj = square(material_of(textured(image_of([BLUE]))), material_of(plain((linear, 1, 0)), Metallic=1.0))
    found = read_colors(obj, [(0.5, 0.2), (1.5, 0.2)])
    assert np.allclose(found, [BLUE, (0.5, 1, 0)], atol=0.01)


@pytest.mark.parametrize("domain", ["POINT", "CORNER"])
@pytest.mark.parametrize("kind", ["FLOAT_COLOR", "BYTE_COLOR"])
def test_a_colour_attribute_is_read_in_srgb(domain, kind):
    def build(tree):
        node = tree.nodes.new("ShaderNodeVertexColor")
        node.layer_name = "Paint"
        return node.outputs["Color"]

    obj = square(material_of(build))
    colors = obj.data.color_attributes.new("Paint", kind, domain)
    for value in colors.data:
        value.color = (0.2140411, 0, 1, 1)
    assert np.allclose(read_colors(obj, [(0.4, 0.4)]), [(0.5, 0, 1)], atol=0.01)


def mixed(tree):
    """A mix of an image and a colour, half of each, in linear light."""
    mix = tree.nodes.new("ShaderNodeMix")
    mix.data_type = "RGBA"
    colors = [socket for socket in mix.inputs if socket.type == "RGBA"]
    tree.links.new(textured(image_of([RED, GREEN]))(tree), colors[0])
    colors[1].default_value = (0, 0, 1, 1)
    mix.inputs["Factor"].default_value = 0.5
    return next(socket for socket in mix.outputs if socket.type == "RGBA")


@pytest.mark.parametrize("metallic", [0.0, 1.0])
def test_nodes_that_have_to_be_computed_are_baked_by_cycles(metallic):
    obj = square(material_of(mixed, Metallic=metallic), material_of(plain(GREEN)))
    half = 0.7354
    found = read_colors(obj, [(0.25, 0.5), (0.75, 0.3), (1.5, 0.5)])
    assert np.allclose(found, [(half, 0, half), (0, half, half), GREEN], atol=0.02)


def test_mixed_shaders_are_baked_by_cycles():
    material = material_of(plain(RED))
    tree = material.node_tree
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    add, other = tree.nodes.new("ShaderNodeMixShader"), tree.nodes.new("ShaderNodeBsdfDiffuse")
    other.inputs["Color"].default_value = (0, 1, 0, 1)
    add.inputs[0].default_value = 0.0
    tree.links.new(tree.nodes[0].outputs[0], add.inputs[1])
    tree.links.new(other.outputs[0], add.inputs[2])
    tree.links.new(add.outputs[0], output.inputs["Surface"])
    assert np.allclose(read_colors(square(material), [(0.3, 0.4)]), [RED], atol=0.02)


def test_faces_without_a_material_have_no_paint():
    obj = square(material_of(plain(RED)), None)
    found = read_colors(obj, [(0.5, 0.2), (1.5, 0.2)])
    assert np.allclose(found[0], RED)
    assert np.isnan(found[1]).all()


def test_the_faces_that_modifiers_make_are_read_too():
    obj = square(material_of(textured(image_of([RED, GREEN]))))
    obj.modifiers.new("Array", "ARRAY").count = 2
    bpy.context.view_layer.update()
    assert np.allclose(read_colors(obj, [(2.2, 0.2), (2.8, 0.4)]), [RED, GREEN], atol=0.01)


def test_a_mirrored_object_is_read_as_it_looks():
    obj = square(material_of(textured(image_of([RED, GREEN]))))
    obj.scale.x = -1
    bpy.context.view_layer.update()
    assert np.allclose(read_colors(obj, [(-0.2, 0.2), (-0.8, 0.4)]), [RED, GREEN], atol=0.01)


def test_reading_changes_nothing_and_leaves_nothing_behind():
    obj = square(material_of(mixed), material_of(textured(image_of([RED]))))
    other = make.cube()
    make.select(other)
    scene = bpy.context.scene
    state = (scene.render.engine, scene.name, bpy.context.view_layer.objects.active, other.select_get())
    before, counts, slots = fingerprint(obj), make.block_counts(), make.slots(obj)
    nodes = [[node.name for node in slot.material.node_tree.nodes] for slot in obj.material_slots]
    mesh_io.read_mesh(obj, with_paint=True)
    assert fingerprint(obj) == before
    assert make.block_counts() == counts
    assert make.slots(obj) == slots
    assert nodes == [[node.name for node in slot.material.node_tree.nodes] for slot in obj.material_slots]
    after = (scene.render.engine, scene.name, bpy.context.view_layer.objects.active, other.select_get())
    assert after == state


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({}, False),
        ({"start_from": "present"}, True),
        ({"start_from": "present", "present_weight": 0.0}, False),
    ],
)
def test_a_job_has_the_present_paint_only_if_it_starts_from_it(settings, sent, tmp_path):
    obj = square(material_of(plain(RED)))
    entry = JobEntry(obj.name, Settings(**settings), reference=make.reference(tmp_path))
    read_target(entry, obj)
    job = make_request(entry).make_job()
    assert any(name.startswith("present.") for name in job.arrays()) == sent


def test_the_panel_starts_from_nothing_and_gives_its_choice_to_the_job():
    panel = bpy.context.scene.orbit_texture
    assert panel.to_settings().start_from == "nothing"
    panel.start_from, panel.present_weight = "present", 0.25
    settings = panel.to_settings()
    assert (settings.start_from, settings.present_weight) == ("present", 0.25)
