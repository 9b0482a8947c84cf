"""Serve image search in a browser: by text or by image."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from duet import extras

if TYPE_CHECKING:
    from uvicorn import Server


HOST = "127.0.0.1"  # reachable from this machine only

MOST_CONNECTIONS = 1024

RANGES = {"[0, 65535]": ("port",), "[1, 1024]": ("max_upload",), "[1, inf)": ("max_pixels",)}


@dataclass(frozen=True)
class Options:
    """A page on http://127.0.0.1 that finds images of an index (extra `serve`).

    Args:
        index: folder of an index, as retrieve --build makes it.
        model: the model that made it; without it the one that the index names.
        folder: where the folder of images is now, if it has moved.
        data: where the records are now, if they have moved.
        search: exact, or by the index of faiss that retrieve --build made.
        port: of 127.0.0.1; 0 for any that is free.
        templates: prompts with {} for the names that a dropped image may be called.
        max_upload: most megabytes of a dropped image.
        first_frame: of an animated image or a file of several pages that is dropped, take the
            first in place of refusing it.
        max_pixels: images of more pixels are refused; without it 89,478,485.
    """

    index: str
    model: str | None = None
    folder: str | None = None
    data: str | None = None
    search: Literal["auto", "exact", "hnsw", "ivf"] = "auto"
    port: int = 8000
    templates: list[str] | None = None
    max_upload: int = 20
    first_frame: bool = False
    max_pixels: int | None = None


def run(options: Options) -> None:
    """Serves until it is stopped."""
    from pipelines.runs import runtime
    from pipelines.runs.option_parsing import check_ranges

    check_ranges(options, RANGES)
    _check_library()
    runtime.import_tensorflow()
    server = prepared(options)
    listening = listen(options.port)
    port = listening.getsockname()[1]
    print(f"Open http://{HOST}:{port} (Ctrl-C ends it)", flush=True)
    server.run(sockets=[listening])


def prepared(options: Options) -> Server:
    """The server with index and model loaded, and one query answered, which compiles the model."""
    import uvicorn

    import dual_encoder
    from pipelines.retrieval.searcher import Searcher
    from pipelines.serving.app import application
    from pipelines.serving.concurrency_limits import Impatient
    from pipelines.serving.search_service import Finder

    templates = options.templates or ["a photo of a {}."]
    dual_encoder.prompts_of(["a", "b"], templates)  # refused now, not by the first image
    finder = Finder(Searcher.open(options), templates)
    finder.warm_up()
    # Uvicorn's own `log_config` closes the handlers that the process has, and so their streams.
    more: dict[str, Any] = {"log_config": None, "log_level": "warning"}
    more |= {"ws": "none", "lifespan": "off"}
    more |= {"http": Impatient, "limit_concurrency": MOST_CONNECTIONS}
    app = application(finder, max_upload=options.max_upload * 10**6)
    return uvicorn.Server(uvicorn.Config(app, **more))


def listen(port: int) -> socket.socket:
    """A socket on that port of this machine; ValueError where something else has it."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError as error:
        listening.close()
        raise ValueError(f"--port {port}: {error.strerror}; give another --port") from None
    listening.listen()  # whoever reads the address may ask at once
    return listening


def _check_library() -> None:
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError:
        raise ValueError(extras.missing("serve", "serve")) from None
