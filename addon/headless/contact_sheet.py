"""The report page of a batch: one HTML file with all its images, for any browser."""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

import bpy

from ...backend.api.errors import StorageError
from ..objects import material, takes
from ..objects.report import sentences

_CAPTIONS = ("Reference", "Same view", "From the right", "From behind", "From the left")
"""Captions of the five images of a take's contact sheet."""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 82rem; padding: 0 1rem;
       background: #1d1d1d; color: #ddd }
article { border-top: 1px solid #444; padding: 1rem 0 }
h2 { font-size: 1.1rem; margin: 0 } h2 small, figcaption { color: #999; font-weight: normal }
img { width: 100%; display: block } figure { margin: .5rem 0 }
figcaption { display: grid; grid-template-columns: repeat(5, 1fr); text-align: center; font-size: .8rem }
ul { margin: .3rem 0; padding-left: 1.2rem } .failed { color: #f88 }
"""


@dataclass(frozen=True)
class Row:
    """The outcome for one mesh.

    Attributes:
        name: the name of its object, or of all objects that share it.
        file: the .blend that contains it.
        take: the take's name; "" if there is none.
        lines: sentences about it.
        image: PNG file with the contact sheet: the reference and four views; None if there is none.
        failed: there is no take, and the lines say why.
    """

    name: str
    file: str
    take: str
    lines: list[str]
    image: bytes | None = None
    failed: bool = False


def collect_rows(objects: Iterable[bpy.types.Object]) -> list[Row]:
    """A row for each mesh of the open file that shows a take; objects that show the same one share a row."""
    wearing: dict[bpy.types.Material, list[bpy.types.Object]] = {}
    for obj in objects:
        if (index := takes.shown(obj)) >= 0:
            wearing.setdefault(obj.orbit_texture.takes[index].material, []).append(obj)
    return [_row(shader, sharing) for shader, sharing in wearing.items()]


def failure_row(name: str, file: str, message: str) -> Row:
    """A row for a mesh without a take."""
    return Row(name, file, "", [message], failed=True)


def render_page(title: str, found: Iterable[Row]) -> str:
    """The HTML document."""
    found = list(found)
    failed = sum(row.failed for row in found)
    summary = f"{len(found) - failed} textured" + (f", {failed} failed" if failed else "")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1><p>{summary}</p>{''.join(map(_article, found))}</body></html>\n"
    )


def write_page(file: Path, title: str, found: Iterable[Row]) -> None:
    """Writes the page. Raises :class:`StorageError`."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(render_page(title, found), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror}. Choose another folder.") from error


def _row(shader: bpy.types.Material, sharing: list[bpy.types.Object]) -> Row:
    take = sharing[0].orbit_texture.takes[takes.shown(sharing[0])]
    image = material.texture(shader, material.SHEET)
    return Row(
        ", ".join(obj.name for obj in sharing),
        Path(bpy.data.filepath).name,
        take.name,
        sentences(json.loads(take.report)),
        bytes(image.packed_file.data) if image and image.packed_file else None,
    )


def _article(row: Row) -> str:
    figure = ""
    if row.image:
        data = base64.b64encode(row.image).decode("ascii")
        captions = "".join(f"<span>{caption}</span>" for caption in _CAPTIONS)
        image = f'<img alt="" src="data:image/png;base64,{data}">'
        figure = f"<figure>{image}<figcaption>{captions}</figcaption></figure>"
    lines = "".join(f"<li>{escape(line)}</li>" for line in row.lines)
    return (
        f"<article{' class=failed' if row.failed else ''}><h2>{escape(row.name)} <small>{escape(row.take)} "
        f"{escape(row.file)}</small></h2>{figure}<ul>{lines}</ul></article>"
    )
