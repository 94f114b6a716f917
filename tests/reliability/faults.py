"""Faults in the real service, at random moments; after each one, is anything lost or left behind?

After each fault every job must end in a result or in one sentence, the next job must work
with nobody's help, and nothing may be left behind. The stages are scripted (``tests/pipelines/scripted.py``);
server, worker, client, sockets and files are real. What needs a small disk is tried where one can be mounted.
"""

import collections
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from backend.service.journal import JOURNAL_FILE
from tests.servers import Watcher, api, end_server, wait_for

STAGES = ("prepare", "register", "render", "paint", "align", "bake", "refine")
OPTIONS = ("--pipeline", "tests.pipelines.scripted:run", "--idle-seconds", "30", "--silence-seconds", "3")
PATIENCE_SECONDS = 60.0
DISK_MEBIBYTES = 24

CLOCK = """
import os, time, psutil
system_time, system_boot_time = time.time, psutil._psplatform.boot_time
def shift():
    try:
        with open(os.environ["ORBIT_TEXTURE_CLOCK"]) as file:
            return 86400 * float(file.read() or 0)
    except (OSError, ValueError):
        return 0.0
time.time = lambda: system_time() + shift()
psutil._psplatform.boot_time = lambda: system_boot_time() + shift()
"""
"""What programs see of a clock that somebody sets: a file says by how many days."""


@dataclass
class Bench:
    """One run directory with its client.

    Attributes:
        run: the run directory.
        jobs: the jobs that were sent before the fault.
        clock: a file whose number shifts the clock of servers and workers, in days.
    """

    run: Path
    dice: random.Random
    clock: Path
    jobs: list[str] = field(default_factory=list)
    watcher: Watcher = field(init=False)

    def __post_init__(self):
        self.watcher = Watcher(self.run, *OPTIONS)

    def replace_client(self) -> None:
        """A client ends, as Blender does, maybe before it has sent the jobs; another one asks for them."""
        self.watcher.close()
        events, self.watcher = self.watcher.events, Watcher(self.run, *OPTIONS)
        self.watcher.events = events
        ended = {event.job for event in events if event.state.final}
        self.watcher.client.follow(job_id for job_id in self.jobs if job_id not in ended)

    def server(self) -> psutil.Process | None:
        with contextlib.suppress(psutil.Error):
            if connection := api.connection.Connection.read(self.run):
                return psutil.Process(connection.pid)
        return None

    def workers(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            if server := self.server():
                return [child for child in server.children() if child.status() != psutil.STATUS_ZOMBIE]
        return []

    def signal_all(self, processes: list[psutil.Process | None], number: int) -> None:
        for process in processes:
            with contextlib.suppress(psutil.Error):
                if process:
                    process.send_signal(number)


def kill_worker(bench: Bench) -> None:
    bench.signal_all(bench.workers(), signal.SIGKILL)


def kill_worker_twice(bench: Bench) -> None:
    kill_worker(bench)
    time.sleep(bench.dice.uniform(0.0, 0.4))
    kill_worker(bench)


def crash_worker(bench: Bench) -> None:
    bench.signal_all(bench.workers(), bench.dice.choice([signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM, 40]))


def stop_worker(bench: Bench) -> None:
    pause(bench, bench.workers())


def silence_worker(bench: Bench) -> None:
    """It stays alive and never says anything again."""
    bench.signal_all(bench.workers(), signal.SIGSTOP)


def starve_worker(bench: Bench) -> None:
    starve(bench, bench.workers())


def starve_server(bench: Bench) -> None:
    starve(bench, [bench.server()])


def starve(bench: Bench, processes: list[psutil.Process | None]) -> None:
    """For a while these processes get no more memory."""
    for process in filter(None, processes):
        with contextlib.suppress(psutil.Error):
            process.rlimit(psutil.RLIMIT_AS, (process.memory_info().vms, psutil.RLIM_INFINITY))
    time.sleep(bench.dice.uniform(0.1, 1.0))
    for process in filter(None, processes):
        with contextlib.suppress(psutil.Error):
            process.rlimit(psutil.RLIMIT_AS, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))


def kill_server(bench: Bench) -> None:
    bench.signal_all([bench.server()], signal.SIGKILL)


def end_server_politely(bench: Bench) -> None:
    bench.signal_all([bench.server()], signal.SIGTERM)


def stop_server(bench: Bench) -> None:
    pause(bench, [bench.server()])


def kill_all(bench: Bench) -> None:
    bench.signal_all([bench.server(), *bench.workers()], signal.SIGKILL)


def replace_client(bench: Bench) -> None:
    bench.replace_client()


def restart_server(bench: Bench) -> None:
    bench.watcher.client.restart_server()


def pause(bench: Bench, processes: list[psutil.Process | None]) -> None:
    bench.signal_all(processes, signal.SIGSTOP)
    time.sleep(bench.dice.uniform(0.1, 1.0))
    bench.signal_all(processes, signal.SIGCONT)


def damage(bench: Bench, path: Path) -> None:
    """Damages a file in one of five ways, if it is there."""
    with contextlib.suppress(OSError):
        way, size = bench.dice.randrange(5), path.stat().st_size
        if way == 0:
            path.write_bytes(b"")
        elif way == 1:
            os.truncate(path, bench.dice.randrange(size + 1))
        elif way == 2:
            path.write_bytes(bench.dice.randbytes(bench.dice.randrange(1, 10_000)))
        elif way == 3:
            path.unlink()
        elif size:
            data = bytearray(path.read_bytes())
            data[bench.dice.randrange(size)] ^= 1 << bench.dice.randrange(8)
            path.write_bytes(data)


def set_clock(bench: Bench) -> None:
    """The clock jumps, by years or by minutes, forward or back, under running servers and for later ones."""
    bench.clock.write_text(str(bench.dice.choice([-4000.0, -400.0, -0.01, 0.0, 0.01, 15.0, 400.0])))


def set_clock_and_restart(bench: Bench) -> None:
    set_clock(bench)
    bench.watcher.client.restart_server()


def damage_journal(bench: Bench) -> None:
    damage(bench, bench.run / JOURNAL_FILE)


def damage_journal_and_kill(bench: Bench) -> None:
    kill_server(bench)
    damage(bench, bench.run / (JOURNAL_FILE + bench.dice.choice(["", "-wal"])))


def damage_connection(bench: Bench) -> None:
    damage(bench, bench.run / "connection.json")


def damage_connection_and_kill(bench: Bench) -> None:
    kill_server(bench)
    damage(bench, bench.run / "connection.json")


def damage_job(bench: Bench) -> None:
    damage_any(bench, "jobs/*/job/*")


def damage_result(bench: Bench) -> None:
    damage_any(bench, "jobs/*/result/*")


def damage_log(bench: Bench) -> None:
    damage(bench, bench.run / bench.dice.choice(["server.log", "worker.log"]))


def damage_any(bench: Bench, pattern: str) -> None:
    if paths := sorted(bench.run.glob(pattern)):
        damage(bench, bench.dice.choice(paths))


def delete_jobs(bench: Bench) -> None:
    shutil.rmtree(bench.run / "jobs", ignore_errors=True)


def delete_everything(bench: Bench) -> None:
    for path in bench.run.iterdir():
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)


def fill_disk(bench: Bench) -> None:
    ballast = bench.run.parent / "ballast"
    with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    time.sleep(bench.dice.uniform(0.2, 1.5))
    ballast.unlink()


def make_disk_read_only(bench: Bench) -> None:
    # Not possible while a file is open for writing, so the server must be gone.
    bench.signal_all([bench.server(), *bench.workers()], signal.SIGKILL)
    time.sleep(0.05)
    remount(bench.run.parent, "ro")
    time.sleep(bench.dice.uniform(0.1, 0.8))
    remount(bench.run.parent, "rw")


def remount(place: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(place)], capture_output=True, check=False)


FAULTS: tuple[Callable[[Bench], None], ...] = (
    kill_worker,
    kill_worker_twice,
    crash_worker,
    stop_worker,
    silence_worker,
    starve_worker,
    kill_server,
    end_server_politely,
    stop_server,
    starve_server,
    kill_all,
    replace_client,
    restart_server,
    set_clock,
    set_clock_and_restart,
    damage_journal,
    damage_journal_and_kill,
    damage_connection,
    damage_connection_and_kill,
    damage_job,
    damage_result,
    damage_log,
    delete_jobs,
    delete_everything,
    fill_disk,
    make_disk_read_only,
)

DISK_FAULTS = (fill_disk, make_disk_read_only)


def try_fault(bench: Bench, fault: Callable[[Bench], None]) -> list[str]:
    """Runs a few jobs, lets the fault happen, and returns what went wrong: nothing, if all is well.

    Returns:
        sentences about jobs that were lost, a next job that failed, and what was left behind.
    """
    watcher, dice = bench.watcher, bench.dice
    script = " ".join(f"{stage}=sleep:0.05" for stage in STAGES)
    bench.jobs = jobs = [watcher.submit(script) for _ in range(3)]
    with contextlib.suppress(AssertionError):
        moment = dice.randrange(len(STAGES) + 3)
        if moment < len(STAGES):
            watcher.until(dice.choice(jobs[:2]), "running", stage=STAGES[moment], seconds=10.0)
        elif moment == len(STAGES):
            watcher.until(jobs[0], "finished", seconds=10.0)
    time.sleep(dice.uniform(0.0, 0.1))
    fault(bench)
    watcher, wrong = bench.watcher, []
    for job_id in jobs:
        try:
            event = watcher.final(job_id, PATIENCE_SECONDS)
        except AssertionError as error:
            wrong.append(f"a job did not end: {error}")
            continue
        if event.state != "finished" and (not event.error.message or event.error.code == "internal"):
            wrong.append(f"a job failed without a sentence of ours: {event.error!r}")
    wrong += check_next_job(bench)
    for job_id in jobs:
        watcher.client.discard(job_id)
    return wrong + find_leftovers(bench)


def check_next_job(bench: Bench) -> list[str]:
    """Whether a job works now, with nobody's help."""
    try:
        job_id = bench.watcher.submit()
        event = bench.watcher.final(job_id, PATIENCE_SECONDS)
    except AssertionError as error:
        return [f"the next job did not end: {error}"]
    bench.watcher.client.discard(job_id)
    return [] if event.state == "finished" else [f"the next job failed: {event.error!r}"]


def find_leftovers(bench: Bench) -> list[str]:
    """Files and processes that should not be there once every job is discarded."""

    def left() -> list[str]:
        found = []
        for place, folders, files in os.walk(bench.run):
            if Path(place).name in ("jobs", "discarded"):
                found += folders
            found += [name for name in files if name.endswith(".part") or name.startswith("connection.json.")]
        return found

    with contextlib.suppress(AssertionError):
        wait_for(lambda: not left() and len(bench.workers()) == 1, 10.0)
        return []
    return [f"left behind: {left()}; workers: {len(bench.workers())}"]


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[tuple[Path, bool]]:
    """A small disk mounted in ``folder`` and True; or the folder itself and False if none can be mounted."""
    place = folder / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEBIBYTES}m", "tmpfs", str(place)]
    is_small = (
        sys.platform == "linux" and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    )
    try:
        yield place, is_small
    finally:
        if is_small:
            subprocess.run(["umount", "-l", str(place)], capture_output=True, check=False)


@contextlib.contextmanager
def movable_clock(folder: Path) -> Iterator[None]:
    """Processes that are started meanwhile have the clock of the file ``clock``."""
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(CLOCK)
    before = dict(os.environ)
    os.environ |= {"PYTHONPATH": str(folder / "site"), "ORBIT_TEXTURE_CLOCK": str(folder / "clock")}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def run_faults(folder: Path, count: int, seed: int) -> tuple[collections.Counter, list[str]]:
    """Tries ``count`` faults, each kind as often as any other, in random order, and prints at once what goes
    wrong.

    Args:
        folder: an empty folder.

    Returns:
        how often each kind was tried, and all that went wrong.
    """
    dice, tried, wrong = random.Random(seed), collections.Counter(), []
    with small_disk(folder) as (place, is_small), movable_clock(folder):
        kinds = [fault for fault in FAULTS if is_small or fault not in DISK_FAULTS]
        faults = (kinds * (count // len(kinds) + 1))[: max(count, 0)]
        dice.shuffle(faults)
        bench = Bench(place / "run", dice, folder / "clock")
        try:
            wrong += check_next_job(bench)
            for fault in faults:
                found = [f"{fault.__name__}: {sentence}" for sentence in try_fault(bench, fault)]
                tried[fault.__name__] += 1
                for sentence in found:
                    print(sentence, flush=True)
                wrong += found
        finally:
            bench.watcher.close()
            end_server(bench.run)
    return tried, wrong
