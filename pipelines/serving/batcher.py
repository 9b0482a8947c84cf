"""Batch concurrent requests."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")

Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Collects requests that arrive while a batch is processed, and processes them together.

    A lone request is processed immediately.

    Args:
        work: maps a list of items to a list of results, in order; runs in `executor`.
        executor: with one thread, so that batches are processed one at a time.
        most: maximum number of items per batch.
    """

    def __init__(
        self, work: Callable[[list[Item]], Sequence[Result]], executor: Executor, *, most: int
    ):
        self.work, self.executor, self.most = work, executor, most
        self._waiting: list[tuple[Item, asyncio.Future]] = []
        self._running: asyncio.Task[Any] | None = None

    async def __call__(self, item: Item) -> Result:
        """Returns the result of one item; an exception in `work` is raised for the whole batch."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting[: self.most], self._waiting[self.most :]
            try:
                items = [item for item, _ in batch]
                results = await loop.run_in_executor(self.executor, self.work, items)
                for (_, future), result in zip(batch, results, strict=True):
                    if not future.done():  # the client may have disconnected
                        future.set_result(result)
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
        self._running = None
