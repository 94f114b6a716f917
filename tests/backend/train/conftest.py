"""A textured asset, a tiny model, and the examples made of both."""

import pytest

from backend.paint.orbitpainter.model import Model
from backend.train.examples import prepare_examples
from tests import lessons
from tests.tiny_model import CPU


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    return lessons.write_asset(tmp_path_factory.mktemp("asset") / "cube.glb")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return lessons.write_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def training_examples(asset, folder, tmp_path_factory):
    return prepare_examples(
        [asset], Model(folder, CPU), tmp_path_factory.mktemp("cache"), lambda sentence: None
    )
