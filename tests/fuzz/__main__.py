"""``python -m tests.fuzz glb image --minutes 20``: see :func:`main`."""

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .run import BROKEN, Reader, Tally, fuzz, fuzz_with_atheris, instrument


def main() -> int:
    """Runs the readers named (all, if none is) for so many minutes each and prints a row for each: how many
    inputs, how many were read, refused, and ended in any other error.

    In the backend's environment those are what the backend reads, in Blender's what the add-on reads. With
    atheris installed (``pip install atheris``, Linux) it chooses inputs by the code that they reach, else
    they are mutated at random from ``--seed``.
    """
    targets = import_targets()
    parser = argparse.ArgumentParser(description="Try readers on files and messages with mistakes.")
    parser.add_argument("reader", nargs="*", help=f"some of {', '.join(targets)}")
    parser.add_argument("--minutes", type=float, default=1.0, help="for each reader (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the inputs that end in another error")
    parser.add_argument("--json", type=Path, help="file of the rows, which are added to those in it")
    parser.add_argument("--plain", action="store_true", help="without atheris, even if it is installed")
    options = parser.parse_args()
    with_atheris = importlib.util.find_spec("atheris") and not options.plain
    # Libraries in C report every damaged strip of an image there.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    broken = 0
    for name in options.reader or targets:
        finish = partial(report, name, options.keep, options.json)
        run = run_with_atheris if with_atheris else run_plain
        broken += run(targets[name], options.seed, 60 * options.minutes, finish)
    return int(broken > 0)


def import_targets() -> dict[str, Reader]:
    """What this Python can fuzz."""
    if importlib.util.find_spec("bpy"):
        with instrument("bl_ext", "tomllib"):
            import tests.blender.conftest  # noqa: F401 (installs the checkout as an extension)

        from .manifests import targets
    else:
        from .readers import targets
    return targets()


def run_plain(reader: Reader, seed: int, seconds: float, finish: Callable[[Tally], None]) -> bool:
    """Returns whether an input ended in another error."""
    tally = fuzz(reader, seed, seconds=seconds)
    finish(tally)
    return bool(tally.broken)


def run_with_atheris(reader: Reader, seed: int, seconds: float, finish: Callable[[Tally], None]) -> bool:
    """The same, in a process of its own: atheris runs once in a process, and ends it."""
    with tempfile.TemporaryFile() as log:
        if (child := os.fork()) == 0:
            os.dup2(log.fileno(), sys.stderr.fileno())
            fuzz_with_atheris(reader, seed, seconds, finish)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code not in (0, BROKEN):
            # It has not come to its report: an input took all memory or time, or crashed a library.
            log.seek(0)
            print(f"stopped with {code}: {log.read()[-2000:].decode(errors='replace')}", flush=True)
        return code != 0


def report(name: str, keep: Path | None, rows: Path | None, tally: Tally) -> None:
    """Prints a reader's row, and writes it and the inputs that ended in other errors."""
    print(
        f"{name:<10} {tally.total:>9,} inputs {tally.read:>9,} read {tally.refused:>9,} refused "
        f"{len(tally.broken):>4} broken, slowest {tally.slowest:.1f} s",
        flush=True,
    )
    for index, (what, data) in enumerate(tally.broken.items()):
        print(f"    {what}", flush=True)
        if keep:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{name}_{index}").write_bytes(data)
    if rows:
        known = json.loads(rows.read_text()) if rows.exists() else {}
        row = {
            "total": tally.total,
            "read": tally.read,
            "refused": tally.refused,
            "broken": list(tally.broken),
            "slowest": tally.slowest,
        }
        rows.write_text(json.dumps(known | {name: row}))


if __name__ == "__main__":
    sys.exit(main())
