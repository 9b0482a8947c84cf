"""What waits is done together; what fails, fails for its batch alone."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipelines.serving.batcher import Batcher


def test_the_first_goes_alone_and_all_that_wait_go_together():
    started, go_on, batches = threading.Event(), threading.Event(), []

    def work(items):
        batches.append(list(items))
        started.set()
        go_on.wait(10)
        return [10 * item for item in items]

    async def ask():
        batcher = Batcher(work, ThreadPoolExecutor(1), most=3)
        first = asyncio.create_task(batcher(0))
        await asyncio.to_thread(started.wait, 10)
        others = [asyncio.create_task(batcher(item)) for item in range(1, 6)]
        await asyncio.sleep(0)
        others[1].cancel()  # whoever asked is gone: the others have their answers nevertheless
        go_on.set()
        answers = await asyncio.gather(first, *others, return_exceptions=True)
        return [*answers, await batcher(7)]

    found = asyncio.run(ask())
    assert batches == [[0], [1, 2, 3], [4, 5], [7]]
    assert isinstance(found.pop(2), asyncio.CancelledError)
    assert found == [0, 10, 30, 40, 50, 70]


def test_a_failure_is_told_to_all_of_the_batch_and_to_nobody_else():
    def work(items):
        if 1 in items:
            raise MemoryError("no room")
        return items

    async def ask():
        batcher = Batcher(work, ThreadPoolExecutor(1), most=2)
        with pytest.raises(MemoryError, match="no room"):
            await batcher(1)
        return await batcher(2)

    assert asyncio.run(ask()) == 2
