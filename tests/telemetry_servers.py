"""Real servers for tests of the collector: influxd and mosquitto as child processes on free ports."""

import contextlib
import http.client
import http.server
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlencode, urlsplit


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 20.0) -> None:
    """Wait until the process listens."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(f"the server ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on port {port}")


class Daemon:
    """A server process that can be killed and started again."""

    def __init__(self, command: list[str], port: int) -> None:
        self.command = command
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        wait_for_port(self.port, self._process)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill -9 and wait."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(20)
            self._process = None


def influxd(binary: Path, folder: Path) -> Daemon:
    """Return an InfluxDB 1.x server (not started) with its data in `folder`."""
    port, rpc = free_port(), free_port()
    config = folder / "influxdb.conf"
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(
        f"""reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
[monitor]
  store-enabled = false
[logging]
  level = "error"
"""
    )
    return Daemon([str(binary), "-config", str(config)], port)


def mosquitto(
    binary: Path, folder: Path, *extra: str, port: int | None = None, anonymous: bool = True
) -> Daemon:
    """Return a mosquitto (not started). Without `extra` its persistence is at default settings."""
    port = port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f"listener {port} 127.0.0.1",
        f"allow_anonymous {'true' if anonymous else 'false'}",
        "persistence true",
        f"persistence_location {folder}/",
        *([f"user {'root' if os.getuid() == 0 else os.environ.get('USER', 'nobody')}"]),
        *extra,
    ]
    config = folder / "mosquitto.conf"
    config.write_text("\n".join(lines) + "\n")
    return Daemon([str(binary), "-c", str(config)], port)


class PathMap(http.server.ThreadingHTTPServer):
    """Gives an InfluxDB 1.6 the write path and the version of 1.8, so that influxdb-client can write to it."""

    daemon_threads = True

    def __init__(self, target_port: int) -> None:
        super().__init__(("127.0.0.1", 0), _MapHandler)
        self.target_port = target_port
        self.client_writes = 0
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _MapHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one segment: no waiting for delayed acknowledgements
    disable_nagle_algorithm = True
    server: PathMap

    def do_GET(self) -> None:
        self._forward(None)

    def do_POST(self) -> None:
        self._forward(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def _forward(self, body: bytes | None) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        path = parts.path
        if path == "/api/v2/write":
            self.server.client_writes += 1
            database, _, policy = query["bucket"].partition("/")
            precision = {"us": "u"}.get(query["precision"], query["precision"])
            path, query = "/write", {"db": database, "rp": policy, "precision": precision}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.target_port, timeout=30)
        try:
            connection.request(self.command, f"{path}?{urlencode(query)}", body)
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name in ("Content-Type", "X-Influxdb-Error"):
                if answer.getheader(name):
                    self.send_header(name, str(answer.getheader(name)))
            self.send_header("X-Influxdb-Version", "1.8.10")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        finally:
            connection.close()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def running(daemon: Daemon) -> Iterator[Daemon]:
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()
