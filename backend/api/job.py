"""A job and its result as plain data: what Blender sends, and what it receives."""

from dataclasses import dataclass

import numpy as np

from .errors import InvalidMesh, InvalidTarget, ProtocolError
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

OBJECT_STROKE, GROUND_STROKE = 1, 2
"""The values of a job's strokes; 0 is where nothing was drawn."""

KEEP_PREFIX = "keep."
"""Prefix of the name of a texture to keep among a job's arrays."""

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
        _check_array("vertices", self.vertices, np.float32, (None, 3))
        _check_array("faces", self.faces, np.int32, (None, 3))
        for name, dtype, shape in (
            ("polygons", np.int32, (count,)),
            ("corner_normals", np.float32, (count, 3, 3)),
            ("corner_uvs", np.float32, (count, 3, 2)),
            ("slots", np.int32, (count,)),
        ):
            if (value := getattr(self, name)) is not None:
                _check_array(name, value, dtype, shape)
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
            _check_array(f"{KEEP_PREFIX}{name}", data, np.uint8, (None,))
        _check_array("region", self.region, np.uint8, (None,) * (2 if self.region.ndim == 2 else 1))
        if not self.region.any():
            raise InvalidTarget(NOTHING_MARKED)


@dataclass(frozen=True)
class Job:
    """One mesh to texture from one reference image.

    Attributes:
        id: chosen by the client, unique, ``[0-9a-f]{32}``.
        name: the name of the object, used only in messages.
        mesh: the triangles.
        reference: the image, either an encoded file (N,) uint8, or pixels (H, W, 4) float32 or uint8,
            sRGB-encoded straight-alpha RGBA, row 0 at the top.
        settings: the options.
        kept: the texture of which only a region is repainted; None for an entirely new texture.
        mask: which pixels of the reference show the object, bright where they do: an encoded image file (N,)
            uint8 or pixels (H, W) uint8, of the reference's size; None if that is to be found.
        check_reference: only find the object and the view, and return what was found: see
            :class:`Result`.
        strokes: what a user has drawn on the reference to correct its mask, or the object that is found
            without one: (H, W) uint8, row 0 at the top, of any size, since it is scaled to the reference:
            :data:`OBJECT_STROKE`, :data:`GROUND_STROKE` or 0. None if nothing was drawn.
        pins: (N, 5) float32, points of the mesh (3) and where the reference shows each: fractions of its
            width from the left and of its height from the top (2). They place the camera, near the azimuth
            and elevation of the settings, and bend the image. None if there are none.
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

    def __post_init__(self):
        if self.kept and self.kept.region.ndim == 1 and len(self.kept.region) != len(self.mesh.faces):
            raise InvalidTarget("The region was marked on another mesh. Mark it again.")

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
        parts = {
            "vertices": mesh.vertices,
            "faces": mesh.faces,
            "polygons": mesh.polygons,
            "corner_normals": mesh.corner_normals,
            "corner_uvs": mesh.corner_uvs,
            "slots": mesh.slots,
            "reference": self.reference,
            "mask": self.mask,
            "strokes": self.strokes,
            "pins": self.pins,
        }
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
        # The region to repaint and the textures to keep.
        kept = {
            name.removeprefix(KEEP_PREFIX): array
            for name, array in arrays.items()
            if name.startswith(KEEP_PREFIX)
        }
        region = arrays.get("region")
        if (region is None) != (not kept):
            raise ProtocolError("A job needs both a region and the textures to keep, or neither.")
        # The names of the other arrays.
        arrays = {
            name: array
            for name, array in arrays.items()
            if name != "region" and not name.startswith(KEEP_PREFIX)
        }
        known = {
            "vertices",
            "faces",
            "polygons",
            "corner_normals",
            "corner_uvs",
            "slots",
            "reference",
            "mask",
            "strokes",
            "pins",
        }
        if unknown := sorted(set(arrays) - known):
            raise ProtocolError(f"A job has no array called '{unknown[0]}'.")
        if missing := sorted({"vertices", "faces", "reference"} - set(arrays)):
            raise ProtocolError(f"The job lacks the array '{missing[0]}'.")
        # The reference, a file or pixels; MeshData checks the rest.
        reference = arrays["reference"]
        encoded = reference.ndim == 1 and reference.dtype == np.uint8
        pixels = reference.ndim == 3 and reference.shape[2] == 4 and reference.dtype in (np.uint8, np.float32)
        if not (encoded or pixels):
            raise ProtocolError("The reference must be an encoded file (N,) uint8 or pixels (H, W, 4).")
        mask = arrays.get("mask")
        if mask is not None and not (mask.dtype == np.uint8 and mask.ndim in (1, 2)):
            raise ProtocolError("The mask must be an encoded file (N,) uint8 or pixels (H, W) uint8.")
        strokes = arrays.get("strokes")
        if strokes is not None:
            _check_array("strokes", strokes, np.uint8, (None, None))
        settings = Settings.from_dict(body["settings"])
        pins = arrays.get("pins")
        if pins is not None:
            _check_array("pins", pins, np.float32, (None, 5))
            if settings.azimuth is None or settings.elevation is None:
                raise ProtocolError("A job with pins needs an azimuth and an elevation.")
        of_image = {"reference", "mask", "strokes", "pins"}
        mesh = MeshData(**{name: array for name, array in arrays.items() if name not in of_image})
        return Job(
            body["job"],
            body["name"],
            mesh,
            reference,
            settings,
            Kept(kept, region) if kept else None,
            mask,
            body["check_reference"],
            strokes,
            pins,
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
            mirrored, and how much invented; together 1). With several
            UDIM tiles there is one file per tile, with its number: ``base_color.1001``, ``base_color.1002`` …
            A job that only checks the reference returns ``mask`` (linear grey, of the reference's size as it
            was used), ``outline`` (sRGB, small: the reference dimmed around the object, which is outlined)
            and ``candidate.0`` … (sRGB with alpha, the mesh wearing the reference as each of the report's
            candidates projects it).
        report: JSON data: ``seconds`` per stage, ``view`` (the direction of the reference), ``coverage``,
            ``color_source`` (per cent of the surface's area that is ``from_picture``, ``mirrored`` and
            ``invented``; None if the painter cannot tell),
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


def _check_array(name: str, array: np.ndarray, dtype, shape: tuple) -> None:
    sizes_fit = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if array.dtype != dtype or not sizes_fit:
        wanted = tuple("any" if size is None else size for size in shape)
        raise ProtocolError(
            f"The array '{name}' must be {np.dtype(dtype)} of shape {wanted}, not {array.dtype} of shape "
            f"{array.shape}."
        )
