"""Runs the stages of a job: measures their time, reports progress within the whole job, and stores their
outputs so that the next run continues there."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from .api.settings import Settings
from .progress import JobProgress, ProgressCallback
from .records import Arrays
from .store import delete_path, write_file_atomically

Output = TypeVar("Output")

STAGES = ("prepare", "register", "render", "paint", "align", "bake", "refine", "blend")
"""Names of the stages, in the order they run."""

PAINT_SHARES = {"draft": 0.6, "orbitpainter": 0.9}
"""Fraction of a job's time that each painter takes, roughly."""

REFINE_SHARE = 0.5
"""Fraction of the time beside painting that the refinement takes, roughly."""

BLEND_SHARE = 0.05
"""Fraction of the time beside painting that the blend with an earlier texture takes, roughly."""

GEOMETRY_SHARES = {"prepare": 0.25, "register": 0.2, "render": 0.05, "align": 0.19, "bake": 0.31}
"""How the other stages divide what is left, roughly."""

STAGE_FORMAT = 7
"""Version of the stages' files. It is raised when any stage's arrays or their meaning change, so that older
files are ignored."""


def progress_shares(settings: Settings, blends: bool, check_reference: bool = False) -> dict[str, float]:
    """The fraction of a job's time that each stage takes, roughly, in the order they run.

    Args:
        settings: the job's.
        blends: whether the texture is blended with an earlier one.
        check_reference: whether the job ends after ``register``.
    """
    if check_reference:
        total = GEOMETRY_SHARES["prepare"] + GEOMETRY_SHARES["register"]
        return dict.fromkeys(STAGES, 0.0) | {
            stage: GEOMETRY_SHARES[stage] / total for stage in ("prepare", "register")
        }
    paint = PAINT_SHARES.get(settings.painter, 0.0)
    shares = {"paint": paint}
    if blends:
        shares["blend"] = BLEND_SHARE * (1 - paint)
    if settings.refines:
        shares["refine"] = REFINE_SHARE * (1 - paint)
    rest = 1 - sum(shares.values())
    return {stage: shares.get(stage, rest * GEOMETRY_SHARES.get(stage, 0.0)) for stage in STAGES}


class StageRunner:
    """Runs the stages of one job.

    Attributes:
        folder: the folder for their outputs.
        progress: the progress callback.
        shares: see :func:`progress_shares`.
        seconds: time of each finished stage, including those that an earlier run finished.
    """

    def __init__(self, folder: Path, progress: JobProgress, shares: dict[str, float]):
        self.folder, self.progress, self.shares = folder, progress, shares
        self.seconds: dict[str, float] = {}

    def run(
        self,
        stage: str,
        work: Callable[[ProgressCallback], Output],
        save: Callable[[Output], Arrays],
        load: Callable[[Arrays], Output],
    ) -> Output:
        """Returns the output of a stage, read from disk if an earlier run of this job by this version
        finished it.

        Args:
            stage: one of :data:`STAGES`.
            work: computes the output; receives a callback for the fraction of the stage that is done.
            save, load: convert the output to arrays and back.

        Raises:
            StorageError: the output cannot be written.
        """
        self.report_progress(stage, 0.0)
        path = self.folder / f"{stage}.npz"

        def load_with_seconds(arrays: Arrays) -> Output:
            self.seconds[stage] = float(arrays.pop("seconds"))
            return load(arrays)

        if record := read_record(path, load_with_seconds):
            return record[0]
        start = time.perf_counter()
        output = work(lambda fraction: self.report_progress(stage, fraction))
        self.seconds[stage] = time.perf_counter() - start
        _write_arrays(path, save(output) | {"seconds": np.array(self.seconds[stage])})
        for unfinished in self.folder.glob(f"{stage}.*.npz"):
            unfinished.unlink()
        return output

    def cache_step(self, stage: str, step: str, work: Callable[[], Arrays]) -> Arrays:
        """Returns the result of a step of a stage, read from disk if an earlier run of this job finished it.
        The file is deleted when the stage is done.

        Raises:
            StorageError: it cannot be written.
        """
        path = self.folder / f"{stage}.{step}.npz"
        if record := read_record(path, lambda arrays: arrays):
            return record[0]
        arrays = work()
        _write_arrays(path, arrays)
        return arrays

    def report_progress(self, stage: str, fraction: float) -> None:
        """Reports the progress of a stage, as a fraction of the whole job."""
        shares = [self.shares[name] for name in STAGES]
        index = STAGES.index(stage)
        self.progress(stage, sum(shares[:index]) + shares[index] * fraction)


def read_record(path: Path, load: Callable[[Arrays], Output]) -> tuple[Output] | None:
    """The output of a finished stage or step, as ``load`` makes it of its arrays. None if there is none, or
    only one of another :data:`STAGE_FORMAT`, or a damaged one, which is deleted: the stage is done again."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        return None if arrays.pop("format", None) != STAGE_FORMAT else (load(arrays),)
    except Exception as error:  # what numpy and zipfile raise at damaged files is not limited to a few kinds
        print(f"{path} is damaged ({error}); its stage is done again", file=sys.stderr)
        delete_path(path)
        return None


def _write_arrays(path: Path, arrays: Arrays) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, **arrays, format=np.array(STAGE_FORMAT))

    write_file_atomically(path, write)
