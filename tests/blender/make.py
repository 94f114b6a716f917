"""Inputs for the tests: meshes, images, and results as a worker sends them."""

import struct
import time
import zlib
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
from bl_ext.user_default.orbit_texture.addon.jobs.queue import JobEntry, queue
from bl_ext.user_default.orbit_texture.addon.objects import mesh_io
from bl_ext.user_default.orbit_texture.addon.objects.identity import key_of
from bl_ext.user_default.orbit_texture.addon.objects.mesh_io import TargetMesh
from bl_ext.user_default.orbit_texture.backend.api.job import Result
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def suzanne(uvs: bool = True) -> bpy.types.Object:
    bpy.ops.mesh.primitive_monkey_add()
    obj = bpy.context.object
    return obj if uvs else without_uvs(obj)


def cube(uvs: bool = True) -> bpy.types.Object:
    bpy.ops.mesh.primitive_cube_add()
    obj = bpy.context.object
    return obj if uvs else without_uvs(obj)


def scripted_cube(script: str, uvs: bool = False) -> bpy.types.Object:
    """A cube whose name is a script for ``tests/pipelines/scripted.py``. Its scale is random, since a worker
    does not repeat stages that an equal job has finished."""
    obj = cube(uvs)
    obj.name = script
    obj.scale.x = 1 + np.random.default_rng().random()
    return obj


def without_uvs(obj: bpy.types.Object) -> bpy.types.Object:
    while obj.data.uv_layers:
        obj.data.uv_layers.remove(obj.data.uv_layers[0])
    return obj


def with_two_material_slots() -> bpy.types.Object:
    obj = cube(uvs=False)
    obj.data.materials.append(bpy.data.materials.new("Red"))
    obj.data.materials.append(bpy.data.materials.new("Blue"))
    obj.material_slots[1].link = "OBJECT"
    obj.material_slots[1].material = bpy.data.materials.new("Own")
    for polygon in obj.data.polygons:
        polygon.material_index = polygon.index % 2
    return obj


def select(*objects: bpy.types.Object) -> None:
    bpy.context.view_layer.update()  # a newly linked object cannot be selected before this
    for obj in bpy.context.view_layer.objects:
        obj.select_set(obj in objects)
    bpy.context.view_layer.objects.active = objects[0] if objects else None


def png(width: int = 16, height: int = 16, color: tuple = (200, 90, 30)) -> bytes:
    """A PNG of one colour (three channels) or grey (one)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2 if len(color) == 3 else 0, 0, 0, 0)
    rows = (b"\0" + bytes(color) * width) * height
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def result(target: TargetMesh, new_uvs: bool = True, **grey: int) -> Result:
    """A result for the target: with random UVs per triangle if ``new_uvs``, and with further maps, each of a
    single grey value."""
    count = len(target.snapshot.loops)
    uvs = np.random.default_rng(0).random((count, 3, 2), np.float32) if new_uvs else None
    textures = {
        "base_color": np.frombuffer(png(), np.uint8),
        "confidence": np.frombuffer(png(color=(255,)), np.uint8),
        "coverage": np.frombuffer(png(color=(255,)), np.uint8),
    }
    textures |= {name: np.frombuffer(png(color=(value,)), np.uint8) for name, value in grey.items()}
    return Result(uvs, textures, {"seconds": {"bake": 1.0}, "notes": ["A note."]})


def reference(folder: Path, name: str = "reference.png") -> Path:
    """An image file of a coloured disc with a stripe on a white backdrop."""
    rows, columns = np.mgrid[0:128, 0:128]
    inside = (rows - 64) ** 2 + (columns - 64) ** 2 < 50**2
    pixels = np.full((128, 128, 3), 255, np.uint8)
    pixels[inside] = (180, 60, 40)
    pixels[inside & (abs(rows - 64) < 8)] = (40, 60, 180)
    image = bpy.data.images.new("writer", 128, 128)
    rgba = np.dstack([pixels, np.full((128, 128), 255, np.uint8)])[::-1].astype(np.float32) / 255
    image.pixels.foreach_set(rgba.ravel())
    image.filepath_raw, image.file_format = str(folder / name), "PNG"
    image.save()
    bpy.data.images.remove(image)
    return folder / name


def block_counts() -> dict[str, int]:
    """The number of data-blocks of each kind in the file."""
    return {
        prop.identifier: len(getattr(bpy.data, prop.identifier))
        for prop in bpy.data.bl_rna.properties
        if prop.type == "COLLECTION"
    }


def apply(
    *objects, new_uvs: bool = True, textures: dict | None = None, sheet: bytes | None = None, **more
) -> JobEntry:
    """Applies a result to objects that share a mesh, as Blender's timer does.

    Args:
        textures: PNG files that replace those of the result.
        sheet: PNG file of the result's contact sheet.
        more: fields of the :class:`JobEntry`.
    """
    target = mesh_io.read_mesh(objects[0])
    made = replace(result(target, new_uvs), sheet=sheet and np.frombuffer(sheet, np.uint8))
    made.textures.update({name: np.frombuffer(png, np.uint8) for name, png in (textures or {}).items()})
    entry = JobEntry(
        objects[0].name,
        **{"settings": Settings()} | more,
        keys=tuple(map(key_of, objects)),
        target=target,
        topology=target.topology,
        result=made,
    )
    queue.entries.append(entry)
    queue.poll()
    return entry


def slots(obj: bpy.types.Object) -> list[tuple[str, str | None]]:
    """The link (object or data) of each material slot, and its material's name."""
    return [(slot.link, slot.material.name if slot.material else None) for slot in obj.material_slots]


def poll_until(queue, condition, seconds: float = 120.0) -> None:
    """Polls as Blender's timer does until a condition is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, [(entry.event, entry.error) for entry in queue.entries]
        queue.poll()
        time.sleep(0.02)


def poll_until_settled(queue, on_poll=lambda: None, seconds: float = 240.0) -> list[float]:
    """Polls as Blender's timer does until all jobs are settled, calling ``on_poll`` each time; returns the
    seconds of each poll."""
    calls, deadline = [], time.monotonic() + seconds
    while queue.busy:
        assert time.monotonic() < deadline, [entry.event for entry in queue.entries]
        begun = time.perf_counter()
        queue.poll()
        calls.append(time.perf_counter() - begun)
        on_poll()
        time.sleep(0.02)
    return calls
