"""The static extension repository, added by its address with Blender's own command line."""

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

IS_THERE = """
import bpy, zmq
assert bpy.ops.orbit_texture.texture_selected.get_rna_type().name == "Texture Selected"
assert "bl_ext.ours.orbit_texture" in bpy.context.preferences.addons
assert ".local" in zmq.__file__, zmq.__file__
"""


def test_blender_installs_from_the_repositorys_address(window):
    folder = window.scratch / "repository"
    folder.mkdir()
    package = window.build()
    package.rename(folder / package.name)
    window.run("--command", "extension", "server-generate", "--repo-dir", str(folder), "--html")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/index.json"
        window.run(
            "--command", "extension", "repo-add", "--url", address, "--name", "Ours", "--clear-all", "ours"
        )
        window.run("--online-mode", "--command", "extension", "sync")
        window.run("--online-mode", "--command", "extension", "install", "--enable", "ours.orbit_texture")
        server.shutdown()
    window.run("--background", "--python-exit-code", "1", "--python-expr", IS_THERE)
