"""Converts the downloaded files into the components of TRELLIS.2's folder; see
:mod:`backend.refine.trellis2.model`."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from ..api.errors import InvalidWeights
from ..refine.trellis2.image_encoder import load_image_encoder
from ..refine.trellis2.model import IMAGE_ENCODER, MODEL_CARD, LatentStatistics, Model, ModelCard
from ..store import write_atomically


def make(
    component: str,
    files: list[Path],
    originals: Path,
    converted: Path,
    progress: Callable[[float], None],
    **options,
) -> None:
    """Makes a component, which appears complete or not at all.

    Args:
        component: its name, of :data:`backend.api.weights.TRELLIS2`.
        files: from which it is made, in the order of its sources.
        originals: the folder of the downloads.
        converted: the folder to make it in.
        progress: not called: copying takes no time worth a report.
        options: fields of :class:`backend.refine.trellis2.model.ModelCard` that differ from the published
            networks'.

    Raises:
        InvalidWeights: a file is not what it should be.
    """
    unfinished = converted / f"{component}.part"
    if component == IMAGE_ENCODER:
        load_image_encoder(files[0].parent)
        write_atomically(converted / component, lambda folder: [shutil.copy(file, folder) for file in files])
        return
    if component == MODEL_CARD:
        ModelCard(*read_published_statistics(files[0]), **options).write(unfinished)
    else:
        shutil.copy(files[0], unfinished)
    os.replace(unfinished, converted / component)


def read_published_statistics(file: Path) -> tuple[LatentStatistics, LatentStatistics]:
    """Statistics of the latents of shapes and of textures, from the published ``texturing_pipeline.json``.

    Raises:
        InvalidWeights: it does not hold them.
    """
    try:
        published = json.loads(file.read_text(encoding="utf-8"))["args"]
        found = [
            LatentStatistics(
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
