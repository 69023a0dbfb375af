"""A technician's evidence in a real browser: a photo, a signature and notes, taken while there is no network."""

import struct
import zlib

import pytest

from crm_core.domain.fieldwork import AttachmentKind
from crm_core.domain.identity import DEFAULT_TENANT
from tests.conftest import requires_server
from tests.integration.api.test_browser import FLAGS, chromium, served, until, until_the_day_is_kept, visit  # noqa: F401 - pytest finds fixtures by their names
from tests.integration.api.world_rows import PASSWORD

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]


def a_picture(edge: int = 64) -> bytes:
    """Return a real PNG, plain red."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"\xd0\x20\x20" * edge for _ in range(edge))
    head = struct.pack(">IIBBBBB", edge, edge, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def take_evidence(page):
    """Take a photo, write notes and let the customer sign."""
    picture = {"name": "roller.png", "mimeType": "image/png", "buffer": a_picture()}
    page.locator("#photo").set_input_files(picture)
    until(page, "document.querySelector('#visit [role=status]').textContent.length > 0")
    page.locator("#labour").fill("20")
    page.locator("#empties").fill("QR-7\nQR-8")
    page.locator("#signed-by").fill("Wang Fang")
    canvas = page.locator("#signature")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 90, steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Keep").click()


def test_photo_signature_and_notes_wait_without_network_and_arrive_with_it(visit, served):  # noqa: F811 - an argument names its fixture
    page = visit("tech-li", width=390)
    page.locator(".job a").first.click()
    page.wait_for_selector("#visit canvas")
    number = int(page.locator("#visit").get_attribute("data-order"))
    page.wait_for_selector("#visit[data-ready]")  # the module of the visit is loaded after the page
    page.context.set_offline(True)
    take_evidence(page)
    until(page, "document.querySelector('.sync').dataset.count === '3'")
    with page.expect_navigation():  # the page shows what was taken
        page.context.set_offline(False)
    until(page, "document.querySelector('.sync').dataset.count === '0'")
    with served.world.services.read_uow_factory() as uow:
        files = uow.fieldwork.attachments.where(DEFAULT_TENANT, work_order_id=number)
        record = uow.fieldwork.visit_of(DEFAULT_TENANT, number)
    assert sorted(each.kind for each in files) == [AttachmentKind.PHOTO, AttachmentKind.SIGNATURE]
    assert {each.media_type for each in files} == {"image/jpeg", "image/png"}
    assert (record.labour_minutes, record.empties, record.signed_by) == (20, ("QR-7", "QR-8"), "Wang Fang")
    page.goto(page.url)
    until(
        page,
        "[...document.querySelectorAll('.photos img')].filter((each) => each.naturalWidth > 0).length >= 1",
    )


def files_of(server, order: int) -> list[AttachmentKind]:
    """Return what the server keeps of an order's files."""
    with server.world.services.read_uow_factory() as uow:
        rows = uow.fieldwork.attachments.where(DEFAULT_TENANT, work_order_id=order)
    return sorted(each.kind for each in rows)


def test_a_whole_job_waits_through_reload_and_restart_and_arrives_once(
    chromium,  # noqa: F811 - an argument names its fixture
    served,  # noqa: F811 - an argument names its fixture
    tmp_path,
):
    """A toner job is closed with photo and signature under ground; the browser is closed before there is network again."""

    def start():
        context = chromium.browser_type.launch_persistent_context(
            str(tmp_path / "profile"),
            executable_path=str(requires_server("chromium")),
            args=FLAGS,
            viewport={"width": 390, "height": 844},
            has_touch=True,
            locale="en",
        )
        return context, context.pages[0]

    def waits(page, count: int) -> None:
        page.locator(f".sync[data-count='{count}']").wait_for(state="attached")

    context, page = start()
    context.add_cookies([{"name": "drumbeat_lang", "value": "en", "url": served.address, "expires": 4e9}])
    page.goto(f"{served.address}/sign-in")
    page.fill("#name", "tech-li")
    page.fill("#password", PASSWORD)
    page.click("button.primary")
    page.wait_for_url("**/work")
    until(page, "navigator.serviceWorker.controller !== null")
    until_the_day_is_kept(page)
    context.set_offline(True)
    page.locator(".job a").first.tap()
    page.wait_for_url("**/work-orders/1")
    page.wait_for_selector("#visit[data-ready]")
    for waiting in (1, 2):
        page.locator(".dock button").tap()
        waits(page, waiting)
    take_evidence(page)
    waits(page, 5)
    page.reload()
    waits(page, 5)
    page.locator(".dock button.primary").tap()
    waits(page, 6)
    assert "of 60 MB" in page.locator(".sync").inner_text()
    context.close()
    assert files_of(served, 1) == []
    context, page = start()
    context.set_offline(True)
    page.goto(f"{served.address}/work")
    waits(page, 6)
    page.locator(".sync", has_text="no network").wait_for()  # once sending was tried
    context.set_offline(False)
    waits(page, 0)
    assert files_of(served, 1) == [AttachmentKind.PHOTO, AttachmentKind.SIGNATURE]
    with served.world.services.read_uow_factory() as uow:
        order = uow.work_orders.get(DEFAULT_TENANT, 1)
        events = [event.event for event in uow.tickets.get(DEFAULT_TENANT, order.ticket_ids[0]).events]
        record = uow.fieldwork.visit_of(DEFAULT_TENANT, 1)
    assert (order.state, order.outcome, events.count("done")) == ("done", "fixed", 1)
    assert (record.signed_by, record.labour_minutes) == ("Wang Fang", 20)
    context.close()


def test_a_photo_is_made_small_before_it_waits(visit):  # noqa: F811 - an argument names its fixture
    """A phone's photo of 12 megapixels of noise waits as a readable picture of some 200 kB, or as small as it gets."""
    page = visit("tech-li", width=390)
    page.locator(".job a").first.click()
    page.wait_for_selector("#visit[data-ready]")
    size, edge = page.evaluate(
        """async () => {
            const canvas = Object.assign(document.createElement("canvas"), { width: 4000, height: 3000 });
            const pen = canvas.getContext("2d");
            for (let each = 0; each < 4000; each += 1) {
                pen.fillStyle = `rgb(${each % 256} ${(7 * each) % 256} ${(31 * each) % 256})`;
                pen.fillRect((97 * each) % 4000, (389 * each) % 3000, 160, 160);
            }
            const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
            const photos = await import(document.querySelector("#visit").dataset.photo);
            const made = await photos.small(blob);
            const seen = await createImageBitmap(made);
            return [made.size, Math.max(seen.width, seen.height)];
        }"""
    )
    assert size < 250_000
    assert 900 <= edge <= 1600
