"""A small Hugging Face Hub on this machine: the few responses that a download needs, over real HTTP."""

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from backend.api.weights import WeightsSpec
from backend.weights.manifest import Manifest, RemoteFile

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Serves repositories until the ``with`` block ends.

    Attributes:
        repositories: contents by path, by repository. Files that end in ``.safetensors`` are in LFS.
        licenses: by repository, as a model card states it.
        gated: repositories that require a token.
        cut: path → number of bytes after which the connection is closed, once.
        stall: path → byte of the file from which on nothing is sent, however often it is requested.
        held: path → event before which nothing of the file is sent.
        swapped: path → content that is sent instead of the file.
        ranges: whether range requests are served.
        seen: (method, path, range, token) of each request, except those that huggingface_hub makes about
            itself.
    """

    def __init__(self, repositories: dict[str, dict[str, bytes]]):
        self.repositories, self.licenses, self.gated = repositories, {}, set()
        self.cut, self.stall, self.swapped, self.ranges, self.seen = {}, {}, {}, True, []
        self.held: dict[str, threading.Event] = {}
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        for released in self.held.values():
            released.set()
        self._server.shutdown()
        self._server.server_close()

    def make_manifest(self, spec: WeightsSpec) -> Manifest:
        """The manifest of a model's files as they are served here, at plain addresses."""
        return Manifest(
            tuple(
                RemoteFile(
                    source.repository,
                    path,
                    len(data := self.repositories[source.repository][path]),
                    f"sha256:{hashlib.sha256(data).hexdigest()}",
                    address=f"{self.url}/plain/{source.repository}",
                )
                for source in spec.sources
                for path in source.files
            ),
            {},
        )

    def gets(self, ending: str) -> list[str]:
        """The ranges requested of files whose path has this ending, "" for a whole file."""
        return [span for method, path, span, _ in self.seen if method == "GET" and path.endswith(ending)]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = urlsplit(self.path).path
        if path != "/api/agent-harnesses":
            self.hub.seen.append(
                (self.command, path, self.headers.get("Range", ""), self.headers.get("Authorization", ""))
            )
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)", path):
            self._model(match[1])
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([0-9a-f]+|main)/(.+)", path):
            self._resolve(*match.groups())
        elif match := re.fullmatch(r"/(?:cdn|plain)/([^/]+/[^/]+)/(.+)", path):
            self._send(match[2], self.hub.repositories[match[1]][match[2]])
        else:
            self._refuse(404, "EntryNotFound")

    do_HEAD = do_GET

    def _model(self, repository: str) -> None:
        if repository not in self.hub.repositories:
            return self._refuse(401, "RepoNotFound")
        if repository in self.hub.gated and not self.headers.get("Authorization"):
            return self._refuse(401, "GatedRepo")
        siblings = []
        for path, data in self.hub.repositories[repository].items():
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            entry = {"rfilename": path, "size": len(data), "blobId": blob}
            if path.endswith(".safetensors"):
                entry["lfs"] = {
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "size": len(data),
                    "pointerSize": 135,
                }
            siblings.append(entry)
        card = {"license": self.hub.licenses[repository]} if repository in self.hub.licenses else None
        body = json.dumps({"id": repository, "sha": COMMIT, "siblings": siblings, "cardData": card}).encode()
        self._head(200, len(body), {"Content-Type": "application/json"})
        self.wfile.write(body)

    def _resolve(self, repository: str, revision: str, path: str) -> None:
        if path not in self.hub.repositories.get(repository, {}) or revision != COMMIT:
            return self._refuse(404, "EntryNotFound")
        data = self.hub.repositories[repository][path]
        digest = hashlib.sha256(data).hexdigest()
        about = {
            "X-Repo-Commit": COMMIT,
            "X-Linked-Size": str(len(data)),
            "X-Linked-Etag": f'"{digest}"',
            "ETag": f'"{digest}"',
        }
        if path.endswith(".safetensors"):
            self._head(302, 0, about | {"Location": f"{self.hub.url}/cdn/{repository}/{path}"})
        else:
            self._send(path, data, about)

    def _send(self, path: str, data: bytes, about: dict[str, str] | None = None) -> None:
        if released := self.hub.held.get(path):
            released.wait()
        data, start = self.hub.swapped.get(path, data), 0
        span = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if span and self.hub.ranges:
            start = int(span[1])
            about = (about or {}) | {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
            data = data[start:]
        self._head(206 if span and self.hub.ranges else 200, len(data), about or {})
        if self.command == "HEAD":
            return
        if path in self.hub.stall:
            self.wfile.write(data[: max(self.hub.stall[path] - start, 0)])
            self.hub.closing.wait()
            self.close_connection = True
        elif path in self.hub.cut:
            self.wfile.write(data[: self.hub.cut.pop(path)])
            self.close_connection = True
        else:
            self.wfile.write(data)

    def _refuse(self, status: int, code: str) -> None:
        self._head(status, 0, {"X-Error-Code": code})

    def _head(self, status: int, length: int, more: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass
