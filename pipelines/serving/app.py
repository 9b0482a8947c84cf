"""The web application of `serve`, on Starlette: page, queries, images.

===============  =====================================================================
GET /            the page; with `q` (words) or `like` (row of an image), and `k`, what is found
POST /similar    an image as the body, `k` and `names` (one a line) in the address: its nearest
GET /image/N   the image in row N of the index as JPEG, at most `side` pixels
===============  =====================================================================

The first two return JSON if the request accepts `application/json`. No file path is accepted or
returned: images are requested by row, so only images of the index are accessible. Invalid
requests get a one-line message with a 4xx status; what `limits` refuses, 408 or 503.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from dual_encoder import CutShortError
from pipelines.reporting import page as reporting_page
from pipelines.retrieval import answers
from pipelines.runs import results
from pipelines.serving.concurrency_limits import Gate
from pipelines.serving.search_service import MOST_IMAGES, Finder

K = 24  # default number of images per answer

SIDES = (256, 1024)  # available image sizes in pixels

HOSTS = ["127.0.0.1", "localhost"]  # prevents DNS rebinding from other sites

POLICY = (
    "default-src 'none'; img-src 'self' blob:; connect-src 'self'; style-src 'unsafe-inline'; "
    "script-src {}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def application(finder: Finder, *, max_upload: int) -> Starlette:
    """Returns the application; `max_upload` limits the bytes of an uploaded image."""

    async def page(request: Request) -> Response:
        _refuse_others(request, "q", "like", "k")
        query = request.query_params.get("q")
        if query is None and "like" not in request.query_params:
            return _page(finder)
        try:
            k = _number(request, "k", K)
            if query is not None and "like" in request.query_params:
                raise ValueError("q and like: expected one of them; got both")
            if query is None:
                answer = await finder.like(_number(request, "like", 0), k)
            else:
                answer = await finder.words(query, k)
        except ValueError as error:
            if _wants_json(request):
                raise
            return _page(finder, query=query or "", error=str(error), status=400)
        if _wants_json(request):
            return JSONResponse(answers.document([answer], finder.searcher.index, k=k))
        return _page(finder, query=query or "", k=k, answer=answer)

    async def similar(request: Request) -> Response:
        _refuse_others(request, "k", "names")
        names = request.query_params.get("names", "").replace(",", "\n").splitlines()
        names = [name.strip() for name in names if name.strip()]
        data = await _body(request, most=max_upload)
        k = _number(request, "k", K)
        answer, labels = await finder.image(data, k, names)
        if _wants_json(request):
            found = answers.document([answer], finder.searcher.index, k=k)
            rows = [{"name": name, "probability": round(share, 6)} for name, share in labels]
            return JSONResponse(found | {"labels": rows})
        return HTMLResponse(
            reporting_page.render("serve_answer.html.j2", hits=_cells(answer, k), labels=labels)
        )

    async def image(request: Request) -> Response:
        _refuse_others(request, "side")
        side = _number(request, "side", SIDES[0])
        if side not in SIDES:
            raise ValueError(f"side: expected one of {', '.join(map(str, SIDES))}; got {side}")
        data = await finder.thumbnail(request.path_params["row"], side=side)
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": "max-age=600"})

    handlers: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
        HTTPException: _http_error,
        ValueError: _said(400),
        IndexError: _said(404),
        FileNotFoundError: _said(410),
        CutShortError: _said(503, {"Retry-After": "60"}),
        ClientDisconnect: _said(400),  # nobody hears it
        Exception: _fault,
    }
    made = Starlette(
        routes=[
            Route("/", page),
            Route("/similar", similar, methods=["POST"]),
            Route("/image/{row:int}", image),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS), Middleware(Gate)],
        exception_handlers=handlers,
    )
    made.state.finder = finder
    return made


def _page(
    finder: Finder,
    *,
    query: str = "",
    k: int = K,
    answer: answers.Answer | None = None,
    error: str = "",
    status: int = 200,
) -> Response:
    index = finder.searcher.index
    html = reporting_page.render(
        "serve.html.j2",
        title=f"{index.facts.model} on {index.folder.name}",
        headline=f"Find images among {len(index):,}",
        query=query,
        k=k,
        most=MOST_IMAGES,
        hits=_cells(answer, k) if answer else None,
        error=error,
        labels=[],
        results={"command": "serve", "created": finder.created, "versions": results.versions()},
    )
    return HTMLResponse(html, status_code=status, headers=HEADERS | security_policy(html))


def security_policy(html: str) -> dict[str, str]:
    """The header by which a browser runs the scripts of this page and no other, by their hashes."""
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    hashes = (b64encode(sha256(script.encode()).digest()).decode() for script in scripts)
    own = " ".join(f"'sha256-{each}'" for each in hashes)
    return {"Content-Security-Policy": POLICY.format(own or "'none'")}


def _cells(answer: answers.Answer, k: int) -> list[dict[str, Any]]:
    """Returns hits with the URLs of each image, small, large and of those like it."""
    cells = []
    for hit in answer.hits:
        small = f"/image/{hit.row}" if hit.there else None
        links = {"link": f"{small}?side={SIDES[1]}", "like": f"/?like={hit.row}&k={k}"}
        cells.append({**asdict(hit), "uri": small, **links})
    return cells


def _refuse_others(request: Request, *names: str) -> None:
    """Raises ValueError for a parameter that nothing reads: of another name, or there twice."""
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in names or given.count(name) > 1:
            raise ValueError(f"{name[:40]}: expected {', '.join(names)} in the address, each once")


def _number(request: Request, name: str, default: int) -> int:
    value = request.query_params.get(name, str(default))
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise ValueError(f"{name}: expected a whole number; got {value[:40]!r}")
    return int(value)


async def _body(request: Request, *, most: int) -> bytes:
    """Reads the body, unless its header declares too much or no length, as where it comes in
    chunks, whose sizes are not known before they are there."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise HTTPException(415, "expected an image alone as the body; got a form")
    too_long = HTTPException(413, f"expected an image of at most {most:,} bytes; got more")
    if "content-length" not in request.headers:
        raise HTTPException(411, "expected an image with its Content-Length; got none")
    if int(request.headers["content-length"][:20]) > most:  # h11 lets digits alone through
        raise too_long
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise too_long
    return bytes(data)


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


def _said(
    status: int, headers: dict[str, str] | None = None
) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": " ".join(str(error).split())}, status, headers)

    return answer


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _fault(request: Request, error: Exception) -> Response:
    """Handles an internal error: the terminal shows the traceback, the server continues."""
    return JSONResponse({"error": "something went wrong here; the terminal says what"}, 500)
