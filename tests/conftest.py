"""What every test shares: where the data is, which servers exist, and that no packet leaves this machine.

Options and variables, set by the Makefile and `.ci/run`:
- `--no-servers`: leave tests marked `server` to `make test-all` (they are skipped with that reason);
- `DRUMBEAT_SHARED`: the folder with `real_printers` and `datasets` (default `../shared`);
- `DRUMBEAT_INFLUXD`: the influxd to test with (1.6 to 2.x) instead of the one that is installed;
- `DRUMBEAT_REQUIRE_SERVERS=1`: a build machine has every server and all data, so a skip is a failure there.
"""

import ipaddress
import os
import shutil
import socket
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import hypothesis
import pytest

PROJECT = Path(__file__).resolve().parent.parent
BY_DESIGN = "by design:"  # a skip whose reason starts so is right even where everything is installed

_HELP = {
    "mosquitto": "sudo apt-get install mosquitto",
    "mosquitto_pub": "sudo apt-get install mosquitto-clients",
    "influxd": "sudo apt-get install influxdb",
    "snmpwalk": "sudo apt-get install snmp",
    "snmpd": "sudo apt-get install snmpd",
    "chromium": "sudo apt-get install chromium",
    "chromedriver": "sudo apt-get install chromium-driver",
    "initdb": "sudo apt-get install postgresql",
    "postgres": "sudo apt-get install postgresql",
    "pg_ctl": "sudo apt-get install postgresql",
}
_TIMEOUT_SECONDS = {"heavy": 900, "soak": 4 * 3600}

hypothesis.settings.register_profile(
    "drumbeat",
    deadline=None,  # a busy machine is no bug
    derandomize=True,  # the same code gets the same verdict; `thorough` looks for new cases
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "thorough", parent=hypothesis.settings.get_profile("drumbeat"), max_examples=2000, derandomize=False
)
hypothesis.settings.register_profile(  # thousands of runs that only ask whether anything fails
    "mutation",
    parent=hypothesis.settings.get_profile("drumbeat"),
    max_examples=25,
    database=None,
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "drumbeat"))


def _strict() -> bool:
    return os.environ.get("DRUMBEAT_REQUIRE_SERVERS", "") not in {"", "0"}


def shared_folder() -> Path:
    """Return where the recordings and data sets should be (they may be absent)."""
    given = Path(os.environ.get("DRUMBEAT_SHARED", "../shared"))
    return given if given.is_absolute() else (PROJECT / given).resolve()


def find_binary(name: str) -> Path | None:
    """Return the server binary `name`, also from the folders that a user's PATH often lacks; None when absent."""
    if name == "influxd" and (given := os.environ.get("DRUMBEAT_INFLUXD")):
        return Path(given)
    folders = [os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"]
    folders += [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    found = shutil.which(name, path=os.pathsep.join(folders))
    return Path(found) if found else None


def requires_server(name: str) -> Path:
    """Return the path of the server binary `name`, or skip the calling test and say what to install."""
    found = find_binary(name)
    if found is None:
        helping = _HELP.get(name, f"install {name}")
        pytest.skip(f"{name} is not installed: {helping}")
    return found


# --- loopback only -----------------------------------------------------------------------------------------------


def _leaves_the_machine(address: object) -> bool:
    if not isinstance(address, tuple) or not address or not isinstance(address[0], str):
        return False  # Unix and netlink sockets
    host = address[0].split("%", 1)[0]
    if host in {"", "localhost"}:
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def _guard(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse any socket of this process that would talk beyond loopback (audit hooks also see C code and asyncio)."""
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"} and len(arguments) > 1:
        if arguments[1] is not None and _leaves_the_machine(arguments[1]):
            message = f"tests talk to loopback only, not to {arguments[1]!r}"
            raise PermissionError(message)
    elif event == "socket.getaddrinfo" and isinstance(arguments[0], str):
        host = arguments[0]
        if host and _leaves_the_machine((host,)) and host != socket.gethostname():
            message = f"tests resolve no foreign names, not {host!r}"
            raise PermissionError(message)


sys.addaudithook(_guard)


# --- what runs ---------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-servers", action="store_true", help="leave tests that need a real server to make test-all"
    )


def _left_to_test_all(item: pytest.Item, config: pytest.Config) -> bool:
    return bool(config.getoption("--no-servers")) and item.get_closest_marker("server") is not None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what this run leaves to another, and give heavy runs their time."""
    data = shared_folder()
    left = [item for item in items if _left_to_test_all(item, config)]
    if left and _strict():  # a build machine runs `make test-all` next: nothing to skip
        items[:] = [item for item in items if item not in set(left)]
        config.hook.pytest_deselected(items=left)
        left = []
    for item in left:
        item.add_marker(pytest.mark.skip(reason="needs a real server: `make test-all` runs it"))
    for item in items:
        if item.get_closest_marker("shared") and not (data / "real_printers").is_dir():
            reason = f"no recordings in {data}: set DRUMBEAT_SHARED=/path/to/shared"
            item.add_marker(pytest.mark.skip(reason=reason))
        for marker, seconds in _TIMEOUT_SECONDS.items():
            if item.get_closest_marker(marker) and not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(seconds))


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not (_strict() and report.skipped) or hasattr(report, "wasxfail"):
        return
    reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if BY_DESIGN not in reason:
        report.outcome = "failed"
        report.longrepr = f"DRUMBEAT_REQUIRE_SERVERS is set, so nothing may be skipped: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where every server and all data must be there."""
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Do the same for a module that skips itself as a whole."""
    report = yield
    _forbid_skip(report)
    return report


# --- fixtures ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def project() -> Path:
    """Return the root of the source tree."""
    return PROJECT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder with recordings and data sets; mark the test `shared` so that it skips where they are absent."""
    return shared_folder()


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Return a function that gives a TCP and UDP port that is free on loopback right now."""

    def find() -> int:
        for _ in range(50):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
                stream.bind(("127.0.0.1", 0))
                port: int = stream.getsockname()[1]
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
                    try:
                        datagram.bind(("127.0.0.1", port))
                    except OSError:
                        continue
                return port
        pytest.fail("no free port on loopback")

    return find


@pytest.fixture
def server_binary() -> Callable[[str], Path]:
    """Return `requires_server`: the path of a server binary, or a skip that says what to install."""
    return requires_server
