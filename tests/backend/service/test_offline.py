"""The worker is offline: it opens no socket at all, since it talks to its server through pipes."""

import subprocess
import sys

import psutil
import pytest

from tests.backend.service.test_pipeline import ball, disc
from tests.servers import ROOT, JobRequest, api, new_id

CONNECT = """
import socket
from tests.pipelines.offline import tried
try:
    socket.create_connection(("127.0.0.1", 9))
except PermissionError:
    print(*tried)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads which sockets a process has as Linux tells it")
def test_the_worker_opens_no_socket_for_a_whole_job(watchers):
    watcher = watchers("--pipeline", "tests.pipelines.offline:run", "--idle-seconds", "60")
    job_id, settings = new_id(), api.settings.Settings(texture_size=1024, voxel_resolution=128)
    watcher.client.submit(JobRequest(job_id, "ball", ball, disc(), settings))
    final = watcher.final(job_id, seconds=600)
    assert final.state == "finished", final.error
    # Those of native code, too.
    assert psutil.Process(watcher.worker_pid()).net_connections("all") == []


def test_a_socket_in_the_worker_of_this_test_is_refused():
    child = subprocess.run([sys.executable, "-c", CONNECT], capture_output=True, text=True, cwd=ROOT)
    assert "socket." in child.stdout, child.stderr
