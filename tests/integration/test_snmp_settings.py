"""The settings of a poll reach the wire: how long a silent printer is waited for before it is asked again."""

import asyncio
import socket

import pytest

from collector.profiles import load_profiles
from collector.snmp.poller import PollTarget
from config.clock import SystemClock
from config.settings import load_settings
from config.wiring.snmp import make_engine, make_reader
from crm_core.domain.errors import DeviceUnreachable


async def repeats_to_a_silent_printer(port: int, **environment: str) -> int:
    settings = load_settings(environment={f"DRUMBEAT_SNMP_{key}": text for key, text in environment.items()})
    engine = make_engine(settings)
    try:
        poller = make_reader(settings, engine, load_profiles(), SystemClock())
        with pytest.raises(DeviceUnreachable):
            await poller.poll(PollTarget(host="127.0.0.1", port=port))
        return engine.statistics.repeats
    finally:
        await engine.close()


@pytest.mark.parametrize(("timeout_seconds", "repeats"), [("0.05", 2), ("60", 0)])
def test_the_first_timeout_of_the_settings_decides_when_a_request_is_repeated(timeout_seconds, repeats):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        asked = repeats_to_a_silent_printer(
            silent.getsockname()[1],
            TIMEOUT_SECONDS=timeout_seconds,
            RETRIES="2",
            DEVICE_DEADLINE_SECONDS="1.0",
        )
        assert asyncio.run(asked) == repeats
