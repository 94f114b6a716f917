"""A journal that is damaged or lost: it is begun anew, and no job and no result is lost with it."""

import contextlib
import os
import shutil
import signal
import sqlite3

import pytest

from backend.api.errors import InvalidMesh, StorageError
from backend.api.events import State
from backend.service.journal import JOURNAL_FILE, Journal, JournalInUse
from tests.servers import NO_JOBS, Peer, Server, new_id, server_pid, wait_for

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")

WAL = f"{JOURNAL_FILE}-wal"


def overwrite(path, offset: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def flip_every(step: int, path) -> None:
    data = bytearray(path.read_bytes())
    for offset in range(step // 2, len(data), step):
        data[offset] ^= 0xFF
    path.write_bytes(data)


def replace_by_folder(path) -> None:
    path.unlink()
    (path / "something").mkdir(parents=True)


def replace_bytes(path, before: bytes, after: bytes) -> None:
    data = path.read_bytes()
    assert before in data
    path.write_bytes(data.replace(before, after))


def change(path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "one byte": lambda path: path.write_bytes(b"S"),
    "random": lambda path: path.write_bytes(os.urandom(8192)),
    "zeros": lambda path: path.write_bytes(bytes(8192)),
    "a text": lambda path: path.write_text("nobody expected this"),
    "a folder": replace_by_folder,
    "cut in a page": lambda path: os.truncate(path, 5000),
    "cut to a page": lambda path: os.truncate(path, 4096),
    "its first bytes": lambda path: overwrite(path, 0, bytes(16)),
    "its page size": lambda path: overwrite(path, 16, b"\xff\xff"),
    "its version": lambda path: overwrite(path, 18, b"\x07\x07"),
    "its schema": lambda path: overwrite(path, 100, os.urandom(200)),
    "no text in its schema": lambda path: replace_bytes(path, b"indexsqlite_a", b"inde\xff\xff\xff\xffxsqli"),
    "its rows": lambda path: overwrite(path, 4096, bytes(4096)),
    "a byte in 64": lambda path: flip_every(64, path),
    "a byte in 1000": lambda path: flip_every(1000, path),
    "no table": lambda path: change(path, "DROP TABLE jobs"),
    "another table": lambda path: change(path, "DROP TABLE jobs", "CREATE TABLE jobs (id TEXT)"),
    "a view": lambda path: change(path, "DROP TABLE jobs", "CREATE VIEW jobs AS SELECT 1 AS id"),
}


LOCKED_OUT = ("no table", "another table", "a view")
"""What no other process can do while the journal is open."""


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_journal_is_set_aside_and_a_new_one_works(tmp_path, damage):
    path = tmp_path / JOURNAL_FILE
    with contextlib.closing(Journal(path)) as journal:
        for _ in range(20):
            journal.add(new_id(), 100 * "job")
    DAMAGES[damage](path)
    for _ in range(2):
        with contextlib.closing(Journal(path)) as journal:
            before = len(journal.entries())
            journal.add(new_id(), "another")
    with contextlib.closing(Journal(path)) as journal:
        assert len(journal.entries()) == before + 1
        assert all(entry.state == State.QUEUED for entry in journal.entries())


@pytest.mark.parametrize("damage", [*(damage for damage in DAMAGES if damage not in LOCKED_OUT), "gone"])
def test_a_journal_that_is_damaged_while_it_is_open_loses_nothing(tmp_path, damage):
    path = tmp_path / JOURNAL_FILE
    with contextlib.closing(Journal(path)) as journal:
        ids = [new_id() for _ in range(20)]
        for job_id in ids:
            journal.add(job_id, 100 * "job")
        journal.update(ids[0], State.FAILED, "bake", InvalidMesh("This mesh is a test."))
        # In another process, since closing any file descriptor of a database drops this process's locks.
        child = os.fork()
        if child == 0:
            path.unlink() if damage == "gone" else DAMAGES[damage](path)
            os._exit(0)
        os.waitpid(child, 0)
        for job_id in ids[1:]:
            journal.update(job_id, State.FINISHED)
    with contextlib.closing(Journal(path)) as journal:
        entries = {entry.job_id: entry for entry in journal.entries()}
    if entries.keys() == set(ids):
        assert entries[ids[0]].error.message == "This mesh is a test."
        assert {entries[job_id].state for job_id in ids[1:]} == {State.FINISHED}
    else:
        # Found when it is opened again; then the folders tell.
        assert not entries
        assert (tmp_path / "journal-1.damaged.sqlite").exists()


@pytest.mark.parametrize(
    "change_row",
    [
        "state = 'odd'",
        "state = x'00ff'",
        "state = 7",
        "error = '{half'",
        "error = '[]'",
        "error = x'fffe00'",
        "crashes = 'many'",
        "created = 'late'",
    ],
)
def test_a_row_that_cannot_be_read_is_one_failed_job(tmp_path, change_row):
    path, bad, good = tmp_path / JOURNAL_FILE, new_id(), new_id()
    with contextlib.closing(Journal(path)) as journal:
        journal.add(bad, "bad")
        journal.add(good, "good")
    change(path, f"UPDATE jobs SET {change_row} WHERE id = '{bad}'")
    with contextlib.closing(Journal(path)) as journal:
        entries = {entry.job_id: entry for entry in journal.entries()}
    assert entries[good].state == State.QUEUED
    assert (entries[bad].state, entries[bad].error.fix) == (State.FAILED, "retry")


def test_a_row_without_a_readable_id_is_ignored(tmp_path):
    path, good = tmp_path / JOURNAL_FILE, new_id()
    with contextlib.closing(Journal(path)) as journal:
        journal.add(good, "good")
        journal.add(new_id(), "bad")
    change(path, f"UPDATE jobs SET id = '../x' WHERE id != '{good}'")
    with contextlib.closing(Journal(path)) as journal:
        assert [entry.job_id for entry in journal.entries()] == [good]


def test_a_journal_in_use_or_on_a_read_only_disk_is_not_taken_for_damaged(tmp_path, disk):
    with contextlib.closing(Journal(tmp_path / JOURNAL_FILE)), pytest.raises(JournalInUse):
        Journal(tmp_path / JOURNAL_FILE)
    place = disk("ro")
    with pytest.raises(StorageError, match="permissions"):
        Journal(place / JOURNAL_FILE)
    assert not list(tmp_path.glob("*damaged*"))


def test_how_a_job_ended_does_not_depend_on_the_write_ahead_log(tmp_path):
    path, job_id = tmp_path / JOURNAL_FILE, new_id()
    with contextlib.closing(Journal(path)) as journal:
        journal.add(job_id, "job")
        journal.update(job_id, State.FINISHED)
        copy = tmp_path / "copy" / JOURNAL_FILE
        copy.parent.mkdir()
        shutil.copy(path, copy)
    with contextlib.closing(Journal(copy)) as journal:
        assert [entry.state for entry in journal.entries()] == [State.FINISHED]


LOSSES = {
    "the log is lost": lambda run: (run / WAL).unlink(),
    "a byte of the log is changed": lambda run: flip_every(400, run / WAL),
    "the log is cut": lambda run: os.truncate(run / WAL, (run / WAL).stat().st_size // 2),
    "the database is random": lambda run: (run / JOURNAL_FILE).write_bytes(os.urandom(8192)),
    "everything is lost": lambda run: [path.unlink() for path in run.glob(f"{JOURNAL_FILE}*")],
}


@pytest.mark.parametrize("loss", LOSSES)
def test_no_job_is_lost_with_the_journal(watchers, run, loss):
    first = watchers()
    finished, failed = first.submit(), first.submit("paint=invalid")
    for job_id in (finished, failed):
        first.final(job_id)
    running, queued = first.submit("paint=wait"), first.submit()
    first.until(queued, "queued")
    first.until(running, "running", stage="paint")
    first.release(running, "paint")
    first.close()
    os.kill(server_pid(run), signal.SIGKILL)
    LOSSES[loss](run)
    second = watchers()
    second.client.follow()
    for job_id in (finished, running, queued):
        assert second.final(job_id).state == "finished"
    assert second.final(failed).state == "failed"
    assert second.final(second.submit()).state == "finished"


def test_a_discarded_job_does_not_come_back_without_the_journal(watchers, run):
    first = watchers()
    job_id = first.submit()
    first.final(job_id)
    first.client.discard(job_id)
    wait_for(lambda: not (run / "jobs" / job_id).exists())
    first.close()
    os.kill(server_pid(run), signal.SIGKILL)
    LOSSES["everything is lost"](run)
    server = Server(run)
    with contextlib.closing(Peer(server.connection())) as peer:
        assert peer.ask("list", answer="jobs").body == NO_JOBS
    server.kill()
