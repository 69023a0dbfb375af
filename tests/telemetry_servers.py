"""Real servers for tests of the collector: influxd and mosquitto as child processes on free ports."""

import contextlib
import http.client
import http.server
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlencode, urlsplit

from collector.stores.influxdb import InfluxEndpoint


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


def certificate(openssl: Path, folder: Path) -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1 that signs itself, and its key."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / "server.crt", folder / "server.key"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


class InfluxDaemon(Daemon):
    """An InfluxDB 1.x or 2.x; `endpoint` tells how to reach a database (2.x: a bucket) of it.

    On 2.x one always signs in, on 1.x where `signed_in` says so.
    """

    def __init__(
        self, command: list[str], port: int, version: tuple[int, int], *, signed_in: bool, ca_file: str
    ) -> None:
        super().__init__(command, port)
        self.version = version
        self.url = f"http{'s' if ca_file else ''}://127.0.0.1:{port}"
        self._ca_file = ca_file
        self._org = "firm" if version >= (2, 0) else ""
        user = "admin:password-of-this-test" if signed_in else ""
        self._token = "a-token-of-this-test" if version >= (2, 0) else user
        self._set_up = not self._token

    def start(self) -> None:
        super().start()
        if not self._set_up:
            self._make_organisation() if self._org else self._make_user()
            self._set_up = True

    def endpoint(self, database: str) -> InfluxEndpoint:
        return InfluxEndpoint(
            url=self.url, database=database, org=self._org, token=self._token, ca_file=self._ca_file
        )

    def settings(self) -> dict[str, str]:
        """Return the variables that make the product use this server."""
        named = {"URL": self.url, "ORG": self._org, "TOKEN": self._token, "CA_FILE": self._ca_file}
        given = {f"DRUMBEAT_INFLUXDB_{name}": value for name, value in named.items() if value}
        return {"DRUMBEAT_TELEMETRY_STORE": "influxdb", **given}

    def _make_organisation(self) -> None:
        """Do what `influx setup` does."""
        body = {"username": "admin", "password": "password-of-this-test", "org": self._org, "bucket": "first", "token": self._token}  # fmt: skip
        self._post("/api/v2/setup", json.dumps(body), "application/json")

    def _make_user(self) -> None:
        name, _, password = self._token.partition(":")
        statement = f"CREATE USER {name} WITH PASSWORD '{password}' WITH ALL PRIVILEGES"
        self._post("/query", urlencode({"q": statement}), "application/x-www-form-urlencoded")

    def _post(self, path: str, body: str, kind: str) -> None:
        request = urllib.request.Request(f"{self.url}{path}", body.encode(), {"Content-Type": kind})
        trust = ssl.create_default_context(cafile=self._ca_file or None)
        urllib.request.urlopen(request, timeout=30, context=trust).close()


def influxd(
    binary: Path, folder: Path, *, signed_in: bool = False, certificate: tuple[Path, Path] | None = None
) -> InfluxDaemon:
    """Return an InfluxDB server (not started) with its data in `folder`; the binary tells which one it is."""
    folder.mkdir(parents=True, exist_ok=True)
    told = subprocess.run([str(binary), "version"], capture_output=True, text=True, check=True, timeout=60)
    found = re.search(r"v([0-9]+)\.([0-9]+)", told.stdout)
    assert found, told.stdout
    version = int(found[1]), int(found[2])
    port = free_port()
    options = (
        _influxd_1(folder, port, certificate, signed_in=signed_in)
        if version < (2, 0)
        else _influxd_2(folder, port, certificate)
    )
    ca_file = str(certificate[0]) if certificate else ""
    return InfluxDaemon([str(binary), *options], port, version, signed_in=signed_in, ca_file=ca_file)


def _influxd_2(folder: Path, port: int, certificate: tuple[Path, Path] | None) -> list[str]:
    options = [
        f"--bolt-path={folder}/bolt",
        f"--sqlite-path={folder}/sqlite",
        f"--engine-path={folder}/engine",
    ]
    options += [f"--http-bind-address=127.0.0.1:{port}", "--reporting-disabled", "--log-level=error"]
    if certificate:
        options += [f"--tls-cert={certificate[0]}", f"--tls-key={certificate[1]}"]
    return options


def _influxd_1(
    folder: Path, port: int, certificate: tuple[Path, Path] | None, *, signed_in: bool
) -> list[str]:
    http_lines = ["auth-enabled = true"] if signed_in else []
    if certificate:
        http_lines += ["https-enabled = true", f'https-certificate = "{certificate[0]}"', f'https-private-key = "{certificate[1]}"']  # fmt: skip
    further = "\n  ".join(http_lines)
    config = folder / "influxdb.conf"
    config.write_text(
        f"""reporting-disabled = true
bind-address = "127.0.0.1:{free_port()}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
  {further}
[monitor]
  store-enabled = false
[logging]
  level = "error"
"""
    )
    return ["-config", str(config)]


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
