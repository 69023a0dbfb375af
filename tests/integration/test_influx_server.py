"""What a real InfluxDB asks of its users: signing in, TLS, policies, mappings; and what it says to a line it cannot take.

The server is the one that is installed, or `DRUMBEAT_INFLUXD`: the same tests ran on 1.6.7, 1.8.3 and 2.7.12.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from collector.outbox import InfluxForwarder, Outbox
from collector.stores.influxdb import InfluxEndpoint, InfluxServer, LinesRefused
from collector.stores.reading_codec import at_us
from collector.stores.sqlite import SqliteTelemetryStore
from config.clock import VirtualClock
from crm_core.domain.errors import InvalidConfiguration, StoreUnavailable
from crm_core.ports import Landing
from tests.conftest import requires_server
from tests.telemetry_readings import START, reading
from tests.telemetry_servers import InfluxDaemon, certificate, influxd, running

pytestmark = pytest.mark.server
LINE = "room,place=north warm=21i 1000000"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDaemon]:
    """Return a server on which one has to sign in."""
    folder = tmp_path_factory.mktemp("influx")
    with running(influxd(requires_server("influxd"), folder, signed_in=True)) as started:
        yield started


def rows(endpoint: InfluxEndpoint, query: str) -> list[list[object]]:
    server = InfluxServer(endpoint)
    try:
        server.prepare()
        return [row.values for row in server.queries.rows(query)]
    finally:
        server.close()


def write(endpoint: InfluxEndpoint, *lines: str) -> None:
    server = InfluxServer(endpoint)
    try:
        server.write(lines)
    finally:
        server.close()


def test_what_is_written_is_read_and_a_second_start_changes_nothing(daemon: InfluxDaemon) -> None:
    place = daemon.endpoint("plain")
    for _ in range(2):
        write(place, LINE)
    assert rows(place, "SELECT warm, place FROM room") == [[1000000, 21, "north"]]
    server = InfluxServer(place)
    major, minor = daemon.version
    assert server.capabilities().version.lstrip("v").startswith(f"{major}.{minor}")
    server.close()


@pytest.mark.parametrize("token", ["", "admin:guessed", "guessed"])
def test_a_wrong_token_is_said_to_be_wrong(daemon: InfluxDaemon, token: str) -> None:
    with pytest.raises(InvalidConfiguration, match="token"):
        write(dataclasses.replace(daemon.endpoint("closed"), token=token), LINE)


def test_a_retention_policy_is_a_place_of_its_own(daemon: InfluxDaemon) -> None:
    place = daemon.endpoint("kept")
    year = dataclasses.replace(place, retention_policy="year")
    write(year, LINE)
    write(place, LINE.replace("21i", "5i"))
    assert rows(year, "SELECT warm FROM room") == [[1000000, 21]]
    assert rows(place, "SELECT warm FROM room") == [[1000000, 5]]


def test_only_the_line_that_the_server_cannot_take_is_parked(daemon: InfluxDaemon, tmp_path: Path) -> None:
    """Somebody's point gave `life_count` another type, so the server refuses our readings of that week, not our supplies."""
    place, clock = daemon.endpoint("partial"), VirtualClock(START)
    series = "printer_reading,device=d7,site=site-1,tenant=default"
    write(place, f'{series} life_count="many" {at_us(START)}')
    store = SqliteTelemetryStore(tmp_path / "t.sqlite", clock, lines=True)
    store.append([Landing(reading=reading(f"d{n}", minutes=n)) for n in range(20)])
    server, outbox = InfluxServer(place), Outbox(store, clock)
    InfluxForwarder(outbox, server).drain()
    parked, waiting = outbox.parked(), outbox.waiting()
    (found,) = server.queries.rows("SELECT count(percent) FROM printer_supply")
    server.close()
    store.close()
    assert {one.body.split(b" ")[0].split(b",")[0] for one in parked} == {b"printer_reading"}
    assert all("type" in one.reason for one in parked)
    assert found.values[1] > 0
    assert waiting == 0


def test_a_database_that_somebody_dropped_is_made_again(daemon: InfluxDaemon) -> None:
    place = daemon.endpoint("dropped")
    server = InfluxServer(place)
    server.write([LINE])
    if daemon.version < (2, 0):
        server.queries.command("DROP DATABASE dropped")
    else:
        listed = server.queries.call("GET", "/api/v2/buckets", {"org": place.org, "name": place.bucket})
        (bucket,) = msgspec.json.decode(listed.data)["buckets"]
        server.queries.call("DELETE", f"/api/v2/buckets/{bucket['id']}", {})
    with pytest.raises(InvalidConfiguration, match="bucket"):
        server.write([LINE])
    server.write([LINE])
    assert [row.values[1] for row in server.queries.rows("SELECT warm FROM room")] == [21]
    server.close()


def test_a_line_that_is_no_line_is_refused(daemon: InfluxDaemon) -> None:
    place = daemon.endpoint("broken")
    with pytest.raises(LinesRefused):
        write(place, LINE, "room warm")


def test_a_mapping_to_another_bucket_is_not_read_from(daemon: InfluxDaemon) -> None:
    if daemon.version < (2, 0):
        pytest.skip("by design: InfluxDB 1 has no mappings")
    place = daemon.endpoint("mapped")
    other = InfluxServer(daemon.endpoint("elsewhere"))
    other.prepare()
    answer = other.queries.call("GET", "/api/v2/buckets", {"org": place.org, "name": "elsewhere"})
    (bucket,) = msgspec.json.decode(answer.data)["buckets"]
    mapping = {"bucketID": bucket["id"], "database": "mapped", "org": place.org, "retention_policy": "autogen", "default": True}  # fmt: skip
    other.queries.call("POST", "/api/v2/dbrps", {}, body=msgspec.json.encode(mapping))
    other.close()
    with pytest.raises(InvalidConfiguration, match="another bucket"):
        write(place, LINE)


def test_tls_is_trusted_by_its_authority_alone(tmp_path: Path) -> None:
    pair = certificate(requires_server("openssl"), tmp_path / "tls")
    with running(influxd(requires_server("influxd"), tmp_path / "influx", certificate=pair)) as daemon:
        place = daemon.endpoint("sealed")
        write(place, LINE)
        assert rows(place, "SELECT warm FROM room") == [[1000000, 21]]
        with pytest.raises(StoreUnavailable, match="certificate"):
            write(dataclasses.replace(place, ca_file=""), LINE)
