"""``python -m tests.reliability``: see :func:`main`."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from backend.api.paths import ROOT, VERSION

from .faults import run_faults
from .soak import PIPELINES, Sample, run_soak
from .strangers import run_strangers

DOCUMENT = ROOT / "docs" / "reliability.md"

BEGIN, END = "<!-- table -->", "<!-- end of the table -->"
"""Between these lines of the document stands the table."""

PARTS = ("faults", "strangers", "soak", "fuzz")


def main() -> int:
    """Tries what may go wrong, or the parts of that which are named, and prints the table of what came of it.

    Results of parts that are not named are taken from the JSON file, if they are there.
    """
    parser = argparse.ArgumentParser(description="Try what may go wrong, and print what came of it.")
    parser.add_argument("part", nargs="*", help=f"some of {', '.join(PARTS)} (all)")
    parser.add_argument("--faults", type=int, default=500, help="how many (%(default)s)")
    parser.add_argument("--strangers", type=int, default=11_000, help="how many (%(default)s)")
    parser.add_argument("--scripted-jobs", type=int, default=450, help="in the soak (%(default)s)")
    parser.add_argument("--draft-jobs", type=int, default=50, help="in the soak (%(default)s)")
    parser.add_argument("--minutes", type=float, default=20.0, help="of fuzzing per reader (%(default)s)")
    parser.add_argument("--blender-python", help="a Python with bpy, to fuzz what the add-on reads")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--json", type=Path, help="file of the results, which are added to those in it")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT.name}")
    options = parser.parse_args()
    if unknown := sorted(set(options.part) - set(PARTS)):
        parser.error(f"there is no part '{unknown[0]}'")
    results = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    results |= {"version": VERSION, "machine": f"{platform.system()}, {os.cpu_count()} processor cores"}
    run = {"faults": try_faults, "strangers": try_strangers, "soak": try_soak, "fuzz": try_readers}
    for part in options.part or PARTS:
        results[part] = run[part](options)
        if options.json:
            options.json.write_text(json.dumps(results, indent=1) + "\n")
    table = make_table(results)
    print(table)
    if options.write:
        before, _, after = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
        DOCUMENT.write_text(f"{before}{BEGIN}\n{table}\n{END}{after.partition(END)[2]}", encoding="utf-8")
    return int(any(results[part]["wrong"] for part in PARTS if part in results))


def try_faults(options: argparse.Namespace) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        tried, wrong = run_faults(Path(folder), options.faults, options.seed)
    return {"tried": tried, "wrong": wrong}


def try_strangers(options: argparse.Namespace) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        tried, wrong = run_strangers(Path(folder), options.strangers, options.seed)
    return {"tried": tried, "wrong": wrong}


def try_soak(options: argparse.Namespace) -> dict:
    counts, found, wrong = {"scripted": options.scripted_jobs, "draft": options.draft_jobs}, {}, []
    for kind in filter(counts.get, PIPELINES):
        samples, wrong_here = run_soak(kind, counts[kind])
        found[kind] = {name: compare_quarters(own) for name, own in samples.items()}
        wrong += wrong_here
    return {"jobs": counts, "processes": found, "wrong": wrong}


def compare_quarters(samples: list[Sample]) -> dict[str, list[int]]:
    """The most memory, descriptors and threads of a process in the first and in the last quarter."""
    quarter = max(1, len(samples) // 4)
    parts = samples[:quarter], samples[-quarter:]
    return {
        what: [max(getattr(sample, what) for sample in part) for part in parts]
        for what in ("memory", "descriptors", "threads")
    }


def try_readers(options: argparse.Namespace) -> dict:
    """Runs ``python -m tests.fuzz``, in Blender's Python too if there is one."""
    readers = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fuzz.json"
        for python in filter(None, (sys.executable, options.blender_python)):
            command = [python, "-m", "tests.fuzz", "--minutes", str(options.minutes), "--json", str(file)]
            subprocess.run(
                command, cwd=ROOT, env=os.environ | {"BACKEND_PYTHON": sys.executable}, check=False
            )
            readers |= json.loads(file.read_text())
    return {"minutes": options.minutes, "readers": readers, "wrong": list_broken(readers)}


def list_broken(readers: dict) -> list[str]:
    return [f"{name}: {what}" for name, tally in readers.items() for what in tally["broken"]]


def make_table(results: dict) -> str:
    """The results as Markdown."""
    lines = [f"Version {results['version']}, {results['machine']}.", ""]
    if part := results.get("faults"):
        lines += ["| fault | tried | jobs lost |", "|---|---|---|"]
        wrong = Counter(sentence.partition(":")[0] for sentence in part["wrong"])
        lines += [
            f"| {name.replace('_', ' ')} | {count} | {wrong[name]} |"
            for name, count in sorted(part["tried"].items())
        ]
        lines += [f"| **all** | **{sum(part['tried'].values())}** | **{len(part['wrong'])}** |", ""]
    if part := results.get("strangers"):
        lines += ["| stranger | tried |", "|---|---|"]
        lines += [
            f"| {name.replace('_', ' ')} | {count:,} |" for name, count in sorted(part["tried"].items())
        ]
        total = sum(part["tried"].values())
        lines += [f"| **all** | **{total:,}**; admitted or harmful: **{len(part['wrong'])}** |", ""]
    if part := results.get("fuzz"):
        lines += ["| reader | inputs | read | refused in a sentence | any other error | slowest |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += [
            f"| {name} | {tally['total']:,} | {tally['read']:,} "
            f"| {tally['refused']:,} | {len(tally['broken'])} | {tally['slowest']:.1f} s |"
            for name, tally in part["readers"].items()
        ]
        lines += [""]
    if part := results.get("soak"):
        lines += ["| jobs | process | memory, MiB | descriptors | threads |", "|---|---|---|---|---|"]
        lines += [
            f"| {part['jobs'][kind]} {kind} | {name} | {_tell(figures['memory'], 2**20)} "
            f"| {_tell(figures['descriptors'])} | {_tell(figures['threads'])} |"
            for kind, processes in part["processes"].items()
            for name, figures in processes.items()
        ]
        lines += ["", "Each figure is the most in the first and in the last quarter of the jobs.", ""]
    wrong = [sentence for name in PARTS if name in results for sentence in results[name]["wrong"]]
    lines += [f"What went wrong: {'; '.join(wrong) if wrong else 'nothing'}."]
    return "\n".join(lines)


def _tell(figures: list[float], unit: int = 1) -> str:
    return " → ".join(f"{figure / unit:,.0f}" for figure in figures)


if __name__ == "__main__":
    sys.exit(main())
