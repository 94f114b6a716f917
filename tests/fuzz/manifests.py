"""What the add-on reads: batch manifests and the reports of batches. Runs inside bpy, see
``tests/blender/conftest.py``."""

import tempfile
from pathlib import Path

from bl_ext.user_default.orbit_texture.addon.headless.batch import BatchJob, load_report, read_manifest
from bl_ext.user_default.orbit_texture.backend.api.errors import OrbitError
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

from .run import Reader

MANIFEST = b"""output = "out"
[defaults]
seed = 1
painter = "draft"
[[job]]
blend = "a.blend"
objects = ["Hat", "Shoe"]
image = "a.png"
images = {Hat = "hat.png"}
[[job.rule]]
collections = ["Clothes*"]
image = "b.png"
mask = "c.png"
[[job]]
blend = "b.blend"
output = "b"
folder = "pictures"
own_references = true
texture_size = 2048
"""

REPORT = b"""{"key": "0", "blend": "a.blend", "complete": true, "objects": {"Hat": {"error": null}}}"""

WORDS = (b"[", b"]", b"{", b"}", b"=", b'"', b"'", b"true", b"1979-05-27", b"'''", b"[[job]]\n", b"nan")
WORDS += tuple(f"{name} = ".encode() for name in ("objects", "images", "masks", "folder", "rule", "mask"))


def targets() -> dict[str, Reader]:
    """What is fuzzed, by name."""
    folder = tempfile.TemporaryDirectory(prefix="orbit-fuzz-")
    path = Path(folder.name) / "jobs.toml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        folder.name  # noqa: B018 (kept as long as this function)
        for job in read_manifest(path):
            check_job(job)

    def read_earlier_report(data: bytes) -> bool:
        report_file.write_bytes(data)
        folder.name  # noqa: B018 (as above)
        report = load_report(report_file)
        assert all(outcome["error"] is None for outcome in report.get("objects", {}).values())
        return bool(report)

    report_file = path.with_name("report.json")
    return {
        "manifest": Reader([MANIFEST], read, OrbitError, WORDS),
        "report": Reader([REPORT], read_earlier_report, OrbitError, (b"null", b"[]", b"{}", b"1")),
    }


def check_job(job: BatchJob) -> None:
    """Raises ``AssertionError`` unless the values of a job are of their kinds."""
    assert isinstance(job.settings, Settings)
    assert isinstance(job.blend, Path)
    assert isinstance(job.output, Path)
    assert job.objects is None or all(isinstance(name, str) for name in job.objects)
    assert job.folder is None or isinstance(job.folder, Path)
