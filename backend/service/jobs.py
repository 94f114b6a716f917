"""The jobs of a server: which are queued, which one runs, how the others ended."""

import logging
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from .. import store
from ..api.devices import Device
from ..api.errors import (
    Cancelled,
    InvalidSettings,
    OrbitError,
    StorageError,
    WorkerDied,
)
from ..api.events import JobEvent, State
from ..api.messages import is_job_id
from ..api.weights import MODELS
from . import job_folders
from .eta import Eta
from .journal import Entry, Journal
from .supervisor import Supervisor

_log = logging.getLogger(__name__)

_MAX_CRASHES = 3
"""A job that was running each time when this many servers died is not tried again."""


class Jobs:
    """Queues jobs, gives them to the worker one by one and records their state.

    All methods run on the server's thread and return at once; work on large files runs on the disk thread."""

    def __init__(
        self,
        run_directory: Path,
        journal: Journal,
        supervisor: Supervisor,
        publish: Callable[[JobEvent], None],
        publish_preview: Callable[[str, np.ndarray], None],
        post: Callable[[Callable[[], None]], None],
    ):
        """
        Args:
            publish: sends an event to every client.
            publish_preview: sends every client images of what a job paints.
            post: called from another thread, runs a function on the server's thread.
        """
        self._directory, self._discard_directory = run_directory / "jobs", run_directory / "discarded"
        self._journal, self._supervisor, self._publish, self._post = journal, supervisor, publish, post
        self._disk_thread = ThreadPoolExecutor(1, "disk")
        self._events: dict[str, JobEvent] = {}
        self._receiving: set[str] = set()
        self._cancelled: set[str] = set()
        self._discarded: set[str] = set()
        self._eta = Eta()
        supervisor.on_ready = self.start_next
        supervisor.on_progress = self._on_progress
        supervisor.on_preview = lambda images: publish_preview(supervisor.job, images)
        supervisor.on_done = self._on_done
        supervisor.on_lost = self._on_lost
        supervisor.on_start_failed = self._on_start_failed
        self._recover()

    @property
    def busy(self) -> bool:
        """Whether a job is queued, running, or being received."""
        return bool(self._receiving) or any(not event.state.final for event in self._events.values())

    def events(self) -> list[JobEvent]:
        """The state of each job, in the order in which they run."""
        return list(self._events.values())

    def submit(self, body: dict, arrays: dict) -> JobEvent | None:
        """Accepts a new job. For a job that is already known nothing happens, and its state is returned."""
        job_id = body["job"]
        earlier = [
            self._directory / other for other, event in reversed(self._events.items()) if event.state.final
        ]
        return self._receive(
            job_id,
            body["name"],
            partial(job_folders.save_job, self._directory / job_id, body, arrays, earlier),
        )

    def download(self, job_id: str, model: str) -> JobEvent | None:
        """Accepts a job that downloads a model's weights; otherwise like :meth:`submit`."""
        if model not in MODELS:
            raise InvalidSettings(f"There are no weights for '{model}'.")
        return self._receive(job_id, model, partial(store.save_download, self._directory / job_id, model))

    def cancel(self, job_id: str) -> None:
        if job_id in self._receiving:
            self._cancelled.add(job_id)
        elif job_id == self._supervisor.job:
            self._supervisor.cancel()
        elif (event := self._events.get(job_id)) and not event.state.final:
            self._update(JobEvent(job_id, State.CANCELLED, error=Cancelled()))

    def retry(self, job_id: str) -> None:
        """Queues a failed or cancelled job again. Its finished stages are not repeated."""
        if (event := self._events.get(job_id)) and event.state in (State.FAILED, State.CANCELLED):
            self._run_on_disk_thread(partial(store.mark_ended, self._directory / job_id, False), _log_failure)
            self._update(JobEvent(job_id, State.QUEUED))
            self.start_next()

    def move_to_front(self, job_ids: list[str]) -> None:
        """Moves queued jobs before all other queued ones, in this order; jobs that are no longer queued stay
        in place."""
        job_ids = list(dict.fromkeys(job_ids))
        if self._receiving.intersection(job_ids):
            # The disk thread works in order, so what is being received is saved by the time this runs.
            self._run_on_disk_thread(lambda: None, lambda saved: self.move_to_front(job_ids))
            return
        queued = {
            job_id: event
            for job_id in job_ids
            if (event := self._events.get(job_id)) and event.state == State.QUEUED
        }
        self._journal.move_to_front(list(queued))
        self._events = queued | self._events

    def discard(self, job_id: str) -> None:
        """Deletes a job and its files, after cancelling it if necessary."""
        self.cancel(job_id)
        event = self._events.get(job_id)
        if job_id in self._receiving or (event and not event.state.final):
            self._discarded.add(job_id)
        elif event:
            self._delete(job_id)

    def fetch(self, job_id: str, reply: Callable[[list | JobEvent], None]) -> None:
        """Loads the result of a finished job on the disk thread, then calls ``reply`` with the packed message
        ``result``, or with an event that says why there is none. A finished job whose result cannot be read
        or sent has failed."""

        def on_loaded(loaded: Future) -> None:
            error = loaded.exception()
            if error is None:
                reply(loaded.result())
                return
            failed = JobEvent(job_id, State.FAILED, error=_to_orbit_error(error, "result could not be read"))
            if (event := self._events.get(job_id)) and event.state == State.FINISHED:
                self._update(failed)
            else:
                reply(failed)

        self._run_on_disk_thread(partial(job_folders.pack_result, self._directory / job_id), on_loaded)

    def start_next(self) -> None:
        """Gives the worker the next queued job, if it has none."""
        next_job = next((event for event in self._events.values() if event.state == State.QUEUED), None)
        if next_job is None or self._supervisor.job:
            return
        if not self._supervisor.ready:
            self._supervisor.start()
            return
        self._eta = Eta()
        self._supervisor.run(next_job.job, self._directory / next_job.job)
        self._update(JobEvent(next_job.job, State.RUNNING))

    def close(self) -> None:
        """Ends the worker. A running job is recorded as queued, so the next server continues it."""
        self._supervisor.stop()
        if self._supervisor.job:
            self._record(JobEvent(self._supervisor.job, State.QUEUED))
        self._disk_thread.shutdown(cancel_futures=True)

    def _recover(self) -> None:
        """Restores the jobs that the last server of this folder left."""
        for entry in self._journal.entries():
            if entry.state.final and not (self._directory / entry.job_id).exists():
                # Its folder was deleted, and what the journal was told of that was lost.
                self._remove_entry(entry.job_id)
                continue
            self._events[entry.job_id] = event = _event_after_restart(entry)
            if entry.state == State.RUNNING:
                self._record(event, entry.crashes + 1)
        self._adopt_folders()
        self._prune()
        self._supervisor.start()

    def _adopt_folders(self) -> None:
        """Takes up the jobs in folders that the journal does not name, since it may have been damaged. Jobs
        never received in full are deleted, as are discarded ones."""
        self._run_on_disk_thread(
            partial(shutil.rmtree, self._discard_directory, ignore_errors=True), _log_failure
        )
        folders = self._directory.iterdir() if self._directory.is_dir() else ()
        for folder in sorted(folders, key=job_folders.modification_time):
            if is_job_id(folder.name) and folder.name not in self._events:
                if found := store.find_job(folder):
                    self._adopt(folder.name, found)
                else:
                    self._delete_folder(folder.name)

    def _adopt(self, job_id: str, found: store.FoundJob) -> None:
        event = JobEvent(job_id, State.QUEUED)
        if found.has_result:
            event = JobEvent(job_id, State.FINISHED, fraction=1.0)
        elif found.has_ended:
            error = StorageError("How this job ended is no longer known. Retry the job.", "retry")
            event = JobEvent(job_id, State.FAILED, error=error)
        _log.info("job %s, which the journal does not name, is taken up: %s", job_id, event.state)
        self._events[job_id] = event
        try:
            self._journal.add(job_id, found.name)
        except StorageError as error:
            _log.error("%s", error.message)
        self._record(event)

    def _receive(self, job_id: str, name: str, save: Callable[[], None]) -> JobEvent | None:
        if job_id in self._events or job_id in self._receiving:
            return self._events.get(job_id)
        self._receiving.add(job_id)
        self._run_on_disk_thread(save, partial(self._on_saved, job_id, name))
        return None

    def _on_saved(self, job_id: str, name: str, saved: Future) -> None:
        self._receiving.discard(job_id)
        try:
            saved.result()
            self._journal.add(job_id, name)
        except Exception as error:
            self._delete_folder(job_id)
            self._cancelled.discard(job_id)
            self._discarded.discard(job_id)
            self._publish(
                JobEvent(job_id, State.FAILED, error=_to_orbit_error(error, "job could not be accepted"))
            )
            return
        runs_next = all(event.state.final for event in self._events.values())
        self._update(
            JobEvent(
                job_id,
                State.QUEUED,
                message="Starting the worker" if runs_next and not self._supervisor.ready else "",
            )
        )
        if job_id in self._cancelled:
            self._cancelled.discard(job_id)
            self.cancel(job_id)
        self.start_next()

    def _on_progress(self, stage: str, fraction: float, device: Device | None) -> None:
        job_id = self._supervisor.job
        self._update(
            JobEvent(job_id, State.RUNNING, stage, fraction, self._eta.update(fraction), device=device)
        )

    def _on_done(self, job_id: str, error: OrbitError | None) -> None:
        event = self._events[job_id]
        if error is None:
            event = JobEvent(job_id, State.FINISHED, fraction=1.0)
        else:
            state = State.CANCELLED if isinstance(error, Cancelled) else State.FAILED
            event = replace(event, state=state, seconds_left=None, error=error, device=None)
        self._update(event)
        self._prune()
        self.start_next()

    def _on_lost(self, job_id: str) -> None:
        """Queues a job again that has not begun."""
        self._update(JobEvent(job_id, State.QUEUED))
        self.start_next()

    def _on_start_failed(self, error: OrbitError) -> None:
        """Fails all queued jobs, since there is no worker to run them. The next job starts a new attempt."""
        for event in self.events():
            if event.state == State.QUEUED:
                self._update(JobEvent(event.job, State.FAILED, error=error))

    def _update(self, event: JobEvent) -> None:
        before = self._events.get(event.job)
        self._events[event.job] = event
        if before is None or (before.state, before.stage) != (event.state, event.stage):
            self._record(event)
        if event.state in (State.FAILED, State.CANCELLED):
            self._run_on_disk_thread(
                partial(store.mark_ended, self._directory / event.job, True), _log_failure
            )
        self._publish(event)
        if event.state.final and event.job in self._discarded:
            self._delete(event.job)

    def _record(self, event: JobEvent, crashes: int | None = None) -> None:
        try:
            self._journal.update(event.job, event.state, event.stage, event.error, crashes)
        except StorageError as error:
            # The job itself may still succeed; only a restarted server would not know its progress.
            _log.error("%s", error.message)

    def _delete(self, job_id: str) -> None:
        del self._events[job_id]
        self._discarded.discard(job_id)
        self._delete_folder(job_id)
        self._remove_entry(job_id)

    def _remove_entry(self, job_id: str) -> None:
        try:
            self._journal.remove(job_id)
        except StorageError as error:
            _log.error("%s", error.message)

    def _delete_folder(self, job_id: str) -> None:
        """Deletes a job's folder. It is moved first, so that it is never taken up again."""
        folder, discarded = self._directory / job_id, self._discard_directory / job_id
        try:
            self._discard_directory.mkdir(exist_ok=True)
            folder.rename(discarded)
        except OSError:
            discarded = folder
        self._run_on_disk_thread(partial(shutil.rmtree, discarded, ignore_errors=True), _log_failure)

    def _prune(self) -> None:
        now = self._journal.now()
        ages = {entry.job_id: now - entry.updated for entry in self._journal.entries() if entry.state.final}
        self._run_on_disk_thread(
            partial(job_folders.find_outdated, self._directory, ages), self._delete_outdated
        )

    def _delete_outdated(self, outdated: Future) -> None:
        for job_id in outdated.result():
            if job_id in self._events and self._events[job_id].state.final:
                _log.info("job %s was not collected; deleting it", job_id)
                self._delete(job_id)

    def _run_on_disk_thread(self, work: Callable, callback: Callable[[Future], None]) -> None:
        """Calls ``work`` on the disk thread, then ``callback`` with its future on the server's thread."""
        self._disk_thread.submit(work).add_done_callback(lambda future: self._post(partial(callback, future)))


def _event_after_restart(entry: Entry) -> JobEvent:
    """The state of a job in the journal, once the server that recorded it has ended."""
    if entry.state == State.RUNNING and entry.crashes + 1 >= _MAX_CRASHES:
        return JobEvent(
            entry.job_id,
            State.FAILED,
            entry.stage,
            error=WorkerDied(
                f"The server died {_MAX_CRASHES} times while this job was running. Choose a smaller "
                "texture or a simpler mesh.",
                "retry",
            ),
        )
    if not entry.state.final:
        return JobEvent(entry.job_id, State.QUEUED)
    return JobEvent(
        entry.job_id,
        entry.state,
        entry.stage,
        1.0 if entry.state == State.FINISHED else 0.0,
        error=entry.error,
    )


def _to_orbit_error(error: Exception, what: str) -> OrbitError:
    """The error to report; ``what`` was not possible, a clause such as "job could not be accepted"."""
    if isinstance(error, OrbitError):
        return error
    _log.error("a %s", what, exc_info=error)
    return OrbitError(
        f"The {what} ({type(error).__name__}: {error}). The details are in server.log.", "retry"
    )


def _log_failure(future: Future) -> None:
    if error := future.exception():
        _log.error("work on the disk failed", exc_info=error)
