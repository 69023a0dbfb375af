"""Every page answers for the people who may see it, in both languages, with every text filled in."""

import re

import pytest

PAGES = (
    "/", "/devices", "/devices?q=canon", "/devices/c3525-01", "/devices/c7773-02", "/devices/m126-02",
    "/tickets", "/tickets?level=L2", "/tickets/1", "/work-orders", "/work-orders?show=done", "/work-orders/1", "/work", "/docs", "/customers",
)  # fmt: skip
UNFILLED = re.compile(r"\b(?:pages|tickets|reasons|guide)\.[a-z_]+(?:\.[a-zA-Z0-9_]+)*|\{[a-z_]+\}")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_page_renders_with_all_texts(browser, path, language):
    """A key that has no text, or a placeholder without its figure, would stand on the page."""
    dispatcher = browser("dispatcher")
    dispatcher.cookies.set("drumbeat_lang", language)
    answer = dispatcher.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200, answer.text[:2000]
    visible = re.sub(r"<[^>]+>", " ", answer.text)
    if path != "/docs":
        assert UNFILLED.findall(visible) == []
    assert f'<html lang="{language}"' in answer.text
