"""Requests beyond what the server takes, and those that take too long, get an answer at once."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest

pytest.importorskip("uvicorn", reason="uvicorn is not installed")

import uvicorn
from starlette.responses import PlainTextResponse

from pipelines.serving.concurrency_limits import Gate, Impatient


async def request(gate):
    """Status and headers of the answer to one request."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b""}

    await gate({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers


async def slow(scope, receive, send):
    await asyncio.sleep(0.05)
    await PlainTextResponse("done")(scope, receive, send)


def test_what_is_too_much_is_told_when_to_come_back():
    async def ask():
        gate = Gate(slow, most=3)
        found = await asyncio.gather(*(request(gate) for _ in range(5)))
        return found, await request(gate)

    found, after = asyncio.run(ask())
    assert sorted(status for status, _ in found) == [200, 200, 200, 503, 503]
    assert all(headers["retry-after"] == "1" for status, headers in found if status == 503)
    assert after[0] == 200


def test_what_takes_too_long_ends():
    assert asyncio.run(request(Gate(slow, seconds=0.01)))[0] == 408


async def much(scope, receive, send):
    await PlainTextResponse("x" * 50_000_000)(scope, receive, send)


@pytest.fixture
def server(monkeypatch):
    """A server whose connections are cut after a tenth of a second in which nothing moves."""
    monkeypatch.setattr(Impatient, "silence", 0.1)
    config = uvicorn.Config(Gate(much, seconds=5), http=Impatient, log_level="error")
    server, listening = uvicorn.Server(config), socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    server.port, server.connections = listening.getsockname()[1], server.server_state.connections
    yield server
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"])
def test_a_connection_whose_header_does_not_end_is_cut(server, begun):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        raw.sendall(begun)
        with contextlib.suppress(ConnectionResetError):
            assert raw.recv(100) == b""


def test_a_connection_whose_answer_is_not_taken_is_cut(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        while not server.server_state.tasks:
            time.sleep(0.01)
        while server.connections:
            time.sleep(0.01)
        taken = 0
        with contextlib.suppress(ConnectionResetError):
            while part := raw.recv(1 << 20):
                taken += len(part)
    assert taken < 50_000_000
