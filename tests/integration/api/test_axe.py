"""axe-core over all pages: no serious and no critical finding, in both themes, on the desk and on the phone.

axe-core comes with the package axe-playwright-python: a tool of tests, never part of what we serve. The pages are those
of the navigation, so that a new one is looked at without being named here.
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
RUN = "() => axe.run(document, {resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})"
MORE = {
    "admin": ("/devices/c7773-02", "/tickets/1", "/work-orders/1", "/docs"),
    "tech-li": ("/work-orders/1",),
    "customer": (),
}
ROLE = {"admin": Role.ADMIN, "tech-li": Role.TECHNICIAN, "customer": Role.CUSTOMER}


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


def pages_of(account):
    own = [place.href for place in PLACES if ROLE[account] in place.rule.roles]
    return list(dict.fromkeys((*own, *MORE[account])))


def findings(page):
    """Return rule, impact and the first elements of each serious finding."""
    page.evaluate(AXE)
    return [
        (each["id"], each["impact"], [node["html"][:120] for node in each["nodes"][:3]])
        for each in page.evaluate(RUN)["violations"]
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(
    ("account", "width", "theme"),
    [("admin", 1280, "light"), ("admin", 1280, "dark"), ("tech-li", 390, "light"), ("tech-li", 390, "dark"), ("customer", 390, "light")],
)  # fmt: skip
def test_axe_finds_nothing_serious(look, served, account, width, theme):  # noqa: F811 - the fixtures above
    page = look(account, width, theme)
    found = {}
    for path in pages_of(account):
        page.goto(served.address + path)
        serious = findings(page)
        if serious:
            found[path] = serious
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
