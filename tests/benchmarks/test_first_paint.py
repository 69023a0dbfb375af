"""How soon the manager's page of 200 devices is seen: cold, in a real browser, beside a page of one line.

Each look is a browser context of its own, without cache, and the two pages take turns, so that a busy machine slows
both: the ratio is what compares. The server's part is told apart, its first answer after a start too.
"""

import os
import statistics
import time
import urllib.request
from pathlib import Path

import pytest

from api.access import SESSION_COOKIE
from tests.benchmarks.api_servers import Servers, serving
from tests.conftest import requires_server
from tests.integration.api.world import build_world, many_devices, open_world

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make setup")

DEVICES, LOOKS = 200, 9
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PAINT = """() => {
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  const page = performance.getEntriesByType('navigation')[0];
  return paint ? [paint.startTime, page.responseStart - page.requestStart] : null;
}"""


def ask(servers: Servers, path: str, token: str) -> tuple[float, float]:
    """Return (seconds by the clock, CPU seconds of the server) of one answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{servers.port}{path}", headers={"Cookie": f"{SESSION_COOKIE}={token}"}
    )
    cpu, begin = servers.cpu_seconds(), time.perf_counter()
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
        answer.read()
    return time.perf_counter() - begin, servers.cpu_seconds() - cpu


def look(browser, address: str, path: str, token: str) -> list[float]:
    """Return the milliseconds until something is painted, and those that the server took, with nothing in any cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 844})
    context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": address}])
    page = context.new_page()
    page.goto(address + path)
    told = None
    for _ in range(400):
        told = told or page.evaluate(PAINT)
        if told:
            break
        page.wait_for_timeout(5)
    context.close()
    assert told, "nothing was painted"
    return told


@pytest.mark.server
@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_first_paint_of_the_managers_page(tmp_path: Path, capsys):
    binary = requires_server("chromium")
    build_world(tmp_path)
    world = open_world(tmp_path)
    many_devices(world, DEVICES)
    token = world.token("manager", purpose="session")
    world.close()
    with serving(tmp_path, workers=1) as servers, sync_api.sync_playwright() as playwright:
        address = f"http://127.0.0.1:{servers.port}"
        ask(servers, "/healthz", token)
        first, again = ask(servers, "/", token), [ask(servers, "/", token) for _ in range(20)]
        browser = playwright.chromium.launch(executable_path=str(binary), args=FLAGS)
        look(browser, address, "/one-line", token)
        looks = [[look(browser, address, path, token) for path in ("/", "/one-line")] for _ in range(LOOKS)]
        browser.close()
    paint, one_line = ([row[side][0] for row in looks] for side in (0, 1))
    ratio = statistics.median(row[0][0] / row[1][0] for row in looks)
    served = statistics.median(row[0][1] for row in looks)
    cpu = sum(seconds for _, seconds in again) / len(again)
    with capsys.disabled():
        print(
            f"\nfirst contentful paint, {DEVICES + 7} devices, cold, {LOOKS} looks, load {os.getloadavg()[0]:.1f}"
        )
        print(
            f"manager's page: median {statistics.median(paint):.0f} ms, best {min(paint):.0f} ms, of which the server {served:.0f} ms"
        )
        print(
            f"page of one line: median {statistics.median(one_line):.0f} ms, best {min(one_line):.0f} ms; ratio {ratio:.1f}"
        )
        print(
            f"server: first answer after the start {first[0] * 1000:.0f} ms ({first[1] * 1000:.0f} ms CPU), then {cpu * 1000:.1f} ms CPU"
        )
