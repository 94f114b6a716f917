"""The jobs of a server: which wait, which one is at work, what became of the others."""

import logging
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from .. import store
from ..api.devices import Device
from ..api.errors import Cancelled, InvalidSettings, OrbitError, StorageError, WorkerDied
from ..api.events import JobEvent, State
from ..api.job import Job, Result
from ..api.weights import MODELS
from .eta import Eta
from .journal import Entry, Journal
from .supervisor import Supervisor

_log = logging.getLogger(__name__)

KEEP_SECONDS = 14 * 24 * 3600
KEEP_BYTES = 8 * 2**30
"""A job that nobody collects is kept this long, and the oldest go earlier when all of them together take more
than this."""

_MAX_CRASHES = 3
"""A job that was at work each time when this many servers went down is not tried again."""


class Jobs:
    """Everything here runs on the server's thread and returns at once; what touches big files runs on a
    thread of its own."""

    def __init__(
        self,
        run_directory: Path,
        journal: Journal,
        supervisor: Supervisor,
        publish: Callable[[JobEvent], None],
        show: Callable[[str, np.ndarray], None],
        post: Callable[[Callable[[], None]], None],
    ):
        """
        Args:
            publish: tells every client.
            show: gives every client pictures of what a job paints.
            post: hands a function from another thread to the server's.
        """
        self._directory = run_directory / "jobs"
        self._journal, self._supervisor, self._publish, self._post = journal, supervisor, publish, post
        self._disk = ThreadPoolExecutor(1, "disk")
        self._events: dict[str, JobEvent] = {}
        self._arriving: set[str] = set()
        self._cancelled: set[str] = set()
        self._discarded: set[str] = set()
        self._eta = Eta()
        supervisor.on_ready = self.advance
        supervisor.on_progress = self._on_progress
        supervisor.on_preview = lambda pictures: show(supervisor.job, pictures)
        supervisor.on_done = self._on_done
        supervisor.on_broken = self._on_broken
        self._recover()

    @property
    def busy(self) -> bool:
        """A job waits, is at work, or is just being received."""
        return bool(self._arriving) or any(not event.state.final for event in self._events.values())

    def events(self) -> list[JobEvent]:
        """Where each job stands, in the order in which they are done."""
        return list(self._events.values())

    def submit(self, body: dict, arrays: dict) -> JobEvent | None:
        """Takes a new job. For one that is known already nothing happens, and where it stands is returned."""
        id = body["job"]
        earlier = [
            self._directory / other for other, event in reversed(self._events.items()) if event.state.final
        ]
        return self._receive(id, body["name"], partial(_save, self._directory / id, body, arrays, earlier))

    def download(self, id: str, model: str) -> JobEvent | None:
        """Takes the job of bringing a model's weights; else like :meth:`submit`."""
        if model not in MODELS:
            raise InvalidSettings(f"There are no weights for '{model}'.")
        return self._receive(id, model, partial(store.save_download, self._directory / id, model))

    def cancel(self, id: str) -> None:
        if id in self._arriving:
            self._cancelled.add(id)
        elif id == self._supervisor.job:
            self._supervisor.cancel()
        elif (event := self._events.get(id)) and not event.state.final:
            self._set(JobEvent(id, State.CANCELLED, error=Cancelled()))

    def retry(self, id: str) -> None:
        """Queues a job that failed or was cancelled again. Stages that were finished are not done again."""
        if (event := self._events.get(id)) and event.state in (State.FAILED, State.CANCELLED):
            self._set(JobEvent(id, State.QUEUED))
            self.advance()

    def order(self, ids: list[str]) -> None:
        """Puts jobs before all others that wait, in this order; those that do not wait any more stay where
        they are."""
        if self._arriving.intersection(ids):
            # What is being received is saved by then: the disk's thread does one thing after the other.
            self._on_disk(lambda: None, lambda saved: self.order(ids))
            return
        for id in reversed(ids):
            if (event := self._events.get(id)) and event.state == State.QUEUED:
                self._journal.first(id)
                self._events = {id: event} | self._events

    def discard(self, id: str) -> None:
        """Forgets a job and deletes its files, after cancelling it if need be."""
        self.cancel(id)
        event = self._events.get(id)
        if id in self._arriving or (event and not event.state.final):
            self._discarded.add(id)
        elif event:
            self._forget(id)

    def fetch(self, id: str, reply: Callable[[Result | OrbitError], None]) -> None:
        """Loads the result of a finished job and calls ``reply``, later."""

        def loaded(future: Future) -> None:
            reply(future.exception() or future.result())

        self._on_disk(partial(store.load_result, self._directory / id), loaded)

    def advance(self) -> None:
        """Gives the worker the next job, if it has none."""
        waiting = next((event for event in self._events.values() if event.state == State.QUEUED), None)
        if waiting is None or self._supervisor.job:
            return
        if not self._supervisor.ready:
            self._supervisor.start()
            return
        self._eta = Eta()
        self._supervisor.run(waiting.job, self._directory / waiting.job)
        self._set(JobEvent(waiting.job, State.RUNNING))

    def close(self) -> None:
        """Ends the worker. A job at work is noted as waiting: the next server goes on with it."""
        self._supervisor.stop()
        if self._supervisor.job:
            self._note(JobEvent(self._supervisor.job, State.QUEUED))
        self._disk.shutdown(cancel_futures=True)

    def _recover(self) -> None:
        """Brings back what the last server of this folder left."""
        entries = self._journal.entries()
        for entry in entries:
            self._events[entry.id] = event = _recovered(entry)
            if entry.state == State.RUNNING:
                self._note(event, entry.crashes + 1)
        self._on_disk(partial(_remove_strangers, self._directory, set(self._events)), _complain)
        self._prune()
        self._supervisor.start()

    def _receive(self, id: str, name: str, save: Callable[[], None]) -> JobEvent | None:
        if id in self._events or id in self._arriving:
            return self._events.get(id)
        self._arriving.add(id)
        self._on_disk(save, partial(self._arrived, id, name))
        return None

    def _arrived(self, id: str, name: str, saved: Future) -> None:
        self._arriving.discard(id)
        try:
            saved.result()
            self._journal.add(id, name)
        except Exception as error:
            self._on_disk(partial(shutil.rmtree, self._directory / id, ignore_errors=True), _complain)
            self._cancelled.discard(id)
            self._discarded.discard(id)
            self._publish(JobEvent(id, State.FAILED, error=_presentable(error)))
            return
        is_next = all(event.state.final for event in self._events.values())
        self._set(
            JobEvent(
                id,
                State.QUEUED,
                message="Starting the worker" if is_next and not self._supervisor.ready else "",
            )
        )
        if id in self._cancelled:
            self._cancelled.discard(id)
            self.cancel(id)
        self.advance()

    def _on_progress(self, stage: str, fraction: float, device: Device | None) -> None:
        id = self._supervisor.job
        self._set(JobEvent(id, State.RUNNING, stage, fraction, self._eta.update(fraction), device=device))

    def _on_done(self, id: str, error: OrbitError | None) -> None:
        event = self._events[id]
        if error is None:
            event = JobEvent(id, State.FINISHED, fraction=1.0)
        else:
            state = State.CANCELLED if isinstance(error, Cancelled) else State.FAILED
            event = replace(event, state=state, seconds_left=None, error=error, device=None)
        self._set(event)
        self._prune()
        self.advance()

    def _on_broken(self, error: OrbitError) -> None:
        """Without a worker nothing that waits can be done. The next job that comes is the next try."""
        for event in self.events():
            if event.state == State.QUEUED:
                self._set(JobEvent(event.job, State.FAILED, error=error))

    def _set(self, event: JobEvent) -> None:
        before = self._events.get(event.job)
        self._events[event.job] = event
        if before is None or (before.state, before.stage) != (event.state, event.stage):
            self._note(event)
        self._publish(event)
        if event.state.final and event.job in self._discarded:
            self._forget(event.job)

    def _note(self, event: JobEvent, crashes: int | None = None) -> None:
        try:
            self._journal.update(event.job, event.state, event.stage, event.error, crashes)
        except StorageError as error:
            # The job itself may still succeed; only a restart would not know how far it got.
            _log.error("%s", error.message)

    def _forget(self, id: str) -> None:
        del self._events[id]
        self._discarded.discard(id)
        try:
            self._journal.remove(id)
        except StorageError as error:
            _log.error("%s", error.message)
        self._on_disk(partial(shutil.rmtree, self._directory / id, ignore_errors=True), _complain)

    def _prune(self) -> None:
        final = {id for id, event in self._events.items() if event.state.final}
        self._on_disk(partial(_outdated, self._directory, final), self._drop)

    def _drop(self, outdated: Future) -> None:
        for id in outdated.result():
            if id in self._events and self._events[id].state.final:
                _log.info("job %s was not collected; dropping it", id)
                self._forget(id)

    def _on_disk(self, work: Callable, then: Callable[[Future], None]) -> None:
        """Calls ``work`` on the disk's thread, and then ``then`` with its future on the server's."""
        self._disk.submit(work).add_done_callback(lambda future: self._post(partial(then, future)))


def _save(folder: Path, body: dict, arrays: dict, earlier: list[Path]) -> None:
    """Someone who was cancelled or failed may try again with a new job: what ``earlier`` jobs finished is not
    done again."""
    store.save_job(folder, Job.from_parts(body, arrays))
    store.inherit(folder, earlier)


def _recovered(entry: Entry) -> JobEvent:
    if entry.state == State.RUNNING and entry.crashes + 1 >= _MAX_CRASHES:
        return JobEvent(
            entry.id,
            State.FAILED,
            entry.stage,
            error=WorkerDied(
                f"The server went down {_MAX_CRASHES} times while it worked on this job. Choose a smaller "
                "texture or a simpler mesh.",
                "retry",
            ),
        )
    if not entry.state.final:
        return JobEvent(entry.id, State.QUEUED)
    return JobEvent(
        entry.id, entry.state, entry.stage, 1.0 if entry.state == State.FINISHED else 0.0, error=entry.error
    )


def _presentable(error: Exception) -> OrbitError:
    if isinstance(error, OrbitError):
        return error
    _log.error("a job could not be taken", exc_info=error)
    return OrbitError(
        f"The job could not be taken ({type(error).__name__}: {error}). The details are in server.log."
    )


def _complain(future: Future) -> None:
    if error := future.exception():
        _log.error("work on the disk failed", exc_info=error)


def _remove_strangers(directory: Path, known: set[str]) -> None:
    """Deletes the folders of jobs that the journal does not know: they were discarded, or never arrived in
    full."""
    if directory.exists():
        for folder in directory.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)


def _outdated(directory: Path, final: set[str]) -> list[str]:
    """Which of the jobs that are over should go, by :data:`KEEP_SECONDS` and :data:`KEEP_BYTES`."""
    folders = [directory / id for id in final if (directory / id).exists()]
    newest_first = sorted(folders, key=lambda folder: folder.stat().st_mtime, reverse=True)
    outdated, total = [], 0
    for folder in newest_first:
        total += store.size(folder)
        if total > KEEP_BYTES or time.time() - folder.stat().st_mtime > KEEP_SECONDS:
            outdated.append(folder.name)
    return outdated
