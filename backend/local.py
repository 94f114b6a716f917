"""Jobs on mesh files, run in this process without Blender or a server."""

import contextlib
import io
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from . import pipeline, store
from .api.errors import InvalidImage, InvalidSettings
from .api.job import MAPS, Job, Kept, Result
from .api.picture import Picture, find_side
from .api.present_paint import PresentPaint
from .api.settings import Settings
from .api.stage_names import name_stage
from .image import decode_image
from .job_state import JobState
from .mesh.files import WRITABLE_SUFFIXES, read_mesh, read_textured, write_mesh
from .mesh.formats.mesh_file import Maps, MeshFile
from .output_folder import check_output_file, make_output_folder
from .paint.reference import decode
from .paint.sheet import split_sheet
from .provenance import check_same
from .render.contact_sheet import contact_sheet
from .render.gbuffer_images import normal_image, position_image
from .render.video import write_video
from .results import make_result
from .stages import STAGES, StageRunner, progress_shares


@dataclass(frozen=True)
class PictureFile:
    """An image of the object.

    Attributes:
        image: the file.
        mask: an image of its size, bright where it shows the object; None if that is to be found.
        is_sheet: whether it shows several views, each of which is a picture.
    """

    image: Path
    mask: Path | None = None
    is_sheet: bool = False


def texture(
    mesh_path: Path,
    pictures: Sequence[PictureFile] | Path,
    output: Path,
    settings: Settings,
    kept: Kept | None = None,
    origin: dict | None = None,
) -> Result:
    """Textures a mesh file and writes the textured mesh to ``output`` (.glb or .obj).

    Args:
        pictures: the reference, and the other pictures of the object; or the file of the only one.
        kept: the texture of which only a region is repainted, see :func:`read_kept`.
        origin: of an earlier texture, which is to be made again, see :mod:`backend.provenance`.

    Raises:
        OrbitError: the input cannot be used, or the view is doubtful; then nothing is written.
    """
    if output.suffix.lower() not in WRITABLE_SUFFIXES:
        raise InvalidSettings(f"The output {output.name} must end in one of {', '.join(WRITABLE_SUFFIXES)}.")
    mesh, job = read_job(mesh_path, pictures, settings, kept)
    if origin is not None:
        check_same(origin, job)
    check_output_file(output)
    with (
        tempfile.TemporaryDirectory(prefix="orbit-texture-") as folder,
        make_output_folder(output.parent),
    ):
        result = pipeline.run(job, Path(folder), print_progress)
        write_mesh(output, mesh, result.corner_uvs, _decode_maps(result))
    return result


def check(mesh_path: Path, picture: PictureFile | Path, folder: Path, settings: Settings) -> dict:
    """Finds the object and the view in a reference, and writes what was found into a folder: the mask, an
    image per candidate view, and ``report.json``. A job in the same folder continues from there.

    Returns:
        The report, see :class:`backend.api.job.Result`.
    """
    _, job = read_job(mesh_path, picture if isinstance(picture, Path) else [picture], settings)
    with _job_folder(folder, job):
        for old in folder.glob("candidate.*.png"):
            old.unlink()
        result = pipeline.run(replace(job, check_reference=True), folder, print_progress)
        _write_images(folder, result.textures)
        _write_report(folder, result.report)
    return result.report


def run_stage(
    stage: str,
    mesh_path: Path,
    pictures: Sequence[PictureFile] | Path,
    folder: Path,
    settings: Settings,
    kept: Kept | None = None,
) -> list[Path]:
    """Runs a job up to a stage, in a folder that keeps the stages that earlier runs finished, and writes
    files to look at.

    Returns:
        The files: videos and contact sheets of the orbits, or the textures.
    """
    mesh, job = read_job(mesh_path, pictures, settings, kept)
    with _job_folder(folder, job):
        stages = StageRunner(folder, print_progress, progress_shares(job))
        state = pipeline.run_until(job, stages, stage)
        if stage == "render":
            return _write_orbits(
                folder,
                state,
                {
                    "position": [position_image(buffer) for buffer in state.buffers],
                    "normal": [normal_image(buffer, state.surface) for buffer in state.buffers],
                },
            )
        if stage == "paint":
            return _write_orbits(folder, state, {"color": state.painting.frames})
        result = make_result(job, state, stages.seconds)
        return _write_texture(folder, mesh, result)


def split(image_path: Path, folder: Path) -> list[Path]:
    """Writes each view of a sheet as a PNG file, ``sheet.1.png`` …, into a folder.

    Raises:
        InvalidImage: the image cannot be read, or shows nothing.
    """
    views = _split_file(image_path)
    written = [folder / f"{image_path.stem}.{number}.png" for number in range(1, len(views) + 1)]
    with make_output_folder(folder):
        for file, pixels in zip(written, views, strict=True):
            Image.fromarray(pixels).save(file)
    return written


def _split_file(image_path: Path) -> list[np.ndarray]:
    """(H, W, 4) uint8 sRGB of each view of a sheet, with alpha if the sheet has that; else the ground is left
    around it, in which the mesh finds its object better than the sheet's segmentation does."""
    sheet = decode(_read_file("sheet", image_path))
    views = split_sheet(sheet)
    if not views:
        raise InvalidImage(
            f"No object was found in {image_path.name}. Use a sheet whose views are before a plain ground."
        )
    return [
        np.round(255 * np.dstack([view.color, np.ones_like(view.alpha) if sheet.opaque else view.alpha]))
        .clip(0, 255)
        .astype(np.uint8)
        for view in views
    ]


def read_job(
    mesh_path: Path, pictures: Sequence[PictureFile] | Path, settings: Settings, kept: Kept | None = None
) -> tuple[MeshFile, Job]:
    """The mesh file, and a job from it, the pictures and the settings. Jobs with equal results have equal
    ids."""
    if settings.start_from == "present":
        mesh, present = read_present(mesh_path)
    else:
        mesh, present = read_mesh(mesh_path), None
    if isinstance(pictures, Path):
        pictures = [PictureFile(pictures)]
    lead, *more = [part for picture in pictures for part in _read_picture(picture, len(pictures) > 1)]
    job = Job(
        "",
        mesh_path.stem,
        mesh.to_mesh_data(),
        lead.image,
        settings,
        kept,
        lead.mask,
        side=lead.side,
        more=tuple(more),
        present=present,
    )
    return mesh, replace(job, id=store.fingerprint(job)[:32])


def _read_picture(picture: PictureFile, is_named: bool) -> list[Picture]:
    """A picture from its files, or the views of a sheet; ``is_named``: whether its name may say which side it
    shows."""
    if picture.is_sheet:
        return [Picture(pixels) for pixels in _split_file(picture.image)]
    image = _read_file("reference image", picture.image)
    mask = _read_file("mask", picture.mask) if picture.mask else None
    return [Picture(image, mask, side=find_side(picture.image.stem) if is_named else None)]


def read_present(path: Path) -> tuple[MeshFile, PresentPaint]:
    """A mesh file, and the base colour textures that it has. Raises :class:`InvalidMesh`."""
    textured = read_textured(path)
    mesh = textured.mesh
    return mesh, PresentPaint(textured.images, textured.image_of.astype(np.int32), mesh.uvs[mesh.faces])


def read_kept(textures: Path, mask: Path) -> Kept:
    """Reads an earlier texture of a mesh file and the region to repaint.

    Args:
        textures: an image, the base color; or a folder with all maps, as written by ``bake`` and ``refine``.
        mask: an image on the UV map, black where the texture is kept.

    Raises:
        InvalidImage: a file cannot be read.
        InvalidTarget: the mask is entirely black.
    """
    files = (
        {"base_color": textures}
        if not textures.is_dir()
        else {
            path.stem: path for path in sorted(textures.glob("*.png")) if path.stem.partition(".")[0] in MAPS
        }
    )
    if not any(name.startswith("base_color") for name in files):
        raise InvalidImage(f"The folder {textures} contains no base_color.png.")
    region = decode_image(_read_file("mask of the region", mask), color=False)
    if region is None:
        raise InvalidImage(f"The mask of the region, {mask}, is not an image file that can be read.")
    return Kept({name: _read_file("texture to keep", path) for name, path in files.items()}, region)


def print_progress(stage: str, fraction: float) -> None:
    """Prints the progress in one line of a terminal, and nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r{name_stage(stage):<16} {fraction:4.0%}", end="", file=sys.stderr, flush=True)


def print_seconds(seconds: dict[str, float]) -> None:
    """Prints the time of each stage and the total."""
    for stage, value in seconds.items():
        print(f"{name_stage(stage):<16} {value:7.2f} s")
    print(f"{'Total':<16} {sum(seconds.values()):7.2f} s")


def _read_file(what: str, path: Path) -> np.ndarray:
    try:
        return np.fromfile(path, np.uint8)
    except OSError as error:
        raise InvalidImage(f"The {what} {path} cannot be read ({error.strerror or error}).") from error


@contextlib.contextmanager
def _job_folder(folder: Path, job: Job) -> Iterator[None]:
    """Creates the folder, and deletes the stages' outputs in it if they belong to another job. If the work
    inside fails before any stage is finished, nothing is left."""
    mark, outputs = folder / "job.txt", [folder / f"{stage}.npz" for stage in STAGES]
    with make_output_folder(folder):
        if not mark.exists() or mark.read_text(encoding="utf-8") != job.id:
            for output in outputs:
                output.unlink(missing_ok=True)
            mark.write_text(job.id, encoding="utf-8")
        try:
            yield
        except BaseException:
            if not any(output.exists() for output in outputs):
                mark.unlink(missing_ok=True)
            raise


def _write_orbits(folder: Path, state: JobState, images: dict[str, list[np.ndarray]]) -> list[Path]:
    """Writes a contact sheet and a video per orbit and kind of image; ``images`` has a frame per camera."""
    written = []
    for name, frames in images.items():
        start = 0
        for orbit in state.orbits:
            orbit_frames = frames[start : start + len(orbit.cameras)]
            start += len(orbit.cameras)
            sheet = folder / f"{orbit.name}_{name}.png"
            Image.fromarray(contact_sheet(orbit_frames, min(8, len(orbit_frames)))).save(sheet)
            written.append(sheet)
            if len(orbit_frames) > 1:
                video = folder / f"{orbit.name}_{name}.mp4"
                write_video(video, orbit_frames)
                written.append(video)
    return written


def _decode_maps(result: Result) -> dict[int, Maps]:
    """The decoded textures by UDIM tile number, which is 1001 for a texture without tiles."""
    tiles = defaultdict(dict)
    for key, data in result.textures.items():
        name, _, tile = key.partition(".")
        tiles[int(tile or 1001)][name] = Image.open(io.BytesIO(data))
    return tiles


def _write_texture(folder: Path, mesh: MeshFile, result: Result) -> list[Path]:
    """Writes the textures, the textured mesh and the report."""
    written = _write_images(folder, result.textures)
    write_mesh(folder / "textured.glb", mesh, result.corner_uvs, _decode_maps(result))
    _write_report(folder, result.report)
    return [*written, folder / "textured.glb", folder / "report.json"]


def _write_images(folder: Path, images: dict[str, np.ndarray]) -> list[Path]:
    """Writes PNG files (N,) uint8 by name."""
    written = []
    for name, data in images.items():
        written.append(folder / f"{name}.png")
        data.tofile(written[-1])
    return written


def _write_report(folder: Path, report: dict) -> None:
    temporary = folder / "report.part"
    temporary.write_text(json.dumps(report, indent=1), encoding="utf-8")
    os.replace(temporary, folder / "report.json")
