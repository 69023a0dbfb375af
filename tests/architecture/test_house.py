"""The house rules of the test run itself hold: no packet leaves the machine, skips say what helps, CI skips nothing."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_PROBE = """
import pytest

@pytest.mark.server
def test_with_server():
    assert True

@pytest.mark.shared
def test_with_data():
    assert True

def test_skips_itself():
    pytest.skip("nosuchserver is not installed")

def test_skips_by_design():
    pytest.skip("by design: only on other systems")
"""


def test_tcp_beyond_loopback_is_refused() -> None:
    with pytest.raises(PermissionError), socket.socket() as outgoing:
        outgoing.connect(("192.0.2.1", 80))


def test_udp_beyond_loopback_is_refused() -> None:
    with pytest.raises(PermissionError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outgoing:
        outgoing.sendto(b"x", ("192.0.2.1", 161))


def test_foreign_names_are_refused() -> None:
    with pytest.raises(PermissionError):
        socket.getaddrinfo("printer.example", 161)


def test_asyncio_datagrams_beyond_loopback_are_refused_and_loopback_works(
    free_port: Callable[[], int],
) -> None:
    async def both() -> bytes:
        loop = asyncio.get_running_loop()
        arrived: asyncio.Future[bytes] = loop.create_future()

        class Listener(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                arrived.set_result(data)

        port = free_port()
        server, _ = await loop.create_datagram_endpoint(Listener, local_addr=("127.0.0.1", port))
        sender, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port)
        )
        sender.sendto(b"here")
        received = await arrived
        sender.close()
        server.close()
        with pytest.raises(PermissionError):
            await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("192.0.2.1", 161))
        return received

    assert asyncio.run(both()) == b"here"


@pytest.fixture
def probe_run(tmp_path: Path, project: Path) -> Callable[..., str]:
    """Return a function that runs the probe tests under our conftest with the given options and variables."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "conftest.py").write_text((project / "tests" / "conftest.py").read_text())
    (tmp_path / "tests" / "test_probe.py").write_text(_PROBE)
    (tmp_path / "pyproject.toml").write_text((project / "pyproject.toml").read_text())

    def run(*options: str, **variables: str) -> str:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("DRUMBEAT_")}
        command = [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider", *options]
        finished = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return finished.stdout

    return run


def test_skips_name_the_reason_and_the_help(probe_run: Callable[..., str]) -> None:
    shown = probe_run("--no-servers", DRUMBEAT_SHARED="nowhere")
    assert "needs a real server: `make test-all` runs it" in shown
    assert "set DRUMBEAT_SHARED=" in shown
    assert "4 skipped" in shown


def test_a_build_machine_skips_nothing(probe_run: Callable[..., str]) -> None:
    shown = probe_run("--no-servers", DRUMBEAT_SHARED="nowhere", DRUMBEAT_REQUIRE_SERVERS="1")
    assert "nothing may be skipped" in shown
    assert "1 failed, 1 skipped, 1 deselected, 1 error" in shown
