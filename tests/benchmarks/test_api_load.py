"""Mixed reads over HTTP: 40 % devices, 30 % tickets, 20 % forecasts, 10 % series, with real tokens, against one server.

The server runs in its own process, the generator in this one; both sides' CPU is printed, and the ratio to `/healthz`
(what the frame alone costs). Nothing is asserted about time: a busy machine is no bug.
"""

import asyncio
import os
import random
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crm_core.ports import TicketFilter
from tests.integration.api.world import build_world, many_devices, open_world

SERVER = """
import sys, uvicorn
from pathlib import Path
from tests.integration.api.world import open_world
world = open_world(Path(sys.argv[1]))
uvicorn.run(world.app(), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)
"""
DEVICES, CONNECTIONS, SECONDS = 1000, 16, 8.0


async def fetch(reader, writer, path, token):
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length: ")[1].split("\r\n")[0])
    await reader.readexactly(length)
    return int(head.split(" ", 2)[1])


async def load(port, paths, token, seconds):
    """Return (seconds of each request, statuses) of `CONNECTIONS` clients that ask without a pause."""
    times, statuses, until = [], [], time.perf_counter() + seconds

    async def client(seed):
        choose = random.Random(seed)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < until:
            started = time.perf_counter()
            statuses.append(await fetch(reader, writer, choose.choice(paths), token))
            times.append(time.perf_counter() - started)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(client(seed) for seed in range(CONNECTIONS)))
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


@pytest.mark.heavy
def test_mixed_reads(tmp_path, capsys):
    build_world(tmp_path)
    world = open_world(tmp_path)
    many_devices(world, DEVICES)
    token, paths = world.token("manager"), mixed_paths(world)
    world.close()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    root = Path(__file__).resolve().parents[2]
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path), str(port)],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        frame, _ = asyncio.run(load(port, ["/healthz"], token, 2.0))
        own = resource.getrusage(resource.RUSAGE_SELF)
        times, statuses = asyncio.run(load(port, paths, token, SECONDS))
        spent = resource.getrusage(resource.RUSAGE_SELF)
    finally:
        server.terminate()
        server.wait(20)
    assert set(statuses) == {200}
    generator = (spent.ru_utime + spent.ru_stime - own.ru_utime - own.ru_stime) / SECONDS
    rate, floor = len(times) / SECONDS, len(frame) / 2.0
    with capsys.disabled():
        print(
            f"\nAPI mixed reads, {DEVICES + 7} devices, {CONNECTIONS} connections: {rate:.0f}/s, "
            f"p50 {times[len(times) // 2] * 1000:.1f} ms, p99 {times[int(len(times) * 0.99)] * 1000:.1f} ms, no errors; "
            f"generator {generator:.0%} of a core; load average {os.getloadavg()[0]:.1f}; "
            f"/healthz {floor:.0f}/s, ratio {rate / floor:.2f}"
        )
