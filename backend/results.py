"""The result of a job: textures as PNG files, UVs, and the report."""

from collections.abc import Sequence

import cv2
import numpy as np

from .api.job import MAPS, Job, Result
from .bake.bake import Texture
from .job_state import JobState
from .mesh.copies import lay_upon_another, select_originals
from .mesh.prepare import job_uvs
from .mesh.tiles import cut_tiles
from .paint.camera.candidate_images import draw_candidate
from .paint.camera.registration import Registration
from .paint.camera.several import FurtherPicture
from .paint.color_source import describe_shares, measure_shares
from .paint.outline_image import draw_outline
from .parallel import map_parallel
from .provenance import describe_origin, stamp_png
from .render.camera import Camera
from .render.contact_sheet import render_contact_sheet


def make_result(job: Job, state: JobState, seconds: dict[str, float]) -> Result:
    """The result of a job whose stages have all run.

    Args:
        job: the job.
        state: the outputs of its stages.
        seconds: time of each stage.
    """
    surface, texture, reference = lay_upon_another(state.surface), state.texture, state.reference
    report = make_report(job, state, seconds)
    reference_image = np.round(255 * reference.color * reference.alpha[..., None]).astype(np.uint8)
    azimuth = report["view"]["azimuth"] if report["view"] else 0.0
    return Result(
        job_uvs(select_originals(state.surface), job.mesh) if surface.unwrapped else None,
        {
            name: stamp_png(png, report["origin"])
            for name, png in encode_textures(texture, surface.tiles).items()
        },
        report,
        encode_png(render_contact_sheet(surface, texture.base_color, reference_image, azimuth)),
    )


def make_check_result(job: Job, state: JobState, seconds: dict[str, float]) -> Result:
    """The result of a job that only checks the reference: the object's mask, and the candidate views.

    Args:
        job: the job.
        state: the outputs of the stages up to ``register``.
        seconds: time of each stage.
    """
    registration, surface = state.registration, state.surface
    mask = np.round(255 * registration.reference.alpha).astype(np.uint8)[..., None]
    images = map_parallel(
        lambda match: draw_candidate(surface, state.reference, match.view), registration.candidates
    )
    outline = draw_outline(registration.reference)
    textures = {"mask": mask, "outline": outline} | {
        f"candidate.{number}": image for number, image in enumerate(images)
    }
    notes = [*surface.notes, *registration.reference.notes, *registration.notes]
    report = {"settings": job.settings.to_dict(), "seconds": _round_seconds(seconds), "notes": notes}
    return Result(
        None,
        {name: encode_png(image) for name, image in textures.items()},
        report | report_registration(registration) | report_completion(state),
    )


def report_registration(registration: Registration) -> dict:
    """What was found out about the reference's view, as plain data for JSON."""
    return {
        "doubtful": registration.doubtful,
        "doubts": list(registration.notes),
        "candidates": [
            {
                "azimuth": round((match.view.azimuth + 180) % 360 - 180, 2),
                "elevation": round(match.view.elevation, 2),
                "confidence": round(match.confidence, 3),
                "camera": match.view.parameters().round(6).tolist(),
            }
            for match in registration.candidates
        ],
    }


def report_completion(state: JobState) -> dict:
    """The box of the whole that was painted, in the space of the job's normalised mesh, if that is half of
    it: the cameras are in the space in which this box is centred at 0 and its longest side is 1."""
    whole = state.completion
    box = (
        None
        if whole is None
        else {"center": whole.center.round(6).tolist(), "size": round(float(whole.size), 6)}
    )
    return {"whole_box": box}


def make_report(job: Job, state: JobState, seconds: dict[str, float]) -> dict:
    """The report of a job, as plain data for JSON."""
    registration, source = state.registration, state.texture.color_source
    shares = (
        None
        if source is None
        else measure_shares(
            select_originals(state.surface), source, state.texture.coverage, job.keeps_present
        )
    )
    notes = [
        *state.surface.notes,
        *registration.reference.notes,
        *registration.notes,
        *(f"Picture 1: {note}" for note in state.side_notes),
        *describe_further(state.further),
        *(note for orbit in state.orbits for note in orbit.notes),
        *(state.painting.notes if state.painting else ()),
        *([] if shares is None else [describe_shares(shares)]),
        *state.texture.notes,
    ]
    return (
        {
            "origin": describe_origin(job),
            "settings": job.settings.to_dict(),
            "seconds": _round_seconds(seconds),
            "triangles": len(job.mesh.faces),
            "views": len(state.buffers),
            "coverage": round(state.texture.covered, 4),
            "color_source": shares,
            "view": next(
                (view_direction(orbit.cameras[0]) for orbit in state.orbits if orbit.name == "reference"),
                None,
            ),
            # Painters repeat what they know of the reference.
            "notes": list(dict.fromkeys(notes)),
        }
        | report_registration(registration)
        | report_pictures(state)
        | report_completion(state)
    )


def report_pictures(state: JobState) -> dict:
    """What was found out about each of several pictures, in the job's order; nothing if there is one."""
    if not state.further:
        return {}
    lead = {"used": True} | report_registration(state.registration)
    return {"pictures": [lead, *map(_report_further, state.further)]}


def _report_further(picture: FurtherPicture) -> dict:
    if picture.registration is None:
        return {"used": False, "doubtful": True, "doubts": list(picture.notes), "candidates": []}
    found = report_registration(picture.registration)
    notes = [*picture.notes, *picture.registration.reference.notes, *found["doubts"]]
    return {"used": True} | found | {"doubts": notes}


def describe_further(further: Sequence[FurtherPicture]) -> list[str]:
    """Sentences about the pictures after the first."""
    return [
        f"Picture {picture.number + 1}: {doubt}"
        for picture in further
        for doubt in _report_further(picture)["doubts"]
    ]


def _round_seconds(seconds: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in seconds.items()}


def view_direction(camera: Camera) -> dict[str, float]:
    """Azimuth and elevation of a camera in degrees, counter-clockwise from the front (-Y) and upwards."""
    back = camera.rotation[:, 2]
    return {
        "azimuth": round(float(np.degrees(np.arctan2(back[0], -back[1]))), 2),
        "elevation": round(float(np.degrees(np.arcsin(np.clip(back[2], -1, 1)))), 2),
    }


def encode_textures(texture: Texture, tiles: tuple[int, ...]) -> dict[str, np.ndarray]:
    """(N,) uint8 PNG files of a texture's maps by name, or by name and tile if there are several UDIM
    tiles."""
    atlases = {name: atlas for name in MAPS if (atlas := getattr(texture, name)) is not None}
    if len(tiles) > 1:
        atlases = {
            f"{name}.{tile}": image
            for name, atlas in atlases.items()
            for tile, image in cut_tiles(atlas, tiles).items()
        }
    return dict(zip(atlases, map_parallel(encode_png, atlases.values()), strict=True))


def encode_png(image: np.ndarray) -> np.ndarray:
    """(N,) uint8 PNG file of an image (H, W, 1, 3 or 4) uint8."""
    channels = image[..., [2, 1, 0, 3]] if image.shape[2] == 4 else image[..., ::-1]
    return cv2.imencode(".png", channels, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].ravel()
