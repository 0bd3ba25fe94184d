"""An asyncio event loop in a daemon thread of its own, for an output whose protocol needs one."""
import asyncio
import os
import sys
import threading
from typing import Any, Callable, Coroutine, Dict, Optional

from edge.host import waiting
from edge.host.reading import reason

CLOSE_S = 1.5  # of the 2 s that the close() of an output may take


class Loop:
    """Started once, closed once; another one is made for the next time. For any thread but its own."""

    def __init__(self, name: str) -> None:
        self.faults = 0  # exceptions that nobody waited for
        self._name = name
        self._lock = threading.Lock()  # while it is held `_open` does not change
        self._open = False
        self._close_s = CLOSE_S
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._thread: Optional[threading.Thread] = None

    def start(self) -> "Loop":
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._fault)
        self._thread = threading.Thread(target=self._serve, args=(self._loop,), name=self._name, daemon=True)
        self._open = True
        self._thread.start()
        return self

    def call(self, function: Callable[..., Any], *arguments: Any) -> bool:
        """Have it called in the loop's thread, soon. False: the loop does not run."""
        with self._lock:
            if self._open and self._loop is not None:
                self._loop.call_soon_threadsafe(function, *arguments)
            return self._open

    def spawn(self, coroutine: Coroutine[Any, Any, Any], done: Optional[Callable[[Any], None]] = None) -> Dict[str, Any]:
        """Have it run until close() cancels it. `done` is called with its task, in the loop's thread. Gives a dict that has
        the "task" once it has begun; empty for ever where the loop does not run."""
        begun: Dict[str, Any] = {}

        def begin() -> None:
            assert self._loop is not None
            begun["task"] = self._loop.create_task(coroutine)
            begun["task"].add_done_callback(done or self._ended)

        if not self.call(begin):
            coroutine.close()
        return begun

    def run(self, coroutine: Coroutine[Any, Any, Any], limit_s: float) -> Any:
        """What it returns or raises. TimeoutError after `limit_s`, and it is cancelled; also where the loop does not run."""
        finished = waiting.Event()
        begun = self.spawn(coroutine, lambda task: finished.set())
        if not self._open and not begun or not finished.wait(limit_s):
            self.call(lambda: begun["task"].cancel())
            raise TimeoutError("no answer within {:g} s".format(limit_s))
        if begun["task"].cancelled():
            raise TimeoutError("it was closed meanwhile")
        return begun["task"].result()

    def close(self, limit_s: float = CLOSE_S) -> bool:
        """Cancel what runs and end the thread. False where that takes longer: then it is left. May be called twice."""
        with self._lock:
            if self._open and self._loop is not None:
                self._close_s = limit_s
                self._loop.call_soon_threadsafe(self._loop.stop)
            self._open = False
        return self._thread is None or waiting.join(self._thread, limit_s)

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_forever()
            loop.run_until_complete(self._drain(loop, loop.time() + 0.8 * self._close_s))
        finally:
            loop.close()

    @staticmethod
    async def _drain(loop: asyncio.AbstractEventLoop, until: float) -> None:
        """Cancel all tasks, also those that begin meanwhile, and let what they closed say so."""
        all_tasks: Any = asyncio.all_tasks if sys.version_info >= (3, 7) else asyncio.Task.all_tasks  # type: ignore
        current: Any = asyncio.current_task if sys.version_info >= (3, 7) else asyncio.Task.current_task  # type: ignore
        own = current(loop)
        await asyncio.sleep(0)
        while loop.time() < until:
            tasks = [task for task in all_tasks(loop) if task is not own and not task.done()]
            if not tasks:
                break
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=max(0.01, until - loop.time()))
        await loop.shutdown_asyncgens()
        for _ in range(3):  # transports that were closed end in the next rounds
            await asyncio.sleep(0)

    def _ended(self, task: Any) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.faults += 1

    def _fault(self, loop: asyncio.AbstractEventLoop, context: Dict[str, Any]) -> None:
        """In the place of asyncio's own, which writes on standard error, as often as a peer makes it."""
        self.faults += 1


def unreached(error: Exception) -> str:
    """Why a connection did not come about."""
    if isinstance(error, asyncio.TimeoutError):
        return "no answer"
    number = error.errno if isinstance(error, OSError) else None  # also of aiohttp's and asyncio's, whose own texts are long
    return os.strerror(number) if number is not None and number > 0 else reason(error)
