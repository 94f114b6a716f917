"""What a painter uses may be used for anything, also commercially."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from backend.api.settings import Settings
from backend.api.weights import MODELS, SEGMENTATION
from backend.licences import MODELS_OF, Licence, list_packages, list_weights

ROOT = Path(__file__).resolve().parents[2]


def locked_packages() -> set[str]:
    lines = (ROOT / "requirements" / "backend.txt").read_text(encoding="utf-8").splitlines()
    return {line.partition("==")[0].lower() for line in lines if line[:1].isalpha() and "==" in line}


def test_no_painter_uses_a_model_that_forbids_commercial_use():
    for models in MODELS_OF.values():
        for entry in list_weights(models):
            assert not entry.forbids_commerce, entry


def test_no_locked_package_forbids_commercial_use():
    known = [entry for entry in list_packages() if entry.name.partition(" ")[0] in locked_packages()]
    assert len(known) > 30
    assert [entry for entry in known if entry.forbids_commerce] == []


@pytest.mark.parametrize(
    "licence", ["cc-by-nc-4.0", "CC BY-NC", "Non-Commercial", "noncommercial", "NVIDIA research only", ""]
)
def test_a_licence_that_forbids_commercial_use_is_known_by_its_words(licence):
    assert Licence("x", licence).forbids_commerce
    assert not Licence("x", "apache-2.0", "Apache 2.0: free for any use, also commercial.").forbids_commerce


def test_every_painter_and_every_model_is_listed():
    [painter] = [field for field in fields(Settings) if field.name == "painter"]
    assert set(MODELS_OF) == set(painter.metadata["choices"])
    listed = {spec.name for models in MODELS_OF.values() for spec in models}
    assert listed == {*MODELS, SEGMENTATION.name}


def test_the_command_prints_packages_and_models():
    printed = subprocess.run(
        [sys.executable, "-m", "backend", "licences", "draft"], capture_output=True, text=True, cwd=ROOT
    )
    assert printed.returncode == 0, printed.stderr
    assert "BiRefNet" in printed.stdout
    assert "Segment Anything: facebook/sam-vit-base: apache-2.0" in printed.stdout
    assert "OrbitPainter" not in printed.stdout
    assert "TRELLIS" not in printed.stdout
    assert "numpy" in printed.stdout
