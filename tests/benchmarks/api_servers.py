"""Real server processes over a world of tests, for the benchmarks of the HTTP side."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2]
_SERVER = """
import socket, sys, uvicorn
from pathlib import Path
from starlette.responses import HTMLResponse
from api.services import ApiSettings, RateLimits
from config.logging import configure_logging
from config.wiring.garbage import settle_garbage_collection
from tests.integration.api.world import open_world
configure_logging("info", "json")
unlimited = ApiSettings(rate_limits=RateLimits(per_caller=0, per_address=0))
app = open_world(Path(sys.argv[1]), unlimited).app()
app.add_route("/one-line", lambda request: HTMLResponse("<!doctype html><title>One line</title><p>One line"))
settle_garbage_collection()
uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run(sockets=[socket.socket(fileno=int(sys.argv[2]))])
"""


@dataclass(frozen=True)
class Servers:
    """Processes that share one port."""

    port: int
    processes: list[subprocess.Popen[bytes]]

    def cpu_seconds(self) -> float:
        """Return the CPU seconds that the processes have used (fields 14 and 15 of /proc/PID/stat, in ticks)."""
        ticks = os.sysconf("SC_CLK_TCK")
        rows = (
            Path(f"/proc/{each.pid}/stat").read_text().rpartition(")")[2].split() for each in self.processes
        )
        return sum(int(row[11]) + int(row[12]) for row in rows) / ticks


@contextmanager
def serving(folder: Path, workers: int) -> Iterator[Servers]:
    """Serve the world in `folder` with `workers` processes on one socket, as `api.workers` does, with its log."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener, (folder / "log").open("wb") as log:
        command = [sys.executable, "-c", _SERVER, str(folder), str(listener.fileno())]
        environment = os.environ | {"PYTHONPATH": str(_PROJECT)}
        servers = Servers(
            listener.getsockname()[1],
            [
                subprocess.Popen(
                    command,
                    cwd=_PROJECT,
                    env=environment,
                    pass_fds=[listener.fileno()],
                    stdout=log,
                    stderr=log,
                )
                for _ in range(workers)
            ],
        )
    try:
        yield servers
    finally:
        for process in servers.processes:
            process.terminate()
        for process in servers.processes:
            process.wait(20)
