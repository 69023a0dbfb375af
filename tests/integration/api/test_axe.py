"""axe-core over all pages: no serious and no critical finding, in both themes, on the desk and on the phone.

axe-core comes with the package axe-playwright-python: a tool of tests, never part of what we serve. The pages are those
of the navigation and one of each kind that they link to, so that a new one is looked at without being named here.
"""

from importlib.resources import files

import pytest

from api.access import SESSION_COOKIE
from api.pages.navigation import PLACES
from crm_core.domain.service import Role
from tests.integration.api.test_browser import (  # noqa: F401 - fixtures of the browser
    chromium,
    served,
)

pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed: make setup")
pytestmark = [pytest.mark.server, pytest.mark.heavy, pytest.mark.timeout(400)]

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
RULES = {
    "light": "{type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']}",
    "dark": "{type: 'rule', values: ['color-contrast']}",  # themes differ in colours only
}
RUN = "() => axe.run(document, {resultTypes: ['violations'], runOnly: %s})"
ROLE = {"admin": Role.ADMIN, "tech-li": Role.TECHNICIAN, "customer": Role.CUSTOMER}
#: Kinds of pages that there are at least: fewer means that links are not followed any more.
LEAST = {"admin": 30, "tech-li": 6, "customer": 8}


@pytest.fixture
def look(chromium, served):  # noqa: F811 - the fixtures above
    """Return a factory of pages with a session. axe writes styles into the page, which our policy forbids elsewhere."""
    contexts = []

    def open_page(name, width=1280, theme="light"):
        context = chromium.new_context(
            viewport={"width": width, "height": 844}, color_scheme=theme, bypass_csp=True
        )
        contexts.append(context)
        if name:
            token = served.world.token(name, purpose="session")
            context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": served.address}])
        page = context.new_page()
        page.goto(served.address + "/sign-in")
        return page

    yield open_page
    for context in contexts:
        context.close()


def pages_of(page, address, account):
    """Yield the places of the account's bar, and one page of each kind that their links lead to."""
    waiting = [place.href for place in PLACES if ROLE[account] in place.rule.roles] + ["/docs"]
    seen = set()
    while waiting:
        path = waiting.pop(0)
        kind = kind_of(path)
        if kind in seen:
            continue
        seen.add(kind)
        page.goto(address + path)
        yield path
        waiting += page.evaluate(LINKS)


LINKS = "() => [...document.querySelectorAll('a[href^=\"/\"]:not([download])')].map((each) => each.pathname).filter((path) => !/^.(api|static|metrics|openapi)/.test(path))"


def kind_of(path):
    """Return what pages of one kind share: their first word, and how deep they lie."""
    parts = path.strip("/").split("/")
    return (
        parts[0],
        len(parts),
        parts[1] if len(parts) > 1 and parts[0] in ("stock", "my", "invoices") and parts[1].isalpha() else "",
    )


def findings(page, theme="light"):
    """Return rule, impact and the first elements of each serious finding."""
    page.evaluate(AXE)
    return [
        (each["id"], each["impact"], [node["html"][:120] for node in each["nodes"][:3]])
        for each in page.evaluate(RUN % RULES[theme])["violations"]
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(
    ("account", "width", "theme"),
    [("admin", 1280, "light"), ("admin", 1280, "dark"), ("tech-li", 390, "light"), ("tech-li", 390, "dark"), ("customer", 390, "light")],
)  # fmt: skip
def test_axe_finds_nothing_serious(look, served, account, width, theme):  # noqa: F811 - the fixtures above
    page = look(account, width, theme)
    found, looked = {}, 0
    for path in pages_of(page, served.address, account):
        looked += 1
        serious = findings(page, theme)
        if serious:
            found[path] = serious
    assert looked >= LEAST[account], looked
    assert found == {}, "\n".join(f"{path} {each}" for path, rows in found.items() for each in rows)


def test_axe_would_find_something(look):
    """The check can fail: an image without words and pale text on white are found."""
    page = look(None)
    page.evaluate(
        'document.body.innerHTML = \'<main><img src="/static/favicon.svg">'
        "<p id=pale>pale</p></main>'; document.getElementById('pale').style.color = '#ccc';"
        "document.body.style.background = '#fff'"
    )
    assert {"image-alt", "color-contrast"} <= {rule for rule, _, _ in findings(page)}
