"""The QR code of a job, read inside the technician's page where the browser can do that, and nothing shown where it cannot."""

import pytest

from tests.integration.api.test_browser import chromium, served, until, visit  # noqa: F401 - pytest finds fixtures by their names

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

#: A camera that films a canvas, and a reader that sees the next of `codes`: what phones bring along.
PHONE = """
window.codes = ["https://elsewhere.example/work-orders/1", "javascript:alert(1)", "nonsense"];
window.cameras = [];
navigator.mediaDevices.getUserMedia = async () => {
  const canvas = document.createElement("canvas");
  canvas.getContext("2d").fillRect(0, 0, 9, 9);
  const stream = canvas.captureStream(5);
  window.cameras.push(stream);
  return stream;
};
window.BarcodeDetector = class { async detect() { const code = window.codes.shift(); return code ? [{ rawValue: code }] : []; } };
"""


def test_a_code_of_ours_opens_its_job_and_others_are_refused(visit, served):  # noqa: F811 - an argument names its fixture
    page = visit("tech-li", width=390)
    page.add_init_script(PHONE)
    page.goto(served.address + "/work")
    button = page.locator("#scan")
    button.wait_for(state="visible")
    assert page.evaluate("window.cameras.length") == 0  # the camera waits for the tap
    button.tap()
    page.locator(".scan [role=status]", has_text="does not belong").wait_for()
    until(page, "window.codes.length === 0")
    assert page.url.endswith("/work")
    page.locator(".scan button").tap()
    until(
        page,
        "window.cameras.every((each) => each.getTracks().every((track) => track.readyState === 'ended'))",
    )
    button.tap()
    page.evaluate("window.codes.push(location.origin + '/work-orders/1')")
    page.wait_for_url("**/work-orders/1")


def test_without_a_reader_there_is_no_button(visit, served):  # noqa: F811 - an argument names its fixture
    page = visit("tech-li", width=390)
    page.add_init_script("delete window.BarcodeDetector")
    page.goto(served.address + "/work")
    until(page, "performance.getEntriesByType('resource').some((each) => each.name.includes('offline.js'))")
    assert not page.locator("#scan").is_visible()
