"""install.py as a user runs it. The environments are real, made from a lock file with one tiny package."""

import json
import os
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from backend.api import paths
from installer import blenders, torch_build
from installer.environment import InstallError, Step, ensure_environment, find_pip_advice, read_stamp
from installer.torch_build import Choice, Machine, choose_build

SIX_1_17 = """
    six==1.17.0 \\
        --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274
"""
SIX_1_16 = """
    six==1.16.0 \\
        --hash=sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254
"""


def index_url_of(name: str) -> str:
    return f"https://download.pytorch.org/whl/{name}"


@pytest.mark.parametrize(
    ("machine", "wanted", "build", "index_url"),
    [
        (Machine("linux", nvidia="580.95.05, 8.9\n"), "auto", "cuda", ""),
        (Machine("linux", nvidia="595.10, 12.0\n595.10, 7.5\n"), "auto", "cuda", ""),
        (Machine("linux", nvidia="550.54.14, 8.6\n"), "auto", "cuda", index_url_of("cu126")),
        (Machine("linux", nvidia="580.95.05, 6.1\n"), "auto", "cuda", index_url_of("cu126")),
        (Machine("linux", nvidia="470.82, 7.5\n"), "auto", "cpu", index_url_of("cpu")),
        (Machine("linux", nvidia="570.10, 12.0\n"), "auto", "cpu", index_url_of("cpu")),
        (Machine("win32", nvidia="581.15, 8.9\r\n"), "auto", "cuda", index_url_of("cu130")),
        (Machine("win32"), "auto", "cpu", index_url_of("cpu")),
        (Machine("linux"), "auto", "cpu", index_url_of("cpu")),
        (Machine("linux", rocm=True), "auto", "rocm", index_url_of("rocm7.2")),
        (Machine("win32", rocm=True), "auto", "cpu", index_url_of("cpu")),
        (Machine("darwin", "arm64"), "auto", "mps", ""),
        (Machine("darwin", "arm64"), "cpu", "cpu", ""),
        (Machine("linux", nvidia="580.95.05, 8.9\n"), "cpu", "cpu", index_url_of("cpu")),
        (Machine("linux"), "cuda", "cuda", ""),
    ],
)
def test_the_torch_build_follows_from_the_machine(machine, wanted, build, index_url):
    choice = choose_build(machine, wanted)
    assert (choice.build, choice.index) == (build, index_url)


def test_a_driver_that_is_too_old_is_reported_with_what_to_do():
    assert "580 or newer" in choose_build(Machine("linux", nvidia="470.82, 7.5\n")).note
    assert choose_build(Machine("linux", nvidia="580.95.05, 8.9\n")) == Choice("cuda")


def test_a_torch_wheel_in_a_find_links_folder_of_pip_is_found(tmp_path, monkeypatch):
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    wheel = tmp_path / f"torch-{torch_build.TORCH}+cpu-{tag}-{tag}-linux_x86_64.whl"
    assert torch_build.local_wheel(str(tmp_path)) is None
    wheel.touch()
    assert torch_build.local_wheel(f"https://example.org/simple {tmp_path}\n") == wheel
    monkeypatch.setenv("PIP_FIND_LINKS", tmp_path.as_uri())
    assert torch_build.local_wheel("") == wheel


@pytest.mark.parametrize(
    ("output", "word"),
    [
        ("OSError: [Errno 28] No space left on device", "full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "pinned"),
        (
            "WARNING: Retrying after connection broken by 'NewConnectionError(Temporary failure in name "
            "resolution)'\nERROR: No matching distribution found for numpy",
            "network",
        ),
        ("ERROR: No matching distribution found for pymaxflow==1.3.2", "Python 3.11"),
        ("something new", "troubleshooting"),
    ],
)
def test_a_failure_of_pip_is_reported_with_advice(output, word):
    assert word in find_pip_advice(output)


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """An environment with six 1.17, made once. Every test leaves it complete, or broken in a way that
    ``ensure_environment`` must repair."""
    folder = tmp_path_factory.mktemp("install") / "environment"
    ensure_environment(folder, [step(folder.parent / "six.txt")], variant="plain", imports="six")
    return folder


def step(lock: Path, text: str = SIX_1_17) -> Step:
    lock.write_text(textwrap.dedent(text), encoding="utf-8")
    return Step("six", lock=lock)


def version_of_six(folder: Path) -> str:
    command = [str(paths.environment_python(folder)), "-c", "import six; print(six.__version__)"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def test_a_complete_environment_is_not_changed(environment, tmp_path, capsys):
    ensure_environment(environment, [step(tmp_path / "six.txt")], variant="plain")
    ensure_environment(environment, [step(tmp_path / "six.txt")], variant="plain")
    before = (environment / paths.ENVIRONMENT_STAMP).stat().st_mtime_ns
    capsys.readouterr()
    interpreter = ensure_environment(environment, [step(tmp_path / "six.txt")], variant="plain")
    assert interpreter == paths.environment_python(environment)
    assert (environment / paths.ENVIRONMENT_STAMP).stat().st_mtime_ns == before
    assert capsys.readouterr().out == ""


def test_an_interrupted_installation_is_completed(environment, tmp_path, capsys):
    ensure_environment(environment, [step(tmp_path / "six.txt")], variant="plain")
    kept = environment / "kept.txt"
    kept.touch()
    subprocess.run(
        [str(paths.environment_python(environment)), "-m", "pip", "uninstall", "-qy", "six"], check=True
    )
    stamp = read_stamp(environment)
    del stamp["complete"]
    (environment / paths.ENVIRONMENT_STAMP).write_text(json.dumps(stamp), encoding="utf-8")
    ensure_environment(environment, [step(tmp_path / "six.txt")], variant="plain", imports="six")
    assert version_of_six(environment) == "1.17.0"
    assert kept.exists()
    assert "Finishing" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "[]", "3", "null", '"complete"', "[" * 100_000, "\0", "{"])
def test_a_damaged_stamp_is_as_good_as_none(tmp_path, content):
    (tmp_path / paths.ENVIRONMENT_STAMP).write_text(content, encoding="utf-8")
    assert read_stamp(tmp_path) == {}


def test_an_environment_without_its_python_is_recreated(environment, tmp_path):
    interpreter = paths.environment_python(environment)
    interpreter.unlink()
    ensure_environment(environment, [step(tmp_path / "six.txt")], variant="plain", imports="six")
    assert version_of_six(environment) == "1.17.0"


def test_a_changed_lock_is_installed_over_the_old_one(environment, tmp_path):
    ensure_environment(environment, [step(tmp_path / "six.txt", SIX_1_16)], variant="plain", imports="six")
    assert version_of_six(environment) == "1.16.0"


def test_another_torch_build_recreates_the_environment(environment, tmp_path):
    old_file = environment / "old.txt"
    old_file.touch()
    ensure_environment(environment, [step(tmp_path / "six.txt")], variant="another", imports="six")
    assert not old_file.exists()


def test_a_file_with_another_hash_leaves_the_environment_incomplete(environment, tmp_path):
    forged = SIX_1_16.replace("8abb2f", "000000")
    with pytest.raises(InstallError, match="not the one that was pinned"):
        ensure_environment(environment, [step(tmp_path / "six.txt", forged)], variant="another")
    assert "complete" not in read_stamp(environment)


def test_a_package_that_does_not_import_is_an_install_error(environment, tmp_path):
    with pytest.raises(InstallError, match="do not import"):
        ensure_environment(environment, [step(tmp_path / "six.txt")], variant="another", imports="seven")
    assert "complete" not in read_stamp(environment)


def test_too_little_space_is_reported_before_anything_is_created(tmp_path):
    with pytest.raises(InstallError, match="ORBIT_TEXTURE_HOME"):
        ensure_environment(tmp_path / "environment", [], gigabytes=1e9)
    assert not (tmp_path / "environment").exists()


def run_install(*arguments: str, home: Path, python: str = sys.executable) -> subprocess.CompletedProcess:
    environment = os.environ | {"ORBIT_TEXTURE_HOME": str(home), "PATH": os.environ.get("PATH", "")}
    return subprocess.run(
        [python, str(paths.ROOT / "install.py"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        cwd=home,
        check=False,
    )


def test_the_doctor_names_the_install_command_when_nothing_is_installed(tmp_path):
    done = run_install("doctor", home=tmp_path)
    assert done.returncode == 1
    assert "install.py backend\n" in done.stdout
    findings = json.loads(run_install("doctor", "--json", home=tmp_path).stdout)
    backend = next(finding for finding in findings if finding["name"] == "backend")
    assert (backend["state"], backend["detail"]) == ("problem", "is not installed")
    assert shlex.split(backend["fix"])[1:] == [str(paths.ROOT / "install.py"), "backend"]


@pytest.mark.parametrize(
    ("stamp", "detail"),
    [
        ({"python": "3.11", "variant": "torch cpu"}, "interrupted"),
        (
            {"python": "3.11", "variant": "torch cpu", "complete": "of an earlier version"},
            "other requirements",
        ),
    ],
)
def test_the_doctor_reports_an_unfinished_or_outdated_environment(tmp_path, stamp, detail):
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment" / paths.ENVIRONMENT_STAMP).write_text(json.dumps(stamp), encoding="utf-8")
    findings = json.loads(run_install("doctor", "--json", home=tmp_path).stdout)
    backend = next(finding for finding in findings if finding["name"] == "backend")
    assert detail in backend["detail"]
    assert backend["fix"].endswith("install.py backend")


def test_the_doctor_reports_that_a_worker_starts(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "backend", "doctor", "--json"],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"ORBIT_TEXTURE_HOME": str(tmp_path)},
        check=False,
    )
    worker = next(finding for finding in json.loads(done.stdout) if finding["name"] == "worker")
    assert worker["state"] == "ok", worker


def test_a_path_that_is_not_a_blender_is_reported(tmp_path):
    done = run_install("addon", "--blender", str(tmp_path / "blender"), home=tmp_path)
    assert done.returncode == 1
    assert "is not a Blender that runs" in done.stderr


def test_unknown_options_are_refused(tmp_path):
    assert run_install("backend", "--torsh", "cpu", home=tmp_path).returncode == 2


def test_an_old_python_is_refused_with_the_versions_to_install(tmp_path):
    old = blenders.find_python("3.10") or blenders.find_python("3.9")
    if old is None:
        pytest.skip("there is no Python older than 3.11 on this machine")
    done = run_install("backend", home=tmp_path, python=old)
    assert done.returncode == 1
    assert "needs Python 3.11" in done.stderr
