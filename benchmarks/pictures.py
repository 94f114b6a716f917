"""Ordinary pictures, lit and on a ground: is the object found, and the view from which it was taken?

    python -m benchmarks.pictures [--folder FOLDER] [--each 10] [--meshes chair ...] [--methods register ...]
        [--json FILE]

Meshes of everyday things (``picture_meshes.py``) are photographed by Cycles (``picture_render.py``): white
and grey grounds, clutter, wood and cloth; hard and soft suns; pale, dark, coloured and patterned paint;
elevation -15 to 60 degrees, any azimuth, lenses of 35 to 100 mm; JPEG, noise, vignette, depth of field.
Pictures are kept in the folder; 130 of them take about half an hour on two cores, once.

``outline`` segments the reference first and then searches the view that has the segment's outline, as the
product did before it looked for the mesh's contours. ``register`` is what a job does today
(:func:`backend.paint.camera.registration.register_reference`).

The view's error is the angle between the found and the true direction to the camera, both from the mesh's
middle; of a bottle, which looks the same all around, only the elevation counts. IoU is that of the found
object and the true one, pixel by pixel. A view is right within 5 degrees. ``wrong doubted`` says how many of
the wrong ones were reported as doubtful, ``right doubted`` how many of the right ones; a picture that is
refused counts as wrong, IoU 0, and doubted. Seconds are of registration alone, by the clock: the first
picture of all is run once before, so that nothing is compiled while it counts.

The first row of a method is of all pictures, the others are of those on one ground or in one paint.
"""

import json
import subprocess
import time
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from backend.api.errors import InvalidImage
from backend.api.job import MeshData
from backend.mesh.prepare import clean
from backend.mesh.surface import Surface
from backend.paint.camera.outline import intersection_over_union
from backend.paint.camera.registration import Registration, register_reference
from backend.paint.camera.search import find_view
from backend.paint.camera.view import View
from backend.paint.foreground import cut_out
from backend.paint.reference import Reference, decode
from backend.render.camera import look_at_origin
from installer import blenders

from .picture_meshes import MESHES
from .report import Report, parser

SYMMETRIC = ("bottle",)
"""Meshes that look the same all around."""

RIGHT_ANGLE = 5.0
"""Degrees up to which a view is right."""

COLUMNS = (
    "pictures",
    "within 5°",
    "within 2°",
    "IoU > 0.95",
    "mean IoU",
    "wrong doubted",
    "right doubted",
    "s, median",
)
"""What is said of the pictures of a group."""


@dataclass(frozen=True)
class Outcome:
    """What a method made of a picture.

    Attributes:
        degrees: between the found and the true direction to the camera; 180 if the picture was refused.
        overlap: intersection over union of the found and the true mask.
        doubted: whether the view was reported as doubtful, or the picture refused.
        seconds: by the clock.
    """

    degrees: float
    overlap: float
    doubted: bool
    seconds: float


def main() -> None:
    options = picture_parser(__doc__)
    options.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    chosen = options.parse_args()
    render_pictures(chosen.folder, chosen.meshes, chosen.each)
    report = Report(["method", *COLUMNS], chosen.json)
    for name in chosen.methods:
        groups = defaultdict(list)
        for mesh in chosen.meshes:
            surface = read_surface(chosen.folder / "meshes" / f"{mesh}.npz")
            for number in range(chosen.each):
                picture = chosen.folder / f"{mesh}_{number}.jpg"
                if not groups:
                    measure(METHODS[name], surface, picture)
                outcome, facts = measure(METHODS[name], surface, picture), read_facts(picture)
                for group in ("all", facts["ground"], facts["paint"]):
                    groups[group].append(outcome)
        for group, outcomes in groups.items():
            report.add(f"{name}, {group}", *summarize(outcomes))


def picture_parser(description: str, each: int = 10) -> ArgumentParser:
    """The options of every benchmark that looks at these pictures; ``each``: as many of each mesh unless
    told."""
    options = parser(description)
    options.add_argument("--folder", type=Path, default=Path("out/pictures"), help="where pictures are kept")
    options.add_argument("--each", type=int, default=each, help="pictures of each mesh")
    options.add_argument("--meshes", nargs="*", default=list(MESHES), choices=list(MESHES))
    return options


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
        if any(last not in read_facts(folder / f"{mesh}_{number}.jpg") for number in range(each)):
            script = Path(__file__).with_name("picture_render.py")
            command = [program, script, arrays, folder, each, *(["--views"] if views else [])]
            subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)


def read_facts(picture: Path) -> dict:
    """What is known of a picture (its JPEG's path); nothing if it is not rendered yet."""
    file = picture.with_suffix(".json")
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def read_mesh(path: Path) -> MeshData:
    """The mesh of a picture, bare: no UVs, no slots."""
    with np.load(path, allow_pickle=False) as arrays:
        return MeshData(arrays["vertices"].astype(np.float32), arrays["faces"].astype(np.int32))


def read_surface(path: Path) -> Surface:
    """The mesh as a job sees it: its box centred at 0, its longest side 1."""
    return clean(read_mesh(path))


def search_by_outline(surface: Surface, reference: Reference) -> Registration:
    """The object is segmented, then the view that has its outline is searched."""
    cut = cut_out(reference)
    return Registration(cut, (find_view(surface, cut.alpha, None, _ignore_progress, cut.color),))


def search_by_registration(surface: Surface, reference: Reference) -> Registration:
    """As a job does it."""
    return register_reference(surface, reference, None, _ignore_progress)


Method = Callable[[Surface, Reference], Registration]

METHODS: dict[str, Method] = {"outline": search_by_outline, "register": search_by_registration}


def measure(method: Method, surface: Surface, picture: Path) -> Outcome:
    """Runs a method on one picture and compares it with the truth."""
    reference = decode(np.asarray(Image.open(picture).convert("RGBA")))
    start = time.perf_counter()
    try:
        registration = method(surface, reference)
    except InvalidImage:
        return Outcome(180.0, 0.0, True, time.perf_counter() - start)
    seconds = time.perf_counter() - start
    degrees = view_error(registration.match.view, read_facts(picture))
    overlap = mask_overlap(registration.reference.alpha > 0.5, picture)
    return Outcome(degrees, overlap, registration.doubtful, seconds)


def view_error(view: View, facts: dict) -> float:
    """Degrees between a view's direction and that from which a picture was taken."""
    azimuth = facts["azimuth"] if facts["mesh"] in SYMMETRIC else view.azimuth
    found = look_at_origin(azimuth, view.elevation)[:, 2]
    true = look_at_origin(facts["azimuth"], facts["elevation"])[:, 2]
    return float(np.degrees(np.arccos(np.clip(found @ true, -1, 1))))


def mask_overlap(mask: np.ndarray, picture: Path) -> float:
    """Intersection over union of a mask (H, W) bool with the true one of a picture."""
    truth = np.asarray(Image.open(picture.with_suffix(".albedo.png")))[..., 3] > 127
    return intersection_over_union(mask, truth)


def summarize(outcomes: list[Outcome]) -> tuple:
    """The values of a row, as in :data:`COLUMNS`."""
    right = [outcome for outcome in outcomes if outcome.degrees <= RIGHT_ANGLE]
    wrong = [outcome for outcome in outcomes if outcome.degrees > RIGHT_ANGLE]
    return (
        len(outcomes),
        len(right),
        sum(outcome.degrees <= 2 for outcome in outcomes),
        sum(outcome.overlap > 0.95 for outcome in outcomes),
        float(np.mean([outcome.overlap for outcome in outcomes])),
        f"{sum(outcome.doubted for outcome in wrong)} of {len(wrong)}",
        f"{sum(outcome.doubted for outcome in right)} of {len(right)}",
        float(np.median([outcome.seconds for outcome in outcomes])),
    )


def _ignore_progress(fraction: float) -> None:
    pass


if __name__ == "__main__":
    main()
