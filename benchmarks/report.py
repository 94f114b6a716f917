"""How a benchmark reports: a Markdown table on the screen, the same rows as JSON, and what it cost."""

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Report:
    """Rows of one table, printed as they come."""

    def __init__(self, columns: list[str], json_file: Path | None = None):
        self.columns, self.json_file, self.rows = columns, json_file, []
        print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns), flush=True)

    def add(self, *values) -> None:
        """One row, in the order of the columns; None prints as a dash."""
        self.rows.append(dict(zip(self.columns, values, strict=True)))
        print("| " + " | ".join(_text(value) for value in values) + " |", flush=True)
        if self.json_file:
            self.json_file.write_text(json.dumps(self.rows, indent=1) + "\n")


def _text(value) -> str:
    if value is None:
        return "–"
    return (
        f"{value:.3g}"
        if isinstance(value, float) and abs(value) < 10
        else f"{value:,.1f}"
        if isinstance(value, float)
        else str(value)
    )


def parser(description: str) -> argparse.ArgumentParser:
    """Every benchmark's options; add your own."""
    result = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument("--json", type=Path, metavar="FILE", help="also write the rows here")
    return result


class Clock:
    """Seconds, readable once the block has ended."""

    seconds = 0.0


@contextmanager
def timed() -> Iterator[Clock]:
    """Measures the wall time of a block."""
    clock, start = Clock(), time.perf_counter()
    try:
        yield clock
    finally:
        clock.seconds = time.perf_counter() - start


def peak_gigabytes() -> float:
    """The most memory this process has held so far; measure one thing per process where it matters."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**30 if sys.platform == "darwin" else peak / 2**20
