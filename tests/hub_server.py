"""An HTTP server on this machine, with the habits of the Hub and of other servers, their bad ones among them."""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from helpers import serving

from glove_bilstm.vectors.named_sets import GLOVE_COMMIT, GLOVE_REPO, NAMED_SETS, NamedSet


@dataclass
class Server:
    """What the server serves and how, and what it was asked.

    Attributes:
        url: Where it is.
        files: Path → content. The path of a file of the GloVe repository is its name alone.
        ranges: Whether it knows about parts of files.
        moved: Path → where the server sends those who ask for it.
        cuts: For each of the next downloads, after how many bytes the connection breaks.
        stalls: Whether it then goes quiet, until `resumed` is set, rather than break the connection.
        asked: Every request: method, path, and the byte it wants to begin at.
        stalled: Set as soon as it has gone quiet.
        resumed: Ends the quiet.
        headers: Of the last request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    moved: dict[str, str] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    stalls: bool = False
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)
    resumed: threading.Event = field(default_factory=threading.Event)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def starts(self) -> list[int]:
        """Of all downloads, the byte each wanted to begin at."""
        return [start for method, _, start in self.asked if method == "GET"]


@contextmanager
def serve() -> Iterator[Server]:
    """Run a server in the background."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            # A download goes to the place that the request for the facts was answered with.
            path = self.path.removeprefix(f"/{GLOVE_REPO}/resolve/{GLOVE_COMMIT}").removeprefix("/")
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))
            assert wanted is not None
            start = int(wanted[1])
            if not path.startswith("api/"):  # where the Hub's client asks for other things, once in a process
                state.asked.append((self.command, path, start))
            state.headers = dict(self.headers)
            content = state.files.get(path)
            if path in state.moved:
                self.reply(302, {"Location": state.moved[path]})
            elif content is None:
                self.reply(404, {"X-Error-Code": "EntryNotFound"})
            elif start and state.ranges and start >= len(content):
                self.reply(416, {"Content-Range": f"bytes */{len(content)}"})
            else:
                self.send(content, start if state.ranges else 0)

        def reply(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def send(self, content: bytes, start: int) -> None:
            headers = {"X-Repo-Commit": GLOVE_COMMIT, "Content-Length": str(len(content) - start)}
            headers["X-Linked-Etag"] = f'"{hashlib.sha256(content).hexdigest()}"'
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.reply(206 if start else 200, headers)
            if self.command == "HEAD":
                return
            cut = state.cuts.pop(0) if state.cuts else None
            self.wfile.write(content[start:][:cut])
            if cut is not None:
                if state.stalls:
                    state.stalled.set()
                    state.resumed.wait(30)
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that went away is what some tests are about."""

    with Quiet(("127.0.0.1", 0), Handler) as server:
        with serving(server) as state.url:
            try:
                yield state
            finally:
                state.resumed.set()


def serve_instead(name: str, **facts: Any) -> NamedSet:
    """A named set whose archive has other facts, such as another URL or checksum."""
    chosen = NAMED_SETS[name]
    return NamedSet(replace(chosen.archive, **facts), chosen.member)
