"""What keeps the server answering: requests at a time, seconds for each, no connection that waits.

`Gate` limits requests, `Impatient` the connections that no request comes of.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_REQUESTS = 256  # at a time; they wait for the model in batches

SECONDS = 60.0  # for a request, from its header to the last byte of the answer

SILENCE = (
    10.0  # seconds after which a header that does not end, or an answer not taken, is given up
)


class Gate:
    """ASGI middleware that answers 503 to too many requests, and 408 to one that takes too long."""

    def __init__(self, app: ASGIApp, *, most: int = MOST_REQUESTS, seconds: float = SECONDS):
        self.app, self.most, self.seconds = app, most, seconds
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noticing(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        async def refuse(status: int, error: str, **headers: str) -> None:
            await JSONResponse({"error": error}, status, headers)(scope, receive, send)

        if self.running >= self.most:
            said = f"{self.most} requests are waiting already; ask again in a moment"
            return await refuse(503, said, **{"Retry-After": "1", "Connection": "close"})
        self.running += 1
        try:
            async with asyncio.timeout(self.seconds):
                await self.app(scope, receive, noticing)
        except TimeoutError:
            if not begun:  # of half an answer the connection is closed
                await refuse(408, f"took longer than {self.seconds:g} s", Connection="close")
        finally:
            self.running -= 1


class Impatient(H11Protocol):
    """A connection that is cut where nothing moves for `SILENCE` seconds, twice at most.

    uvicorn itself waits for ever for the end of a header, and for a client to take its answer.
    """

    silence = SILENCE

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._before: tuple = ()
        self._watch = self.loop.call_later(self.silence, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        idle = self.cycle is None or self.cycle.response_complete
        untaken = self.transport.get_write_buffer_size()
        now = (idle, id(self.cycle), untaken)
        if (idle or untaken) and now == self._before:
            self.transport.abort()
            return
        self._before = now
        self._watch = self.loop.call_later(self.silence, self._look)
