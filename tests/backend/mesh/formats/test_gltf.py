"""glTF files of every kind that exporters write give the positions, faces and UVs that they hold."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from backend.api.errors import InvalidMesh
from backend.mesh.files import read_mesh
from backend.mesh.uvs import why_unusable
from tests.gltf_files import GlbFile

SQUARE = np.float32([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
TRIANGLES = np.uint16([0, 1, 2, 0, 2, 3])
UVS = np.float32([[0.1, 0.2], [0.4, 0.2], [0.4, 0.7], [0.1, 0.7]])


def turned(uvs: np.ndarray) -> np.ndarray:
    return np.column_stack([uvs[:, 0], 1 - uvs[:, 1]])


def square(file: GlbFile, uvs: np.ndarray = UVS, shift: float = 0.0, **more) -> dict:
    """A primitive of a square."""
    attributes = {"POSITION": file.array(SQUARE + np.float32([shift, 0, 0])), "TEXCOORD_0": file.array(uvs)}
    return {"attributes": attributes, "indices": file.array(TRIANGLES)} | more


def png(color: str) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(data, "PNG")
    return data.getvalue()


@pytest.mark.parametrize("materials", ["none", "colours", "pictures", "one of each"])
def test_uvs_are_the_files_own_whatever_its_materials(tmp_path, materials):
    file = GlbFile()
    parts = [square(file, UVS + np.float32([0.3 * k, 0]), 2 * k) for k in range(3)]
    colored = {"pbrMetallicRoughness": {"baseColorFactor": [1, 0, 0, 1]}}
    images = [
        {"bufferView": file.view(png(name)), "mimeType": "image/png"} for name in ("red", "lime", "blue")
    ]
    pictures = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": k}}} for k in range(3)]
    more = {"images": images, "textures": [{"source": k} for k in range(3)]}
    if materials != "none":
        more["materials"] = {"colours": [colored] * 3, "pictures": pictures}.get(
            materials, [colored, pictures[1], {}]
        )
        parts = [part | {"material": k} for k, part in enumerate(parts)]
    mesh = read_mesh(file.write(tmp_path / "a.glb", parts, **more))
    expected = np.concatenate([turned(UVS + np.float32([0.3 * k, 0])) for k in range(3)])
    assert np.array_equal(mesh.uvs, expected)
    assert np.array_equal(mesh.vertices[4:8], SQUARE + np.float32([2, 0, 0]))
    assert mesh.faces.tolist() == [
        [4 * k + i for i in face] for k in range(3) for face in ([0, 1, 2], [0, 2, 3])
    ]


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2"])
@pytest.mark.parametrize("padding", [0, 4])
def test_quantised_uvs_and_positions_are_scaled(tmp_path, dtype, padding):
    file = GlbFile(extensionsUsed=["KHR_mesh_quantization"], extensionsRequired=["KHR_mesh_quantization"])
    largest = np.iinfo(dtype).max
    stored = np.round(UVS * largest).astype(dtype)
    attributes = {
        "POSITION": file.array((SQUARE * 100).astype(np.uint16), padding=2),
        "TEXCOORD_0": file.array(stored, padding, normalized=True),
    }
    file.tree["nodes"] = [{"mesh": 0, "scale": [0.01, 0.01, 0.01]}]
    primitive = {"attributes": attributes, "indices": file.array(TRIANGLES)}
    mesh = read_mesh(file.write(tmp_path / "a.glb", [primitive]))
    np.testing.assert_allclose(mesh.uvs, turned(stored / largest), atol=1e-7)
    np.testing.assert_allclose(mesh.vertices, SQUARE, atol=1e-6)


def test_a_texture_transform_of_the_base_colour_moves_the_uvs(tmp_path):
    transform = {"offset": [0.5, 0.25], "scale": [0.5, 0.25], "rotation": np.pi / 2}
    texture = {"index": 0, "extensions": {"KHR_texture_transform": transform}}
    file = GlbFile()
    image = {"bufferView": file.view(png("red")), "mimeType": "image/png"}
    primitive = square(file, material=0)
    mesh = read_mesh(
        file.write(
            tmp_path / "a.glb",
            [primitive],
            materials=[{"pbrMetallicRoughness": {"baseColorTexture": texture}}],
            textures=[{"source": 0}],
            images=[image],
        )
    )
    # A quarter counter-clockwise as one looks at the image: what is right comes up, v points down.
    expected = np.column_stack([0.5 + 0.25 * UVS[:, 1], 0.25 - 0.5 * UVS[:, 0]])
    np.testing.assert_allclose(mesh.uvs, turned(expected), atol=1e-6)


@pytest.mark.parametrize("how", ["texCoord", "transform", "missing"])
def test_the_material_chooses_the_uv_set(tmp_path, how):
    texture = {
        "texCoord": {"index": 0, "texCoord": 1},
        "transform": {"index": 0, "extensions": {"KHR_texture_transform": {"texCoord": 1}}},
        "missing": {"index": 0, "texCoord": 5},
    }[how]
    file = GlbFile()
    primitive = square(file, material=0)
    primitive["attributes"]["TEXCOORD_1"] = file.array(UVS + np.float32(0.1))
    image = {"bufferView": file.view(png("red")), "mimeType": "image/png"}
    material = {"pbrMetallicRoughness": {"baseColorTexture": texture}}
    more = {"materials": [material], "textures": [{"source": 0}], "images": [image]}
    mesh = read_mesh(file.write(tmp_path / "a.glb", [primitive], **more))
    assert np.array_equal(mesh.uvs, turned(UVS if how == "missing" else UVS + np.float32(0.1)))


def test_a_mesh_in_several_places_has_its_uvs_in_each_and_they_overlap(tmp_path):
    file = GlbFile()
    turn = [0, 0, np.sqrt(0.5), np.sqrt(0.5)]
    file.tree["nodes"] = [
        {"name": "Root", "children": [1, 2], "translation": [0, 5, 0]},
        {"mesh": 0, "name": "Left"},
        {"mesh": 0, "name": "Right", "translation": [9, 0, 0], "rotation": turn, "scale": [2, 1, -1]},
    ]
    mesh = read_mesh(file.write(tmp_path / "a.glb", [square(file)]))
    assert np.array_equal(mesh.uvs, turned(np.concatenate([UVS, UVS])))
    np.testing.assert_allclose(mesh.vertices[4:], [[9, 5, 0], [9, 7, 0], [8, 7, 0], [8, 5, 0]], atol=1e-6)
    assert [mesh.nodes[part.node].name for part in mesh.parts] == ["Left", "Right"]
    # The second is mirrored: its faces are turned over, so that the same side is outside.
    corners = mesh.vertices[mesh.faces].astype(float)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
    assert normals.tolist() == pytest.approx([1, 1, -2, -2])
    assert "overlap" in why_unusable(mesh.uvs[mesh.faces])


@pytest.mark.parametrize(
    ("mode", "indices", "expected"),
    [
        (4, None, [[0, 1, 2]]),
        (5, [0, 1, 3, 2], [[0, 1, 3], [1, 2, 3]]),
        (5, [0, 1, 3, 3, 3, 1, 2], [[0, 1, 3], [3, 1, 2]]),
        (6, [0, 1, 2, 3], [[1, 2, 0], [2, 3, 0]]),
        (6, None, [[1, 2, 0], [2, 3, 0]]),
    ],
)
def test_strips_fans_and_vertices_without_indices_are_triangles(tmp_path, mode, indices, expected):
    file = GlbFile()
    positions = SQUARE[:3] if mode == 4 else SQUARE
    primitive = {"attributes": {"POSITION": file.array(positions)}, "mode": mode}
    if indices:
        primitive["indices"] = file.array(np.uint8(indices))
    mesh = read_mesh(file.write(tmp_path / "a.glb", [primitive, primitive | {"mode": 1}]))
    faces = np.array([np.roll(face, -int(np.argmin(face))) for face in mesh.faces])
    assert faces.tolist() == [np.roll(face, -int(np.argmin(face))).tolist() for face in expected]


def test_sparse_positions_are_changed_where_they_say(tmp_path):
    file = GlbFile()
    places, values = file.array(np.uint16([2])), file.array(np.float32([[7, 8, 9]]))
    sparse = {
        "count": 1,
        "indices": {"bufferView": file.tree["accessors"][places]["bufferView"], "componentType": 5123},
        "values": {"bufferView": file.tree["accessors"][values]["bufferView"]},
    }
    primitive = square(file)
    primitive["attributes"]["POSITION"] = file.array(SQUARE, sparse=sparse)
    mesh = read_mesh(file.write(tmp_path / "a.glb", [primitive]))
    assert mesh.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [7, 8, 9], [0, 1, 0]]


@pytest.mark.parametrize("where", ["data", "beside"])
def test_buffers_of_a_gltf_file_lie_in_it_or_beside_it(tmp_path, where):
    file = GlbFile()
    primitive = square(file)
    uri = "data:application/octet-stream;base64," + base64.b64encode(file.binary).decode()
    if where == "beside":
        (tmp_path / "my buffer.bin").write_bytes(file.binary)
        uri = "my%20buffer.bin"
    buffers = [{"byteLength": len(file.binary), "uri": uri}]
    tree = file.tree | {
        "asset": {"version": "2.0"},
        "meshes": [{"primitives": [primitive]}],
        "buffers": buffers,
    }
    (tmp_path / "a.gltf").write_text(json.dumps(tree))
    assert np.array_equal(read_mesh(tmp_path / "a.gltf").uvs, turned(UVS))
    if where == "beside":
        (tmp_path / "my buffer.bin").unlink()
        with pytest.raises(InvalidMesh, match=r"my buffer\.bin, which belongs to it, is not beside it"):
            read_mesh(tmp_path / "a.gltf")


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("Draco", "KHR_draco_mesh_compression"),
        ("meshopt", "EXT_meshopt_compression"),
        ("meshopt", "KHR_meshopt_compression"),
    ],
)
@pytest.mark.parametrize("required", [True, False])
def test_compressed_geometry_is_named_with_what_to_do(tmp_path, name, extension, required):
    file = GlbFile(extensionsUsed=[extension])
    primitive = square(file)
    if required:
        file.tree["extensionsRequired"] = [extension]
    elif name == "Draco":
        primitive["extensions"] = {extension: {"bufferView": 0, "attributes": {"POSITION": 0}}}
    else:
        file.tree["bufferViews"][0]["extensions"] = {extension: {"buffer": 0, "byteLength": 9, "count": 4}}
    with pytest.raises(InvalidMesh, match=rf"a\.glb is compressed with {name}.*without mesh compression"):
        read_mesh(file.write(tmp_path / "a.glb", [primitive]))


def test_instances_made_by_an_extension_are_named(tmp_path):
    file = GlbFile()
    file.tree["nodes"] = [{"mesh": 0, "extensions": {"EXT_mesh_gpu_instancing": {"attributes": {}}}}]
    with pytest.raises(InvalidMesh, match="EXT_mesh_gpu_instancing"):
        read_mesh(file.write(tmp_path / "a.glb", [square(file)]))
