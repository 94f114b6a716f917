"""Copies the downloaded graph into BiRefNet's folder; see :mod:`backend.paint.matting`."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from ..api.weights import BIREFNET
from ..paint.matting import MATTING_MODELS, load_matting


def make(
    component: str, files: list[Path], originals: Path, converted: Path, progress: Callable[[float], None]
) -> None:
    """Makes the only component, which appears complete or not at all. Whether it is what it should be,
    :func:`check` says.

    Args:
        component: its name, of :data:`backend.api.weights.BIREFNET`.
        files: the graph.
        originals: the folder of the downloads.
        converted: the folder to make it in.
        progress: not called: copying takes no time worth a report.
    """
    unfinished = converted / f"{component}.part"
    shutil.copy(files[0], unfinished)
    os.replace(unfinished, converted / component)


def check(folder: Path) -> None:
    """Opens the graph once.

    Raises:
        InvalidWeights: it is missing or damaged.
    """
    load_matting(folder, MATTING_MODELS[BIREFNET.name])
