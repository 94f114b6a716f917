"""The parts of TRELLIS.2's folder, each made of some of the downloaded files; see
:mod:`backend.refine.trellis2.model`."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from ..api.errors import InvalidWeights
from ..refine.trellis2.image_encoder import load_eye
from ..refine.trellis2.model import CARD, EYE, Card, Model, Statistics
from ..store import write_atomically


def make(
    part: str, files: list[Path], originals: Path, made: Path, progress: Callable[[float], None], **options
) -> None:
    """Makes a part, which appears whole.

    Args:
        part: its name, of :data:`backend.api.weights.TRELLIS2`.
        files: of the part, in the order of its sources.
        originals: the folder of the downloads.
        made: the folder to make it in.
        progress: told the fraction done.
        options: of :class:`backend.refine.trellis2.model.Card`: what the networks are, if not as published.

    Raises:
        InvalidWeights: a file is not what it should be.
    """
    unfinished = made / f"{part}.part"
    if part == EYE:
        load_eye(files[0].parent)
        write_atomically(made / part, lambda folder: [shutil.copy(file, folder) for file in files])
        return
    if part == CARD:
        Card(*published_statistics(files[0]), **options).write(unfinished)
    else:
        shutil.copy(files[0], unfinished)
    os.replace(unfinished, made / part)


def published_statistics(file: Path) -> tuple[Statistics, Statistics]:
    """Of the latents of shapes and of textures, from the published ``texturing_pipeline.json``.

    Raises:
        InvalidWeights: it does not hold them.
    """
    try:
        published = json.loads(file.read_text(encoding="utf-8"))["args"]
        found = [
            Statistics(
                *(tuple(map(float, published[f"{name}_slat_normalization"][key])) for key in ("mean", "std"))
            )
            for name in ("shape", "tex")
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidWeights(
            f"{file} does not hold the statistics of TRELLIS.2's latents ({error!r}). Delete it and download "
            "it again."
        ) from error
    lengths = {len(numbers) for statistics in found for numbers in (statistics.mean, statistics.std)}
    if len(lengths) != 1:
        raise InvalidWeights(
            f"{file} holds statistics of latents of different sizes. Delete it and download it again."
        )
    return found[0], found[1]


def check(folder: Path) -> None:
    """Opens every file once.

    Raises:
        InvalidWeights: one is missing or damaged.
    """
    Model(folder, torch.device("cpu")).check()
