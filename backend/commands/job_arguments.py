"""The arguments that describe a job: mesh, reference, mask, settings, and a texture to keep."""

import argparse
from dataclasses import fields
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from ..api.errors import InvalidSettings
from ..api.settings import Settings

if TYPE_CHECKING:
    from ..api.job import Kept
    from ..local import PictureFile


def add_job_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that describe a job."""
    parser.add_argument("mesh", type=Path, help="GLB, OBJ, PLY or STL file")
    parser.add_argument(
        "--image",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help="reference image; give it again for each further picture of the object, up to 16. The first "
        "leads. Of several, a word at the end of the name, as in hat.back.png, says where the view is looked "
        "for first: front, back, left, right, top, bottom",
    )
    parser.add_argument(
        "--sheet",
        action="store_true",
        help="the images are sheets: each shows several views of the object beside each other, and each view "
        "becomes a picture",
    )
    add_mask_and_settings(parser)
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="TEXTURE",
        help="repaint only a region of this texture: a base color on the mesh's UV map, or a folder with all "
        "maps, as written by 'bake'",
    )
    parser.add_argument(
        "--region",
        type=Path,
        metavar="MASK",
        help="image on the UV map, black where the texture is kept unchanged",
    )


def add_mask_and_settings(parser: argparse.ArgumentParser) -> None:
    """Adds the reference's mask, and an option per field of :class:`Settings`."""
    parser.add_argument(
        "--mask",
        action="append",
        metavar="FILE",
        help="image of the reference's size, bright where that shows the object; found automatically if not "
        "given. With several images, the masks belong to them in order; - for none",
    )
    for field in fields(Settings):
        kind = float if field.default is None else type(field.default)
        if kind is bool:
            parser.add_argument(
                f"--{field.name.replace('_', '-')}", action="store_true", help=field.metadata["doc"]
            )
            continue
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=kind,
            default=field.default,
            choices=field.metadata["choices"] or None,
            help=field.metadata["doc"],
        )


def list_pictures(options: argparse.Namespace) -> "list[PictureFile]":
    """The images of the command line with their masks, the lead's first.

    Raises:
        InvalidSettings: there are more masks than images, or masks for sheets.
    """
    from ..local import PictureFile

    images = options.image if isinstance(options.image, list) else [options.image]
    masks = [None if mask == "-" else Path(mask) for mask in options.mask or []]
    if len(masks) > len(images):
        raise InvalidSettings(
            "There are more masks than images. Give one --mask for each --image, - for none."
        )
    is_sheet = getattr(options, "sheet", False)
    if is_sheet and any(masks):
        raise InvalidSettings("A sheet is split by itself and takes no mask. Leave out --mask or --sheet.")
    return [PictureFile(*each, is_sheet) for each in zip_longest(images, masks)]


def read_kept(options: argparse.Namespace) -> "Kept | None":
    """The earlier texture and the region to repaint; None if the whole texture is new.

    Raises:
        OrbitError: only one of the two is given, or a file cannot be used.
    """
    from .. import local

    if (options.keep is None) != (options.region is None):
        raise InvalidSettings("Give both --keep and --region, or neither.")
    return local.read_kept(options.keep, options.region) if options.keep else None


def read_settings(options: argparse.Namespace) -> Settings:
    """The settings from the command line."""
    return Settings(**{field.name: getattr(options, field.name) for field in fields(Settings)})
