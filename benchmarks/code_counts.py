"""What the code looks like, counted: line lengths, comments, functions, names, tests, commits.

    python -m benchmarks.code_counts [--tree FOLDER] [--list] [--json FILE]

Counted over non-blank lines of the Python files that git tracks, once for each part of the tree. A function
counts as a participle if the first word of its name is one ("bent", "placed"); a constant as repeated if its
name is assigned in the modules of two or more files. ``--list`` names what is counted, to be worked off.
"""

import ast
import re
import statistics
import subprocess
import tokenize
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from .report import Report, parser

PARTS = ("backend", "addon", "backend/paint/draft", "installer", "tests", "benchmarks")

IRREGULAR = re.compile(
    "bent|bound|built|caught|done|drawn|driven|fed|found|given|grown|held|hidden|kept|known|laid|left|lit|made|"
    "meant|met|rebuilt|said|seen|sent|shown|shrunk|spent|spoken|sung|swept|taken|told|torn|turned|unlit|unseen|"
    "wound|woven|worn|written"
)
NO_PARTICIPLE = re.compile("bleed|embed|feed|need|proceed|speed|exceed")

LONG_TEST_NAME = 70 + len("test_")
LONG_SUBJECT = 72
LONG_FUNCTION = 35


@dataclass
class Counts:
    """What is counted of one part of the tree.

    Attributes:
        lines: lengths of all non-blank lines.
        files: non-blank lines of each file.
        functions: lines of each function, by place and name.
        comments: lines that hold a comment.
        documented: of the public functions and classes, who has a docstring.
        participles: places of functions that are named by one.
        constants: files by the name of a constant.
        uncommented: functions over LONG_FUNCTION lines without any comment.
        tests: names of tests that are over LONG_TEST_NAME letters.
    """

    lines: list[int] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    functions: dict[str, int] = field(default_factory=dict)
    comments: int = 0
    documented: list[bool] = field(default_factory=list)
    participles: list[str] = field(default_factory=list)
    constants: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    uncommented: list[str] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)

    @property
    def repeated(self) -> dict[str, set[str]]:
        """Constants by name that more than one file defines."""
        return {name: files for name, files in sorted(self.constants.items()) if len(files) > 1}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--tree", type=Path, default=Path("."), help="a checkout")
    options.add_argument("--list", action="store_true", help="name what is counted")
    chosen = options.parse_args()
    columns = ["part", "files", "median file", "largest file", "function median", "p90", "longest", "> 110 %"]
    columns += [
        "> 120 %",
        "comments / 100",
        "docstrings %",
        "participles",
        "repeated constants",
        "long tests",
    ]
    report = Report(columns, chosen.json)
    for part in PARTS:
        counts = count(chosen.tree, part)
        report.add(part, *row(counts))
        if chosen.list and part not in ("backend/paint/draft", "benchmarks"):
            print_lists(counts)
    subjects = commit_subjects(chosen.tree)
    print(f"\ncommit subjects: median {statistics.median(map(len, subjects)):.0f} letters")
    print(
        f"over {LONG_SUBJECT}: {sum(len(subject) > LONG_SUBJECT for subject in subjects)} of {len(subjects)}"
    )


def count(tree: Path, part: str) -> Counts:
    """The counts of a folder of the tree, with its subfolders."""
    tracked = subprocess.run(
        ["git", "ls-files", "--", part], cwd=tree, capture_output=True, text=True, check=True
    )
    counts = Counts()
    for name in tracked.stdout.split("\n"):
        if name.endswith(".py") and (tree / name).exists():
            add_file(counts, tree / name, name)
    return counts


def add_file(counts: Counts, path: Path, name: str) -> None:
    text = path.read_text(encoding="utf-8")
    lengths = [len(line) for line in text.splitlines() if line.strip()]
    counts.lines += lengths
    counts.files[name] = len(lengths)
    with path.open("rb") as file:
        commented = {
            token.start[0] for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT
        }
    counts.comments += len(commented)
    tree = ast.parse(text)
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            for leaf in ast.walk(target) if target is not None else ():
                if isinstance(leaf, ast.Name) and re.fullmatch(r"_?[A-Z][A-Z0-9_]+", leaf.id):
                    counts.constants[leaf.id].add(name)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            add_function(counts, node, f"{name}:{node.lineno} {node.name}", commented)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith(("_", "test_")):
            counts.documented.append(ast.get_docstring(node) is not None)


def add_function(counts: Counts, node: ast.FunctionDef, place: str, commented: set[int]) -> None:
    lines = range(node.lineno, node.end_lineno + 1)
    counts.functions[place] = len(lines)
    if is_participle(node.name.strip("_").split("_")[0]):
        counts.participles.append(place)
    if len(lines) > LONG_FUNCTION and not commented & set(lines):
        counts.uncommented.append(f"{place} ({len(lines)} lines)")
    if node.name.startswith("test_") and len(node.name) > LONG_TEST_NAME:
        counts.tests.append(place)


def is_participle(word: str) -> bool:
    regular = word.endswith("ed") and len(word) > 4 and not NO_PARTICIPLE.fullmatch(word)
    return regular or IRREGULAR.fullmatch(word) is not None


def row(counts: Counts) -> tuple:
    """The values of a part's row, in the table's order."""
    functions = sorted(counts.functions.values())
    lines = max(len(counts.lines), 1)
    return (
        len(counts.files),
        statistics.median(counts.files.values()),
        max(counts.files.values()),
        statistics.median(functions),
        functions[9 * len(functions) // 10],
        functions[-1],
        100 * sum(length > 110 for length in counts.lines) / lines,
        100 * sum(length > 120 for length in counts.lines) / lines,
        100 * counts.comments / lines,
        100 * statistics.mean(counts.documented),
        len(counts.participles),
        len(counts.repeated),
        len(counts.tests),
    )


def print_lists(counts: Counts) -> None:
    print("\n".join(["", "named by participles:", *counts.participles]))
    print("\n".join(["", f"over {LONG_FUNCTION} lines without a comment:", *counts.uncommented]))
    print("\n".join(["", "tests with long names:", *counts.tests]))
    print("\n".join(["", "constants that several files define:"]))
    for name, files in counts.repeated.items():
        print(f"  {name}: {', '.join(sorted(files))}")


def commit_subjects(tree: Path) -> list[str]:
    log = subprocess.run(
        ["git", "log", "--format=%s", "--no-merges"], cwd=tree, capture_output=True, text=True
    )
    return log.stdout.splitlines()


if __name__ == "__main__":
    main()
