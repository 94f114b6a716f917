"""All jobs, as Blender's main thread sees them. The buttons, the command line and the tests all use
:data:`queue`."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from uuid import uuid4

import bpy

from ...backend.api import paths
from ...backend.api.errors import Cancelled, InvalidTarget, OrbitError
from ...backend.api.events import JobEvent, State
from ..objects import identity, mesh_io, takes
from ..setup import weights
from . import pending, previews, submission
from .apply_result import apply_result, find_obstacle
from .client import Client
from .entry import JobEntry
from .request import JobRequest
from .submission import JobInputs


class Queue:
    """The jobs of this session, oldest first. Only the main thread may use it; the client does the waiting.

    Commands are verbs; events are called ``on_...``.

    The server keeps the result of a job until a saved file holds its take (``_unsaved``, with the first
    object of each job), in case the file is reverted to its state before the take. ``_resubmitted`` are the
    jobs that were sent again as another job. Jobs that only check a reference are not among the entries;
    ``_checks`` has who listens to each.
    """

    def __init__(self):
        self.entries: list[JobEntry] = []
        self._client: Client | None = None
        self._unsaved: dict[str, identity.ObjectKey] = {}
        self._resubmitted: set[str] = set()
        self._checks: dict[str, Callable[[JobEvent], None]] = {}
        self._run = 0

    @property
    def is_connected(self) -> bool:
        """Whether a server of our version answers."""
        return self._client is not None and self._client.is_connected

    @property
    def busy(self) -> bool:
        """Whether any job is not settled."""
        return any(not entry.is_settled for entry in self.entries)

    @property
    def last_run(self) -> list[JobEntry]:
        """The entries of the jobs since the queue was last idle."""
        return [entry for entry in self.entries if entry.run == self._run]

    def is_checking(self, job: str = "") -> bool:
        """Whether a job that checks a reference is at work; that one, or any."""
        return job in self._checks if job else bool(self._checks)

    def find(self, job: str) -> JobEntry | None:
        return next((entry for entry in self.entries if entry.job == job), None)

    def is_texturing(self, obj: bpy.types.Object) -> bool:
        """Whether a job for the object, or for one that shares its mesh, is not settled."""
        return any(
            key.session_uid == obj.session_uid
            for entry in self.entries
            if not entry.is_settled
            for key in entry.keys
        )

    # Commands

    def add(self, objects: list[bpy.types.Object], inputs: JobInputs) -> JobEntry:
        """Starts a job for objects that share one mesh: the first is read, and all get the take.

        Raises:
            OrbitError: the object cannot be textured; nothing was changed.
        """
        self._begin_run()
        return self._add(objects, inputs)

    def add_each(
        self,
        objects: Iterable[bpy.types.Object],
        inputs_of: Callable[[bpy.types.Object], JobInputs],
    ) -> list[JobEntry]:
        """Starts a job per mesh. An object that cannot be textured gets an entry with the error, and does not
        stop the others.

        Args:
            inputs_of: what an object's job needs; may raise an :class:`OrbitError`.
        """
        self._begin_run()
        entries = [self._add_or_fail(group, inputs_of) for group in submission.group_by_mesh(objects)]
        batch = uuid4().hex
        for entry in entries:
            entry.batch = batch
        return entries

    def check_reference(self, request: JobRequest, on_event: Callable[[JobEvent], None]) -> None:
        """Starts a job that only finds the object and the view of a reference, before all waiting jobs. It
        gets no entry.

        Args:
            on_event: called by :meth:`poll` with each event of the job.
        """
        self._checks[request.job_id] = on_event
        client = self._get_client()
        client.submit(replace(request, check_reference=True))
        client.order([request.job_id])

    def discard_check(self, job: str) -> None:
        """Ends a job of :meth:`check_reference`, and deletes its finished stages."""
        self._checks.pop(job, None)
        if self._client:
            self._client.discard(job)

    def download(self, model: str, name: str) -> JobEntry:
        """Starts a job that downloads a model's weights; the user has agreed to it."""
        self._begin_run()
        entry = JobEntry(name, None, download=model, run=self._run)
        for other in [other for other in self.entries if other.is_settled and other.download == model]:
            self.dismiss(other)
        self.entries.append(entry)
        self._get_client().download(entry.job, model)
        return entry

    def poll(self) -> bool:
        """Handles the events of the server, and applies one result at most. Never waits.

        Returns:
            whether anything came that a viewport may show; mere progress is not that.
        """
        has_news = False
        for event in self._client.poll() if self._client else ():
            has_news |= event.state.final or event.preview is not None
            if entry := self.find(event.job):
                self._on_event(entry, event)
            elif on_check := self._checks.get(event.job):
                if event.state.final:
                    del self._checks[event.job]
                on_check(event)
        ready = [entry for entry in self.entries if entry.result and not entry.is_settled]
        for entry in ready:
            entry.obstacle = find_obstacle(entry)
        if entry := next((entry for entry in ready if not entry.obstacle), None):
            # Called with True, the operator makes an undo step, as if the user had pressed a button; changes
            # made by a timer have none.
            bpy.ops.orbit_texture.apply_take("EXEC_DEFAULT", True, job=entry.job)
            has_news = True
        return has_news

    def apply(self, entry: JobEntry) -> None:
        """Puts an entry's result on its objects.

        Raises:
            OrbitError: the result no longer fits; nothing was changed and the result is kept for a retry.
        """
        apply_result(entry)
        if entry.began_at is not None:
            entry.seconds = time.monotonic() - entry.began_at
        self._unsaved[entry.job] = entry.keys[0]

    def cancel(self, entry: JobEntry) -> None:
        """Stops a job; its entry is settled when the server confirms. A result that waits to be applied is
        dropped at once."""
        if entry.result:
            entry.result, entry.error = None, Cancelled("Cancelled before the texture was applied.")
        elif self._client:
            self._client.cancel(entry.job)

    def move_to_front(self, entry: JobEntry) -> None:
        """Runs a waiting job before the other waiting jobs."""
        self._reorder(
            [entry] + [other for other in self.entries if other.is_queued and other is not entry], 1
        )

    def move(self, entry: JobEntry, places: int) -> None:
        """Moves a waiting job later among the waiting jobs by so many places, or earlier if negative; it
        stops at either end."""
        waiting = [other for other in self.entries if other.is_queued]
        before = waiting.index(entry)
        after = max(0, min(len(waiting) - 1, before + places))
        waiting.insert(after, waiting.pop(before))
        self._reorder(waiting, max(before, after) + 1)

    def retry(self, entry: JobEntry) -> None:
        """Applies the result again if there is one, else runs the job again; the server does not repeat
        finished stages.

        Raises:
            OrbitError: the object cannot be textured.
        """
        if entry.result:
            entry.error = None
            return
        entry.began_at = None
        if entry.reference is None:
            # The job is from an earlier session: the server has all its inputs.
            entry.event, entry.error = JobEvent(entry.job, State.QUEUED), None
            self._get_client().retry(entry.job)
            return
        obj = identity.find(entry.keys[0])
        if obj is None:
            raise InvalidTarget(
                f"'{entry.name}' is not in this file. Open the file that contains it, then retry."
            )
        submission.read_target(entry, obj)
        self._submit(entry)

    def dismiss(self, entry: JobEntry) -> None:
        """Removes a settled entry, and what the server keeps for its job unless a file may still need it."""
        self.entries.remove(entry)
        if self._client and entry.job not in self._unsaved:
            self._client.discard(entry.job)

    def list_finished_of_open_batches(self) -> list[JobEntry]:
        """The applied entries of batches that have unsettled jobs."""
        unfinished = {entry.batch for entry in self.entries if not entry.is_settled}
        return [
            entry for entry in self.entries if entry.applied and entry.batch and entry.batch in unfinished
        ]

    def discard_take(self, entry: JobEntry) -> None:
        """Removes a job's take from those of its objects that are in the open file, unless it is locked."""
        self._unsaved.pop(entry.job, None)
        for obj in filter(None, map(identity.find, entry.keys)):
            for index in [
                index
                for index, take in enumerate(obj.orbit_texture.takes)
                if take.job == entry.job and not take.locked
            ]:
                takes.remove_take(obj, index)

    def recover(self) -> None:
        """Adds the jobs that the open file's objects were waiting for when it was saved."""
        for entry in pending.read_pending():
            known = self.find(entry.job)
            if entry.job in self._resubmitted or (known and not known.applied):
                continue
            if known:
                # The file was reverted to its state before the take: saving it again saves no take.
                self.entries.remove(known)
                self._unsaved.pop(entry.job, None)
            entry.run = self._run
            self.entries.append(entry)
            self._get_client().follow([entry.job])

    def restart_server(self) -> None:
        """Ends the server, however stuck it is, and starts a new one. Its jobs continue where they were."""
        self._get_client().restart_server()

    def close(self) -> None:
        """Closes the connection to the server. Its jobs continue, but nobody listens to a check any more."""
        self._checks.clear()
        if self._client:
            self._client.close(2.0)
            self._client = None

    # Events

    def on_save_pre(self) -> None:
        """Before the file is saved: stores on its objects which jobs they wait for, since an undo may have
        changed that."""
        for entry in self.entries:
            if entry.keys:
                pending.store_pending(entry)

    def on_save_post(self) -> None:
        """The saved file holds every take that was applied to its objects, so the server need not keep their
        results any longer."""
        for job in [job for job, key in self._unsaved.items() if identity.find(key)]:
            del self._unsaved[job]
            if self._client:
                self._client.discard(job)

    def _get_client(self) -> Client:
        if self._client is None:
            self._client = Client(
                paths.run_directory(), paths.environment_python(paths.backend_environment())
            )
            self._client.start()
        return self._client

    def _reorder(self, waiting: list[JobEntry], count: int) -> None:
        """Puts all waiting jobs in this order. Only the first ``count`` are sent to the server, since the
        others have not moved."""
        ordered = iter(waiting)
        self.entries = [next(ordered) if entry.is_queued else entry for entry in self.entries]
        self._get_client().order(entry.job for entry in waiting[:count])

    def _begin_run(self) -> None:
        """Before jobs are added: they begin a new run if none is unsettled."""
        self._run += not self.busy

    def _add(self, objects: list[bpy.types.Object], inputs: JobInputs) -> JobEntry:
        entry = submission.prepare_entry(objects, inputs)
        self._dismiss_settled(entry.keys)
        entry.run, entry.began_at = self._run, None if self.busy else time.monotonic()
        self.entries.append(entry)
        self._submit(entry)
        return entry

    def _add_or_fail(self, objects: list[bpy.types.Object], inputs_of: Callable) -> JobEntry:
        try:
            mesh_io.check_object(objects[0])
            return self._add(objects, inputs_of(objects[0]))
        except OrbitError as error:
            self.entries.append(JobEntry(objects[0].name_full, None, error=error, run=self._run))
            return self.entries[-1]

    def _submit(self, entry: JobEntry) -> None:
        self._get_client().submit(submission.make_request(entry))

    def _on_event(self, entry: JobEntry, event: JobEvent) -> None:
        entry.event = replace(event, result=None, preview=None)
        if entry.began_at is None and event.state is State.RUNNING:
            entry.began_at = time.monotonic()
        if event.preview is not None:
            entry.thumbnail = event.preview[0]
            previews.store(event.job, event.preview)
        elif event.state.final:
            previews.discard(event.job)
        if entry.keys and not entry.is_pending_stored and not event.error:
            # Not earlier: the client's thread has computed the topology while sending the mesh.
            pending.store_pending(entry)
        if entry.download:
            entry.applied, entry.error = event.state is State.FINISHED, event.error
            weights.refresh()
        elif event.state is State.FINISHED and event.result:
            if event.result.corner_uvs is not None and entry.fallback:
                entry.target, entry.fallback, entry.own_topology = entry.fallback, None, True
                self._resubmitted.add(entry.job)
                self._submit(entry)
            else:
                entry.result = event.result
        elif event.error:
            entry.error = event.error
            pending.clear_pending(entry)

    def _dismiss_settled(self, keys: tuple[identity.ObjectKey, ...]) -> None:
        """Dismisses the settled entries of objects that get a new job."""
        for entry in [entry for entry in self.entries if entry.is_settled and set(keys) & set(entry.keys)]:
            self.dismiss(entry)


queue = Queue()
