"""The pages: within their budgets, safe against strange texts and other sites, and usable without script."""

import gzip
import re
from dataclasses import replace

import pytest
from fastapi.routing import iter_route_contexts

from crm_core.domain.identity import SiteId

HTML = {"Accept": "text/html"}


def forms_of(text):
    """Yield (action, fields) of each POST form on a page."""
    for action, body in re.findall(
        r'<form[^>]*method="post" action="([^"]+)"[^>]*>(.*?)</form>', text, re.DOTALL
    ):
        yield action, dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', body))


def submit(browser, page, action_end, **fields):
    """Send the form of a page as a browser does."""
    action, hidden = next((a, f) for a, f in forms_of(browser.get(page).text) if a.endswith(action_end))
    return browser.post(action, data=hidden | fields, headers=HTML)


def test_technician_closes_a_job_with_four_taps(browser, client):
    """Tap 1 opens the job, 2 departs, 3 arrives, 4 is done: and the day's list is back."""
    li = browser("tech-li")
    assert li.get("/").headers["Location"] == "/work"
    job = re.search(r'href="(/work-orders/\d+)"', li.get("/work").text)[1]  # tap 1
    for step in ("start", "arrive"):  # taps 2 and 3
        answer = submit(li, job, step)
        assert (answer.status_code, answer.headers["Location"]) == (303, job)
    answer = submit(li, job, "complete")  # tap 4
    assert (answer.status_code, answer.headers["Location"]) == (303, "/work")
    assert "Done today" in li.get("/work").text
    state = client("dispatcher").get(f"/api/v1{job}").json()
    assert (state["state"], state["outcome"]) == ("done", "fixed")


def test_stale_form_is_explained_and_changes_nothing(browser):
    boss = browser("dispatcher")
    action, fields = next((a, f) for a, f in forms_of(boss.get("/tickets/1").text) if a.endswith("cancel"))
    assert boss.post(action, data=fields | {"reason": "double"}, headers=HTML).status_code == 303
    again = boss.post(action, data=fields | {"reason": "double"}, headers=HTML)
    assert again.status_code == 409
    assert 'role="alert"' in again.text


def test_dispatcher_assigns_on_the_page(browser):
    boss = browser("dispatcher")
    answer = submit(boss, "/work-orders/1", "assign", technician_id="zhao", reason="nearer")
    assert answer.status_code == 303
    assert "Zhao Min" in boss.get("/work-orders").text


def test_every_form_needs_the_token_of_the_session(browser, world):
    """Generated from the routes: a POST page without the check would be a hole."""
    paths = [
        re.sub(r"\{\w+\}", "1", context.path.replace("{segment}", "loyal").replace("{step}", "compute"))
        for context in iter_route_contexts(world.app().routes)
        if "POST" in (context.methods or ())
        and not context.path.startswith("/api/")
        and "{token}"
        not in context.path  # a link with its own key: there is no session that could be misused
    ]
    boss = browser("admin")
    assert len(paths) >= 9
    for path in paths:
        for fields in ({"version": "1"}, {"csrf": "0" * 32, "version": "1"}):
            answer = boss.post(path, data=fields, headers={"Sec-Fetch-Site": "cross-site"})
            if answer.status_code == 415:  # a form with a file
                file = {"file": ("rows.csv", b"name\n")}
                answer = boss.post(path, data=fields, files=file, headers={"Sec-Fetch-Site": "cross-site"})
            assert answer.status_code == 403, path


def test_answers_carry_the_security_headers(client, browser):
    for answer in (
        client().get("/sign-in"),
        browser("manager").get("/"),
        client().get("/api/v1/me"),
        client().get("/nowhere"),
    ):
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/", "/devices/c3525-01", "/tickets", "/tickets/1", "/work-orders/1", "/docs", "/sign-in"]
)
def test_pages_hold_no_inline_script_or_style_and_load_nothing_from_elsewhere(browser, path):
    text = browser("admin").get(path).text
    assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|<style|javascript:", text)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)


def test_texts_of_customers_and_devices_are_never_markup(world, browser):
    evil = "<script>alert(1)</script>\"'>{{7*7}}"
    with world.services.uow_factory() as uow:
        site = uow.sites.get("default", SiteId("hq"))
        uow.sites.save(replace(site, name=evil, address=evil, access_notes=evil))
        uow.commit()
    boss = browser("dispatcher")
    for path in (
        "/",
        "/devices",
        "/devices/c3525-01",
        "/tickets",
        "/tickets/1",
        "/work-orders",
        "/work-orders/1",
    ):
        text = boss.get(path).text
        assert "<script>alert" not in text, path
        assert "49" not in re.findall(r"&#39;&gt;(\w+)", text), path


def test_search_is_shown_back_safely(browser):
    text = browser("manager").get("/devices", params={"q": '"><script>alert(1)</script>'}).text
    assert "<script>alert" not in text


def test_language_and_theme_are_remembered_without_script(client):
    visitor = client()
    answer = visitor.post("/preferences", data={"language": "zh-CN", "theme": "dark", "back": "/sign-in"})
    assert answer.headers["Location"] == "/sign-in"
    text = visitor.get("/sign-in").text
    assert '<html lang="zh-CN" data-theme="dark">' in text
    visitor.post("/preferences", data={"language": "xx", "theme": "<b>", "back": "//evil"})
    assert '<html lang="zh-CN" data-theme="dark">' in visitor.get("/sign-in").text


def test_static_files_are_kept_for_ever_and_named_by_content(client):
    visitor = client()
    links = re.findall(r'(?:src|href)="(/static/[^"#]+)', visitor.get("/sign-in").text)
    assert len(links) >= 3
    for link in links:
        answer = visitor.get(link)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
    assert visitor.get("/static/..%2f..%2fapp.py").status_code == 404
    assert visitor.get("/static/none.css").status_code == 404


def test_script_stays_small():
    from pathlib import Path

    lines = sum(
        len(path.read_text(encoding="utf-8").splitlines()) for path in Path("api/pages/static").glob("*.js")
    )
    assert lines <= 600


def transferred(client, path):
    """Return the bytes of a page as they travel, with gzip."""
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Encoding"] == "gzip"
    return len(gzip.compress(answer.content, 6))


def test_technician_page_is_at_most_15_kb(browser, client):
    li = browser("tech-li")
    style = transferred(li, re.search(r'href="(/static/drumbeat.css[^"]+)"', li.get("/work").text)[1])
    text = li.get("/work").text
    script = transferred(li, re.search(r'src="(/static/drumbeat.js[^"]+)"', text)[1])
    script += transferred(li, re.search(r'data-offline="(/static/offline.js[^"]+)"', text)[1])
    for path in ("/work", "/work-orders/1"):
        page = transferred(li, path)
        assert page + style + script <= 15_000, (page, style, script)


def test_manager_page_with_200_devices_is_at_most_40_kb(world, browser):
    """Counted cold: page, style sheet, script and icons."""
    from tests.integration.api.world import many_devices

    many_devices(world, 200)
    boss = browser("manager")
    text = boss.get("/").text
    parts = {"page": len(gzip.compress(text.encode(), 6))}
    for link in re.findall(r'(?:src|href)="(/static/[^"#]+)', text):
        parts[link] = len(gzip.compress(boss.get(link).content, 6))
    assert "207" in text
    assert sum(parts.values()) <= 40_000, parts


def test_supplies_with_plenty_left_take_one_line(browser):
    text = browser("manager").get("/devices/c3525-02").text
    assert text.count('class="supply"') == 3
    assert "Enough for long" in text
    assert "over a year" in text


def test_tickets_of_today_are_counted_alike_for_all_sights(browser):
    """Counted in the database for everybody's sight, from the list for a limited one."""
    assert "today 3" in browser("manager").get("/").text
    assert "today 2" in browser("manager-east").get("/").text
