"""The parts of OrbitPainter's folder, each made of some of the downloaded files; see
:mod:`backend.paint.orbitpainter.model`."""

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil
import torch
from diffusers import AutoencoderKLWan

from ..api.errors import InvalidWeights, OutOfMemory
from ..api.weights import SEGMENTATION, UNWANTED_SHA256, WAN, gigabytes
from ..paint.orbitpainter import prompts
from ..paint.orbitpainter.convert import convert_expert, copy_four_steps
from ..paint.orbitpainter.model import CARD, Card, Model
from ..paint.orbitpainter.network import PUBLISHED, load
from ..paint.orbitpainter.segmentation import load_segmentation
from ..store import write_atomically


def make(
    part: str,
    files: list[Path],
    originals: Path,
    made: Path,
    progress: Callable[[float], None],
    text_sha256: str = UNWANTED_SHA256,
    **options,
) -> None:
    """Makes a part, which appears whole.

    Args:
        part: its name, of :data:`backend.api.weights.ORBITPAINTER`.
        files: of the part, in the order of its sources.
        originals: the folder of the downloads.
        made: the folder to make it in.
        progress: told the fraction done.
        text_sha256: of the unwanted text.
        options: of :func:`backend.paint.orbitpainter.convert.convert_expert`.

    Raises:
        InvalidWeights: a file is not what it should be.
        OutOfMemory: there is too little memory for the text encoder.
    """
    target, parts = made / part, originals / WAN.repository
    unfinished = made / f"{part}.part"
    if part == CARD:
        Card().write(made)
    elif part in ("vae", "segmentation"):
        if part == "vae":
            load(AutoencoderKLWan, parts / "vae")
        else:
            load_segmentation(originals / SEGMENTATION.repository)
        write_atomically(target, lambda folder: [shutil.copy(file, folder) for file in files])
    elif part.startswith("fast"):
        copy_four_steps(files[0], unfinished, options.get("config", PUBLISHED))
        unfinished.rename(target)
    elif part.startswith("prompts"):
        _check_memory(sum(file.stat().st_size for file in files))
        encoder = prompts.load_encoder(parts / "text_encoder", parts / "tokenizer")
        prompts.write(*encoder, unwanted(files[-1], text_sha256), unfinished)
        unfinished.rename(target)
    else:
        *base, painter = files
        convert_expert(base, painter, target, progress=progress, **options)


def _check_memory(needed: int) -> None:
    if (free := psutil.virtual_memory().available) < needed:
        raise OutOfMemory(
            f"The text encoder, needed this once, takes {gigabytes(needed)} of memory, and {gigabytes(free)} "
            "are free. Close other programs, then start the download again: it goes on from here.",
            "retry",
        )


def unwanted(file: Path, sha256: str) -> str:
    """The text in quotes, in a file, that has this hash.

    Raises:
        InvalidWeights: there is none.
    """
    for quoted in re.findall(r"""(?<=')[^'\n]*(?=')|(?<=")[^"\n]*(?=")""", file.read_text(encoding="utf-8")):
        if hashlib.sha256(quoted.encode()).hexdigest() == sha256:
            return quoted
    raise InvalidWeights(
        f"{file} does not hold the negative prompt that Wan's authors publish. Delete it and download it "
        "again."
    )


def check(folder: Path) -> None:
    """Opens every file once.

    Raises:
        InvalidWeights: one is missing or damaged.
    """
    Model(folder, torch.device("cpu")).check()
