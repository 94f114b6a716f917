"""A server for the tests of a module."""

import pytest

from tests.servers import Watcher, end_server, wait_for


@pytest.fixture(scope="module")
def watcher(tmp_path_factory):
    """A client and its server, for tests that leave the server as it was."""
    watcher = Watcher(tmp_path_factory.mktemp("service") / "run")
    wait_for(lambda: watcher.client.is_connected)
    yield watcher
    watcher.close()
    end_server(watcher.run_directory)
