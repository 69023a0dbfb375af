"""Mixed reads over HTTP: 40 % devices, 30 % tickets, 20 % forecasts, 10 % series, with real tokens of ten people.

Two server processes share a socket as `api.workers = 2` does; the generator runs in this process. First 500 requests
a second at their own pace, then as fast as it goes. CPU seconds of both sides are printed, and the load of the machine:
on a busy one the seconds a request are what compares. Nothing is asserted about time: a busy machine is no bug.
"""

import asyncio
import os
import random
import resource
import time
from collections.abc import Callable

import pytest

from crm_core.ports import TicketFilter
from tests.benchmarks.api_servers import Servers, serving
from tests.integration.api.world import build_world, many_devices, open_world

DEVICES, CONNECTIONS, SECONDS, RATE, WORKERS = 1000, 32, 10.0, 500, 2
PEOPLE = ("admin", "manager", "supervisor", "dispatcher", "specialist")


async def fetch(reader, writer, path, token):
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length: ")[1].split("\r\n")[0])
    await reader.readexactly(length)
    return int(head.split(" ", 2)[1])


async def load(port, paths, tokens, seconds, rate):
    """Return (seconds of each request, statuses) of `CONNECTIONS` clients; `rate` a second in all, 0: without a pause.

    A paced request counts from when it was due, so that a server which falls behind cannot hide it.
    """
    times, statuses, begin = [], [], time.perf_counter()

    async def client(number):
        choose = random.Random(number)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        due = begin + number / rate if rate else begin
        while time.perf_counter() < begin + seconds:
            if rate:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            started = due if rate else time.perf_counter()
            statuses.append(await fetch(reader, writer, choose.choice(paths), choose.choice(tokens)))
            times.append(time.perf_counter() - started)
            due += CONNECTIONS / rate if rate else 0.0
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(client(number) for number in range(CONNECTIONS)))
    return sorted(times), statuses


def mixed_paths(world):
    with world.services.read_uow_factory() as uow:
        devices = [device.device_id for device in uow.devices.all("default")]
        tickets = [ticket.ticket_id for ticket in uow.tickets.list("default", TicketFilter(limit=500))]
    choose = random.Random(7)
    paths = [f"/api/v1/devices/{choose.choice(devices)}" for _ in range(400)]
    paths += [f"/api/v1/tickets/{choose.choice(tickets)}" for _ in range(300)]
    paths += [f"/api/v1/devices/{choose.choice(devices)}/forecasts" for _ in range(200)]
    return paths + [f"/api/v1/devices/{choose.choice(devices)}/series" for _ in range(100)]


def measured(name: str, servers: Servers, run: Callable[[], tuple[list[float], list[int]]]) -> str:
    """Run a load and return its figures in words."""
    server, own, begin = servers.cpu_seconds(), resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    times, statuses = run()
    seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF)
    assert set(statuses) == {200}
    spent = servers.cpu_seconds() - server
    generator = (after.ru_utime + after.ru_stime - own.ru_utime - own.ru_stime) / seconds
    p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
    return (
        f"{name}: {len(times) / seconds:.0f}/s, p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, no errors; "
        f"server {spent / len(times) * 1000:.2f} ms CPU a request, generator {generator:.0%} of a core"
    )


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_mixed_reads(tmp_path, capsys):
    build_world(tmp_path)
    world = open_world(tmp_path)
    many_devices(world, DEVICES)
    tokens, paths = [world.token(name) for name in PEOPLE for _ in range(2)], mixed_paths(world)
    world.close()
    with serving(tmp_path, WORKERS) as servers:

        def loaded(seconds: float, rate: float, asked: list[str] = paths) -> tuple[list[float], list[int]]:
            return asyncio.run(load(servers.port, asked, tokens, seconds, rate))

        loaded(0.1, 0)  # waits until a process is up
        loaded(5.0, 0)  # both are up, connections and statements are warm
        figures = [
            measured("at 500/s", servers, lambda: loaded(SECONDS, RATE)),
            measured("flat out", servers, lambda: loaded(SECONDS, 0)),
            measured("/healthz", servers, lambda: loaded(3.0, 0, ["/healthz"])),
        ]
    with capsys.disabled():
        print(f"\nAPI mixed reads, {DEVICES + 7} devices, {WORKERS} processes, {CONNECTIONS} connections")
        print("\n".join(figures))
        print(f"load average {os.getloadavg()[0]:.1f}")
