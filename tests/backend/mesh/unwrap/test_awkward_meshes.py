"""Unwrapping ends in time, whatever the mesh."""

import os
import subprocess
import sys

import pytest

from tests.awkward_meshes import KINDS

SECONDS = 30
"""Of processor time for 1,200 triangles of every kind, imports included: about ten are taken."""

UNWRAP = f"""
import resource
resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))
resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, 2 << 30))
import numpy as np
from backend.api.job import MeshData
from backend.mesh.prepare import prepare
from backend.mesh.uvs import count_overlaps
from tests.awkward_meshes import KINDS

for kind, make in KINDS.items():
    print(kind, flush=True)
    told = []
    uvs = prepare(MeshData(*make(1200)), 1024, told.append).corner_uvs
    assert told == sorted(told) and 0 < told[0] and told[-1] < 1, kind
    assert np.isfinite(uvs).all() and uvs.min() >= 0 and uvs.max() <= 1, kind
    assert count_overlaps(uvs, 2048)[1] == 0, kind
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no process")
def test_a_mesh_of_any_kind_is_unwrapped_in_bounded_time_and_memory():
    # In a process of its own: xatlas cannot be interrupted.
    child = subprocess.run(
        [sys.executable, "-c", UNWRAP],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.returncode == 0, f"{child.returncode}: {child.stdout}{child.stderr[-2000:]}"
    assert child.stdout.splitlines() == list(KINDS)
