"""What every look at the project's own text needs."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_garbage_collection_while_source_is_parsed() -> Iterator[None]:
    """Python 3.11 loses count in `ast.parse` when a finaliser that runs meanwhile parses too (a warning's traceback)."""
    gc.disable()
    yield
    gc.enable()
