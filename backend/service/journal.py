"""The journal: all jobs and their states, in a database that survives a crash.

A damaged database is set aside, and a new one begun with what is known; see :meth:`Jobs._recover
<backend.service.jobs.Jobs>` for what the jobs' folders tell.
"""

import contextlib
import json
import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..api.errors import OrbitError, StorageError
from ..api.events import State
from ..api.messages import is_job_id

_log = logging.getLogger(__name__)

JOURNAL_FILE = "journal-1.sqlite"
"""The number changes with the schema, so that a database of another version is ignored, not misread."""

_SET_ASIDE_FILE = "journal-1.damaged.sqlite"

_COMPANIONS = ("", "-wal", "-shm")
"""What the names of a database's files end in."""

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

_CLOCK_SCHEMA = "CREATE TABLE IF NOT EXISTS clock (counted REAL NOT NULL, seen REAL NOT NULL)"
"""One row: the time on the journal's own clock, and the system's time when that was written."""

_MAX_GAP = 24 * 3600.0
"""At most this many seconds are counted for the time between two servers, however far the system's clock has
moved meanwhile: it may have been set."""

_COLUMNS = "id, name, state, stage, error, crashes, created, updated"

_ENVIRONMENT_ERRORS = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
"""The errors that say nothing about the content of the database; any other means that it is damaged."""


class JournalInUse(StorageError):
    """Another server has this journal open."""


class _JournalDamaged(Exception):
    """The database's content cannot be used."""


@dataclass(frozen=True)
class Entry:
    """One row of the journal.

    Attributes:
        crashes: how many servers died while they ran it.
        order: jobs run in this order; no time, since clocks are set.
        updated: when it last changed, as :meth:`Journal.now` counts.
    """

    job_id: str
    name: str
    state: State
    stage: str = ""
    error: OrbitError | None = None
    crashes: int = 0
    order: float = 0.0
    updated: float = 0.0


class Journal:
    """The table of jobs. Only one process at a time can open it, which also prevents a second server.

    Every method raises :class:`StorageError` when the database cannot be written.
    """

    def __init__(self, path: Path):
        """Raises :class:`JournalInUse` if another process has it open."""
        self._path = path
        self._entries: dict[str, Entry] = {}
        self._opened_at, self._opened_at_monotonic = 0.0, time.monotonic()
        with self._convert_errors():
            try:
                self._open()
                self._entries = {entry.job_id: entry for entry in self._read_entries()}
                self._read_clock()
            except _JournalDamaged as error:
                self._begin_anew(error)

    def add(self, job_id: str, name: str) -> None:
        """Records a new job, which is ``QUEUED``."""
        last = max((entry.order for entry in self._entries.values()), default=0.0)
        self._write(Entry(job_id, name, State.QUEUED, order=last + 1.0))

    def update(
        self,
        job_id: str,
        state: State,
        stage: str = "",
        error: OrbitError | None = None,
        crashes: int | None = None,
    ) -> None:
        """Records the state of a job. ``crashes`` stays unchanged unless given."""
        if entry := self._entries.get(job_id):
            crashes = entry.crashes if crashes is None else crashes
            self._write(replace(entry, state=state, stage=stage, error=error, crashes=crashes))

    def move_to_front(self, job_ids: list[str]) -> None:
        """Makes these jobs the first, in this order."""
        moved = [self._entries[job_id] for job_id in job_ids if job_id in self._entries]
        first = min((entry.order for entry in self._entries.values()), default=0.0) - len(moved)
        self._write(*(replace(entry, order=first + place) for place, entry in enumerate(moved)))

    def remove(self, job_id: str) -> None:
        self._entries.pop(job_id, None)
        with self._convert_errors():
            self._change("DELETE FROM jobs WHERE id = ?", [(job_id,)])

    def entries(self) -> list[Entry]:
        """All jobs, in order."""
        return sorted(self._entries.values(), key=lambda entry: entry.order)

    def now(self) -> float:
        """The time in seconds on the journal's own clock. It counts while a server runs, and up to a day
        between one server and the next, and never jumps as the system's clock does when it is set."""
        return self._opened_at + time.monotonic() - self._opened_at_monotonic

    def close(self) -> None:
        self._database.close()

    def _open(self) -> None:
        """Raises :class:`_JournalDamaged` if the database cannot be read."""
        if any(self._path.with_name(self._path.name + end).is_dir() for end in _COMPANIONS):
            raise _JournalDamaged("a folder has its name")
        with _detect_damage():
            # A server that was just killed may still hold the lock for a moment.
            self._database = sqlite3.connect(self._path, timeout=1.0, isolation_level=None)
            self._database.text_factory = lambda text: text.decode(errors="replace")
            # Exclusive mode holds the lock from the first write until the process ends, however it ends.
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute(_SCHEMA)
            self._database.execute(_CLOCK_SCHEMA)
            self._database.execute("BEGIN EXCLUSIVE")
            self._database.execute("COMMIT")
            self._checkpoint()
            if self._database.execute("PRAGMA quick_check").fetchall() != [("ok",)]:
                raise _JournalDamaged("its check failed")

    def _read_entries(self) -> list[Entry]:
        with _detect_damage():
            rows = self._database.execute(f"SELECT {_COLUMNS} FROM jobs").fetchall()
        return [entry for row in rows if (entry := _read_row(*row))]

    def _read_clock(self) -> None:
        """Sets the journal's clock by what the last server wrote."""
        with _detect_damage():
            rows = self._database.execute("SELECT counted, seen FROM clock").fetchall()
        times = [entry.updated for entry in self._entries.values()]
        with contextlib.suppress(TypeError, ValueError):
            times += [
                float(counted) + min(max(time.time() - float(seen), 0.0), _MAX_GAP) for counted, seen in rows
            ]
        self._opened_at = max(times, default=0.0)

    def _write(self, *entries: Entry) -> None:
        """Writes rows. They are final on the disk, also in the database proper if a job has ended: what is
        lost with a damaged write-ahead log is never how a job ended."""
        entries = [replace(entry, updated=self.now()) for entry in entries]
        with self._convert_errors():
            self._change(
                f"INSERT OR REPLACE INTO jobs ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [_make_row(entry) for entry in entries],
            )
            self._entries |= {entry.job_id: entry for entry in entries}
            if any(entry.state.final for entry in entries):
                self._checkpoint()

    def _change(self, statement: str, rows: list[tuple]) -> None:
        """Executes a statement for every row, in one transaction."""
        try:
            if not self._path.exists():
                raise _JournalDamaged("it has vanished")
            self._execute_all(statement, rows)
        except _JournalDamaged as error:
            self._begin_anew(error)
            self._execute_all(statement, rows)

    def _execute_all(self, statement: str, rows: list[tuple]) -> None:
        with _detect_damage():
            self._database.execute("BEGIN")
            try:
                self._database.executemany(statement, rows)
                self._database.execute("DELETE FROM clock")
                self._database.execute("INSERT INTO clock VALUES (?, ?)", (self.now(), time.time()))
                self._database.execute("COMMIT")
            except sqlite3.Error:
                with contextlib.suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise

    def _checkpoint(self) -> None:
        """Moves all changes from the write-ahead log, of which a damaged byte loses all that follows, into
        the database."""
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _begin_anew(self, error: _JournalDamaged) -> None:
        """Sets the damaged database aside, for someone to look at, and makes a new one with the entries that
        are known."""
        aside = self._path.with_name(_SET_ASIDE_FILE)
        _log.error("the journal is damaged (%s); %s is what was left of it", error, aside)
        with contextlib.suppress(AttributeError, sqlite3.Error):
            self._database.close()
        for end in _COMPANIONS:
            source, target = (path.with_name(path.name + end) for path in (self._path, aside))
            if target.is_dir():
                shutil.rmtree(target)
            target.unlink(missing_ok=True)
            if source.exists():
                os.replace(source, target)
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._open()
            self._execute_all(
                f"INSERT INTO jobs ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [_make_row(entry) for entry in self._entries.values()],
            )
        except _JournalDamaged as again:
            raise sqlite3.DatabaseError(str(again)) from again

    @contextlib.contextmanager
    def _convert_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if "locked" in str(error):
                raise JournalInUse(f"Another server already runs in {self._path.parent}.") from error
            raise StorageError(
                f"The journal {self._path} cannot be used ({error}). Free some space or fix its "
                "permissions, then restart the worker.",
                "restart_worker",
            ) from error


@contextlib.contextmanager
def _detect_damage() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        # The lower byte is the kind of error.
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _ENVIRONMENT_ERRORS:
            raise
        raise _JournalDamaged(str(error)) from error
    except ValueError as error:
        # Not even the names in it, or SQLite's complaint about them, are text.
        raise _JournalDamaged(str(error)) from error


def _make_row(entry: Entry) -> tuple:
    error = json.dumps(entry.error.to_dict()) if entry.error else None
    return (
        entry.job_id,
        entry.name,
        entry.state.value,
        entry.stage,
        error,
        entry.crashes,
        entry.order,
        entry.updated,
    )


def _read_row(job_id, name, state, stage, error, crashes, order, updated) -> Entry | None:
    """The entry of a row. One that cannot be read is a failed job; None if not even its id can be read."""
    if not is_job_id(job_id):
        return None
    try:
        reason = OrbitError.from_dict(json.loads(error)) if error else None
        numbers = int(crashes), float(order), float(updated)
        return Entry(job_id, str(name), State(state), str(stage), reason, *numbers)
    except Exception:  # a damaged row may be wrong in any way
        return Entry(
            job_id,
            "",
            State.FAILED,
            error=StorageError("The record of this job was damaged. Retry the job.", "retry"),
        )
