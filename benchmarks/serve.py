"""The server of `serve` under what clients do to it, well-meant or not.

    python benchmarks/serve.py [--images 1000] [--parallel 200] [--requests 5000]

Draws images, builds an index with the bundled model, starts `serve` as a user does, and asks it:
queries one by one, `--parallel` at the same time, and `--requests` of all kinds from eight clients,
while the resident memory of the server is read from /proc. Then what must not stop it: a named
pipe in place of an image, a length of ten gigabytes, 300 connections that say nothing, another
host's name, and an index file that is cut short in place. After each it must answer words again.
Exits with 1 if it did not.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tfrecords import sources

WORDS = ("a red star", "the blue ring", "two green crosses on white", "a large purple circle")


def draw(folder: Path, count: int) -> None:
    """Images of the miniature world."""
    folder.mkdir()
    for number, raw in enumerate(sources.named("shapes", seed=0).read("train", 0, count)):
        (folder / f"{number:05d}.jpg").write_bytes(raw.load())


class Server:
    """`serve`, in a process of its own."""

    def __init__(self, index: Path):
        command = [sys.executable, "-m", "pipelines", "serve", "--index", str(index), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        self.port = int(re.findall(r":(\d+) ", line)[0])

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Status and answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        method = "GET" if body is None else "POST"
        connection.request(method, path, body, {"Accept": "application/json", **headers})
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def words(self, number: int) -> int:
        """The status of a query in words."""
        return self.ask(f"/?q={WORDS[number % len(WORDS)].replace(' ', '+')}&k=10")[0]

    @property
    def memory(self) -> float:
        """Resident MiB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) / 1024

    @property
    def answers(self) -> bool:
        return self.process.poll() is None and self.words(0) == 200


def timed(server: Server, count: int, *, clients: int) -> tuple[Counter, list[float]]:
    """Statuses and seconds of queries in words from several clients."""

    def one(number: int) -> tuple[int, float]:
        begun = time.perf_counter()
        return server.words(number), time.perf_counter() - begun

    with ThreadPoolExecutor(clients) as pool:
        statuses, seconds = zip(*pool.map(one, range(count)), strict=True)
    return Counter(statuses), list(seconds)


def load(server: Server, image: bytes, *, requests: int, images: int) -> tuple[Counter, list[int]]:
    """Statuses of requests of all kinds, and the memory after each tenth of them."""

    def one(number: int) -> int:
        if number % 5 == 0:
            return server.ask("/similar?k=5", image)[0]
        if number % 5 == 1:
            return server.ask(f"/image/{number % images}")[0]
        return server.words(number)

    statuses: Counter = Counter()
    memory = []
    with ThreadPoolExecutor(8) as pool:
        for part in range(10):
            first, last = requests * part // 10, requests * (part + 1) // 10
            statuses.update(pool.map(one, range(first, last)))
            memory.append(round(server.memory))
    return statuses, memory


def unkind(server: Server, home: Path) -> dict[str, str]:
    """What is done to the server, and what came of it."""
    found = {}
    hit = json.loads(server.ask("/?q=a+red+star&k=1")[1])["answers"][0]["hits"][0]
    path = home / "images" / hit["id"]
    path.unlink()
    os.mkfifo(path)
    begun = time.perf_counter()
    status, _ = server.ask(f"/image/{hit['row']}")
    found["a named pipe for an image"] = f"{status} in {time.perf_counter() - begun:.1f} s"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as raw:
        begun = time.perf_counter()
        raw.sendall(b"POST /similar HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999999999\r\n")
        raw.sendall(b"\r\n")
        status_line = raw.recv(100).split(b"\r\n")[0].decode()
        found["ten gigabytes announced"] = f"{status_line} in {time.perf_counter() - begun:.1f} s"
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(300)]
    for raw in silent:
        raw.sendall(b"GET / HTTP/1.1\r\nHost:")
    begun = time.perf_counter()
    said = server.words(0)
    answered = time.perf_counter() - begun
    time.sleep(25)
    cut = 0
    for raw in silent:
        raw.settimeout(0.1)
        try:
            cut += raw.recv(10) == b""
        except ConnectionResetError:
            cut += 1
        except TimeoutError:
            pass
        raw.close()
    found["300 connections that say nothing"] = f"{said} in {answered:.1f} s; {cut} cut off"
    found["another host's name"] = str(server.ask("/", Host="elsewhere.example")[0])
    alive = server.answers
    rows = max((home / "index").glob("*.safetensors"), key=lambda each: each.stat().st_size)
    os.truncate(rows, rows.stat().st_size // 2)
    found["an index file cut short"] = f"{server.words(0)}, then {server.words(1)}"
    found["alive"] = "yes" if alive and server.process.poll() is None else "no"
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for name, default in (("images", 1000), ("parallel", 200), ("requests", 5000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        draw(home / "images", options.images)
        build = ["retrieve", "--build", "--model", "shapes-tiny", "--folder", str(home / "images")]
        subprocess.run(
            [sys.executable, "-m", "pipelines", *build, "--index", str(home / "index")], check=True
        )
        server = Server(home / "index")
        try:
            statuses, seconds = timed(server, 50, clients=1)
            print(
                f"one by one: {dict(statuses)}, median {1000 * statistics.median(seconds):.0f} ms"
            )
            statuses, seconds = timed(server, options.parallel, clients=options.parallel)
            print(f"{options.parallel} at once: {dict(statuses)}, slowest {max(seconds):.1f} s")
            image = (home / "images" / "00000.jpg").read_bytes()
            statuses, memory = load(server, image, requests=options.requests, images=options.images)
            print(f"{options.requests} requests: {dict(statuses)}; MiB after each tenth: {memory}")
            found = unkind(server, home)
            print("\n".join(f"{what}: {came}" for what, came in found.items()))
        finally:
            server.process.kill()
    return int(found["alive"] != "yes" or found["an index file cut short"] != "503, then 503")


if __name__ == "__main__":
    sys.exit(main())
