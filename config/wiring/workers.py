"""More processes for the API: they serve the same socket, so that the kernel deals out the visitors.

One process answers with about one core, whatever its threads; `api.workers` gives `drumbeat api` more of them. Each
opens the databases by itself; what must hold for all (tokens, locks, first answers) lies in these.
"""

import multiprocessing
import socket
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from typing import Final

import structlog

from config.logging import configure_logging
from config.settings import Settings

_log = structlog.get_logger("drumbeat.api")
_STOP_SECONDS: Final = 20.0
_SPAWN: Final = multiprocessing.get_context("spawn")  # a fork would copy threads and database connections

#: Serves the API on a bound socket until it is asked to stop; a function of a module, so that it can be named to a new process.
Serve = Callable[[Settings, socket.socket], None]


class WorkerPool:
    """`count` processes that run `serve`; one that ends by itself is started anew."""

    def __init__(self, count: int, settings: Settings, listener: socket.socket, serve: Serve) -> None:
        self._settings = settings
        self._listener = listener
        self._serve = serve
        self._count = count
        self._workers: list[SpawnProcess] = []
        self._stopping = threading.Event()
        self._watch: threading.Thread | None = None

    def start(self) -> None:
        """Start all workers and the watch over them."""
        self._workers = [self._new() for _ in range(self._count)]
        self._watch = threading.Thread(target=self._keep, name="api workers", daemon=True)
        self._watch.start()

    def stop(self) -> None:
        """Ask all workers to finish what they do, and wait for them."""
        self._stopping.set()
        for worker in self._workers:
            worker.terminate()
        if self._watch is not None:
            self._watch.join()
        for worker in self._workers:
            worker.join(_STOP_SECONDS)
            if worker.is_alive():
                worker.kill()
                worker.join()

    def _new(self) -> SpawnProcess:
        worker = _SPAWN.Process(
            target=run_worker, args=(self._settings, self._listener, self._serve), name="api worker"
        )
        worker.start()
        return worker

    def _keep(self) -> None:
        while not self._stopping.is_set():
            wait([worker.sentinel for worker in self._workers], timeout=0.5)
            for number, worker in enumerate(self._workers):
                if not worker.is_alive() and not self._stopping.is_set():
                    _log.error("an API worker ended, a new one starts", exit_code=worker.exitcode)
                    self._workers[number] = self._new()


def run_worker(settings: Settings, listener: socket.socket, serve: Serve) -> None:
    """Run in the new process: logs as in the first one, then serve."""
    configure_logging(settings.log.level, settings.log.format)
    serve(settings, listener)
