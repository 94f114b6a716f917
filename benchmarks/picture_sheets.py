"""Contact sheets of ordinary pictures: what a job makes of each, to be looked at.

    python -m benchmarks.picture_sheets --folder FOLDER --output FILE.jpg [--pictures chair_0 ...]
        [--light automatic ...] [--jobs FOLDER] [--cell 256] [--quality 80]

The pictures are those of ``benchmarks/pictures.py``. One row for each: the picture, with the outline of the
mesh under the found view drawn on it (green within 5 degrees of the truth, red beyond; its upper left corner
says how far the view is off, the IoU of the found object with the true one, and whether the view was
doubted), then the textured mesh, unlit, from four sides: the picture's, 90 degrees to the right, behind, and
to the left. It is the pipeline of a job with the draft painter, mesh and picture being all that it gets.

With more than one ``--light`` the rows of a picture follow each other, in this order. ``--jobs`` keeps the
stages of the jobs, so that a sheet that is made again does not paint again; empty the folder when the code
has changed.
"""

import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from backend.api.errors import OrbitError
from backend.api.job import Job, MeshData
from backend.api.settings import Settings
from backend.image import shrink_longest
from backend.job_state import JobState
from backend.mesh.surface import Surface
from backend.paint.camera.view import View
from backend.pipeline import run_until
from backend.render.contact_sheet import CELL_SIZE, render_contact_sheet
from backend.render.rasterize import rasterize
from backend.stages import StageRunner, progress_shares

from .pictures import RIGHT_ANGLE, mask_overlap, read_facts, read_mesh, view_error
from .report import parser

TEXTURE_SIZE = 1024
"""Texels along each side of the textures."""

RIGHT_COLOR, WRONG_COLOR = (0, 190, 0), (255, 0, 0)
"""Outlines of right and of wrong views, sRGB."""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--folder", type=Path, default=Path("out/pictures"), help="where pictures are kept")
    options.add_argument("--output", type=Path, required=True, help="the sheet, a JPEG or PNG file")
    options.add_argument("--pictures", nargs="+", required=True, metavar="NAME", help="such as chair_0")
    options.add_argument("--light", nargs="+", default=["automatic"], help="values of the setting")
    options.add_argument("--jobs", type=Path, help="folder that keeps the stages of the jobs")
    options.add_argument("--cell", type=int, default=CELL_SIZE, help="pixels along each image")
    options.add_argument("--quality", type=int, default=80, help="of a JPEG")
    chosen = options.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in chosen.pictures:
            for light in chosen.light:
                row, report = make_row(chosen.folder, name, light, chosen.jobs or Path(temporary))
                print(f"{name}, {light}: {report}", flush=True)
                rows.append(shrink_longest(row, 5 * chosen.cell))
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack(rows)).save(chosen.output, quality=chosen.quality)


def make_row(folder: Path, name: str, light: str, jobs: Path) -> tuple[np.ndarray, str]:
    """``(row, report)``: (CELL_SIZE, 5 CELL_SIZE, 3) uint8 sRGB, and what there is to say about it."""
    picture = folder / f"{name}.jpg"
    mesh = read_mesh(folder / "meshes" / f"{read_facts(picture)['mesh']}.npz")
    color = np.asarray(Image.open(picture).convert("RGB"))
    try:
        state = run_job(mesh, picture, light, jobs / f"{name}-{light}")
    except OrbitError as error:
        refused = np.zeros((CELL_SIZE, 5 * CELL_SIZE, 3), np.uint8)
        refused[:, :CELL_SIZE] = cv2.resize(color, (CELL_SIZE, CELL_SIZE), interpolation=cv2.INTER_AREA)
        return write_text(refused, "refused"), str(error)
    found = state.registration
    degrees = view_error(found.match.view, read_facts(picture))
    overlap = mask_overlap(found.reference.alpha > 0.5, picture)
    line = f"{degrees:.1f} deg  IoU {overlap:.2f}{'  doubted' if found.doubtful else ''}"
    outlined = draw_outline(
        color, state.surface, found.match.view, RIGHT_COLOR if degrees <= RIGHT_ANGLE else WRONG_COLOR
    )
    azimuth = found.match.view.azimuth
    row = render_contact_sheet(state.surface, state.texture.base_color, outlined, azimuth)
    # The painter repeats what it knows of the reference.
    notes = dict.fromkeys([*found.reference.notes, *found.notes, *state.painting.notes])
    return write_text(row, line), f"{line}. {' '.join(notes)}"


def run_job(mesh: MeshData, picture: Path, light: str, folder: Path) -> JobState:
    """The state of a job that was run to its end: that of :func:`backend.pipeline.run`."""
    settings = Settings(texture_size=TEXTURE_SIZE, light=light)
    job = Job("0" * 32, picture.stem, mesh, np.frombuffer(picture.read_bytes(), np.uint8), settings)
    folder.mkdir(parents=True, exist_ok=True)
    return run_until(job, StageRunner(folder, _ignore_progress, progress_shares(job)))


def draw_outline(color: np.ndarray, surface: Surface, view: View, ink: tuple[int, int, int]) -> np.ndarray:
    """(H, W, 3) uint8: an image with the mesh's outline under a view."""
    buffer = rasterize(surface.vertices, surface.faces, view.camera(*color.shape[1::-1]))
    contours, _ = cv2.findContours(buffer.mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    thickness = max(1, round(max(color.shape) / 250))
    return cv2.drawContours(color.copy(), contours, -1, ink, thickness, cv2.LINE_AA)


def write_text(image: np.ndarray, text: str) -> np.ndarray:
    """(H, W, 3) uint8: an image with a line of text in its upper left corner, black with a white rim."""
    for ink, thickness in ((255, 3), (0, 1)):
        image = cv2.putText(
            image.copy(), text, (5, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (ink,) * 3, thickness, cv2.LINE_AA
        )
    return image


def _ignore_progress(*values) -> None:
    pass


if __name__ == "__main__":
    main()
