"""Running a stage once: its time, its progress within the whole job, and its output on disk for the next
run."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from .records import Arrays
from .store import storage_error

Output = TypeVar("Output")
JobProgress = Callable[[str, float], None]
"""Told the stage and the fraction of the whole job; raises :class:`backend.api.errors.Cancelled` when the
user wants no more."""

SHARE = {
    "prepare": 0.31,
    "render": 0.19,
    "paint": 0.0,
    "align": 0.19,
    "bake": 0.31,
    "refine": 0.0,
    "blend": 0.0,
}
"""What part of a job's time beside its models' each stage takes, roughly, in the order they run."""

FORMAT = 5
"""Of what stages keep on disk: raised when any stage's arrays, or their meaning, change, so that an update
never reads older ones."""


class Stages:
    """The stages of one job.

    Attributes:
        folder: where their outputs are kept.
        progress: who is told.
        seconds: time of each stage that is done, also of those done by an earlier run.
        models: what part of the job's time the stages take in which models work, roughly.
    """

    def __init__(self, folder: Path, progress: JobProgress):
        self.folder, self.progress = folder, progress
        self.seconds: dict[str, float] = {}
        self.models: dict[str, float] = {}

    def run(
        self,
        name: str,
        work: Callable[[Callable[[float], None]], Output],
        save: Callable[[Output], Arrays],
        load: Callable[[Arrays], Output],
    ) -> Output:
        """The output of a stage, from disk if an earlier run of this job by this version finished it.

        Args:
            name: one of :data:`SHARE`.
            work: computes the output; gets a function to call with its fraction done.
            save, load: the output as arrays, and back.

        Raises:
            StorageError: the output cannot be written.
        """
        self.tell(name, 0.0)
        path = self.folder / f"{name}.npz"
        arrays = _read(path)
        if arrays is not None:
            self.seconds[name] = float(arrays.pop("seconds"))
            return load(arrays)
        start = time.perf_counter()
        output = work(lambda fraction: self.tell(name, fraction))
        self.seconds[name] = time.perf_counter() - start
        _write(path, save(output) | {"seconds": np.array(self.seconds[name])})
        for part in self.folder.glob(f"{name}.*.npz"):
            part.unlink()
        return output

    def keep(self, stage: str, part: str, work: Callable[[], Arrays]) -> Arrays:
        """What ``work`` returns, from disk if an earlier run of this job finished that part of a stage; it is
        kept until the stage is done.

        Raises:
            StorageError: it cannot be written.
        """
        path = self.folder / f"{stage}.{part}.npz"
        arrays = _read(path)
        if arrays is None:
            arrays = work()
            _write(path, arrays)
        return arrays

    def tell(self, name: str, fraction: float) -> None:
        """Reports how much of a stage is done, as a fraction of the whole job."""
        rest = 1 - sum(self.models.values())
        shares = [self.models.get(stage, rest * share) for stage, share in SHARE.items()]
        number = list(SHARE).index(name)
        self.progress(name, sum(shares[:number]) + shares[number] * fraction)


def _read(path: Path) -> Arrays | None:
    """A finished stage's arrays; None if there are none, or an earlier version of this program wrote them."""
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    return arrays if arrays.pop("format", None) == FORMAT else None


def _write(path: Path, arrays: Arrays) -> None:
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            np.savez(file, **arrays, format=np.array(FORMAT))
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise storage_error(error, path.parent) from error
