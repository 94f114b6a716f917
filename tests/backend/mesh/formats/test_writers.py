"""What comes out has the names, vertices, normals and UVs that went in, to the bit."""

import json
import struct

import numpy as np
import pytest
import trimesh
from PIL import Image

from backend.mesh.files import read_mesh, read_textured, write_mesh
from backend.mesh.formats.gltf_writer import split_vertices
from tests.gltf_files import GlbFile
from tests.meshes import knot

TEXTURE = {1001: {"base_color": Image.new("RGB", (8, 8), "red")}}
RANDOM = np.random.default_rng(0)


def read_glb(path) -> tuple[dict, bytes]:
    data = path.read_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def arrays_of(path) -> dict[str, dict[str, np.ndarray]]:
    """The float32 attributes of each node's first primitive, by the node's name."""
    tree, binary = read_glb(path)
    found = {}
    for node in tree["nodes"]:
        if "mesh" in node:
            attributes = tree["meshes"][node["mesh"]]["primitives"][0]["attributes"]
            found[node["name"]] = {
                name: read_floats(tree, binary, number) for name, number in attributes.items()
            }
    return found


def read_floats(tree: dict, binary: bytes, number: int) -> np.ndarray:
    accessor = tree["accessors"][number]
    width = int(accessor["type"][3:])
    start = tree["bufferViews"][accessor["bufferView"]]["byteOffset"]
    return np.frombuffer(binary, np.float32, accessor["count"] * width, start).reshape(-1, width)


def shape(file: GlbFile, uvs: bool = True) -> tuple[dict, dict[str, np.ndarray]]:
    """A primitive of random triangles that share vertices, and its arrays by attribute."""
    normals = RANDOM.normal(size=(30, 3))
    arrays = {
        "POSITION": RANDOM.normal(size=(30, 3)).astype(np.float32),
        "NORMAL": (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32),
    }
    if uvs:
        arrays["TEXCOORD_0"] = RANDOM.random((30, 2)).astype(np.float32)
    indices = file.array(RANDOM.permutation(30).astype(np.uint16)[np.r_[0:30, 0:12]])
    primitive = {"attributes": {name: file.array(values) for name, values in arrays.items()}}
    return primitive | {"indices": indices}, arrays


def scene(path, uvs: bool = True) -> dict[str, dict[str, np.ndarray]]:
    """Writes a file of three objects in a tree of nodes; the arrays of each object."""
    file = GlbFile()
    primitives, arrays = zip(*(shape(file, uvs) for _ in range(3)), strict=True)
    file.tree["nodes"] = [
        {"name": "Car", "children": [1, 2, 4], "translation": [0.1, 0.2, 0.3]},
        {"name": "Body", "mesh": 0, "rotation": [0, np.sqrt(0.5), 0, np.sqrt(0.5)]},
        {"name": "Wheels", "children": [3]},
        {"name": "Wheel.L", "mesh": 1, "scale": [-1, 1, 1]},
        {"name": "Glass", "mesh": 2, "matrix": [2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 7, 8, 9, 1]},
        {"name": "Empty"},
    ]
    meshes = [{"name": f"mesh {k}", "primitives": [primitive]} for k, primitive in enumerate(primitives)]
    file.write(path, [], meshes=meshes)
    return dict(zip(("Body", "Wheel.L", "Glass"), arrays, strict=True))


def test_a_glb_keeps_names_nodes_normals_vertices_and_uvs_to_the_bit(tmp_path):
    expected = scene(tmp_path / "in.glb")
    mesh = read_mesh(tmp_path / "in.glb")
    write_mesh(tmp_path / "out.glb", mesh, None, TEXTURE)
    found = arrays_of(tmp_path / "out.glb")
    assert found.keys() == expected.keys()
    for name, arrays in expected.items():
        assert found[name].keys() == arrays.keys()
        assert all(found[name][key].tobytes() == values.tobytes() for key, values in arrays.items())
    before, after = (read_glb(tmp_path / f"{name}.glb")[0] for name in ("in", "out"))
    kept = [node for node in before["nodes"] if node["name"] != "Empty"]
    for key in ("name", "translation", "rotation", "scale", "matrix"):
        assert [node.get(key) for node in after["nodes"]] == [node.get(key) for node in kept]
    assert [entry["name"] for entry in after["meshes"]] == ["mesh 0", "mesh 1", "mesh 2"]
    again = read_mesh(tmp_path / "out.glb")
    assert np.array_equal(again.vertices[again.faces], mesh.vertices[mesh.faces])


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_new_uvs_reach_their_corners_and_split_vertices_behind_the_others(tmp_path, suffix):
    expected = scene(tmp_path / "in.glb", uvs=False)
    mesh = read_mesh(tmp_path / "in.glb")
    uvs = np.random.default_rng(1).random((len(mesh.faces), 3, 2)).astype(np.float32)
    write_mesh(tmp_path / f"out{suffix}", mesh, uvs, TEXTURE)
    again = read_mesh(tmp_path / f"out{suffix}")
    assert np.array_equal(again.vertices[again.faces], mesh.vertices[mesh.faces])
    np.testing.assert_allclose(again.uvs[again.faces], uvs, atol=6e-8)
    assert [again.nodes[part.node].name for part in again.parts] == ["Body", "Wheel.L", "Glass"]
    if suffix == ".glb":
        for name, arrays in arrays_of(tmp_path / "out.glb").items():
            assert len(arrays["POSITION"]) > 30
            for key in ("POSITION", "NORMAL"):
                assert arrays[key][:30].tobytes() == expected[name][key].tobytes()


OBJ = (
    "mtllib old.mtl\no Left eye\ng lid\nv 0.1 0.2 0.3\nv 1.123456 0 1e-5\nv 1 1 -0\nv 0 1 0.33333334\n"
    "vt 0.1 0.2\nvt 0.7 0.123456\nvt 0.9 0.9\nvt 0.25 0.75\nvn 0 0 1\nvn 0.6 0.8 0\nvn 0.12 0.16 0.9797959\n"
    "usemtl skin\nf 1/1/1 2/2/2 3/3/3\nf 1/4/1 3/3/1 4/1/2\no Right\nusemtl other\nv 5 5 5\nv 6 5 5\n"
    "v 6 6 5\nf 5/1/1 6/2/1 7/3/1\nusemtl skin\nf 1/1/3 6/2/1 7/3/1\n"
)


def lines_of(path, key: str) -> list[np.ndarray]:
    rows = [line.split()[1:] for line in path.read_text().splitlines() if line.startswith(f"{key} ")]
    return [np.float32(row) for row in rows]


def test_an_obj_keeps_its_lines(tmp_path):
    (tmp_path / "in.obj").write_text(OBJ)
    mesh = read_mesh(tmp_path / "in.obj")
    write_mesh(tmp_path / "out.obj", mesh, None, TEXTURE)
    before, after = tmp_path / "in.obj", tmp_path / "out.obj"
    assert np.array_equal(lines_of(before, "v"), lines_of(after, "v"))
    for key in ("vt", "vn"):
        assert {row.tobytes() for row in lines_of(before, key)} == {
            row.tobytes() for row in lines_of(after, key)
        }
    assert [line for line in after.read_text().splitlines() if line[:2] in ("o ", "g ")] == [
        "o Left eye",
        "g lid",
        "o Right",
    ]
    again = read_mesh(after)
    for name in ("vertices", "uvs"):
        first, second = (getattr(found, name)[found.faces] for found in (mesh, again))
        assert sorted(map(np.ndarray.tobytes, first)) == sorted(map(np.ndarray.tobytes, second))
    assert (tmp_path / "out.mtl").read_text().splitlines()[-1] == "map_Kd out.png"
    assert Image.open(tmp_path / "out.png").getpixel((0, 0)) == (255, 0, 0)


def test_an_obj_as_glb_has_its_objects_and_normals(tmp_path):
    (tmp_path / "in.obj").write_text(OBJ)
    mesh = read_mesh(tmp_path / "in.obj")
    write_mesh(tmp_path / "out.glb", mesh, None, TEXTURE)
    found = arrays_of(tmp_path / "out.glb")
    assert list(found) == ["Left eye", "Right"]
    normals = {row.tobytes() for row in lines_of(tmp_path / "in.obj", "vn")}
    assert {row.tobytes() for row in found["Left eye"]["NORMAL"]} == normals
    again = read_mesh(tmp_path / "out.glb")
    corners = (sorted(map(np.ndarray.tobytes, part.vertices[part.faces])) for part in (mesh, again))
    assert next(corners) == next(corners)


def test_a_ply_keeps_its_vertices_and_normals(tmp_path):
    ball = knot()
    ball.export(tmp_path / "in.ply", vertex_normal=True)
    mesh = read_mesh(tmp_path / "in.ply")
    assert mesh.normals is not None
    uvs = np.random.default_rng(0).random((len(mesh.faces), 3, 2)).astype(np.float32)
    for suffix in (".glb", ".obj"):
        write_mesh(tmp_path / f"out{suffix}", mesh, uvs, TEXTURE)
        again = read_mesh(tmp_path / f"out{suffix}").to_mesh_data()
        assert np.array_equal(again.vertices[again.faces], mesh.vertices[mesh.faces])


def test_the_written_files_are_what_trimesh_reads(tmp_path):
    knot().export(tmp_path / "in.obj")
    mesh = read_mesh(tmp_path / "in.obj")
    uvs = np.random.default_rng(0).random((len(mesh.faces), 3, 2)).astype(np.float32)
    maps = {name: Image.new("L", (4, 4), 99) for name in ("metallic", "roughness", "alpha")}
    textures = {1001: maps | {"base_color": Image.new("RGB", (4, 4), "lime")}}
    write_mesh(tmp_path / "out.glb", mesh, uvs, textures)
    written = trimesh.load(tmp_path / "out.glb", force="mesh", process=False)
    np.testing.assert_allclose(written.visual.uv[written.faces], uvs, atol=1e-7)
    assert written.visual.material.alphaMode == "BLEND"
    assert written.visual.material.baseColorTexture.getpixel((0, 0)) == (0, 255, 0, 99)
    assert written.visual.material.metallicRoughnessTexture.getpixel((0, 0)) == (0, 99, 99)


def test_two_sided_materials_stay_two_sided(tmp_path):
    file = GlbFile()
    primitive = shape(file)[0] | {"material": 0}
    file.write(tmp_path / "in.glb", [primitive], materials=[{"doubleSided": True}])
    write_mesh(tmp_path / "out.glb", read_mesh(tmp_path / "in.glb"), None, TEXTURE)
    assert [entry["doubleSided"] for entry in read_glb(tmp_path / "out.glb")[0]["materials"]] == [True]


def test_a_vertex_is_split_once_per_uv():
    faces = np.array([[0, 1, 2], [0, 2, 3], [2, 1, 0]])
    uvs = np.float32([[[0, 0], [1, 0], [1, 1]], [[0.5, 0.5], [1, 1], [0, 1]], [[1, 1], [1, 0], [0.5, 0.5]]])
    repeated, split, own = split_vertices(faces, uvs, 5)
    assert repeated.tolist() == [0, 1, 2, 3, 4, 0]
    assert split.tolist() == [[0, 1, 2], [5, 2, 3], [2, 1, 5]]
    assert np.array_equal(own[split], uvs)


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_a_written_texture_is_read_again(tmp_path, suffix):
    scene(tmp_path / "in.glb")
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    textures = {1001: {"base_color": Image.fromarray(pixels)}}
    write_mesh(tmp_path / f"out{suffix}", read_mesh(tmp_path / "in.glb"), None, textures)
    textured = read_textured(tmp_path / f"out{suffix}")
    assert len(textured.images) == 3
    assert all(np.array_equal(image, pixels) for image in textured.images)
