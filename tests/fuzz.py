"""Files and messages with mistakes, for every reader: each must read them or say in a sentence why not.

    python -m tests.fuzz glb gif --minutes 20

runs the readers named (all, if none is) for so many minutes each and prints a row for each: how many inputs,
how many were read, refused, and ended in any other error. Those of the last kind are written into ``--keep``.
With atheris installed (``pip install atheris``, Linux) it chooses inputs by the code that they reach, else
they are mutated at random from ``--seed``.
"""

import argparse
import contextlib
import io
import json
import os
import random
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

try:
    import atheris
except ImportError:
    atheris = None

# atheris only sees what it has instrumented, which it does as modules are imported.
with (
    atheris.instrument_imports(include=["backend", "PIL", "trimesh"]) if atheris else contextlib.nullcontext()
):
    import PIL.Image
    import trimesh
    from PIL import Image

    from backend.api import wire
    from backend.api.errors import OrbitError
    from backend.mesh.files import read_mesh, read_textured
    from backend.paint.reference import decode
    from backend.tensors import Tensors

PIL.Image.init()

MOST_SECONDS = 10
"""Processor seconds that no small file may take to read."""

NUMBERS = (0, 1, -1, 2, 3, 255, 65535, 65536, 2**31 - 1, 2**31, 2**32, 2**63, 10**30, -(10**9))
VALUES = (*NUMBERS, 0.5, 1e300, float("nan"), None, True, "", "x", "VEC3", [], [0], [[0]], {}, {"x": 0})
"""Values that replace those of a JSON text."""

WORDS = (b"\0", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"nan", b"-1", b"1e999", b"/", b"\n", b" ")


@dataclass
class Tally:
    """What became of a reader's inputs."""

    read: int = 0
    refused: int = 0
    broken: dict[str, bytes] = field(default_factory=dict)
    slowest: float = 0.0


# One file of each format, written by the libraries that others use.


def make_images() -> dict[str, list[bytes]]:
    """Image files by format."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 4), np.uint8)
    color, frames = (
        Image.fromarray(pixels[..., :3]),
        [Image.fromarray(pixels[::step, :, :3]) for step in (1, -1)],
    )
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
    return {
        kind: [_save_image(image, kind, how) for image, how in how_saved] for kind, how_saved in saved.items()
    }


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


def make_messages() -> list[bytes]:
    """A message's frames, each after its length."""
    arrays = {"vertices": np.zeros((3, 3), np.float32), "faces": np.int32([[0, 1, 2]])}
    body = {"job": "0" * 32, "name": "x", "settings": {"seed": 1}, "check_reference": False}
    frames = wire.pack("submit", body, arrays)
    return [b"".join(struct.pack("<I", len(frame)) + bytes(frame) for frame in frames)]


def make_weights() -> list[bytes]:
    """A safetensors file."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).encode()
    return [struct.pack("<Q", len(header)) + header + bytes(16)]


# What reads them.


def _read_file(read: Callable[[Path], object], suffix: str) -> Callable[[bytes], None]:
    folder = tempfile.TemporaryDirectory(prefix="orbit-fuzz-")
    path = Path(folder.name) / f"file{suffix}"

    def run(data: bytes) -> None:
        path.write_bytes(data)
        read(path)
        folder.name  # noqa: B018 (kept as long as this function)

    return run


def _read_image(data: bytes) -> None:
    array = np.frombuffer(data, np.uint8)
    image = decode(array)
    assert image.color.shape == (*image.alpha.shape, 3)
    assert np.isfinite(image.color).all()


def _read_mask(data: bytes) -> None:
    decode(np.full((24, 32, 4), 255, np.uint8), np.frombuffer(data, np.uint8))


def _read_mesh(path: Path) -> None:
    mesh = read_mesh(path).to_mesh_data()
    assert mesh.faces.max() < len(mesh.vertices)


def _read_message(data: bytes) -> None:
    frames = []
    while len(data) >= 4:
        size = struct.unpack_from("<I", data)[0]
        frames.append(data[4 : 4 + size])
        data = data[4 + size :]
    wire.unpack(frames)


def targets() -> dict[str, tuple[list[bytes], Callable[[bytes], None]]]:
    """Whole inputs and what reads them, by name."""
    images, meshes = make_images(), make_meshes()
    return {
        **{kind: (whole, _read_image) for kind, whole in images.items()},
        "mask": ([image for whole in images.values() for image in whole], _read_mask),
        **{kind: (whole, _read_file(_read_mesh, f".{kind}")) for kind, whole in meshes.items()},
        "textured": (meshes["glb"], _read_file(read_textured, ".glb")),
        "message": (make_messages(), _read_message),
        "weights": (make_weights(), _read_file(lambda path: Tensors([path]), ".safetensors")),
    }


# Mistakes.


def mutate(whole: list[bytes], dice: random.Random) -> bytes:
    """One of the inputs with a few mistakes."""
    data = dice.choice(whole)
    if data[:4] == b"glTF" and dice.random() < 0.7:
        with contextlib.suppress(ValueError, RecursionError, struct.error):  # It has mistakes already.
            return _mutate_glb(data, dice)
    for _ in range(dice.choice((1, 1, 2, 4, 8))):
        data = _mutate_bytes(data, whole, dice)
    return data


def _mutate_bytes(data: bytes, whole: list[bytes], dice: random.Random) -> bytes:
    at = dice.randrange(len(data) + 1)
    end = min(len(data), at + dice.choice((1, 1, 2, 4, 16, 256)))
    match dice.randrange(7):
        case 0:
            return data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]
        case 1:
            return data[:at] + dice.choice(WORDS) + data[dice.choice((at, end)) :]
        case 2:
            return data[:at] + data[end:]
        case 3:
            return data[:at] + data[at:end] * dice.randrange(2, 9) + data[end:]
        case 4:
            return data[:at]
        case 5:
            number = dice.choice(NUMBERS) & 0xFFFFFFFF
            return data[:at] + struct.pack(dice.choice("<>") + "I", number) + data[at + 4 :]
        case _:
            other = dice.choice(whole)
            return data[:at] + other[dice.randrange(len(other)) :]


def _mutate_glb(data: bytes, dice: random.Random) -> bytes:
    """A GLB with other values in its JSON, and lengths that fit it."""
    size = struct.unpack_from("<I", data, 12)[0]
    tree = json.loads(data[20 : 20 + size])
    for _ in range(dice.choice((1, 1, 2, 3))):
        _mutate_tree(tree, dice)
    return write_glb(tree, data[28 + size :])


def _mutate_tree(tree: dict | list, dice: random.Random) -> None:
    places = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node))
        places += [(node, key) for key in keys]
        waiting += [node[key] for key in keys if isinstance(node[key], dict | list)]
    if not places:
        return
    node, key = dice.choice(places)
    if dice.random() < 0.2 and isinstance(node, dict):
        del node[key]
    else:
        other, name = dice.choice(places)
        node[key] = json.loads(json.dumps(dice.choice((*VALUES, other[name]))))


def write_glb(tree: dict, blob: bytes) -> bytes:
    """A GLB file of a JSON tree and its binary chunk."""
    text = json.dumps(tree).encode()
    text, blob = text + b" " * (-len(text) % 4), blob + bytes(-len(blob) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(blob), b"BIN\0") + blob
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks


# Runs.


def try_input(read: Callable[[bytes], None], data: bytes, tally: Tally) -> None:
    """Reads one input and notes what became of it."""
    began = time.process_time()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            read(data)
        tally.read += 1
    except OrbitError as error:
        tally.refused += 1
        if not error.message.rstrip().endswith((".", "!")):
            tally.broken.setdefault(f"not a sentence: {error.message}"[:200], data)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        tally.broken.setdefault(f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})", data)
    seconds = time.process_time() - began
    tally.slowest = max(tally.slowest, seconds)
    if seconds > MOST_SECONDS:
        tally.broken.setdefault(f"{seconds:.0f} s", data)


def fuzz(name: str, seed: int, count: int | None = None, seconds: float = float("inf")) -> Tally:
    """Tries a reader on mutated inputs, so many or for so long."""
    whole, read = targets()[name]
    dice, tally, until = random.Random(f"{name} {seed}"), Tally(), time.monotonic() + seconds
    while (
        count is None or tally.read + tally.refused + len(tally.broken) < count
    ) and time.monotonic() < until:
        try_input(read, mutate(whole, dice), tally)
    return tally


def fuzz_with_atheris(name: str, seed: int, seconds: float) -> None:
    """Lets atheris choose a reader's inputs; prints the row and ends the process, as atheris does."""
    whole, read = targets()[name]
    tally, until = Tally(), time.monotonic() + seconds

    def one(data: bytes) -> None:
        try_input(read, data, tally)
        if time.monotonic() > until:
            report(name, tally)
            os._exit(bool(tally.broken))

    def change(data: bytes, most: int, number: int) -> bytes:
        return mutate([data or whole[0], *whole], random.Random(number))[:most]

    with tempfile.TemporaryDirectory(prefix="orbit-corpus-") as corpus:
        for index, data in enumerate(whole):
            (Path(corpus) / str(index)).write_bytes(data)
        options = [f"-seed={seed + 1}", "-max_len=65536", "-rss_limit_mb=4096", "-verbosity=0", corpus]
        atheris.Setup([sys.argv[0], *options], one, custom_mutator=change)
        atheris.Fuzz()


def report(name: str, tally: Tally, keep: Path | None = None) -> None:
    """Prints a reader's row, and writes the inputs that ended in other errors."""
    total = tally.read + tally.refused + len(tally.broken)
    print(
        f"{name:<9} {total:>8,} inputs {tally.read:>8,} read {tally.refused:>8,} refused "
        f"{len(tally.broken):>4} broken, slowest {tally.slowest:.1f} s",
        flush=True,
    )
    for index, (what, data) in enumerate(tally.broken.items()):
        print(f"    {what}", flush=True)
        if keep:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{name}_{index}").write_bytes(data)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = list(targets())
    parser.add_argument("reader", nargs="*", help=f"some of {', '.join(names)}")
    parser.add_argument("--minutes", type=float, default=1.0, help="for each reader (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the inputs that end in another error")
    parser.add_argument("--plain", action="store_true", help="without atheris, even if it is installed")
    options = parser.parse_args()
    # Libraries in C report every damaged strip of an image there.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    broken = 0
    for name in options.reader or names:
        if atheris and not options.plain:
            # One process each: atheris runs once in a process, and ends it.
            if (child := os.fork()) == 0:
                fuzz_with_atheris(name, options.seed, 60 * options.minutes)
            broken += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
        else:
            tally = fuzz(name, options.seed, seconds=60 * options.minutes)
            report(name, tally, options.keep)
            broken += bool(tally.broken)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
