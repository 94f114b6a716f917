"""Weights from a hub over real HTTP to a model that opens."""

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
    EXPERTS,
    FOUR_STEPS,
    ORBITPAINTER,
    ORBITPAINTER_LORA,
    SEGMENTATION,
    WAN,
    gigabytes,
)
from backend.paint.orbitpainter.model import Model, embedded
from backend.paint.orbitpainter.painter import QUALITY
from backend.paint.orbitpainter.segmentation import load_segmentation
from backend.weights import command
from backend.weights.fetch import fetch
from backend.weights.install import install
from backend.weights.manifest import File, Manifest
from backend.weights.orbitpainter import make, unwanted
from backend.weights.plan import left, look, room, workplace
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
        hub.licenses = {EXPERTS.repository: "apache-2.0"}
        yield hub


def run(hub, home, *options, module="backend", says="", **environment):
    """The command as a user runs it: the real one, or, as ``tests.tiny_weights``, the one for tiny networks.
    Exit status and output."""
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
        input=says,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
    )
    return done.returncode, done.stdout


def test_who_does_not_agree_gets_nothing_but_has_read_size_and_licence(hub, tmp_path):
    for says in ("", "what?\n"):
        status, said = run(hub, tmp_path, says=says)
        assert status == 1
        assert "Nothing was downloaded." in said
    size = sum(len(data) for path, data in hub.repositories[EXPERTS.repository].items())
    assert re.search(rf"{EXPERTS.repository} +{re.escape(gigabytes(size))}  apache-2.0", said)
    assert re.search(rf"{ORBITPAINTER_LORA.repository} .* mit\n", said)
    assert "free for any use" in said
    assert all(path.startswith("/api/models/") for _, path, _, _ in hub.seen)
    assert not (tmp_path / "models").exists()


def test_one_command_leads_from_the_hub_to_a_model_that_opens(hub, tmp_path, capsys):
    status, said = run(hub, tmp_path, module="tests.tiny_weights", says="yes\n", HF_TOKEN="hf_secret")
    assert status == 0, said
    target = tmp_path / "models" / "orbitpainter"
    model = Model(target, torch.device("cpu"))
    model.check()
    assert model.expert("high").config.in_channels == 65
    Model(target, torch.device("cpu"), sampling=QUALITY["fast"]).check()
    assert load_segmentation(target / "segmentation").config.model_type == "sam"
    wanted, unwanted = embedded(target / "prompts.safetensors")
    assert not torch.equal(wanted, unwanted)
    assert [path.name for path in target.parent.iterdir() if path.is_dir()] == ["orbitpainter"], (
        "originals are left"
    )
    # The token is for the Hub only.
    assert {token for _, path, _, token in hub.seen if path.startswith(("/api/", "/Wan-AI/"))} == {
        "Bearer hf_secret"
    }
    assert {token for _, path, _, token in hub.seen if path.startswith("/plain/")} == {""}
    assert command.download(tiny_weights.needs(hub.url), target, None, False, False)
    assert "already" in capsys.readouterr().out


def pinned(hub) -> Manifest:
    """The manifest of what the hub serves, at plain addresses."""
    files = [
        File(
            source.repository,
            path,
            len(data := hub.repositories[source.repository][path]),
            f"sha256:{hashlib.sha256(data).hexdigest()}",
            address=f"{hub.url}/plain/{source.repository}",
        )
        for source in ORBITPAINTER.sources
        for path in source.files
    ]
    return Manifest(tuple(files), {})


TINY = tiny_weights.OPTIONS


def test_a_wrong_file_is_refused_by_name_and_what_was_good_is_not_fetched_again(hub, tmp_path):
    needs, target = tiny_weights.needs(hub.url), tmp_path / "models" / "orbitpainter"
    work, told = workplace(target), []
    right = hub.repositories[EXPERTS.repository][HIGH]
    hub.swapped[HIGH] = right[:-1] + bytes([right[-1] ^ 1])
    with pytest.raises(
        InvalidWeights, match=f"{EXPERTS.repository}/{HIGH} is another file than it should be: its sha256"
    ):
        install(needs, pinned(hub), target, lambda *what: told.append(what), **TINY)
    assert not target.exists()
    assert not list((work / EXPERTS.repository / "high_noise_model").iterdir())
    assert not list((work / WAN.repository / "text_encoder").iterdir()), (
        "a converted part's originals are left"
    )
    assert (work / "made" / "vae").is_dir()
    assert {stage for stage, _ in told} == {"download", "convert"}

    hub.swapped.clear()
    hub.seen.clear()
    told.clear()
    manifest = look(needs, target)
    assert manifest == pinned(hub)
    install(needs, manifest, target, lambda *what: told.append(what), **TINY)
    assert {path.split("/")[-1] for _, path, _, _ in hub.seen} == {
        "diffusion_pytorch_model.safetensors",
        "high_noise.safetensors",
        "low_noise.safetensors",
    }
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    Model(target, torch.device("cpu")).check()


def test_a_folder_that_was_kept_serves_a_machine_without_a_connection(hub, tmp_path):
    needs = tiny_weights.needs(hub.url)
    mine, other = tmp_path / "mine" / "orbitpainter", tmp_path / "other" / "orbitpainter"
    install(needs, pinned(hub), mine, lambda *what: None, keep=True, **TINY)
    stick = tmp_path / "stick"
    workplace(mine).rename(stick)
    before = {path: path.stat().st_mtime_ns for path in stick.rglob("*")}
    hub.seen.clear()
    install(needs, look(needs, other, stick), other, lambda *what: None, stick, **TINY)
    assert not hub.seen
    assert {path: path.stat().st_mtime_ns for path in stick.rglob("*")} == before
    for file in (
        "high/diffusion_pytorch_model.safetensors",
        "low/diffusion_pytorch_model.safetensors",
        "prompts.safetensors",
    ):
        assert (mine / file).read_bytes() == (other / file).read_bytes()
    (stick / EXPERTS.repository / HIGH).write_bytes(b"something else")
    with pytest.raises(InvalidWeights, match=f"{HIGH} is another file"):
        install(needs, look(needs, other, stick), other, lambda *what: None, stick, **TINY)
    Model(other, torch.device("cpu")).check()


def test_files_that_were_put_into_a_folder_by_hand_are_converted_and_stay(hub, tmp_path):
    needs, target = tiny_weights.needs(hub.url), tmp_path / "orbitpainter"
    folder = workplace(target)
    for file in pinned(hub).files:
        (folder / file.place).parent.mkdir(parents=True, exist_ok=True)
        (folder / file.place).write_bytes(hub.repositories[file.repository][file.path])
    install(needs, look(needs, target, folder), target, lambda *what: None, folder, **TINY)
    Model(target, torch.device("cpu")).check()
    assert all((folder / file.place).exists() for file in pinned(hub).files)


def test_a_file_that_lies_there_already_is_not_believed_before_its_hash_is_compared(hub, tmp_path):
    needs, target = tiny_weights.needs(hub.url), tmp_path / "orbitpainter"
    config = workplace(target) / WAN.repository / "text_encoder" / "config.json"
    right = hub.repositories[WAN.repository]["text_encoder/config.json"]
    config.parent.mkdir(parents=True)
    config.write_bytes(right.replace(b"{", b"["))
    with pytest.raises(InvalidWeights, match=r"text_encoder/config.json is another file"):
        install(needs, pinned(hub), target, lambda *what: None, **TINY)
    assert not config.exists()
    config.write_bytes(right)
    (workplace(target) / "manifest.json").unlink()
    install(needs, pinned(hub), target, lambda *what: None, **TINY)
    assert hub.gets("text_encoder/config.json") == []


def test_too_little_memory_for_the_text_encoder_is_a_sentence(tmp_path):
    with open(tmp_path / "encoder.safetensors", "wb") as huge:
        huge.truncate(1 << 41)
    with pytest.raises(OutOfMemory, match=r"takes 2199\.0 GB of memory"):
        make(
            "prompts.safetensors",
            [tmp_path / "encoder.safetensors"],
            tmp_path,
            tmp_path,
            lambda fraction: None,
        )


def test_a_text_that_is_not_the_published_one_is_refused(tmp_path):
    (tmp_path / "config.py").write_text("a = 'blurred dark!'")
    with pytest.raises(InvalidWeights, match=r"config.py does not hold the negative prompt"):
        unwanted(tmp_path / "config.py", hashlib.sha256(b"blurred dark").hexdigest())


def test_a_folder_that_lacks_files_is_told_so_file_by_file(hub, tmp_path):
    folder = tmp_path / "stick"
    for source in (EXPERTS, WAN, FOUR_STEPS, SEGMENTATION):
        for path in source.files:
            file = folder / source.repository / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    status, said = run(hub, tmp_path, "--from", str(folder))
    assert status == 2
    named = re.findall(r"^  (\S+)$", said, re.MULTILINE)
    assert named == [
        "Wan-Video/Wan2.2/wan/configs/shared_config.py",
        "Yuehavingfun/orbitpainter-single/high_noise.safetensors",
        "Yuehavingfun/orbitpainter-single/low_noise.safetensors",
    ]
    assert f"from {hub.url}/Yuehavingfun/orbitpainter-single/resolve/main/high_noise.safetensors" in said
    assert not hub.seen


def test_offline_the_missing_files_are_named_with_where_to_put_them(hub, tmp_path):
    status, said = run(hub, tmp_path, "--yes", HF_HUB_OFFLINE="1")
    assert status == 2
    assert "HF_HUB_OFFLINE is set" in said
    for source in ORBITPAINTER.sources:
        for path in source.files:
            assert f"  {source.repository}/{path}\n" in said
    assert f"--from {tmp_path / 'models' / 'orbitpainter.download'}" in said
    assert not hub.seen


def test_a_gated_repository_and_one_that_is_not_there_are_told_apart(hub, tmp_path):
    hub.gated.add(ORBITPAINTER_LORA.repository)
    status, said = run(hub, tmp_path, "--yes")
    assert status == 2
    assert "orbitpainter-single: its authors want to know who downloads it" in said
    del hub.repositories[ORBITPAINTER_LORA.repository]
    assert "orbitpainter-single is not there, or not public" in run(hub, tmp_path, "--yes")[1]


def test_a_server_that_is_away_is_a_sentence(hub, tmp_path):
    status, said = run(hub, tmp_path, "--yes", HF_ENDPOINT="http://127.0.0.1:9")
    assert status == 2
    assert "cannot be downloaded (ConnectError" in said
    assert "Traceback" not in said


def test_another_licence_than_the_list_says_is_not_agreed_to_blindly(hub, tmp_path):
    hub.licenses[EXPERTS.repository] = "cc-by-nc-4.0"
    status, said = run(hub, tmp_path, "--yes")
    assert status == 2
    assert "under the licence 'cc-by-nc-4.0' now, not 'apache-2.0'" in said
    assert all(path.startswith("/api/models/") for _, path, _, _ in hub.seen)


def big(hub) -> File:
    """A file of 25 MB at an address of its own."""
    data = bytes(range(256)) * (25 * MB // 256)
    hub.repositories["a/b"] = {"big.safetensors": data}
    return File(
        "a/b",
        "big.safetensors",
        len(data),
        f"sha256:{hashlib.sha256(data).hexdigest()}",
        address=f"{hub.url}/plain/a/b",
    )


def test_a_download_that_was_stopped_goes_on_where_it_ended(hub, tmp_path):
    file, counted = big(hub), []

    def stop(size):
        counted.append(size)
        if size:
            raise Cancelled

    with pytest.raises(Cancelled):
        fetch(file, tmp_path, stop)
    assert not (tmp_path / file.place).exists()
    arrived = sum(counted)
    counted.clear()
    assert fetch(file, tmp_path, counted.append).read_bytes() == hub.repositories["a/b"]["big.safetensors"]
    assert hub.gets("big.safetensors") == ["", f"bytes={arrived}-"]
    assert 0 < arrived < file.size == arrived + sum(counted)
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["big.safetensors"]


def test_a_connection_that_breaks_is_taken_up_again(hub, tmp_path):
    file, counted = big(hub), []
    hub.cut["big.safetensors"] = 12 * MB
    fetch(file, tmp_path, counted.append)
    assert hub.gets("big.safetensors") == ["", f"bytes={10 * MB}-"]
    assert sum(counted) == file.size


def test_a_server_that_knows_no_ranges_sends_everything_and_the_file_is_right(hub, tmp_path):
    file, counted = big(hub), []
    hub.ranges = False
    part = tmp_path / "a/b" / "big.safetensors.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    fetch(file, tmp_path, counted.append)
    assert 1000 + sum(counted) == file.size


def test_a_part_of_something_else_is_found_out_by_its_hash(hub, tmp_path):
    file = big(hub)
    part = tmp_path / "a/b" / "big.safetensors.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    with pytest.raises(
        InvalidWeights, match=r"a/b/big.safetensors is another file than it should be: its sha256"
    ):
        fetch(file, tmp_path, lambda size: None)
    assert not list(part.parent.iterdir())
    fetch(file, tmp_path, lambda size: None)


def test_a_small_file_is_checked_by_gits_hash(hub, tmp_path):
    hub.repositories["a/b"] = {"config.json": b"{}\n"}
    blob = (
        subprocess.run(["git", "hash-object", "--stdin"], input=b"{}\n", stdout=subprocess.PIPE, check=True)
        .stdout.decode()
        .strip()
    )
    fetch(
        File("a/b", "config.json", 3, f"git:{blob}", address=f"{hub.url}/plain/a/b"),
        tmp_path,
        lambda size: None,
    )
    hub.swapped["config.json"] = b"[]\n"
    with pytest.raises(InvalidWeights, match="its git hash"):
        fetch(
            File("a/b", "config.json", 3, f"git:{blob}", address=f"{hub.url}/plain/a/b"),
            tmp_path / "again",
            lambda size: None,
        )


def test_a_file_that_its_server_has_lost_is_named(hub, tmp_path):
    with pytest.raises(DownloadFailed, match=r"c/d/lost.bin cannot be downloaded \(the server answers 404\)"):
        fetch(File("c/d", "lost.bin", 3, "", address=f"{hub.url}/elsewhere"), tmp_path, lambda size: None)


def huge() -> Manifest:
    """Sizes as published, times a hundred thousand."""
    files = [
        File(source.repository, path, size * 100_000, "")
        for source in ORBITPAINTER.sources
        for path, size in source.files.items()
    ]
    return Manifest(tuple(files), {})


def test_too_little_disk_is_said_before_anything_is_written(tmp_path):
    with pytest.raises(
        StorageError, match=r"has .* GB free, and bringing the weights takes up to \d+\.\d GB"
    ):
        install(ORBITPAINTER, huge(), tmp_path / "models" / "orbitpainter", lambda *told: None)
    assert not list(tmp_path.iterdir())


def test_the_disk_holds_the_originals_of_one_part_at_a_time_unless_they_are_kept(tmp_path):
    target = tmp_path / "orbitpainter"
    published = Manifest(
        tuple(File(file.repository, file.path, file.size // 100_000, "") for file in huge().files), {}
    )
    needed = {keep: room(ORBITPAINTER, published, target, False, keep) for keep in (False, True)}
    assert 86e9 < needed[False] < 90e9
    assert 129e9 < needed[True] < 133e9
    assert left(ORBITPAINTER, published, target) == ORBITPAINTER.size


def test_two_downloads_at_once_are_refused(hub, tmp_path):
    target = tmp_path / "models" / "orbitpainter"
    target.parent.mkdir()
    with FileLock(target.with_name("orbitpainter.lock")):
        status, said = run(hub, tmp_path, "--yes")
    assert status == 2
    assert "Another process is downloading orbitpainter already" in said


def test_a_damaged_manifest_is_a_sentence(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"files": [{"nothing": 1}]}))
    with pytest.raises(DownloadFailed, match=r"manifest.json cannot be read"):
        Manifest.read(tmp_path, ORBITPAINTER)


def test_the_doctor_tells_weights_that_are_there_from_those_that_are_not(tmp_path, monkeypatch):
    monkeypatch.setenv("ORBIT_TEXTURE_HOME", str(tmp_path))
    target = tmp_path / "models" / "orbitpainter"

    size = gigabytes(ORBITPAINTER.size)

    def finding():
        found, _ = doctor._weights()
        return found.state, found.detail, found.fix.endswith("-m backend download orbitpainter")

    assert finding() == (
        "ok",
        f"OrbitPainter: not installed; the draft painter needs none. To download it ({size}):",
        True,
    )
    workplace(target).mkdir(parents=True)
    assert finding() == (
        "warning",
        f"the download of OrbitPainter to {workplace(target)} is incomplete",
        True,
    )
    tiny_model.write_model(target)
    assert finding() == ("ok", f"OrbitPainter: installed in {target}", False)
    (target / "low" / "diffusion_pytorch_model.safetensors").write_bytes(b"")
    state, detail, mended = finding()
    assert (state, mended) == ("problem", True)
    assert "low/diffusion_pytorch_model.safetensors is not a whole safetensors file" in detail
