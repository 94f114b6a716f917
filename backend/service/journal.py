"""The journal: all jobs and their states, in a database that survives a crash."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..api.errors import OrbitError, StorageError
from ..api.events import State

JOURNAL_FILE = "journal-1.sqlite"
"""The number changes with the schema, so that a database of another version is ignored, not misread."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    stage TEXT NOT NULL DEFAULT '',
    error TEXT,
    crashes INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    updated REAL NOT NULL
)"""


class JournalInUse(StorageError):
    """Another server has this journal open."""


@dataclass(frozen=True)
class Entry:
    """One row of the journal.

    Attributes:
        crashes: how many servers died while they ran it.
        created: seconds since the epoch; lowered for a job that is moved to the front.
        updated: seconds since the epoch, of the last change.
    """

    job_id: str
    name: str
    state: State
    stage: str
    error: OrbitError | None
    crashes: int
    created: float
    updated: float


class Journal:
    """The table of jobs. Only one process at a time can open it, which also prevents a second server.

    Every method raises :class:`StorageError` when the database cannot be written.
    """

    def __init__(self, path: Path):
        """Raises :class:`JournalInUse` if another process has it open."""
        self._path = path
        with self._convert_errors():
            # A server that was just killed may still hold the lock for a moment.
            self._database = sqlite3.connect(path, timeout=1.0, isolation_level=None)
            # Exclusive mode holds the lock from the first write until the process ends, however it ends.
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute(_SCHEMA)
            self._database.execute("BEGIN EXCLUSIVE")
            self._database.execute("COMMIT")

    def add(self, job_id: str, name: str) -> None:
        """Records a new job, which is ``QUEUED``."""
        now = time.time()
        self._execute(
            "INSERT INTO jobs (id, name, state, created, updated) VALUES (?, ?, ?, ?, ?)",
            job_id,
            name,
            State.QUEUED.value,
            now,
            now,
        )

    def update(
        self,
        job_id: str,
        state: State,
        stage: str = "",
        error: OrbitError | None = None,
        crashes: int | None = None,
    ) -> None:
        """Records the state of a job. ``crashes`` stays unchanged unless given."""
        self._execute(
            "UPDATE jobs SET state = ?, stage = ?, error = ?, crashes = coalesce(?, crashes), updated = ? "
            "WHERE id = ?",
            state.value,
            stage,
            json.dumps(error.to_dict()) if error else None,
            crashes,
            time.time(),
            job_id,
        )

    def move_to_front(self, job_id: str) -> None:
        """Makes a job the oldest, so that it runs next."""
        self._execute("UPDATE jobs SET created = (SELECT min(created) FROM jobs) - 1 WHERE id = ?", job_id)

    def remove(self, job_id: str) -> None:
        self._execute("DELETE FROM jobs WHERE id = ?", job_id)

    def entries(self) -> list[Entry]:
        """All jobs, oldest first."""
        rows = self._execute(
            "SELECT id, name, state, stage, error, crashes, created, updated FROM jobs ORDER BY created, "
            "rowid"
        )
        return [
            Entry(
                job_id,
                name,
                State(state),
                stage,
                OrbitError.from_dict(json.loads(error)) if error else None,
                crashes,
                created,
                updated,
            )
            for job_id, name, state, stage, error, crashes, created, updated in rows
        ]

    def close(self) -> None:
        self._database.close()

    def _execute(self, statement: str, *values) -> list[tuple]:
        with self._convert_errors():
            return self._database.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def _convert_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise JournalInUse(f"Another server already runs in {self._path.parent}.") from error
            raise StorageError(
                f"The journal {self._path} cannot be used ({error}). Free some space or fix its "
                "permissions, then restart the worker.",
                "restart_worker",
            ) from error
