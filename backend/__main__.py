"""The command line of the backend: ``python -m backend --help``."""

import argparse
import json
import sys
from dataclasses import fields, replace
from pathlib import Path

from .api import paths
from .api.errors import DoubtfulView, InvalidSettings, OrbitError
from .api.settings import Settings
from .api.weights import MODELS

EXIT_BAD_INPUT = 2
"""An error of the input; nothing was written."""

EXIT_DOUBTFUL = 3
"""The view is doubtful and ``--on-doubt stop`` was given; nothing was painted."""

EXIT_INTERRUPTED = 130
"""Ctrl-C."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m backend", description="Orbit Texture without Blender, and the server for Blender."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    add_texture(commands)
    add_check(commands)
    for stage, outputs in (
        ("render", "position and normal orbits"),
        ("paint", "the painted orbits"),
        ("bake", "the texture"),
        ("refine", "the refined texture"),
    ):
        add_stage(commands, stage, outputs)
    add_download(commands)
    add_embed(commands)
    add_convert(commands)
    add_train(commands)
    add_doctor(commands)
    add_serve(commands)
    add_stop(commands)
    add_worker(commands)
    options = parser.parse_args()
    try:
        return options.command(options) or 0
    except OrbitError as error:
        if getattr(options, "json", False):
            print(json.dumps({"error": error.to_dict()}))
        print(error.message, file=sys.stderr)
        return EXIT_DOUBTFUL if isinstance(error, DoubtfulView) else EXIT_BAD_INPUT
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def add_job(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that describe a job."""
    parser.add_argument("mesh", type=Path, help="GLB, OBJ, PLY or STL file")
    parser.add_argument("--image", type=Path, required=True, help="reference image")
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
        type=Path,
        metavar="FILE",
        help="image of the reference's size, bright where that shows the object; found automatically if not "
        "given",
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


def read_kept(options: argparse.Namespace):
    """The earlier texture and the region to repaint; None if the whole texture is new."""
    from . import local

    if (options.keep is None) != (options.region is None):
        raise InvalidSettings("Give both --keep and --region, or neither.")
    return local.read_kept(options.keep, options.region) if options.keep else None


def read_settings(options: argparse.Namespace) -> Settings:
    """The settings from the command line."""
    return Settings(**{field.name: getattr(options, field.name) for field in fields(Settings)})


def add_texture(commands) -> None:
    parser = commands.add_parser("texture", help="texture a mesh file")
    add_job(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, help="textured mesh, .glb or .obj")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(command=texture)


def texture(options: argparse.Namespace) -> None:
    from . import local

    result = local.texture(
        options.mesh,
        options.image,
        options.output,
        read_settings(options),
        read_kept(options),
        options.mask,
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
    from . import local

    settings = read_settings(options)
    report = local.check(options.mesh, options.image, options.folder, settings, options.mask)
    if options.json:
        print(json.dumps(report))
    else:
        for number, view in enumerate(report["candidates"]):
            print(
                f"candidate {number}: azimuth {view['azimuth']:.0f}°, elevation {view['elevation']:.0f}°, "
                f"confidence {view['confidence']:.0%}"
            )
        print(*report["notes"], f"Written: {options.folder}", sep="\n")
    return EXIT_DOUBTFUL if report["doubtful"] and settings.on_doubt == "stop" else 0


def add_stage(commands, stage: str, outputs: str) -> None:
    parser = commands.add_parser(stage, help=f"run a job up to the stage '{stage}' and write {outputs}")
    add_job(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="output folder; stages that earlier runs of this job finished there are reused",
    )
    parser.set_defaults(command=run_stage, stage=stage)


def run_stage(options: argparse.Namespace) -> None:
    from . import local

    settings = read_settings(options)
    if options.stage == "refine":
        settings = replace(settings, refine=True)
    print(
        *local.run_stage(
            options.stage,
            options.mesh,
            options.image,
            options.output,
            settings,
            read_kept(options),
            options.mask,
        ),
        sep="\n",
    )


def add_download(commands) -> None:
    parser = commands.add_parser("download", help="download a model's weights and convert them")
    parser.add_argument("model", choices=MODELS)
    parser.add_argument(
        "--yes", action="store_true", help="accept the download size and the licences without a question"
    )
    parser.add_argument(
        "--from",
        type=Path,
        dest="offline",
        metavar="FOLDER",
        help="use the files in this folder, sorted by repository and path, instead of downloading",
    )
    parser.add_argument(
        "--keep-originals", action="store_true", help="keep the downloaded files after the conversion"
    )
    parser.add_argument(
        "--gated",
        type=Path,
        metavar="FOLDER",
        help="folder with the files that you downloaded yourself from a gated repository, which requires an "
        "account",
    )
    parser.set_defaults(command=download)


def download(options: argparse.Namespace) -> int:
    from .weights.command import download

    offline = options.offline and options.offline.resolve()
    return not download(
        MODELS[options.model],
        paths.models() / options.model,
        offline,
        options.yes,
        options.keep_originals,
        options.gated,
    )


def add_embed(commands) -> None:
    parser = commands.add_parser("embed", help="compute the file of OrbitPainter's prompt embeddings")
    parser.add_argument(
        "--text-encoder",
        type=Path,
        required=True,
        help="folder 'text_encoder' of a Wan 2.1 or 2.2 model in the diffusers format",
    )
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder 'tokenizer' of the same model")
    parser.add_argument(
        "--unwanted",
        type=Path,
        required=True,
        help="text file with the negative prompt published by Wan's authors",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="file to write, .safetensors")
    parser.set_defaults(command=embed)


def embed(options: argparse.Namespace) -> None:
    from .paint.orbitpainter import prompts

    encoder = prompts.load_encoder(options.text_encoder, options.tokenizer)
    prompts.write_prompts(*encoder, options.unwanted.read_text(encoding="utf-8"), options.output)
    print(f"Written: {options.output}")


def add_convert(commands) -> None:
    parser = commands.add_parser(
        "convert", help="convert OrbitPainter's published files to the folder that the painter loads"
    )
    # Three files per expert: the base model, OrbitPainter's weights, and optionally the four-step LoRA.
    for expert in ("high", "low"):
        parser.add_argument(
            f"--base-{expert}",
            type=Path,
            required=True,
            help=f"Wan2.2-Fun-A14B-Control, expert for {expert} noise: a .safetensors file, or the folder "
            "with its parts",
        )
        parser.add_argument(
            f"--painter-{expert}", type=Path, required=True, help=f"OrbitPainter's file for {expert} noise"
        )
        parser.add_argument(
            f"--fast-{expert}",
            type=Path,
            help=f"four-step LoRA of Wan2.2 A14B for {expert} noise, for the quality 'fast'",
        )
    # Files that both experts share, and the output.
    parser.add_argument(
        "--vae", type=Path, required=True, help="folder of the Wan 2.1 autoencoder in the diffusers format"
    )
    parser.add_argument(
        "--prompts", type=Path, required=True, help="file of the prompt embeddings, made by 'embed'"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=paths.models() / "orbitpainter",
        help="output folder (%(default)s)",
    )
    parser.set_defaults(command=convert)


def convert(options: argparse.Namespace) -> None:
    from .paint.orbitpainter.convert import convert_model
    from .paint.orbitpainter.model import ModelCard

    four_steps = {"high": options.fast_high, "low": options.fast_low}
    if list(four_steps.values()).count(None) == 1:
        raise InvalidSettings("Give both --fast-high and --fast-low, or neither.")

    def print_progress(part: str, fraction: float) -> None:
        print(f"\r{part} noise: {fraction:4.0%}", end="\n" if fraction == 1 else "", flush=True)

    convert_model(
        {"high": options.base_high, "low": options.base_low},
        {"high": options.painter_high, "low": options.painter_low},
        options.vae,
        options.prompts,
        options.output,
        ModelCard(),
        print_progress,
        four_steps if options.fast_high else None,
    )
    print(f"Written: {options.output}")


def add_train(commands) -> None:
    parser = commands.add_parser(
        "train", help="fine-tune one of OrbitPainter's experts on your own textured meshes"
    )
    # What to train, and from which files.
    parser.add_argument("assets", type=Path, nargs="+", help="textured GLB or OBJ files")
    parser.add_argument(
        "--expert", choices=("high", "low"), required=True, help="the expert to train, for high or low noise"
    )
    parser.add_argument(
        "--base", type=Path, required=True, help="this expert of Wan2.2-Fun-A14B-Control: its file or folder"
    )
    parser.add_argument(
        "--painter",
        type=Path,
        help="OrbitPainter's file for this expert, to start from; without it a new LoRA is trained",
    )
    parser.add_argument(
        "--model",
        type=Path,
        default=paths.models() / "orbitpainter",
        help="OrbitPainter's converted folder (%(default)s)",
    )
    # How to train, and where the checkpoints go.
    parser.add_argument(
        "--steps", type=int, required=True, help="total number of steps, including those of earlier runs"
    )
    parser.add_argument("--rate", type=float, default=1e-4, help="learning rate (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--cache",
        type=Path,
        default=paths.home() / "latents",
        help="folder that caches the latents of the meshes (%(default)s)",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the checkpoints")
    parser.add_argument("--resume", action="store_true", help="continue the training in the output folder")
    parser.set_defaults(command=train)


def train(options: argparse.Namespace) -> None:
    from .train.train import Recipe, TrainingPaths, run_training

    def print_progress(step: int, loss: float) -> None:
        print(
            f"\rstep {step} of {options.steps}, loss {loss:.4f}",
            end="\n" if step == options.steps else "",
            flush=True,
        )

    checkpoint = run_training(
        options.assets,
        Recipe(options.expert, options.seed, options.rate),
        options.steps,
        TrainingPaths(options.base, options.painter, options.model, options.cache, options.output),
        options.resume,
        print,
        print_progress,
    )
    print(f"Written: {checkpoint}")


def add_doctor(commands) -> None:
    parser = commands.add_parser("doctor", help="report what is installed, what is missing and how to fix it")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(command=doctor)


def doctor(options: argparse.Namespace) -> int:
    from .doctor import main

    return main(options.json)


def add_serve(commands) -> None:
    parser = commands.add_parser("serve", help="run the server that accepts jobs from Blender")
    parser.add_argument(
        "--run-dir", type=Path, default=paths.run_directory(), help="folder of its files (%(default)s)"
    )
    parser.add_argument(
        "--idle-seconds",
        type=float,
        default=600.0,
        help="exit after this many seconds without clients and jobs (%(default)s)",
    )
    parser.add_argument(
        "--pipeline", default="backend.pipeline:run", help="the texturing function, as module:function"
    )
    parser.add_argument("--replace", action="store_true", help="first stop the server that runs there")
    parser.set_defaults(command=serve)


def serve(options: argparse.Namespace) -> None:
    from .service.server import serve

    serve(options.run_dir.resolve(), options.idle_seconds, options.pipeline, options.replace)


def add_stop(commands) -> None:
    parser = commands.add_parser("stop", help="stop the running server; the next server continues its jobs")
    parser.set_defaults(command=stop)


def stop(options: argparse.Namespace) -> None:
    from .service.server import stop_running_server

    stop_running_server(paths.run_directory())


def add_worker(commands) -> None:
    parser = commands.add_parser("worker", help="internal: started by 'serve'")
    parser.add_argument(
        "--pipeline", default="backend.pipeline:run", help="the texturing function, as module:function"
    )
    parser.set_defaults(command=worker)


def worker(options: argparse.Namespace) -> None:
    from .service.worker import main

    main(options.pipeline)


if __name__ == "__main__":
    sys.exit(main())
