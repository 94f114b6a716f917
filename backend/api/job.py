"""A job and its result as plain data: what Blender sends, and what it receives."""

from dataclasses import dataclass

import numpy as np

from .arrays import check_array
from .errors import InvalidMesh, InvalidTarget, ProtocolError
from .picture import MAX_PICTURES, Picture
from .present_paint import PresentPaint
from .settings import Settings

MAX_TRIANGLES = 1_500_000
"""The largest mesh that a job accepts."""

MAPS = (
    "base_color",
    "metallic",
    "roughness",
    "alpha",
    "confidence",
    "coverage",
    "disagreement",
    "color_source",
)
"""The texture maps that a result can have."""

PICTURE_PREFIX = "picture."
"""Prefix of the names of the arrays of a job's further pictures: ``picture.1.image`` …"""

KEEP_PREFIX = "keep."
"""Prefix of the name of a texture to keep among a job's arrays."""

PRESENT_PREFIX = "present."
"""Prefix of the names of the arrays of the present paint: ``present.image.0`` …"""

_OF_LEAD = ("mask", "strokes", "pins", "side")
"""The arrays of the reference, the picture that leads."""

NOTHING_MARKED = "Nothing is marked, so nothing would change. Mark the region to repaint first."


@dataclass(frozen=True)
class MeshData:
    """The triangles of the user's mesh. The worker never sends geometry back, only UVs per triangle corner.

    Attributes:
        vertices: (V, 3) float32, world space, Z up, front = -Y.
        faces: (F, 3) int32 vertex indices, counter-clockwise seen from outside.
        polygons: (F,) int32, the polygon that each triangle belongs to: corners of one polygon at one vertex
            share their UV. None if every triangle is a polygon.
        corner_normals: (F, 3, 3) float32 unit shading normals, or None.
        corner_uvs: (F, 3, 2) float32, v up, of the UV map to use if it is usable; or None.
        slots: (F,) int32, the material slot of each triangle; None if there is only one.
    """

    vertices: np.ndarray
    faces: np.ndarray
    polygons: np.ndarray | None = None
    corner_normals: np.ndarray | None = None
    corner_uvs: np.ndarray | None = None
    slots: np.ndarray | None = None

    def __post_init__(self):
        count = len(self.faces)
        check_array("vertices", self.vertices, np.float32, (None, 3))
        check_array("faces", self.faces, np.int32, (None, 3))
        for name, dtype, shape in (
            ("polygons", np.int32, (count,)),
            ("corner_normals", np.float32, (count, 3, 3)),
            ("corner_uvs", np.float32, (count, 3, 2)),
            ("slots", np.int32, (count,)),
        ):
            if (value := getattr(self, name)) is not None:
                check_array(name, value, dtype, shape)
        if count == 0:
            raise InvalidMesh("The mesh has no faces. Add faces to it, or select another object.")
        check_triangle_count(count)
        if self.faces.min() < 0 or self.faces.max() >= len(self.vertices):
            raise ProtocolError("A face of the mesh points at a vertex that does not exist.")


def check_triangle_count(count: int) -> None:
    """Raises :class:`InvalidMesh` for a mesh with more triangles than :data:`MAX_TRIANGLES`."""
    if count > MAX_TRIANGLES:
        raise InvalidMesh(
            f"The mesh has {count:,} triangles and the limit is {MAX_TRIANGLES:,}. "
            "Texture a decimated copy, or split the mesh into parts."
        )


@dataclass(frozen=True)
class Kept:
    """An earlier texture on the mesh's UVs, of which only a region is repainted.

    Attributes:
        textures: image files by name, each (N,) uint8, as in :class:`Result`; ``base_color`` is required.
        region: what is repainted, where it is not 0: (F,) uint8, one value per triangle of the job; or a mask
            on the UV map, (H, W) uint8, row 0 at the top, whose grey value is the weight of the new texture.
    """

    textures: dict[str, np.ndarray]
    region: np.ndarray

    def __post_init__(self):
        if not any(name.partition(".")[0] == "base_color" for name in self.textures):
            raise ProtocolError("The textures to keep lack the base color.")
        for name, data in self.textures.items():
            check_array(f"{KEEP_PREFIX}{name}", data, np.uint8, (None,))
        check_array("region", self.region, np.uint8, (None,) * (2 if self.region.ndim == 2 else 1))
        if not self.region.any():
            raise InvalidTarget(NOTHING_MARKED)


@dataclass(frozen=True)
class Job:
    """One mesh to texture from one reference image, or several.

    Attributes:
        id: chosen by the client, unique, ``[0-9a-f]{32}``.
        name: the name of the object, used only in messages.
        mesh: the triangles.
        reference: the image, or the first of several, which leads; as :class:`Picture` has it.
        settings: the options.
        kept: the texture of which only a region is repainted; None for an entirely new texture.
        mask, strokes, pins, side: of the reference, see :class:`Picture`; its direction is in the settings.
        check_reference: only find the object and the view, and return what was found: see
            :class:`Result`.
        more: the other pictures of the object.
        present: the paint that the mesh wears, if the settings start from it.
    """

    id: str
    name: str
    mesh: MeshData
    reference: np.ndarray
    settings: Settings
    kept: Kept | None = None
    mask: np.ndarray | None = None
    check_reference: bool = False
    strokes: np.ndarray | None = None
    pins: np.ndarray | None = None
    side: str | None = None
    more: tuple[Picture, ...] = ()
    present: PresentPaint | None = None

    def __post_init__(self):
        count = len(self.pictures)
        if count > MAX_PICTURES:
            raise InvalidTarget(
                f"There are {count} pictures of {self.name}, and the limit is {MAX_PICTURES}. Remove those "
                "that show least of it."
            )
        if self.kept and self.kept.region.ndim == 1 and len(self.kept.region) != len(self.mesh.faces):
            raise InvalidTarget("The region was marked on another mesh. Mark it again.")
        if self.present and len(self.present.image_of_face) != len(self.mesh.faces):
            raise ProtocolError("The present paint is of another mesh.")

    @property
    def keeps_present(self) -> bool:
        """Whether some of the paint that the mesh wears is to stay."""
        settings = self.settings
        return self.present is not None and settings.start_from == "present" and settings.present_weight > 0

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All images of the object, the reference first."""
        direction = _find_direction(self.settings)
        lead = Picture(self.reference, self.mask, self.strokes, self.pins, direction, self.side)
        return lead, *self.more

    def body(self) -> dict:
        """The part of the job that travels as JSON."""
        return {
            "job": self.id,
            "name": self.name,
            "settings": self.settings.to_dict(),
            "check_reference": self.check_reference,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """The part of the job that travels as raw frames."""
        mesh = self.mesh
        lead, *more = (picture.arrays() for picture in self.pictures)
        # The settings have the lead's direction.
        parts = {
            "vertices": mesh.vertices,
            "faces": mesh.faces,
            "polygons": mesh.polygons,
            "corner_normals": mesh.corner_normals,
            "corner_uvs": mesh.corner_uvs,
            "slots": mesh.slots,
            "reference": lead["image"],
        } | {name: lead.get(name) for name in _OF_LEAD}
        parts |= {
            f"{PICTURE_PREFIX}{number}.{name}": array
            for number, arrays in enumerate(more, 1)
            for name, array in arrays.items()
        }
        if self.present:
            parts |= {f"{PRESENT_PREFIX}{name}": data for name, data in self.present.arrays().items()}
        if self.kept:
            parts |= {"region": self.kept.region} | {
                f"{KEEP_PREFIX}{name}": data for name, data in self.kept.textures.items()
            }
        return {name: array for name, array in parts.items() if array is not None}

    @staticmethod
    def from_parts(body: dict, arrays: dict[str, np.ndarray]) -> "Job":
        """The job from what :meth:`body` and :meth:`arrays` returned.

        Raises:
            ProtocolError: an array is missing, unknown or has the wrong dtype or shape.
            InvalidSettings, InvalidMesh, InvalidTarget: the content cannot be used.
        """
        # The region to repaint, the textures to keep, the further pictures, and the present paint.
        kept = _take_prefixed(arrays, KEEP_PREFIX)
        pictures = _take_prefixed(arrays, PICTURE_PREFIX)
        present = _take_prefixed(arrays, PRESENT_PREFIX)
        region = arrays.get("region")
        if (region is None) != (not kept):
            raise ProtocolError("A job needs both a region and the textures to keep, or neither.")
        # The names of the other arrays.
        of_mesh = {"vertices", "faces", "polygons", "corner_normals", "corner_uvs", "slots"}
        rest = {
            name: array
            for name, array in arrays.items()
            if name != "region" and not name.startswith((KEEP_PREFIX, PICTURE_PREFIX, PRESENT_PREFIX))
        }
        if unknown := sorted(set(rest) - of_mesh - {"reference", *_OF_LEAD}):
            raise ProtocolError(f"A job has no array called '{unknown[0]}'.")
        if missing := sorted({"vertices", "faces", "reference"} - set(rest)):
            raise ProtocolError(f"The job lacks the array '{missing[0]}'.")
        settings = Settings.from_dict(body["settings"])
        of_lead = {"image": rest["reference"]} | {name: rest[name] for name in _OF_LEAD if name in rest}
        lead = Picture.from_arrays(of_lead, _find_direction(settings))
        return Job(
            body["job"],
            body["name"],
            MeshData(**{name: array for name, array in rest.items() if name in of_mesh}),
            lead.image,
            settings,
            Kept(kept, region) if kept else None,
            lead.mask,
            body["check_reference"],
            lead.strokes,
            lead.pins,
            lead.side,
            _unpack_pictures(pictures),
            PresentPaint.from_arrays(present) if present else None,
        )


@dataclass(frozen=True)
class Result:
    """What a finished job returns.

    Attributes:
        corner_uvs: (F, 3, 2) float32 in the order of the job's triangles, v up; None if the mesh's own UVs
            were used.
        textures: PNG files by name, each (N,) uint8: ``base_color`` (sRGB RGB), ``confidence`` (linear grey,
            1 = well seen) and ``coverage`` (1 = seen by a view, 0 = filled from nearby surface); of the draft
            also ``color_source`` (linear RGB: how much of the colour is from the picture, how much is
            mirrored, and how much invented; what they lack of 1 is from the present paint). With several
            UDIM tiles there is one file per tile, with its number: ``base_color.1001``, ``base_color.1002`` …
            A job that only checks the reference returns ``mask`` (linear grey, of the reference's size as it
            was used), ``outline`` (sRGB, small: the reference dimmed around the object, which is outlined)
            and ``candidate.0`` … (sRGB with alpha, the mesh wearing the reference as each of the report's
            candidates projects it).
        report: JSON data: ``seconds`` per stage, ``view`` (the direction of the reference), ``coverage``,
            ``color_source`` (per cent of the surface's area that is ``from_picture``, ``mirrored``,
            ``invented`` and, with a present paint, ``present``; None if the painter cannot tell),
            ``notes`` (sentences for the user), ``doubtful`` (whether the view may be wrong), ``doubts`` (the
            notes that say why), ``candidates`` (the likeliest views, best first: ``azimuth`` and
            ``elevation`` in degrees, ``confidence`` 0..1, and ``camera``, the seven numbers of
            :class:`backend.paint.camera.view.View`).
        sheet: contact sheet, PNG file (N,) uint8: the reference, then the textured mesh from four sides, each
            square; or None.
    """

    corner_uvs: np.ndarray | None
    textures: dict[str, np.ndarray]
    report: dict
    sheet: np.ndarray | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        """The part of the result that travels as raw frames."""
        parts = {"corner_uvs": self.corner_uvs, "sheet": self.sheet} | {
            f"texture.{name}": data for name, data in self.textures.items()
        }
        return {name: array for name, array in parts.items() if array is not None}

    @staticmethod
    def from_parts(report: dict, arrays: dict[str, np.ndarray]) -> "Result":
        """The result from what :meth:`arrays` returned, and its report."""
        textures = {
            name.removeprefix("texture."): array
            for name, array in arrays.items()
            if name.startswith("texture.")
        }
        return Result(arrays.get("corner_uvs"), textures, report, arrays.get("sheet"))


def _find_direction(settings: Settings) -> tuple[float, float] | None:
    """Azimuth and elevation of the reference in degrees; None if the settings do not give them."""
    return None if settings.azimuth is None else (settings.azimuth, settings.elevation)


def _take_prefixed(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _unpack_pictures(arrays: dict[str, np.ndarray]) -> tuple[Picture, ...]:
    """The further pictures of a job from their arrays, ``1.image`` and so on."""
    numbers = {name.partition(".")[0] for name in arrays}
    if numbers != {str(number) for number in range(1, len(numbers) + 1)}:
        raise ProtocolError("The pictures of a job are numbered from 1 on.")
    return tuple(
        Picture.from_arrays(_take_prefixed(arrays, f"{number}.")) for number in range(1, len(numbers) + 1)
    )
