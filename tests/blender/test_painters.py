"""OrbitPainter from the button to the take, with tiny random networks, whose colours have no meaning."""

import os
import subprocess

import bpy
import numpy as np
import pytest
from bl_ext.user_default.orbit_texture.addon.jobs.queue import queue
from bl_ext.user_default.orbit_texture.addon.setup import weights
from bl_ext.user_default.orbit_texture.backend.api import paths
from bl_ext.user_default.orbit_texture.backend.api.weights import ORBITPAINTER

from tests.blender import make
from tests.blender.make import ROOT

pytestmark = pytest.mark.worker


def texture_with_orbitpainter(tmp_path):
    obj = make.suzanne()
    settings = bpy.context.scene.orbit_texture
    settings.image = bpy.data.images.load(str(make.reference(tmp_path)))
    settings.painter, settings.quality, settings.texture_size, settings.voxel_resolution = (
        "orbitpainter",
        "balanced",
        "1024",
        "128",
    )
    bpy.ops.orbit_texture.texture_selected()
    make.poll_until_settled(queue)
    return obj


def test_a_job_without_weights_reports_their_folder(tmp_path):
    texture_with_orbitpainter(tmp_path)
    assert (
        f"OrbitPainter's weights are not in {paths.models() / 'orbitpainter'}"
        in queue.entries[0].error.message
    )
    assert queue.entries[0].error.fix == "download_weights"


def test_a_take_of_random_networks_is_reported_as_such(tmp_path):
    script = (
        "import pathlib, sys; from tests.tiny_model import write_model; "
        "write_model(pathlib.Path(sys.argv[1]))"
    )
    subprocess.run(
        [os.environ["BACKEND_PYTHON"], "-c", script, paths.models() / "orbitpainter"], cwd=ROOT, check=True
    )
    assert not weights.is_installed(ORBITPAINTER)
    download = queue.download("orbitpainter", "OrbitPainter's weights")
    make.poll_until_settled(queue)
    assert download.applied, download.error
    assert weights.is_installed(ORBITPAINTER)
    queue.dismiss(download)
    obj = texture_with_orbitpainter(tmp_path)
    assert queue.entries[0].applied, queue.entries[0].error
    take = obj.orbit_texture.takes[0]
    assert "OrbitPainter's weights are random" in take.report
    image = take.material.node_tree.nodes["base_color"].image
    pixels = np.empty(1024 * 1024 * 4, np.float32)
    image.pixels.foreach_get(pixels)
    assert pixels.reshape(-1, 4)[:, :3].std(axis=0).min() > 0.02
