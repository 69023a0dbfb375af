"""The bars name every section and page in words of both languages."""

import pytest

from api.access import Principal
from api.pages.navigation import ONE, PLACES, help_of
from config.locale_files import load_messages
from crm_core.domain.identity import DEFAULT_TENANT, UserId
from crm_core.domain.service import Role


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_section_and_place_has_its_words(language):
    keys = load_messages().keys(language)
    wanted = {f"pages.nav.{place.key}" for place in PLACES}
    wanted |= {f"pages.nav.section_{place.section}" for place in PLACES}
    assert wanted - set(keys) == set()


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_page_has_its_help_in_both_languages(language):
    """Requirement 91: whoever may see a page finds at its foot what it is for."""
    messages = load_messages()
    pages = {f"help.page.{place.key}" for place in PLACES} | {f"help.page.{key}_one" for key in ONE}
    assert pages - set(messages.keys(language)) == set()
    assert len({messages.text(language, key) for key in pages}) == len(pages)


def test_every_page_is_on_the_list_of_pictures(project):
    listed = (project / "scripts" / "screenshots.py").read_text(encoding="utf-8")
    assert [place.href for place in PLACES if f'"{place.href}"' not in listed] == []


def test_help_is_that_of_the_page_in_sight():
    boss = Principal(
        tenant=DEFAULT_TENANT, user_id=UserId("u"), name="u", role=Role.MANAGER, regions=(), technician_id=None,
        language="en", token_hash="", by_cookie=True, csrf="", scopes=(),
    )  # fmt: skip
    assert help_of(boss, "/devices") == "help.page.devices"
    assert help_of(boss, "/devices/c3525-01") == "help.page.devices_one"
    assert help_of(boss, "/stock/moves") == "help.page.stock_moves"
    assert help_of(boss, "/nowhere") is None
    assert help_of(None, "/devices") is None
