"""Jobs on mesh files, in this process: no Blender, no server. Every stage leaves something to look at."""

import hashlib
import io
import json
import os
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from . import pipeline, store
from .api.errors import InvalidImage, InvalidSettings
from .api.job import MAPS, Job, Kept, Result
from .api.settings import Settings
from .job_state import JobState
from .mesh.files import WRITABLE, Maps, MeshFile, read_mesh, write_mesh
from .render.maps import normal_image, position_image
from .render.video import contact_sheet, write_video
from .results import make_result
from .stages import STAGES, StageRunner, progress_shares


def texture(
    mesh_path: Path, image_path: Path, output: Path, settings: Settings, kept: Kept | None = None
) -> Result:
    """Textures a mesh file and writes the textured mesh to ``output`` (.glb or .obj).

    Args:
        kept: the texture of which only a region is painted anew, see :func:`read_kept`.

    Raises:
        OrbitError: what was given cannot be used; nothing is written then.
    """
    if output.suffix.lower() not in WRITABLE:
        raise InvalidSettings(f"The output {output.name} must end in one of {', '.join(WRITABLE)}.")
    mesh, job = read_job(mesh_path, image_path, settings, kept)
    with (
        tempfile.TemporaryDirectory(prefix="orbit-texture-") as folder,
        store.convert_write_errors(output.parent),
    ):
        output.parent.mkdir(parents=True, exist_ok=True)
        result = pipeline.run(job, Path(folder), print_progress)
        write_mesh(output, mesh, result.corner_uvs, _maps(result))
    return result


def run_stage(
    stage: str, mesh_path: Path, image_path: Path, folder: Path, settings: Settings, kept: Kept | None = None
) -> list[Path]:
    """Runs a job up to a stage in a folder that keeps what earlier runs did, and writes what there is to see.

    Returns:
        The files to look at: films and contact sheets of the orbits, or the textures.
    """
    mesh, job = read_job(mesh_path, image_path, settings, kept)
    with store.convert_write_errors(folder):
        _claim(folder, job)
        stages = StageRunner(folder, print_progress, progress_shares(settings, kept is not None))
        state = pipeline.run_until(job, stages, stage)
        if stage == "render":
            return _show_orbits(
                folder,
                state,
                {
                    "position": [position_image(buffer) for buffer in state.buffers],
                    "normal": [normal_image(buffer, state.surface) for buffer in state.buffers],
                },
            )
        if stage == "paint":
            return _show_orbits(folder, state, {"color": state.painting.frames})
        result = make_result(job, state, stages.seconds)
        return _show_texture(folder, mesh, result)


def read_job(
    mesh_path: Path, image_path: Path, settings: Settings, kept: Kept | None = None
) -> tuple[MeshFile, Job]:
    """The mesh file and the job that two files and settings make. Equal inputs make equal job ids."""
    mesh = read_mesh(mesh_path)
    reference, data = _bytes("reference image", image_path), mesh.data()
    digest = hashlib.sha256(json.dumps(settings.to_dict()).encode())
    for array in (
        data.vertices,
        data.faces,
        data.corner_uvs,
        reference,
        *((kept.region, *kept.textures.values()) if kept else ()),
    ):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    return mesh, Job(digest.hexdigest()[:32], mesh_path.stem, data, reference, settings, kept)


def read_kept(textures: Path, mask: Path) -> Kept:
    """What is kept of an earlier texture of a mesh file.

    Args:
        textures: an image, the base color; or a folder with all maps, as ``bake`` and ``refine`` write it.
        mask: an image on the UV map, black where the texture stays.

    Raises:
        InvalidImage: a file cannot be read.
        InvalidTarget: the mask is black.
    """
    files = (
        {"base_color": textures}
        if not textures.is_dir()
        else {
            path.stem: path for path in sorted(textures.glob("*.png")) if path.stem.partition(".")[0] in MAPS
        }
    )
    if not any(name.startswith("base_color") for name in files):
        raise InvalidImage(f"The folder {textures} holds no base_color.png.")
    data = _bytes("region's mask", mask)
    region = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if len(data) else None
    if region is None:
        raise InvalidImage(f"The region's mask {mask} is not an image file that can be read.")
    return Kept({name: _bytes("texture to keep", path) for name, path in files.items()}, region)


def print_progress(stage: str, fraction: float) -> None:
    """One line that is written over on a terminal; nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r{stage:<8} {fraction:4.0%}", end="", file=sys.stderr, flush=True)


def print_seconds(seconds: dict[str, float]) -> None:
    """The table of stages."""
    for stage, value in seconds.items():
        print(f"{stage:<8} {value:7.2f} s")
    print(f"{'total':<8} {sum(seconds.values()):7.2f} s")


def _bytes(what: str, path: Path) -> np.ndarray:
    try:
        return np.fromfile(path, np.uint8)
    except OSError as error:
        raise InvalidImage(f"The {what} {path} cannot be read ({error.strerror or error}).") from error


def _claim(folder: Path, job: Job) -> None:
    """Makes the folder this job's: what another job left in it would not fit."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / "job.txt"
    if not mark.exists() or mark.read_text(encoding="utf-8") != job.id:
        for stage in STAGES:
            (folder / f"{stage}.npz").unlink(missing_ok=True)
        mark.write_text(job.id, encoding="utf-8")


def _show_orbits(folder: Path, state: JobState, images: dict[str, list[np.ndarray]]) -> list[Path]:
    written = []
    for name, frames in images.items():
        start = 0
        for orbit in state.orbits:
            part = frames[start : start + len(orbit.cameras)]
            start += len(orbit.cameras)
            sheet = folder / f"{orbit.name}_{name}.png"
            Image.fromarray(contact_sheet(part, min(8, len(part)))).save(sheet)
            written.append(sheet)
            if len(part) > 1:
                film = folder / f"{orbit.name}_{name}.mp4"
                write_video(film, part)
                written.append(film)
    return written


def _maps(result: Result) -> dict[int, Maps]:
    """The textures by the number of the UDIM tile, 1001 where there is but one."""
    tiles = defaultdict(dict)
    for key, data in result.textures.items():
        name, _, tile = key.partition(".")
        tiles[int(tile or 1001)][name] = Image.open(io.BytesIO(data))
    return tiles


def _show_texture(folder: Path, mesh: MeshFile, result: Result) -> list[Path]:
    written = []
    for name, data in result.textures.items():
        path = folder / f"{name}.png"
        data.tofile(path)
        written.append(path)
    write_mesh(folder / "textured.glb", mesh, result.corner_uvs, _maps(result))
    part = folder / "report.part"
    part.write_text(json.dumps(result.report, indent=1), encoding="utf-8")
    os.replace(part, folder / "report.json")
    return [*written, folder / "textured.glb", folder / "report.json"]
