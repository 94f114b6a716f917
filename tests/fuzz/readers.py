"""What the backend reads: images, meshes, messages, and the files that it keeps itself."""

import io
import json
import os
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .run import Reader, instrument

with instrument("backend", "PIL", "trimesh"):
    import PIL.Image
    import trimesh
    from PIL import Image

    from backend import records, stages, store
    from backend.api import wire
    from backend.api.connection import Connection
    from backend.api.devices import Device, load_devices
    from backend.api.errors import OrbitError
    from backend.api.events import JobEvent, State
    from backend.api.job import Job, MeshData, Result
    from backend.api.settings import Settings
    from backend.mesh.files import read_mesh, read_textured
    from backend.mesh.surface import Surface
    from backend.paint.reference import decode
    from backend.service.journal import JOURNAL_FILE, Journal
    from backend.tensors import Tensors

PIL.Image.init()

WORDS = {
    "obj": (b"v ", b"vt ", b"vn ", b"f ", b"/", b"//", b"usemtl ", b"o ", b"g ", b"#", b"\\\n", b"-1"),
    "ply": (b"element ", b"property ", b"list ", b"uchar ", b"float ", b"int ", b"vertex ", b"face ", b"s "),
    "stl": (b"facet ", b"normal ", b"outer loop", b"vertex ", b"endloop", b"endfacet", b"solid "),
    "message": (b'"job"', b"null", b"[]", b"{}", b"1e400", b"NaN", b'"arrays"', b"float32", b"int64"),
    "weights": (b'"dtype"', b'"shape"', b'"data_offsets"', b"F16", b"I64", b"null", b"[]", b"{}"),
    "kept": (b'"name"', b"null", b"[]", b"{}", b"1e400", b"NaN", b"<f4", b"|O", b"(3, 3)", b"fortran_order"),
}


def targets() -> dict[str, Reader]:
    """What is fuzzed, by name."""
    images, meshes = make_images(), make_meshes()
    read = {
        "image": (images, read_image),
        "mask": (images, read_mask),
        **{kind: (whole, _read_file(f"file.{kind}", _read_mesh)) for kind, whole in meshes.items()},
        "textured": (meshes["glb"], _read_file("file.glb", read_textured)),
        "message": (make_messages(), read_message),
        "weights": (make_weights(), _read_file("file.safetensors", lambda path: Tensors([path]))),
        "record": (make_records(), _read_file("stage.npz", _read_record)),
        "job": (make_jobs(), read_job),
        "result": (make_results(), read_result),
        "journal": (make_journals(), _read_file(JOURNAL_FILE, _read_journal)),
        "connection": (make_connections(), _read_file("connection.json", _read_connection)),
        "devices": (make_devices(), _read_file("devices.json", _read_devices)),
    }
    kept = ("record", "job", "result", "journal", "connection", "devices")
    words = WORDS | dict.fromkeys(kept, WORDS["kept"])
    return {name: Reader(*how, OrbitError, words.get(name, ())) for name, how in read.items()}


# Inputs without mistakes, written by the libraries that others use, or by ourselves what only we write.


def make_images() -> list[bytes]:
    """Image files of every format that can be a reference."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 4), np.uint8)
    color = Image.fromarray(pixels[..., :3])
    frames = [Image.fromarray(pixels[::step, :, :3]) for step in (1, -1)]
    many = {"save_all": True, "append_images": frames[1:]}
    deep = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    saved = {
        "png": [(Image.fromarray(pixels), {}), (deep, {}), (color.quantize(16), {}), (frames[0], many)],
        "jpeg": [(color, {"quality": 80}), (color.convert("CMYK"), {"progressive": True})],
        "gif": [(color.quantize(16), {}), (frames[0], many)],
        "tiff": [(color, {"compression": kind}) for kind in (None, "tiff_lzw", "tiff_deflate")]
        + [(deep, {}), (Image.fromarray(pixels[..., 0].astype(np.float32) / 255), {}), (frames[0], many)],
        "webp": [(Image.fromarray(pixels), {"lossless": True}), (frames[0], many)],
        "bmp": [(color, {})],
    }
    return [_save_image(image, kind, how) for kind, images in saved.items() for image, how in images]


def _save_image(image: Image.Image, kind: str, how: dict) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def make_meshes() -> dict[str, list[bytes]]:
    """Mesh files by format."""
    box = trimesh.creation.box()
    uvs = np.random.default_rng(0).random((len(box.vertices), 2))
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8))
    textured = trimesh.Trimesh(box.vertices, box.faces, process=False)
    textured.visual = trimesh.visual.TextureVisuals(uv=uvs, image=image)
    scene = trimesh.Scene()
    for index in range(3):
        place = trimesh.transformations.translation_matrix([index, 0, 0])
        scene.add_geometry(textured if index else box, transform=place, node_name=f"node {index}")
    return {
        "glb": [scene.export(file_type="glb"), box.export(file_type="glb")],
        "obj": [box.export(file_type="obj").encode(), b"v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nf 1/1 2/1 3/1\n"],
        "ply": [box.export(file_type="ply"), box.export(file_type="ply", encoding="ascii")],
        "stl": [box.export(file_type="stl"), box.export(file_type="stl_ascii").encode()],
    }


def make_job() -> Job:
    """A job of one triangle."""
    triangle = np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    mesh = MeshData(triangle, np.int32([[0, 1, 2]]), corner_uvs=np.zeros((1, 3, 2), np.float32))
    reference = np.frombuffer(_save_image(Image.new("RGB", (4, 4), "red"), "png", {}), np.uint8)
    return Job("0" * 32, "Triangle", mesh, reference, Settings())


def make_result() -> Result:
    """A result with one map."""
    image = np.frombuffer(_save_image(Image.new("RGB", (4, 4), "red"), "png", {}), np.uint8)
    return Result(np.zeros((1, 3, 2), np.float32), {"base_color": image}, {"notes": ["A note."]})


def make_messages() -> list[bytes]:
    """Messages of both sides, each frame after its length."""
    job, result, device = make_job(), make_result(), Device("cuda:0", "A card", 1, 2)
    messages = [
        ("submit", job.body(), job.arrays()),
        ("order", {"jobs": [job.id]}, {}),
        ("event", JobEvent(job.id, State.RUNNING, "paint", 0.5, device=device).to_dict(), {}),
        ("event", JobEvent(job.id, State.FAILED, error=OrbitError("It failed.")).to_dict(), {}),
        ("error", OrbitError("It failed.").to_dict(), {}),
        ("result", {"job": job.id, "report": result.report}, result.arrays()),
    ]
    return [_join_frames(list(map(bytes, wire.pack(*message)))) for message in messages]


def make_weights() -> list[bytes]:
    """A safetensors file."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).encode()
    return [struct.pack("<Q", len(header)) + header + bytes(16)]


def make_records() -> list[bytes]:
    """The record of a stage."""
    job = make_job()
    corners = np.zeros((1, 3, 3), np.float32)
    surface = Surface(
        job.mesh.vertices, job.mesh.faces, corners, job.mesh.corner_uvs, np.int32([0]), False, ("A note.",)
    )
    file = io.BytesIO()
    arrays = records.save_surface(surface)
    np.savez(file, **arrays, seconds=np.array(1.0), format=np.array(stages.STAGE_FORMAT))
    return [file.getvalue()]


def make_jobs() -> list[bytes]:
    """The files of a job's folder, each after its length. It has no checksums, as of an earlier version,
    since with them every mistake is noticed."""
    return [_save_folder("job", lambda folder: store.save_job(folder, make_job()))]


def make_results() -> list[bytes]:
    """The same of a result."""
    return [_save_folder("result", lambda folder: store.save_result(folder, make_result()))]


def _save_folder(name: str, save: Callable[[Path], None]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder))
        files = sorted((Path(folder) / name).iterdir())
        return _join_frames([file.read_bytes() for file in files if file.name in FOLDERS[name]])


FOLDERS = {
    "job": ("corner_uvs.npy", "faces.npy", "job.json", "reference.npy", "vertices.npy"),
    "result": ("base_color.png", "corner_uvs.npy", "result.json"),
}
"""The files of a job's and a result's folder in the order of their names."""


def make_journals() -> list[bytes]:
    """A journal with a few jobs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / JOURNAL_FILE
        journal = Journal(path)
        for number, state in enumerate((State.QUEUED, State.RUNNING, State.FINISHED)):
            journal.add(f"{number:032x}", "Triangle")
            journal.update(f"{number:032x}", state, "paint")
        journal.close()
        return [path.read_bytes()]


def make_connections() -> list[bytes]:
    """A connection file."""
    with tempfile.TemporaryDirectory() as folder:
        Connection("tcp://127.0.0.1:5000", "0" * 40, "0" * 40, "0" * 40, 77, 1.0).write(Path(folder))
        return [(Path(folder) / "connection.json").read_bytes()]


def make_devices() -> list[bytes]:
    """The list of a computer's devices."""
    found = [Device("cpu", "", 1, 2, 8), Device("cuda:0", "A card", 1, 2)]
    return [json.dumps([device.to_dict() for device in found]).encode()]


def _join_frames(frames: list[bytes]) -> bytes:
    return b"".join(struct.pack("<I", len(frame)) + frame for frame in frames)


def _split_frames(data: bytes) -> list[bytes]:
    frames = []
    while len(data) >= 4:
        size = struct.unpack_from("<I", data)[0]
        frames.append(data[4 : 4 + size])
        data = data[4 + size :]
    return frames


# What reads them.


def _read_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    folder = tempfile.TemporaryDirectory(prefix="orbit-fuzz-")
    path = Path(folder.name) / name

    def run(data: bytes) -> object:
        path.write_bytes(data)
        folder.name  # noqa: B018 (kept as long as this function)
        return read(path)

    return run


def read_image(data: bytes) -> None:
    image = decode(np.frombuffer(data, np.uint8))
    assert image.color.shape == (*image.alpha.shape, 3)
    assert np.isfinite(image.color).all()


def read_mask(data: bytes) -> None:
    decode(np.full((24, 32, 4), 255, np.uint8), np.frombuffer(data, np.uint8))


def _read_mesh(path: Path) -> None:
    mesh = read_mesh(path).to_mesh_data()
    assert mesh.faces.max() < len(mesh.vertices)


def read_message(data: bytes) -> None:
    """Unpacks a message and what it is about, as server and client do."""
    message = wire.unpack(_split_frames(data))
    if message.type == "submit":
        Job.from_parts(message.body, message.arrays)
    elif message.type == "result":
        Result.from_parts(message.body["report"], message.arrays)
    elif message.type == "event":
        JobEvent.from_dict(message.body)
    elif message.type == "error":
        OrbitError.from_dict(message.body)


def _read_record(path: Path) -> bool:
    def load(arrays: dict) -> Surface:
        arrays.pop("seconds")
        return records.load_surface(arrays)

    return stages.read_record(path, load) is not None


def read_job(data: bytes) -> None:
    _read_folder("job", data, store.load_job)


def read_result(data: bytes) -> None:
    _read_folder("result", data, store.load_result)


def _read_folder(name: str, data: bytes, load: Callable[[Path], object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).mkdir()
        for file, content in zip(FOLDERS[name], _split_frames(data), strict=False):
            (Path(folder) / name / file).write_bytes(content)
        load(Path(folder))


def _read_journal(path: Path) -> bool:
    """Every journal opens; one that is damaged is set aside, and a new one begun."""
    journal = Journal(path)
    whole = len(journal.entries()) == 3
    journal.add("f" * 32, "Next")
    journal.close()
    for file in path.parent.iterdir():
        os.unlink(file)
    return whole


def _read_devices(path: Path) -> bool:
    before = os.environ.get("ORBIT_TEXTURE_HOME")
    os.environ["ORBIT_TEXTURE_HOME"] = str(path.parent)
    try:
        found = load_devices()
    finally:
        if before is None:
            del os.environ["ORBIT_TEXTURE_HOME"]
        else:
            os.environ["ORBIT_TEXTURE_HOME"] = before
    assert all(isinstance(device.title, str) and device.free < 1e300 for device in found)
    return bool(found)


def _read_connection(path: Path) -> bool:
    return Connection.read(path.parent) is not None
