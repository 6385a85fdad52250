"""The Hub on this machine, as far as its clients ask for it here: repositories of models, pushes, faults."""

import base64
import hashlib
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from helpers import serving
from huggingface_hub import constants

WRITER, READER = "hf_" + "w" * 34, "hf_" + "r" * 34
"""The token of a user, and that of one who may only read."""
LFS = (".safetensors", ".png")


@dataclass
class Commit:
    """A state of a repository."""

    sha: str
    files: dict[str, bytes]
    title: str = ""
    message: str = ""
    parent: "Commit | None" = None


@dataclass
class Repository:
    """Branches and pull requests, each by its newest commit."""

    private: bool = False
    heads: dict[str, Commit] = field(default_factory=dict)

    def find(self, revision: str) -> Commit | None:
        """The commit that a branch or a hash names."""
        every = [commit for head in self.heads.values() for commit in history(head)]
        return self.heads.get(revision) or next((commit for commit in every if commit.sha == revision), None)

    def add(self, branch: str, files: dict[str, bytes], title: str = "", message: str = "") -> Commit:
        """Commit."""
        parent = self.heads.get(branch)
        text = repr((branch, title, message, parent and parent.sha, sorted(files), len(self.heads)))
        commit = Commit(hashlib.sha1(text.encode()).hexdigest(), files, title, message, parent)
        self.heads[branch] = commit
        return commit


def history(commit: Commit | None) -> list[Commit]:
    """A commit and those before it, the newest first."""
    commits = []
    while commit is not None:
        commits.append(commit)
        commit = commit.parent
    return commits


@dataclass
class Hub:
    """What the server holds, what it was asked, and how it will fail.

    Attributes:
        url: Where it is.
        user: Whose token `WRITER` is.
        repositories: By their ids.
        objects: Large files: SHA-256 → content.
        asked: Every request, "METHOD path".
        faults: What goes wrong: a pattern of requests and, for each next one that matches, how. A number is a status;
            "drop" breaks the connection before anything is done, "lost" after it; in "hang" and "mute" it stays, and
            no answer comes; "cut" breaks it in the middle of the file that is going up or down; "corrupt" changes a
            byte of it; "html" is what a proxy in between says; by "stubborn" only the repository's own .gitignore
            counts. A tuple is a status, what the Hub says and, if wanted, headers of the answer; a dictionary or a
            list is the answer instead.
        before: Called with each request before it is answered.
        licenses: Those that a card may name.
        doubts: What it says of each card's metadata, though it takes it.
        closing: Set when the server goes.
    """

    url: str = ""
    user: str = "somebody"
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    faults: dict[str, list[Any]] = field(default_factory=dict)
    before: Any = None
    licenses: tuple[str, ...] = ("apache-2.0", "mit")
    doubts: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def environment(self, home: Any, token: str | None = WRITER) -> dict[str, str]:
        """The variables that send the real clients here, with a cache of their own."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_MODULES_CACHE": f"{home}/modules",
            **({"HF_TOKEN": token} if token else {}),
        }

    def answer_this_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Send the client of this process here, as `somebody`; waiting between tries takes no time."""
        for name, value in {
            "ENDPOINT": self.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": self.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": False,  # as it is with users
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setenv("HF_TOKEN", WRITER)
        monkeypatch.setattr("time.sleep", lambda _: None)

    def files(self, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        """The files of a revision."""
        commit = self.repositories[repo_id].find(revision)
        assert commit is not None
        return commit.files


def git_blob(content: bytes) -> str:
    """The hash that git gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.handle_request()

    def do_GET(self) -> None:
        self.handle_request()

    def do_POST(self) -> None:
        self.handle_request()

    def do_PUT(self) -> None:
        self.handle_request()

    def handle_request(self) -> None:
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        asked = f"{self.command} {unquote(url.path)}"
        self.hub.asked.append(asked)
        if self.hub.before is not None:
            self.hub.before(asked)
        self.fault = self.next_fault(asked)
        length = int(self.headers.get("Content-Length", 0))
        if self.fault == "cut" and self.command == "PUT":
            self.rfile.read(length // 2)
            self.close_connection = True
            return
        body = self.rfile.read(length)
        if self.fault in ("drop", "hang"):
            self.fall_silent()
        elif self.fault == "html":
            self.answer(200, b"<html>Please log in</html>")
        elif isinstance(self.fault, int):
            # Busy for longer than a client that knows nothing of it would wait.
            later = {"Retry-After": "77"} if self.fault == 429 else {}
            self.answer(self.fault, b"<html>bad gateway</html>", later)
        elif isinstance(self.fault, tuple):
            self.refuse(self.fault[0], "", *self.fault[1:])
        elif isinstance(self.fault, dict | list):
            self.json(self.fault)
        else:
            self.route(url.path, body)

    def fall_silent(self) -> None:
        """Give no answer."""
        if self.fault in ("hang", "mute"):
            self.hub.closing.wait(30)
        self.close_connection = True

    def next_fault(self, asked: str) -> Any:
        for pattern, faults in self.hub.faults.items():
            if faults and re.search(pattern, asked):
                return faults.pop(0)
        return None

    def route(self, path: str, body: bytes) -> None:
        user = {f"Bearer {WRITER}": self.hub.user, f"Bearer {READER}": "reader"}.get(
            self.headers.get("Authorization", "")
        )
        if "Authorization" in self.headers and user is None:
            return self.refuse(401, "", "Invalid username or password.")
        if path == "/api/whoami-v2":
            return self.json({"type": "user", "name": user}) if user else self.refuse(401, "", "Who are you?")
        if path == "/api/validate-yaml":
            return self.validate(json.loads(body)["content"])
        if path == "/api/repos/create":
            return self.create(user, json.loads(body))
        if path == "/verify":
            return self.json({})
        if match := re.fullmatch(r"/objects/(\w{64})", path):
            return self.large_file(match[1], body)
        if match := re.fullmatch(r"/(?:spaces/)?([\w.-]+/[\w.-]+)\.git/info/lfs/objects/batch", path):
            return self.batch(json.loads(body))
        match = re.fullmatch(r"/api/(?:models|spaces)/([\w.-]+/[\w.-]+)(?:/([\w-]+)(?:/([^/]+)(?:/.*)?)?)?", path)
        download = re.fullmatch(r"/([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)", path)
        repo_id = (match or download or [None, ""])[1] or ""
        repository = self.hub.repositories.get(repo_id)
        if repository is None or (repository.private and user is None):
            return self.refuse(404 if user else 401, "RepoNotFound", "Repository not found")
        if download is not None:
            return self.download(repository, unquote(download[2]), unquote(download[3]))
        assert match is not None
        what, revision = match[2] or "revision", unquote(match[3] or "main")
        if self.command == "POST" and user != repo_id.split("/")[0] and what != "paths-info":
            return self.refuse(403, "", "You don't have the rights to write to this repository")
        if what == "branch":
            if revision in repository.heads:
                return self.refuse(409, "", "Reference already exists")
            repository.heads[revision] = repository.heads["main"]
            return self.json({})
        if what == "refs":
            refs = [
                {"name": name, "ref": name, "targetCommit": commit.sha} for name, commit in repository.heads.items()
            ]
            requests = [ref for ref in refs if ref["name"].startswith("refs/pr/")]
            branches = [ref for ref in refs if ref not in requests]
            return self.json({"branches": branches, "converts": [], "tags": [], "pullRequests": requests})
        head = repository.find(revision)
        if head is None:
            return self.refuse(404, "RevisionNotFound", "Invalid rev id")
        if what == "revision":
            names = [{"rfilename": name} for name in head.files]
            self.json({"id": repo_id, "sha": head.sha, "private": repository.private, "siblings": names, "tags": []})
        elif what == "commits":
            self.json([self.describe(commit) for commit in history(head)])
        elif what == "tree":
            self.json([self.entry(name, content) for name, content in head.files.items()])
        elif what == "paths-info":
            wanted = parse_qs(body.decode()).get("paths", []) if body[:1] != b"{" else json.loads(body)["paths"]
            self.json([self.entry(name, head.files[name]) for name in wanted if name in head.files])
        elif what == "preupload":
            wanted = json.loads(body)
            own = head.files.get(".gitignore", b"").decode()
            ignored = own if self.fault == "stubborn" else wanted.get("gitIgnore") or own
            self.json({"files": [self.preupload(head, file, ignored.splitlines()) for file in wanted["files"]]})
        elif what == "commit":
            self.commit(repo_id, repository, revision, [json.loads(line) for line in body.splitlines()])
        else:
            raise NotImplementedError(f"{self.command} {path}")

    def create(self, user: str | None, wanted: dict[str, Any]) -> None:
        owner = wanted.get("organization") or user
        repo_id = f"{owner}/{wanted['name']}"
        if user == "reader" or owner != user:
            return self.refuse(403, "", "You don't have the rights to create a model under this namespace")
        where = {"url": f"{self.hub.url}/{repo_id}", "name": repo_id}
        if repo_id in self.hub.repositories:
            return self.json({**where, "error": "You already created this model repo"}, 409)
        private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
        self.hub.repositories[repo_id] = Repository(private)
        self.hub.repositories[repo_id].add("main", {".gitattributes": b""}, "initial commit")
        self.json(where)

    def validate(self, card: str) -> None:
        found = re.search(r"^license: (.*)$", card, re.MULTILINE)
        errors = (
            [] if found is None or found[1] in self.hub.licenses else ['"license" must be one of [apache-2.0, mit].']
        )
        told = {"errors": errors, "warnings": self.hub.doubts}
        self.json({kind: [{"message": one} for one in said] for kind, said in told.items()}, 400 if errors else 200)

    def preupload(self, head: Commit, file: dict[str, Any], ignored: list[str]) -> dict[str, Any]:
        content = head.files.get(file["path"])
        large = file["path"].endswith(LFS)
        oid = None if content is None else hashlib.sha256(content).hexdigest() if large else git_blob(content)
        mode = "lfs" if large else "regular"
        ignore = any(fnmatch(file["path"], pattern) for pattern in ignored)
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": ignore, "oid": oid}

    def batch(self, wanted: dict[str, Any]) -> None:
        objects = []
        for large in wanted["objects"]:
            known = {"oid": large["oid"], "size": large["size"], "authenticated": True}
            if large["oid"] not in self.hub.objects:
                known["actions"] = {
                    "upload": {"href": f"{self.hub.url}/objects/{large['oid']}", "header": {}},
                    "verify": {"href": f"{self.hub.url}/verify"},
                }
            objects.append(known)
        self.json({"transfer": "basic", "objects": objects})

    def large_file(self, oid: str, body: bytes) -> None:
        if self.fault == "corrupt":
            body = bytes([body[0] ^ 1]) + body[1:]
        if hashlib.sha256(body).hexdigest() != oid:
            return self.refuse(422, "", "The content isn't what its hash says")
        self.hub.objects[oid] = body
        self.answer(200, b"")

    def commit(self, repo_id: str, repository: Repository, revision: str, lines: list[dict[str, Any]]) -> None:
        header = lines[0]["value"]
        head = repository.heads.get(revision)
        if head is None:
            return self.refuse(404, "RevisionNotFound", "Invalid rev id")
        is_pr = self.query.get("create_pr") == ["1"]
        if not is_pr and header.get("parentCommit") not in (None, head.sha):
            return self.refuse(412, "", "A commit has happened since. Please refresh and try again.")
        files = dict(head.files)
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.hub.objects:
                    return self.refuse(400, "", f"{value['path']} was never uploaded")
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                files.pop(value["path"], None)
        branch = f"refs/pr/{1 + sum(name.startswith('refs/') for name in repository.heads)}" if is_pr else revision
        if is_pr:
            repository.heads[branch] = head
        made = repository.add(branch, files, header["summary"], header.get("description", ""))
        url = f"{self.hub.url}/{repo_id}"
        number = branch.rpartition("/")[2]
        self.json(
            {
                "commitUrl": f"{url}/commit/{made.sha}",
                "commitOid": made.sha,
                "pullRequestUrl": f"{url}/discussions/{number}" if is_pr else None,
            }
        )

    def describe(self, commit: Commit) -> dict[str, Any]:
        return {
            "id": commit.sha,
            "title": commit.title,
            "message": commit.message,
            "authors": [{"user": "somebody"}],
            "date": "2026-01-01T00:00:00.000Z",
        }

    def entry(self, name: str, content: bytes) -> dict[str, Any]:
        large: dict[str, Any] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
        of_git = {"type": "file", "path": name, "size": len(content)}
        if name.endswith(LFS):  # git holds a pointer
            return {**of_git, "oid": git_blob(large["oid"].encode()), "lfs": large}
        return {**of_git, "oid": git_blob(content)}

    def download(self, repository: Repository, revision: str, name: str) -> None:
        commit = repository.find(revision)
        if commit is None:
            return self.refuse(404, "RevisionNotFound", "Invalid rev id")
        content = commit.files.get(name)
        if content is None:
            return self.refuse(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit.sha})
        etag = hashlib.sha256(content).hexdigest() if name.endswith(LFS) else git_blob(content)
        start = int((re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) or [0, 0])[1])
        headers = {"X-Repo-Commit": commit.sha, "ETag": f'"{etag}"', "X-Linked-Size": str(len(content))}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if self.fault == "corrupt":
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.answer(206 if start else 200, content[start:], headers)

    def json(self, content: object, status: int = 200) -> None:
        self.answer(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def refuse(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        if message.startswith("<"):  # the storage of large files
            return self.answer(status, message.encode(), {"Content-Type": "application/xml"})
        more = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **(headers or {})}
        self.answer(status, json.dumps({"error": message}).encode(), {"Content-Type": "application/json", **more})

    def answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        if self.fault in ("lost", "mute"):
            return self.fall_silent()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.fault == "cut":
            content = content[: len(content) // 2]
            self.close_connection = True
        self.wfile.write(content)


class Server(ThreadingHTTPServer):
    """One that bears clients who go away."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serve_hub() -> Iterator[Hub]:
    """Run a Hub in the background."""
    hub = Hub()
    with Server(("127.0.0.1", 0), type("HubHandler", (Handler,), {"hub": hub})) as server:
        with serving(server) as hub.url:
            try:
                yield hub
            finally:
                hub.closing.set()
