"""What is done with the folders of jobs, on a thread of its own, since it may take seconds."""

import contextlib
from pathlib import Path

from .. import store
from ..api import wire
from ..api.errors import ProtocolError, StorageError
from ..api.job import Job

KEEP_SECONDS = 14 * 24 * 3600
"""Time for which a job is kept that no client collects or discards."""

KEEP_BYTES = 8 * 2**30
"""Disk space that such jobs may take together; beyond it the oldest are deleted earlier."""


def save_job(folder: Path, body: dict, arrays: dict, earlier: list[Path]) -> None:
    """Saves a new job, and copies what the same job finished earlier under another id, so it is not
    repeated."""
    store.save_job(folder, Job.from_parts(body, arrays))
    store.copy_finished_stages(folder, earlier)


def pack_result(folder: Path) -> list:
    """The packed message ``result`` of the job in ``folder``.

    Raises:
        StorageError: the result is missing, damaged, or larger than a message may be.
    """
    try:
        result = store.load_result(folder)
    except StorageError as error:
        raise StorageError(
            "The result of this job is missing or damaged. Retry the job: it continues from the stages that "
            "are kept.",
            "retry",
        ) from error
    try:
        return wire.pack("result", {"job": folder.name, "report": result.report}, result.arrays())
    except ProtocolError as error:
        raise StorageError(
            f"The result of this job cannot be sent. {error.message} Start the job again with a smaller "
            "texture."
        ) from error


def find_outdated(directory: Path, ages: dict[str, float]) -> list[str]:
    """The ids of the ended jobs to delete, by :data:`KEEP_SECONDS` and :data:`KEEP_BYTES`, given for how many
    seconds each has ended."""
    outdated, total = [], 0
    for job_id in sorted(ages, key=ages.get):
        total += store.folder_size(directory / job_id)
        if total > KEEP_BYTES or ages[job_id] > KEEP_SECONDS:
            outdated.append(job_id)
    return outdated


def modification_time(path: Path) -> float:
    """When a folder was last changed, in seconds; 0 if it is gone."""
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0
