"""Commands that download, convert and train models."""

import argparse
from pathlib import Path

from ..api import paths
from ..api.errors import InvalidSettings
from ..api.weights import MODELS


def add_commands(commands) -> None:
    """Adds the parsers of these commands."""
    add_download(commands)
    add_embed(commands)
    add_convert(commands)
    add_train(commands)
    add_licences(commands)


def add_licences(commands) -> None:
    parser = commands.add_parser(
        "licences", help="print the licence of every package and model that a painter uses"
    )
    parser.add_argument(
        "painter",
        nargs="?",
        choices=("draft", "orbitpainter", "trellis2"),
        help="only what this painter uses (default: all)",
    )
    parser.set_defaults(command=licences)


def licences(options: argparse.Namespace) -> None:
    from ..licences import MODELS_OF, list_packages, list_weights

    used = [options.painter] if options.painter else list(MODELS_OF)
    models = {spec.name: spec for painter in used for spec in MODELS_OF[painter]}
    print("Orbit Texture: GPL-3.0-or-later\n\nModels, each only if you download it:")
    for entry in list_weights(models.values()):
        print(f"  {entry.model}: {entry.name}: {entry.licence}. {entry.terms}")
    print("\nPython packages of this environment:")
    for entry in list_packages():
        print(f"  {entry.name}: {entry.licence or 'unknown'}")


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
    from ..weights.command import download

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
    from ..paint.orbitpainter import prompts

    try:
        unwanted = options.unwanted.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InvalidSettings(
            f"{options.unwanted} cannot be read ({error}). Give another text file."
        ) from error
    encoder = prompts.load_encoder(options.text_encoder, options.tokenizer)
    prompts.write_prompts(*encoder, unwanted, options.output)
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
    from ..paint.orbitpainter.convert import convert_model
    from ..paint.orbitpainter.model import ModelCard

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
    from ..train.train import Recipe, TrainingPaths, run_training

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
