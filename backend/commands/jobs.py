"""Commands that texture a mesh file, check its reference, or run some stages of a job."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from ..api import exit_codes
from ..api.settings import Settings
from .job_arguments import (
    add_job_arguments,
    add_mask_and_settings,
    list_pictures,
    read_kept,
    read_settings,
)

_STAGE_OUTPUTS = {
    "render": "position and normal orbits",
    "paint": "the painted orbits",
    "bake": "the texture",
    "refine": "the refined texture",
}
"""What the command of a stage writes."""


def add_commands(commands) -> None:
    """Adds the parsers of these commands."""
    add_texture(commands)
    add_check(commands)
    for stage, outputs in _STAGE_OUTPUTS.items():
        add_stage(commands, stage, outputs)
    add_split(commands)


def add_texture(commands) -> None:
    parser = commands.add_parser("texture", help="texture a mesh file")
    add_job_arguments(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, help="textured mesh, .glb or .obj")
    parser.add_argument(
        "--repeat",
        type=Path,
        metavar="FILE",
        help="make the texture of this PNG or report.json again, with its settings; its mesh and its image "
        "are to be given, and are checked",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(command=texture)


def texture(options: argparse.Namespace) -> None:
    from .. import local, provenance

    origin = provenance.read_origin(options.repeat) if options.repeat else None
    result = local.texture(
        options.mesh,
        list_pictures(options),
        options.output,
        Settings.from_dict(origin["settings"]) if origin else read_settings(options),
        read_kept(options),
        origin,
    )
    if options.json:
        print(json.dumps(result.report))
        return
    local.print_seconds(result.report["seconds"])
    print(*result.report["notes"], f"Written: {options.output}", sep="\n")


def add_check(commands) -> None:
    parser = commands.add_parser(
        "check",
        help="find the object and the view in a reference, and write a mask, an image of the mesh for each "
        "view that it may be, and report.json",
    )
    parser.add_argument("mesh", type=Path, help="GLB, OBJ, PLY or STL file")
    parser.add_argument("image", type=Path, help="reference image")
    parser.add_argument("folder", type=Path, help="output folder; 'bake' in the same folder continues there")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    add_mask_and_settings(parser)
    parser.set_defaults(command=check)


def check(options: argparse.Namespace) -> int:
    from .. import local

    settings = read_settings(options)
    [picture] = list_pictures(options)
    report = local.check(options.mesh, picture, options.folder, settings)
    if options.json:
        print(json.dumps(report))
    else:
        for number, view in enumerate(report["candidates"]):
            print(
                f"candidate {number}: azimuth {view['azimuth']:.0f}°, elevation {view['elevation']:.0f}°, "
                f"confidence {view['confidence']:.0%}"
            )
        print(*report["notes"], f"Written: {options.folder}", sep="\n")
    return exit_codes.DOUBTFUL if report["doubtful"] and settings.on_doubt == "stop" else 0


def add_stage(commands, stage: str, outputs: str) -> None:
    parser = commands.add_parser(stage, help=f"run a job up to the stage '{stage}' and write {outputs}")
    add_job_arguments(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="output folder; stages that earlier runs of this job finished there are reused",
    )
    parser.set_defaults(command=run_stage, stage=stage)


def run_stage(options: argparse.Namespace) -> None:
    from .. import local

    settings = read_settings(options)
    if options.stage == "refine":
        settings = replace(settings, refine=True)
    print(
        *local.run_stage(
            options.stage,
            options.mesh,
            list_pictures(options),
            options.output,
            settings,
            read_kept(options),
        ),
        sep="\n",
    )


def add_split(commands) -> None:
    parser = commands.add_parser(
        "split", help="split a sheet, an image with several views of an object, into an image for each"
    )
    parser.add_argument("sheet", type=Path, help="image before a plain or transparent ground")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the images")
    parser.set_defaults(command=split)


def split(options: argparse.Namespace) -> None:
    from .. import local

    print(*local.split(options.sheet, options.output), sep="\n")
