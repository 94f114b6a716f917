"""Ordinary pictures, lit and on a ground: is the object found, and the view from which it was taken?

    python -m benchmarks.pictures [--folder FOLDER] [--each 10] [--meshes chair ...] [--methods painter ...]
        [--json FILE]

Meshes of everyday things (``picture_meshes.py``) are photographed by Cycles (``picture_render.py``): white
and grey grounds, clutter, wood and cloth; hard and soft suns; pale, dark, coloured and patterned paint;
elevation -15 to 60 degrees, any azimuth, lenses of 35 to 100 mm; JPEG, noise, vignette, depth of field.
Pictures are kept in the folder; 130 of them take about half an hour on two cores, once.

``outline`` segments the reference, then searches the view by the outline of the segment.
``contours`` (:mod:`backend.paint.camera.contours`) looks for the mesh's contours in the picture and needs no
mask: it is not part of the product yet. The view's error is the angle between the directions to the camera;
of a bottle, which looks the same all around, only the elevation counts. ``told`` says how many of the wrong
and of the right views were reported as uncertain.
"""

import json
import subprocess
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from backend.api.job import MeshData
from backend.mesh.prepare import clean
from backend.mesh.surface import Surface
from backend.paint.camera.contours.search import find_views
from backend.paint.camera.search import find_view
from backend.paint.foreground import cut_out
from backend.paint.reference import decode
from backend.render.camera import look_at_origin
from backend.render.rasterize import rasterize
from installer import blenders

from .picture_meshes import MESHES
from .report import Report, parser

SYMMETRIC = ("bottle",)
"""Meshes that look the same all around."""

RIGHT_ANGLE = 5.0
"""Degrees up to which a view counts as found."""


@dataclass(frozen=True)
class Outcome:
    """What a method made of a picture.

    Attributes:
        degrees: between the found and the true direction to the camera.
        overlap: intersection over union of the found and the true mask.
        reported: whether the view was reported as uncertain; None if the method does not say.
        seconds: by the clock.
    """

    degrees: float
    overlap: float
    reported: bool | None
    seconds: float


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--folder", type=Path, default=Path("out/pictures"), help="where pictures are kept")
    options.add_argument("--each", type=int, default=10, help="pictures of each mesh, 10 at most")
    options.add_argument("--meshes", nargs="*", default=list(MESHES), choices=list(MESHES))
    options.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    chosen = options.parse_args()
    render_pictures(chosen.folder, chosen.meshes, chosen.each)
    columns = [
        "method",
        "pictures",
        "within 5°",
        "within 2°",
        "IoU > 0.95",
        "mean IoU",
        "wrong told",
        "right told",
    ]
    report = Report([*columns, "s"], chosen.json)
    for name in chosen.methods:
        groups = defaultdict(list)
        for mesh in chosen.meshes:
            surface = read_surface(chosen.folder / "meshes" / f"{mesh}.npz")
            for number in range(chosen.each):
                picture = chosen.folder / f"{mesh}_{number}.jpg"
                facts = json.loads(picture.with_suffix(".json").read_text(encoding="utf-8"))
                outcome = measure(METHODS[name], surface, picture, facts)
                for group in ("all", facts["ground"], facts["paint"]):
                    groups[group].append(outcome)
        for group, outcomes in groups.items():
            report.add(f"{name}, {group}", *summarize(outcomes))


def render_pictures(folder: Path, meshes: list[str], each: int, views: bool = False) -> None:
    """Renders what the folder does not hold yet, in Blender as a module; with ``views`` the truth from other
    sides, too."""
    (folder / "meshes").mkdir(parents=True, exist_ok=True)
    program = blenders.newest_module().program
    for mesh in meshes:
        arrays = folder / "meshes" / f"{mesh}.npz"
        if not arrays.exists():
            made = MESHES[mesh]()
            np.savez(arrays, vertices=made.vertices, faces=made.faces, part=made.part)
        last = "views" if views else "azimuth"
        if any(last not in _read_facts(folder / f"{mesh}_{number}.json") for number in range(each)):
            script = Path(__file__).with_name("picture_render.py")
            command = [program, script, arrays, folder, each, *(["--views"] if views else [])]
            subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)


def _read_facts(file: Path) -> dict:
    """What a picture's JSON says; nothing where there is none yet."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def read_surface(path: Path) -> Surface:
    """The mesh as a job sees it: its box centred at 0, its longest side 1."""
    with np.load(path, allow_pickle=False) as arrays:
        return clean(MeshData(arrays["vertices"].astype(np.float32), arrays["faces"].astype(np.int32)))


def measure(method, surface: Surface, picture: Path, facts: dict) -> Outcome:
    """Runs a method on one picture and compares it with the truth."""
    color = np.asarray(Image.open(picture).convert("RGB"))
    truth = np.asarray(Image.open(picture.with_suffix(".albedo.png")))[..., 3] > 127
    start = time.perf_counter()
    azimuth, elevation, mask, reported = method(surface, color)
    seconds = time.perf_counter() - start
    if facts["mesh"] in SYMMETRIC:
        azimuth = facts["azimuth"]
    found, true = (look_at_origin(*angles)[:, 2] for angles in ((azimuth, elevation), true_angles(facts)))
    degrees = float(np.degrees(np.arccos(np.clip(found @ true, -1, 1))))
    overlap = float((mask & truth).sum() / max((mask | truth).sum(), 1))
    return Outcome(degrees, overlap, reported, seconds)


def true_angles(facts: dict) -> tuple[float, float]:
    return facts["azimuth"], facts["elevation"]


def search_by_outline(surface: Surface, color: np.ndarray) -> tuple[float, float, np.ndarray, bool]:
    """Azimuth, elevation, mask and whether it is reported as uncertain: the object is segmented, then the
    view that has its outline is searched."""
    reference = cut_out(decode(np.dstack([color, np.full(color.shape[:2], 255, np.uint8)])))
    match = find_view(surface, reference.alpha, None, lambda fraction: None, reference.color)
    return match.view.azimuth, match.view.elevation, reference.alpha > 0.5, not match.confident


def search_by_contours(surface: Surface, color: np.ndarray) -> tuple[float, float, np.ndarray, None]:
    """Azimuth, elevation and silhouette of the view whose contours fit best."""
    view = find_views(surface, color.astype(np.float32) / 255, None, lambda fraction: None)[0].view
    mask = rasterize(surface.vertices, surface.faces, view.camera(*color.shape[1::-1])).mask
    return view.azimuth, view.elevation, mask, None


METHODS = {"outline": search_by_outline, "contours": search_by_contours}


def summarize(outcomes: list[Outcome]) -> tuple:
    """The values of a row, in the table's order."""
    right = [outcome for outcome in outcomes if outcome.degrees <= RIGHT_ANGLE]
    wrong = [outcome for outcome in outcomes if outcome.degrees > RIGHT_ANGLE]
    reports = all(outcome.reported is not None for outcome in outcomes)
    return (
        len(outcomes),
        len(right),
        sum(outcome.degrees <= 2 for outcome in outcomes),
        sum(outcome.overlap > 0.95 for outcome in outcomes),
        float(np.mean([outcome.overlap for outcome in outcomes])),
        sum(outcome.reported for outcome in wrong) if reports else None,
        sum(outcome.reported for outcome in right) if reports else None,
        float(np.median([outcome.seconds for outcome in outcomes])),
    )


if __name__ == "__main__":
    main()
