"""The bars name every section and page in words of both languages."""

import pytest

from api.pages.navigation import PLACES
from config.locale_files import load_messages


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_section_and_place_has_its_words(language):
    keys = load_messages().keys(language)
    wanted = {f"pages.nav.{place.key}" for place in PLACES}
    wanted |= {f"pages.nav.section_{place.section}" for place in PLACES}
    assert wanted - set(keys) == set()
