"""The settings that we ship and the files that we write, on a real mosquitto with TLS: each agent stays within its site."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from collector.mqtt.acl import COLLECTOR, Account, write_files
from collector.mqtt.bulk_socket import Message
from collector.mqtt.connection import MqttConnection, MqttEndpoint
from tests.conftest import PROJECT, requires_server
from tests.telemetry_servers import certificate, mosquitto, running

pytestmark = pytest.mark.server
NORTH, SOUTH = Account("default", "north"), Account("default", "south")


def test_agents_stay_within_their_site_and_strangers_stay_out(tmp_path: Path) -> None:
    folder = tmp_path / "access"
    folder.mkdir()
    crt, _ = certificate(requires_server("openssl"), folder)
    secrets = {COLLECTOR: "c-secret", NORTH.username: "n-secret", SOUTH.username: "s-secret"}
    write_files(folder, [NORTH, SOUTH], secrets)
    shipped = (
        (PROJECT / "config/deploy/mosquitto.conf").read_text().replace("/etc/mosquitto/drumbeat", str(folder))
    )
    lines = [line for line in shipped.splitlines() if not line.startswith(("listener", "allow_anonymous"))]
    assert len(lines) == len(shipped.splitlines()) - 2
    daemon = mosquitto(requires_server("mosquitto"), tmp_path / "broker", *lines, anonymous=False)
    with running(daemon):

        def endpoint(name: str, secret: str | None) -> MqttEndpoint:
            return MqttEndpoint(
                port=daemon.port, client_id=name, username=name, password=secret, tls=True, ca_file=crt
            )

        got: list[tuple[str, bytes]] = []

        def note(messages: Sequence[Message]) -> None:
            got.extend((message.topic.decode(), message.payload) for message in messages)
            collector.acknowledge(messages)

        collector = MqttConnection(
            endpoint(COLLECTOR, "c-secret"), filters=["drumbeat/v1/+/+/+/reading"], on_messages=note
        )
        north = MqttConnection(endpoint(NORTH.username, "n-secret"), filters=[], on_messages=print)
        stranger = MqttConnection(endpoint(NORTH.username, "guessed"), filters=[], on_messages=print)
        for connection in (collector, north):
            connection.start()
            connection.wait_connected(20)
        for topic, body in (
            ("south/d1/reading", b"stolen"),
            ("north/d1/ack", b"forged"),
            ("north/d1/reading", b"own"),
        ):
            info = north.publish(f"drumbeat/v1/default/{topic}", body)
            assert info is not None
            info.wait_for_publish(20)
        collector_saw_all = collector.publish("drumbeat/v1/default/north/d1/ack", b"mark", retain=True)
        assert collector_saw_all is not None
        collector_saw_all.wait_for_publish(20)
        stranger.start()
        with pytest.raises(Exception, match="uthori"):
            stranger.wait_connected(2)
        for connection in (stranger, collector, north):
            connection.stop()
    assert got == [("drumbeat/v1/default/north/d1/reading", b"own")]
