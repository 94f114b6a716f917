"""The components of OrbitPainter's folder, each made from some of the downloaded files; see
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
from ..api.weights import NEGATIVE_PROMPT_SHA256, SAM, WAN, format_size
from ..paint.orbitpainter import prompts
from ..paint.orbitpainter.convert import convert_expert, copy_four_steps
from ..paint.orbitpainter.model import CARD_FILE, Model, ModelCard
from ..paint.orbitpainter.network import PUBLISHED_CONFIG, load_network
from ..paint.segmentation import load_segmentation
from ..store import write_atomically


def make(
    component: str,
    files: list[Path],
    originals: Path,
    made: Path,
    progress: Callable[[float], None],
    text_sha256: str = NEGATIVE_PROMPT_SHA256,
    **options,
) -> None:
    """Makes a component, which appears only when it is complete.

    Args:
        component: its name, of :data:`backend.api.weights.ORBITPAINTER`.
        files: of the component, in the order of its sources.
        originals: the folder of the downloads.
        made: the folder to make it in.
        progress: receives the fraction done.
        text_sha256: of the negative prompt.
        options: of :func:`backend.paint.orbitpainter.convert.convert_expert`.

    Raises:
        InvalidWeights: a file is not what it should be.
        OutOfMemory: there is too little memory for the text encoder.
    """
    target, downloads = made / component, originals / WAN.repository
    unfinished = made / f"{component}.part"
    if component == CARD_FILE:
        ModelCard().write(made)
    elif component in ("vae", "segmentation"):
        # Folders that are copied, once they have been loaded without an error.
        if component == "vae":
            load_network(AutoencoderKLWan, downloads / "vae")
        else:
            load_segmentation(originals / SAM.repository)
        write_atomically(target, lambda folder: [shutil.copy(file, folder) for file in files])
    elif component.startswith("fast"):
        copy_four_steps(files[0], unfinished, options.get("config", PUBLISHED_CONFIG))
        unfinished.rename(target)
    elif component.startswith("prompts"):
        _check_memory(sum(file.stat().st_size for file in files))
        encoder = prompts.load_encoder(downloads / "text_encoder", downloads / "tokenizer")
        prompts.write_prompts(*encoder, read_negative_prompt(files[-1], text_sha256), unfinished)
        unfinished.rename(target)
    else:  # an expert
        *base, painter = files
        convert_expert(base, painter, target, progress=progress, **options)


def _check_memory(needed: int) -> None:
    """Raises :class:`OutOfMemory` if fewer bytes are available."""
    if (free := psutil.virtual_memory().available) < needed:
        raise OutOfMemory(
            f"The text encoder, needed only once, takes {format_size(needed)} of memory, and "
            f"{format_size(free)} are free. Close other programs, then start the download again: it "
            "continues from here.",
            "retry",
        )


def read_negative_prompt(file: Path, sha256: str) -> str:
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
