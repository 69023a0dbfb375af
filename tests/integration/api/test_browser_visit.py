"""A technician's evidence in a real browser: a photo, a signature and notes, taken while there is no network."""

import struct
import zlib

import pytest

from crm_core.domain.fieldwork import AttachmentKind
from crm_core.domain.identity import DEFAULT_TENANT
from tests.integration.api.test_browser import chromium, served, until, visit  # noqa: F401 - pytest finds fixtures by their names

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


def test_photo_signature_and_notes_wait_without_network_and_arrive_with_it(visit, served):  # noqa: F811 - an argument names its fixture
    page = visit("tech-li", width=390)
    page.locator(".job a").first.click()
    page.wait_for_selector("#visit canvas")
    number = int(page.locator("#visit").get_attribute("data-order"))
    page.wait_for_timeout(300)  # the module of the visit is loaded after the page
    page.context.set_offline(True)
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
    until(page, "JSON.parse(localStorage.getItem('drumbeat.queue.tech-li') || '[]').length === 3")
    with page.expect_navigation():  # the page shows what was taken
        page.context.set_offline(False)
    until(page, "JSON.parse(localStorage.getItem('drumbeat.queue.tech-li') || '[]').length === 0")
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
