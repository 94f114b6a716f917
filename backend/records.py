"""Conversion of the stages' outputs to plain arrays, which a job's folder stores, and back."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .align.align import Alignment
from .bake.bake import Texture
from .fuse.observations import View
from .mesh.surface import Surface
from .paint.camera.match import pack_matches, unpack_matches
from .paint.camera.registration import Registration
from .paint.camera.several import FurtherPicture
from .paint.painter import Painting
from .paint.reference import Reference
from .pictures.register import Registered
from .render.camera import Camera, Orbit

Arrays = dict[str, np.ndarray]


def save_surface(surface: Surface) -> Arrays:
    optional = {"slots": surface.slots, "shared_uvs": surface.shared_uvs}
    return {name: array for name, array in optional.items() if array is not None} | {
        "vertices": surface.vertices,
        "faces": surface.faces,
        "corner_normals": surface.corner_normals,
        "corner_uvs": surface.corner_uvs,
        "source": surface.job_faces,
        "unwrapped": np.array(surface.unwrapped),
        "notes": _pack_sentences(surface.notes),
        "tiles": np.array(surface.tiles),
    }


def load_surface(arrays: Arrays) -> Surface:
    return Surface(
        **(
            {name: array for name, array in arrays.items() if name != "source"}
            | {
                "job_faces": arrays["source"],
                "unwrapped": bool(arrays["unwrapped"]),
                "notes": _unpack_sentences(arrays["notes"]),
                "tiles": tuple(arrays["tiles"].tolist()),
            }
        )
    )


def save_registered(found: Registered) -> Arrays:
    arrays = _save_registration(found.lead) | {
        "shows_whole": np.array(found.shows_whole),
        "lead_notes": _pack_sentences(found.notes),
    }
    for each in found.further:
        prefix = f"picture_{each.number}_"
        registration = {} if each.registration is None else _save_registration(each.registration)
        arrays |= {prefix + name: array for name, array in registration.items()}
        arrays[prefix + "notes"] = _pack_sentences(each.notes)
    return arrays


def load_registered(arrays: Arrays, reference: Reference, further: Sequence[Reference | None]) -> Registered:
    """The registrations from their arrays and the pictures, which are decoded again."""
    pictures = []
    for number, image in enumerate(further, 1):
        prefix = f"picture_{number}_"
        own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        registration = _load_registration(own, image) if "alpha" in own else None
        pictures.append(FurtherPicture(number, registration, _unpack_sentences(own["notes"])))
    return Registered(
        _load_registration(arrays, reference),
        bool(arrays["shows_whole"]),
        tuple(pictures) if "picture_1_notes" in arrays else (),
        _unpack_sentences(arrays["lead_notes"]),
    )


def _save_registration(registration: Registration) -> Arrays:
    return {
        "alpha": registration.reference.alpha,
        "segmented": np.array(registration.reference.segmented),
        "mask_notes": _pack_sentences(registration.reference.mask_notes),
        "candidates": pack_matches(registration.candidates),
        "given": np.array(registration.given),
    }


def _load_registration(arrays: Arrays, reference: Reference) -> Registration:
    """The registration from its arrays and the picture, which is decoded again."""
    cut = replace(
        reference,
        alpha=arrays["alpha"],
        segmented=bool(arrays["segmented"]),
        mask_notes=_unpack_sentences(arrays["mask_notes"]),
    )
    return Registration(cut, unpack_matches(arrays["candidates"]), bool(arrays["given"]))


def save_orbits(orbits: list[Orbit]) -> Arrays:
    cameras = {orbit.name: np.stack([camera.pack() for camera in orbit.cameras]) for orbit in orbits}
    return cameras | {f"notes_{orbit.name}": _pack_sentences(orbit.notes) for orbit in orbits}


def load_orbits(arrays: Arrays) -> list[Orbit]:
    return [
        Orbit(
            name,
            tuple(Camera.unpack(packed) for packed in cameras),
            _unpack_sentences(arrays[f"notes_{name}"]),
        )
        for name, cameras in arrays.items()
        if not name.startswith("notes_")
    ]


def save_painting(painting: Painting) -> Arrays:
    frames = {f"frame_{index:04}": frame for index, frame in enumerate(painting.frames)}
    source = {} if painting.color_source is None else {"color_source": painting.color_source}
    light = {} if painting.border_light is None else {"border_light": painting.border_light}
    return (frames | source | light) | {
        "preference": painting.preference,
        "consistent": np.array(painting.consistent),
        "notes": _pack_sentences(painting.notes),
    }


def load_painting(arrays: Arrays) -> Painting:
    frames = [arrays[name] for name in sorted(arrays) if name.startswith("frame_")]
    return Painting(
        frames,
        arrays["preference"],
        bool(arrays["consistent"]),
        _unpack_sentences(arrays["notes"]),
        arrays.get("color_source"),
        arrays.get("border_light"),
    )


def save_alignment(alignment: Alignment) -> Arrays:
    return {
        "colors": np.concatenate(alignment.colors).astype(np.uint8),
        "drift": np.concatenate(alignment.drift),
        "before": alignment.before,
        "after": alignment.after,
    }


def load_alignment(arrays: Arrays, views: list[View]) -> Alignment:
    """The alignment from its arrays and the views, which are observed again."""
    ends = np.cumsum([len(view) for view in views])[:-1]
    colors, drift = np.split(arrays["colors"].astype(np.float32), ends), np.split(arrays["drift"], ends)
    return Alignment(views, colors, drift, arrays["before"], arrays["after"])


def save_texture(texture: Texture) -> Arrays:
    return {name: np.asarray(value) for name, value in vars(texture).items() if value is not None} | {
        "notes": _pack_sentences(texture.notes)
    }


def load_texture(arrays: Arrays) -> Texture:
    return Texture(
        **(arrays | {"covered": float(arrays["covered"]), "notes": _unpack_sentences(arrays["notes"])})
    )


def _pack_sentences(sentences: tuple[str, ...]) -> np.ndarray:
    return np.array(json.dumps(sentences))


def _unpack_sentences(array: np.ndarray) -> tuple[str, ...]:
    return tuple(json.loads(str(array)))
