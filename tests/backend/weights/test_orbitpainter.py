"""OrbitPainter's weights, downloaded from a hub over real HTTP and converted to a model that opens."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from backend import doctor
from backend.api.errors import Cancelled, DownloadFailed, InvalidWeights, OutOfMemory, StorageError
from backend.api.weights import (
    FOUR_STEPS,
    ORBITPAINTER,
    ORBITPAINTER_LORA,
    SAM,
    WAN,
    WAN_EXPERTS,
    format_size,
)
from backend.paint.orbitpainter.model import Model, read_prompts
from backend.paint.orbitpainter.painter import QUALITY_PRESETS
from backend.paint.segmentation import load_segmentation
from backend.weights import command
from backend.weights.fetch import fetch_file
from backend.weights.install import install
from backend.weights.manifest import Manifest, RemoteFile
from backend.weights.orbitpainter import make, read_negative_prompt
from backend.weights.plan import bytes_to_download, download_folder, peak_disk_space, resolve_manifest
from tests import tiny_model, tiny_weights
from tests.hub import Hub

ROOT = Path(__file__).resolve().parents[3]
HIGH = "high_noise_model/diffusion_pytorch_model.safetensors"
MB = 1 << 20


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    return tiny_weights.repositories(tmp_path_factory.mktemp("published"))


@pytest.fixture
def hub(repositories):
    with Hub({name: dict(files) for name, files in repositories.items()}) as hub:
        hub.licenses = {WAN_EXPERTS.repository: "apache-2.0"}
        yield hub


def run(hub, home, *options, module="backend", answer="", **environment):
    """Runs the download command as a user does: the real one, or the one for tiny networks of the module
    ``tests.tiny_weights``. Returns exit status and output."""
    arguments = (
        ["download", "orbitpainter"]
        if module == "backend"
        else [str(home / "models" / "orbitpainter"), hub.url]
    )
    environment = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home / "hf"),
        "ORBIT_TEXTURE_HOME": str(home),
    } | environment
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "ORBIT_TEXTURE"))
    }
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments, *options],
        cwd=ROOT,
        env=clean | environment,
        input=answer,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
    )
    return done.returncode, done.stdout


def test_without_agreement_size_and_licence_are_shown_and_nothing_fetched(hub, tmp_path):
    for answer in ("", "what?\n"):
        status, output = run(hub, tmp_path, answer=answer)
        assert status == 1
        assert "Nothing was downloaded." in output
    size = sum(len(data) for path, data in hub.repositories[WAN_EXPERTS.repository].items())
    assert re.search(rf"{WAN_EXPERTS.repository} +{re.escape(format_size(size))}  apache-2.0", output)
    assert re.search(rf"{ORBITPAINTER_LORA.repository} .* mit\n", output)
    assert "free for any use" in output
    assert all(path.startswith("/api/models/") for _, path, _, _ in hub.seen)
    assert not (tmp_path / "models").exists()


def test_the_download_command_installs_a_model_that_opens(hub, tmp_path, capsys):
    status, output = run(hub, tmp_path, module="tests.tiny_weights", answer="yes\n", HF_TOKEN="hf_secret")
    assert status == 0, output
    target = tmp_path / "models" / "orbitpainter"
    model = Model(target, torch.device("cpu"))
    model.check()
    assert model.load_expert("high").config.in_channels == 65
    Model(target, torch.device("cpu"), sampling=QUALITY_PRESETS["fast"]).check()
    assert load_segmentation(target / "segmentation").config.model_type == "sam"
    embedded = read_prompts(target / "prompts.safetensors")
    assert not torch.equal(embedded.positive, embedded.negative)
    assert [path.name for path in target.parent.iterdir() if path.is_dir()] == ["orbitpainter"], (
        "originals are left"
    )
    # The token is sent to the Hub only.
    assert {token for _, path, _, token in hub.seen if path.startswith(("/api/", "/Wan-AI/"))} == {
        "Bearer hf_secret"
    }
    assert {token for _, path, _, token in hub.seen if path.startswith("/plain/")} == {""}
    assert command.download(tiny_weights.make_spec(hub.url), target, None, False, False)
    assert "already" in capsys.readouterr().out


TINY_OPTIONS = tiny_weights.INSTALL_OPTIONS


def test_a_wrong_file_is_named_and_intact_files_are_not_fetched_again(hub, tmp_path):
    spec, target = tiny_weights.make_spec(hub.url), tmp_path / "models" / "orbitpainter"
    work, reports = download_folder(target), []
    right = hub.repositories[WAN_EXPERTS.repository][HIGH]
    hub.swapped[HIGH] = right[:-1] + bytes([right[-1] ^ 1])
    with pytest.raises(
        InvalidWeights, match=f"{WAN_EXPERTS.repository}/{HIGH} is another file than it should be: its sha256"
    ):
        install(
            spec,
            hub.make_manifest(ORBITPAINTER),
            target,
            lambda *what: reports.append(what),
            **TINY_OPTIONS,
        )
    assert not target.exists()
    assert not list((work / WAN_EXPERTS.repository / "high_noise_model").iterdir())
    assert not list((work / WAN.repository / "text_encoder").iterdir()), (
        "a converted part's originals are left"
    )
    assert (work / "made" / "vae").is_dir()
    assert {stage for stage, _ in reports} == {"download", "convert"}

    hub.swapped.clear()
    hub.seen.clear()
    reports.clear()
    manifest = resolve_manifest(spec, target)
    assert manifest == hub.make_manifest(ORBITPAINTER)
    install(spec, manifest, target, lambda *what: reports.append(what), **TINY_OPTIONS)
    assert {path.split("/")[-1] for _, path, _, _ in hub.seen} == {
        "diffusion_pytorch_model.safetensors",
        "high_noise.safetensors",
        "low_noise.safetensors",
    }
    fractions = [fraction for _, fraction in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    Model(target, torch.device("cpu")).check()


def test_a_kept_download_folder_installs_without_a_connection(hub, tmp_path):
    spec = tiny_weights.make_spec(hub.url)
    mine, other = tmp_path / "mine" / "orbitpainter", tmp_path / "other" / "orbitpainter"
    install(spec, hub.make_manifest(ORBITPAINTER), mine, lambda *what: None, keep=True, **TINY_OPTIONS)
    stick = tmp_path / "stick"
    download_folder(mine).rename(stick)
    before = {path: path.stat().st_mtime_ns for path in stick.rglob("*")}
    hub.seen.clear()
    install(spec, resolve_manifest(spec, other, stick), other, lambda *what: None, stick, **TINY_OPTIONS)
    assert not hub.seen
    assert {path: path.stat().st_mtime_ns for path in stick.rglob("*")} == before
    for file in (
        "high/diffusion_pytorch_model.safetensors",
        "low/diffusion_pytorch_model.safetensors",
        "prompts.safetensors",
    ):
        assert (mine / file).read_bytes() == (other / file).read_bytes()
    (stick / WAN_EXPERTS.repository / HIGH).write_bytes(b"something else")
    with pytest.raises(InvalidWeights, match=f"{HIGH} is another file"):
        install(spec, resolve_manifest(spec, other, stick), other, lambda *what: None, stick, **TINY_OPTIONS)
    Model(other, torch.device("cpu")).check()


def test_files_put_into_the_download_folder_by_hand_are_used_and_kept(hub, tmp_path):
    spec, target = tiny_weights.make_spec(hub.url), tmp_path / "orbitpainter"
    folder = download_folder(target)
    for file in hub.make_manifest(ORBITPAINTER).files:
        (folder / file.relative_path).parent.mkdir(parents=True, exist_ok=True)
        (folder / file.relative_path).write_bytes(hub.repositories[file.repository][file.path])
    install(spec, resolve_manifest(spec, target, folder), target, lambda *what: None, folder, **TINY_OPTIONS)
    Model(target, torch.device("cpu")).check()
    assert all((folder / file.relative_path).exists() for file in hub.make_manifest(ORBITPAINTER).files)


def test_the_hash_of_a_file_that_exists_already_is_checked(hub, tmp_path):
    spec, target = tiny_weights.make_spec(hub.url), tmp_path / "orbitpainter"
    config = download_folder(target) / WAN.repository / "text_encoder" / "config.json"
    right = hub.repositories[WAN.repository]["text_encoder/config.json"]
    config.parent.mkdir(parents=True)
    config.write_bytes(right.replace(b"{", b"["))
    with pytest.raises(InvalidWeights, match=r"text_encoder/config.json is another file"):
        install(spec, hub.make_manifest(ORBITPAINTER), target, lambda *what: None, **TINY_OPTIONS)
    assert not config.exists()
    config.write_bytes(right)
    (download_folder(target) / "manifest.json").unlink()
    install(spec, hub.make_manifest(ORBITPAINTER), target, lambda *what: None, **TINY_OPTIONS)
    assert hub.gets("text_encoder/config.json") == []


def test_too_little_memory_for_the_text_encoder_is_reported(tmp_path):
    with open(tmp_path / "encoder.safetensors", "wb") as make_huge_manifest:
        make_huge_manifest.truncate(1 << 41)
    with pytest.raises(OutOfMemory, match=r"takes 2199\.0 GB of memory"):
        make(
            "prompts.safetensors",
            [tmp_path / "encoder.safetensors"],
            tmp_path,
            tmp_path,
            lambda fraction: None,
        )


def test_a_negative_prompt_that_is_not_the_published_one_is_refused(tmp_path):
    (tmp_path / "config.py").write_text("a = 'blurred dark!'")
    with pytest.raises(InvalidWeights, match=r"config.py does not hold the negative prompt"):
        read_negative_prompt(tmp_path / "config.py", hashlib.sha256(b"blurred dark").hexdigest())


def test_files_missing_in_an_offline_folder_are_listed(hub, tmp_path):
    folder = tmp_path / "stick"
    for source in (WAN_EXPERTS, WAN, FOUR_STEPS, SAM):
        for path in source.files:
            file = folder / source.repository / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    status, output = run(hub, tmp_path, "--from", str(folder))
    assert status == 1
    named = re.findall(r"^  (\S+)$", output, re.MULTILINE)
    assert named == [
        "Wan-Video/Wan2.2/wan/configs/shared_config.py",
        "Yuehavingfun/orbitpainter-single/high_noise.safetensors",
        "Yuehavingfun/orbitpainter-single/low_noise.safetensors",
    ]
    assert f"from {hub.url}/Yuehavingfun/orbitpainter-single/resolve/main/high_noise.safetensors" in output
    assert not hub.seen


def test_in_offline_mode_missing_files_are_listed_with_their_folder(hub, tmp_path):
    status, output = run(hub, tmp_path, "--yes", HF_HUB_OFFLINE="1")
    assert status == 1
    assert "HF_HUB_OFFLINE is set" in output
    for source in ORBITPAINTER.sources:
        for path in source.files:
            assert f"  {source.repository}/{path}\n" in output
    assert f"--from {tmp_path / 'models' / 'orbitpainter.download'}" in output
    assert not hub.seen


def test_gated_and_missing_repositories_are_reported_differently(hub, tmp_path):
    hub.gated.add(ORBITPAINTER_LORA.repository)
    status, output = run(hub, tmp_path, "--yes")
    assert status == 1
    assert "orbitpainter-single: its authors want to know who downloads it" in output
    del hub.repositories[ORBITPAINTER_LORA.repository]
    assert "orbitpainter-single is not there, or not public" in run(hub, tmp_path, "--yes")[1]


def test_an_unreachable_server_is_reported(hub, tmp_path):
    status, output = run(hub, tmp_path, "--yes", HF_ENDPOINT="http://127.0.0.1:9")
    assert status == 1
    assert "cannot be downloaded (ConnectError" in output
    assert "Traceback" not in output


def test_yes_does_not_agree_to_another_licence_than_the_listed_one(hub, tmp_path):
    hub.licenses[WAN_EXPERTS.repository] = "cc-by-nc-4.0"
    status, output = run(hub, tmp_path, "--yes")
    assert status == 1
    assert "under the licence 'cc-by-nc-4.0' now, not 'apache-2.0'" in output
    assert all(path.startswith("/api/models/") for _, path, _, _ in hub.seen)


def make_big_file(hub) -> RemoteFile:
    """A file of 25 MB at an address of its own."""
    data = bytes(range(256)) * (25 * MB // 256)
    hub.repositories["a/b"] = {"big.safetensors": data}
    return RemoteFile(
        "a/b",
        "big.safetensors",
        len(data),
        f"sha256:{hashlib.sha256(data).hexdigest()}",
        address=f"{hub.url}/plain/a/b",
    )


def test_a_stopped_download_resumes_where_it_ended(hub, tmp_path):
    file, counted = make_big_file(hub), []

    def stop(size):
        counted.append(size)
        if size:
            raise Cancelled

    with pytest.raises(Cancelled):
        fetch_file(file, tmp_path, stop)
    assert not (tmp_path / file.relative_path).exists()
    arrived = sum(counted)
    counted.clear()
    assert (
        fetch_file(file, tmp_path, counted.append).read_bytes() == hub.repositories["a/b"]["big.safetensors"]
    )
    assert hub.gets("big.safetensors") == ["", f"bytes={arrived}-"]
    assert 0 < arrived < file.size == arrived + sum(counted)
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["big.safetensors"]


def test_a_download_resumes_after_its_connection_breaks(hub, tmp_path):
    file, counted = make_big_file(hub), []
    hub.cut["big.safetensors"] = 12 * MB
    fetch_file(file, tmp_path, counted.append)
    assert hub.gets("big.safetensors") == ["", f"bytes={10 * MB}-"]
    assert sum(counted) == file.size


def test_a_server_without_range_requests_sends_the_whole_file(hub, tmp_path):
    file, counted = make_big_file(hub), []
    hub.ranges = False
    part = tmp_path / "a/b" / "big.safetensors.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    fetch_file(file, tmp_path, counted.append)
    assert 1000 + sum(counted) == file.size


def test_a_partial_file_of_other_content_is_detected_by_its_hash(hub, tmp_path):
    file = make_big_file(hub)
    part = tmp_path / "a/b" / "big.safetensors.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    with pytest.raises(
        InvalidWeights, match=r"a/b/big.safetensors is another file than it should be: its sha256"
    ):
        fetch_file(file, tmp_path, lambda size: None)
    assert not list(part.parent.iterdir())
    fetch_file(file, tmp_path, lambda size: None)


def test_a_small_file_is_checked_by_gits_hash(hub, tmp_path):
    hub.repositories["a/b"] = {"config.json": b"{}\n"}
    blob = (
        subprocess.run(["git", "hash-object", "--stdin"], input=b"{}\n", stdout=subprocess.PIPE, check=True)
        .stdout.decode()
        .strip()
    )
    fetch_file(
        RemoteFile("a/b", "config.json", 3, f"git:{blob}", address=f"{hub.url}/plain/a/b"),
        tmp_path,
        lambda size: None,
    )
    hub.swapped["config.json"] = b"[]\n"
    with pytest.raises(InvalidWeights, match="its git hash"):
        fetch_file(
            RemoteFile("a/b", "config.json", 3, f"git:{blob}", address=f"{hub.url}/plain/a/b"),
            tmp_path / "again",
            lambda size: None,
        )


def test_a_file_missing_on_its_server_is_named(hub, tmp_path):
    with pytest.raises(DownloadFailed, match=r"c/d/lost.bin cannot be downloaded \(the server answers 404\)"):
        fetch_file(
            RemoteFile("c/d", "lost.bin", 3, "", address=f"{hub.url}/elsewhere"), tmp_path, lambda size: None
        )


def make_huge_manifest() -> Manifest:
    """A manifest with the published sizes, times a hundred thousand."""
    files = [
        RemoteFile(source.repository, path, size * 100_000, "")
        for source in ORBITPAINTER.sources
        for path, size in source.files.items()
    ]
    return Manifest(tuple(files), {})


def test_too_little_disk_space_is_reported_before_anything_is_written(tmp_path):
    with pytest.raises(
        StorageError, match=r"has .* GB free, and installing the weights takes up to \d+\.\d GB"
    ):
        install(
            ORBITPAINTER, make_huge_manifest(), tmp_path / "models" / "orbitpainter", lambda *reports: None
        )
    assert not list(tmp_path.iterdir())


def test_required_space_is_of_one_component_unless_originals_are_kept(tmp_path):
    target = tmp_path / "orbitpainter"
    published = Manifest(
        tuple(
            RemoteFile(file.repository, file.path, file.size // 100_000, "")
            for file in make_huge_manifest().files
        ),
        {},
    )
    needed = {keep: peak_disk_space(ORBITPAINTER, published, target, False, keep) for keep in (False, True)}
    assert 86e9 < needed[False] < 90e9
    assert 129e9 < needed[True] < 133e9
    assert bytes_to_download(ORBITPAINTER, published, target) == ORBITPAINTER.size


def test_two_downloads_at_once_are_refused(hub, tmp_path):
    target = tmp_path / "models" / "orbitpainter"
    target.parent.mkdir()
    with FileLock(target.with_name("orbitpainter.lock")):
        status, output = run(hub, tmp_path, "--yes")
    assert status == 1
    assert "Another process is downloading orbitpainter already" in output


def test_a_damaged_manifest_is_reported(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"files": [{"nothing": 1}]}))
    with pytest.raises(DownloadFailed, match=r"manifest.json cannot be read"):
        Manifest.read(tmp_path, ORBITPAINTER)


def test_the_doctor_reports_installed_missing_and_damaged_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_HOME", str(tmp_path))
    target = tmp_path / "models" / "orbitpainter"

    size = format_size(ORBITPAINTER.size)

    def finding():
        found, *_ = doctor._weights()
        return found.state, found.detail, found.fix.endswith("install.py download orbitpainter")

    assert finding() == (
        "ok",
        f"OrbitPainter (AI painter): not installed; the draft painter needs none. To download it ({size}):",
        True,
    )
    download_folder(target).mkdir(parents=True)
    assert finding() == (
        "warning",
        f"the download of OrbitPainter to {download_folder(target)} is incomplete",
        True,
    )
    tiny_model.write_model(target)
    assert finding() == ("ok", f"OrbitPainter: installed in {target}", False)
    (target / "low" / "diffusion_pytorch_model.safetensors").write_bytes(b"")
    state, detail, mended = finding()
    assert (state, mended) == ("problem", True)
    assert "low/diffusion_pytorch_model.safetensors is not a whole safetensors file" in detail
