"""A stand-in of the hub on this machine: what huggingface_hub asks of it, and faults on demand."""

import base64
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from hub_repository import LARGE, Repository, Request, entry, git_id, sha256

MODEL = r"/api/models/(?P<repository>[^/]+/[^/]+)"


@dataclass
class Fault:
    """What goes wrong with the requests that `part` is in, `times` times (-1: always).

    Attributes:
        status: answer this, with the error code `code`.
        cut_after: send so many bytes of a file and hang up, or with `hang` wait.
        corrupt: send as many other bytes.
    """

    part: str
    status: int = 0
    code: str = ""
    cut_after: int | None = None
    hang: bool = False
    corrupt: bool = False
    times: int = -1


class HubServer(ThreadingHTTPServer):
    """Runs in a `with` block; `endpoint` is its address, `requests` what it was asked."""

    daemon_threads = True

    def __init__(self, token: str = "hub-token") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.token = token  # opens what is private and allows to write
        self.repositories: dict[str, Repository] = {}
        self.uploads: dict[str, bytes] = {}  # by sha256
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"
        self.closing = threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> "HubServer":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self.thread.join()
        self.server_close()

    def publish(
        self,
        name: str,
        files: Mapping[str, bytes] | Path,
        *,
        reference: str = "main",
        sizes: Mapping[str, int] | None = None,
    ) -> str:
        """Commit files, or those of a folder, to a repository; gives the commit's hash.

        The listing states `sizes` in place of the files' own: those of the published ones.
        """
        if isinstance(files, Path):
            paths = [path for path in files.rglob("*") if path.is_file()]
            files = {path.relative_to(files).as_posix(): path.read_bytes() for path in paths}
        repository = self.repositories.setdefault(name, Repository())
        repository.sizes |= sizes or {}
        return repository.commit(files, reference=reference)

    def fault(self, part: str) -> Fault | None:
        for fault in self.faults:
            if fault.part in part and fault.times:
                fault.times -= 1
                return fault
        return None

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no news."""

    def sent(self) -> int:
        """Bytes of files sent so far."""
        return sum(request.sent for request in self.requests)


class Handler(BaseHTTPRequestHandler):
    """Answers one connection; `do_...` finds the repository, the methods below it answer."""

    protocol_version = "HTTP/1.1"
    server: HubServer
    READ = (
        ("model", rf"{MODEL}(?:/revision/(?P<revision>[^/]+))?"),
        ("tree", rf"{MODEL}/tree/(?P<revision>[^/]+)"),
        ("file", r"/(?P<repository>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)"),
    )
    WRITE = (
        ("create", r"/api/repos/create"),
        ("card", r"/api/validate-yaml"),
        ("put", r"/upload/(?P<digest>[0-9a-f]{64})"),
        ("preupload", rf"{MODEL}/preupload/main"),
        ("batch", r"/(?P<repository>[^/]+/[^/]+)\.git/info/lfs/objects/batch"),
        ("commit", rf"{MODEL}/commit/main"),
    )

    def do_GET(self) -> None:
        if not (found := self.find(self.READ)):
            return
        action, named = found
        revision = unquote(named.pop("revision") or "main")
        self.sha = self.repository.references.get(revision, revision)
        if self.sha not in self.repository.commits:
            return self.refuse(404, "RevisionNotFound")
        self.files = self.repository.commits[self.sha]
        getattr(self, action)(**named)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        if found := self.find(self.WRITE):
            action, named = found
            if action != "put" and not self.trusted:
                return self.refuse(401)
            getattr(self, action)(**named)

    do_PUT = do_POST

    def find(self, routes: tuple[tuple[str, str], ...]) -> tuple[str, dict[str, str]] | None:
        """Action and its arguments, or None where an error has been answered."""
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        self.seen = Request(self.command, path, self.headers)
        self.server.requests.append(self.seen)
        self.trusted = self.headers.get("Authorization") == f"Bearer {self.server.token}"
        self.fault = self.server.fault(f"{self.command} {path}") or Fault("")
        matches = ((action, re.fullmatch(pattern, path)) for action, pattern in routes)
        action, match = next(((a, m) for a, m in matches if m), ("", None))
        if self.fault.status or not match:
            return self.refuse(self.fault.status or 404, self.fault.code)
        named = match.groupdict()
        if "repository" in named:
            self.name = named.pop("repository")
            self.repository = self.server.repositories.get(self.name, Repository(private=True))
            if self.repository.private and not self.trusted:
                return self.refuse(401, "RepoNotFound")
            if self.name not in self.server.repositories:
                return self.refuse(404, "RepoNotFound")
        return action, named

    def model(self) -> None:
        siblings = [
            entry(name, data)
            | {"rfilename": name, "blobId": git_id(data)}
            | {"size": self.repository.sizes.get(name, len(data))}
            for name, data in self.files.items()
        ]
        self.reply({"id": self.name, "sha": self.sha, "siblings": siblings})

    def tree(self) -> None:
        self.reply([entry(name, data) for name, data in self.files.items()])

    def file(self, name: str) -> None:
        name = unquote(name)
        if name not in self.files:
            return self.refuse(404, "EntryNotFound")
        data = self.files[name]
        headers = {"X-Repo-Commit": self.sha, "ETag": f'"{git_id(data)}"', "Accept-Ranges": "bytes"}
        if name.endswith(LARGE):
            headers |= {"X-Linked-Etag": f'"{sha256(data)}"', "X-Linked-Size": str(len(data))}
        if self.fault.corrupt:
            data = bytes(byte ^ 1 for byte in data)
        start = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(start[1]) if start else 0
        if start:
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        self.send(206 if start else 200, data[first:], headers)

    def create(self) -> None:
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.server.repositories:
            return self.refuse(409, url=f"{self.server.endpoint}/{name}")
        private = asked.get("visibility") == "private"
        self.server.repositories[name] = Repository(private=private)
        self.server.publish(name, {})
        self.reply({"url": f"{self.server.endpoint}/{name}", "name": name})

    def card(self) -> None:
        self.reply({"errors": [], "warnings": []})

    def preupload(self) -> None:
        asked = json.loads(self.body)["files"]
        for file in asked:
            file["uploadMode"] = "lfs" if file["path"].endswith(LARGE) else "regular"
            file["shouldIgnore"] = False
        self.reply({"files": asked})

    def batch(self) -> None:
        objects = json.loads(self.body)["objects"]
        for asked in objects:
            if asked["oid"] not in self.server.uploads:
                address = f"{self.server.endpoint}/upload/{asked['oid']}"
                asked["actions"] = {"upload": {"href": address, "header": {}}}
        self.reply({"transfer": "basic", "objects": objects})

    def put(self, digest: str) -> None:
        self.server.uploads[digest] = self.body
        self.reply({})

    def commit(self) -> None:
        files = dict(self.repository.commits[self.repository.references["main"]])
        for line in self.body.splitlines():
            key, value = json.loads(line).values()
            if key == "header":
                self.repository.messages.append(value["summary"])
            elif key == "deletedFile":
                del files[value["path"]]
            elif key in ("file", "lfsFile"):
                read = base64.b64decode if key == "file" else self.server.uploads.__getitem__
                files[value["path"]] = read(value["content" if key == "file" else "oid"])
        sha = self.repository.commit(files)
        address = f"{self.server.endpoint}/{self.name}/commit/{sha}"
        self.reply({"commitUrl": address, "commitOid": sha})

    def reply(self, answer: Any) -> None:
        headers = {"Content-Type": "application/json"}
        self.send(200, json.dumps(answer).encode(), headers, count=False)

    def refuse(self, status: int, code: str = "", *, url: str = "") -> None:
        headers = {"Content-Type": "application/json"} | ({"X-Error-Code": code} if code else {})
        answer = json.dumps({"error": f"refused: {self.path}", "url": url})
        self.send(status, answer.encode(), headers, count=False)

    def send(
        self, status: int, data: bytes, headers: Mapping[str, str], *, count: bool = True
    ) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.fault.cut_after
        if cut is not None and cut < len(data):
            data, self.close_connection = data[:cut], True
        self.seen.sent += len(data) * count
        self.wfile.write(data)
        if self.fault.hang:
            self.server.closing.wait(60)

    def log_message(self, *_: object) -> None:
        """Quiet."""
