"""People at the pages, in a real browser: the walks of each role, by mouse and by keyboard, and what eyes need.

The contrast and structure checks are our own (see `checks.js` beside this file): axe-core is third-party script.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn

from tests.conftest import requires_server
from tests.integration.api.world import World, copy_world, open_world
from tests.integration.api.world_rows import PASSWORD

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make setup")

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

CHECKS = (Path(__file__).parent / "checks.js").read_text(encoding="utf-8")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    binary = requires_server("chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(binary), args=FLAGS)
        yield browser
        browser.close()


class Served:
    """The world behind a real HTTP server on a free port."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(world.app(), log_config=None, lifespan="off"))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self._socket.close()


@pytest.fixture
def served(world_template: Path, tmp_path: Path) -> Iterator[Served]:
    world = open_world(copy_world(world_template, tmp_path / "served"))
    server = Served(world)
    yield server
    server.stop()
    world.close()


@pytest.fixture
def visit(chromium, served) -> Iterator[Callable[..., object]]:
    """Return a factory of pages: `visit("manager", width=390)`; console errors and failed requests fail the test."""
    complaints: list[str] = []
    contexts = []

    def open_page(name: str | None = None, *, width: int = 1280, theme: str = "light", language: str = "en"):
        context = chromium.new_context(
            viewport={"width": width, "height": 844},
            color_scheme=theme,
            has_touch=width < 600,
            locale=language,
        )
        contexts.append(context)
        context.add_cookies([{"name": "drumbeat_lang", "value": language, "url": served.address}])
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(served.address + "/sign-in")
        if name:
            page.fill("#name", name)
            page.fill("#password", PASSWORD)
            page.click("button.primary")
            page.wait_for_url(lambda url: "sign-in" not in url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def until(page, expression: str) -> None:
    """Wait until an expression is true in the page (Playwright's own wait needs eval, which our policy forbids)."""
    for _ in range(1600):  # 40 s: build machines are slow
        if page.evaluate(expression):
            return
        page.wait_for_timeout(25)
    pytest.fail(f"never true: {expression}")


def until_the_day_is_kept(page):
    """Wait until the browser keeps the day's pages and every file that they ask for."""
    files = ["drumbeat.css", "drumbeat.js", "icons.svg", "offline.js", "visit.js", "photo.js"]
    kept = "caches.open('drumbeat-{}').then(store => store.keys()).then(keys => {})"
    until(page, kept.format("pages", "keys.length >= 2"))
    every = f"{files}.every(file => keys.some(key => key.url.includes('/' + file)))"
    until(page, kept.format("static", every))


def is_complaint(message) -> bool:
    """Return True for errors and warnings, but not for the browser's own note that a request had no network or was refused."""
    expected = ("ERR_INTERNET_DISCONNECTED", "status of 412")
    return message.type in ("error", "warning") and not any(note in message.text for note in expected)


def test_manager_finds_the_worst_device_and_opens_its_forecast(visit):
    page = visit("manager")
    assert page.locator("h1").inner_text() == "Fleet health"
    page.locator("#worst tbody a").first.click()
    assert page.locator("h1").inner_text() == "ApeosPort-VII C7773"
    fan = page.locator(".supply svg.fan").nth(1)
    assert "days left" in fan.get_attribute("aria-label")
    assert page.locator(".supply, .plenty li", has_text="some left").count() == 1


def test_dispatcher_gives_a_work_order_to_somebody_else(visit):
    page = visit("dispatcher")
    page.get_by_role("link", name="Work orders").first.click()
    page.get_by_role("link", name="W-000001").click()
    page.get_by_label("Technician").select_option("zhao")
    page.locator("#assign-reason").fill("nearer")
    page.get_by_role("button", name="Assign").click()
    page.get_by_role("link", name="Work orders").first.click()
    assert "Zhao Min" in page.locator("tr", has_text="W-000001").inner_text()


def test_technician_closes_a_toner_job_with_four_taps_on_a_phone(visit):
    page = visit("tech-li", width=390)
    taps = 0
    for target in (".job a", ".dock button", ".dock button", ".dock button"):
        before = page.content()
        page.locator(target).first.tap()
        page.wait_for_function("before => document.documentElement.outerHTML !== before", arg=before)
        page.wait_for_load_state()
        taps += 1
    assert taps == 4
    page.wait_for_url("**/work")
    assert page.get_by_text("Done today").is_visible()


def test_technician_closes_a_job_with_the_network_cut_in_the_middle(visit, served):
    """The job opens and goes on without network; the steps wait visibly and arrive once when it is back."""
    page = visit("tech-li", width=390)
    until(page, "navigator.serviceWorker.controller !== null")
    until_the_day_is_kept(page)
    page.context.set_offline(True)
    page.locator(".job a").first.tap()
    page.wait_for_url("**/work-orders/*")
    for waiting, label in (("1 steps", "I am here"), ("2 steps", "Done")):
        page.locator(".dock button").tap()
        page.locator(".sync.shown", has_text=waiting).wait_for()
        assert label in page.locator(".dock button").inner_text()
    page.reload()  # the steps outlive the page
    page.locator(".dock button", has_text="Done").tap()
    page.locator(".sync.shown", has_text="3 steps").wait_for()
    with served.world.services.read_uow_factory() as uow:
        assert uow.work_orders.get("default", 1).state == "assigned"
    page.context.set_offline(False)
    page.locator(".sync:not(.shown)").wait_for(state="attached")
    with served.world.services.read_uow_factory() as uow:
        order = uow.work_orders.get("default", 1)
        events = [event.event for event in uow.tickets.get("default", order.ticket_ids[0]).events]
    assert (order.state, order.outcome) == ("done", "fixed")
    assert events.count("done") == 1


def test_step_that_the_office_overtook_is_not_lost_silently(visit, served):
    page = visit("tech-li", width=390)
    page.locator(".job a").first.tap()
    page.wait_for_url("**/work-orders/*")
    with served.world.services.uow_factory() as uow:
        order = uow.work_orders.get("default", 1)
        uow.work_orders.save(order)  # the same order in a newer version
        uow.commit()
    page.locator(".dock button").tap()
    page.locator(".sync.critical", has_text="W-000001 was not accepted: Changed meanwhile").wait_for()
    page.get_by_role("button", name="Seen").tap()
    page.locator(".sync:not(.shown)").wait_for(state="attached")


def test_language_and_theme_switch(visit):
    page = visit("manager", theme="light")
    page.get_by_role("button", name="中文").click()
    page.locator("h1", has_text="设备总览").wait_for()
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="主题").click()
    page.locator("html[data-theme=dark]").wait_for(state="attached")  # the page is loaded anew
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != colour


def test_keyboard_alone_is_enough(visit):
    """Sign in, skip to the content, open the worst device: without a mouse, and the focus can always be seen."""
    page = visit()
    page.keyboard.type("manager")  # the name has the focus from the start
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "sign-in" not in url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    for _ in range(60):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            "(() => { const style = getComputedStyle(document.activeElement); return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2; })()"
        )
        assert seen, page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        if page.evaluate("document.activeElement.closest('#worst tbody') !== null"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/devices/*")


PAGES = {
    "manager": ("/", "/devices", "/devices/c3525-01", "/devices/c7773-02", "/tickets", "/tickets/1", "/work-orders", "/work-orders/1", "/customers", "/docs"),
    "tech-li": ("/work", "/work-orders/1", "/devices/c3525-01"),
}  # fmt: skip


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_eyes_and_screen_readers_get_what_they_need(visit, served, theme, width):
    """Contrast >= 4.5:1 (large text 3:1), names for controls and pictures, one main, ordered headings, no overflow."""
    found = {}
    for name, paths in PAGES.items():
        page = visit(name, width=width, theme=theme, language="zh-CN" if theme == "dark" else "en")
        for path in paths:
            page.goto(served.address + path)
            assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is (theme == "dark")
            problems = page.evaluate(CHECKS)
            if problems:
                found[f"{name} {path}"] = problems
    page = visit(width=width, theme=theme)
    found |= {"sign-in": problems} if (problems := page.evaluate(CHECKS)) else {}
    assert found == {}


def test_pages_work_without_script(chromium, served):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(served.address)
    page.fill("#name", "tech-li")
    page.fill("#password", PASSWORD)
    page.click("button.primary")
    page.locator(".job a").first.click()
    page.locator(".dock button").click()
    assert "on the way" in page.locator(".head").inner_text()
    context.close()
