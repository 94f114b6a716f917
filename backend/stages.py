"""Runs the stages of a job: measures their time, reports progress within the whole job, and stores their
outputs so that the next run continues there."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from .api.job import Job
from .progress import JobProgress, ProgressCallback
from .records import Arrays
from .store import delete_path, write_file_atomically

Output = TypeVar("Output")

STAGES = ("prepare", "register", "render", "paint", "align", "bake", "refine", "blend")
"""Names of the stages, in the order they run."""

SECONDS = {"prepare": 2.0, "register": 1.5, "render": 0.2, "paint": 14.0, "align": 2.3, "bake": 1.5}
"""Time that the stages of a draft take at least, roughly, on two cores."""

UNWRAP_SECONDS = 44.0
"""Time that a million triangles without a UV map add to ``prepare``, roughly."""

BAKE_SECONDS = 2.8
"""Time that every 1024 texels along the texture's side add to ``bake``, roughly."""

BLEND_SECONDS = 0.7
"""Time of the blend with an earlier texture, roughly."""

MODEL_SHARES = {"orbitpainter": 0.9}
"""Fraction of a job's time that a painter with an AI model takes, roughly."""

REFINE_SHARE = 0.5
"""Fraction of the time beside painting that the refinement takes, roughly."""

STAGE_FORMAT = 9
"""Version of the stages' files. It is raised when any stage's arrays or their meaning change, so that older
files are ignored."""


def progress_shares(job: Job) -> dict[str, float]:
    """The fraction of a job's time that each stage takes, roughly, in the order they run; 0 for those that do
    not."""
    settings, mesh, seconds = job.settings, job.mesh, dict(SECONDS)
    if mesh.corner_uvs is None:
        seconds["prepare"] += UNWRAP_SECONDS * len(mesh.faces) / 1e6
    seconds["bake"] += BAKE_SECONDS * settings.texture_size / 1024
    if job.check_reference or not settings.paints_views:
        seconds = {stage: seconds[stage] for stage in ("prepare", "register")}
    if job.kept:
        seconds["blend"] = BLEND_SECONDS
    if settings.painter in MODEL_SHARES:
        seconds.pop("paint", None)
    total = sum(seconds.values())
    shares = {stage: value / total for stage, value in seconds.items()}
    if not job.check_reference:
        if settings.refines:
            shares = _add_share("refine", REFINE_SHARE, shares)
        if settings.painter in MODEL_SHARES:
            shares = _add_share("paint", MODEL_SHARES[settings.painter], shares)
    return {stage: shares.get(stage, 0.0) for stage in STAGES}


def _add_share(stage: str, share: float, others: dict[str, float]) -> dict[str, float]:
    """Shares that sum to 1, with one more stage."""
    return {name: (1 - share) * other for name, other in others.items()} | {stage: share}


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
