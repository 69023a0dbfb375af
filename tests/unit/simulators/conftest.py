"""One long-lived fleet for all statistics: simulating it is the dear part, looking at it is cheap."""

from datetime import date

import pytest

from simulators.device import Fleet, make_roster
from simulators.models import default_models

COUNT, DAYS = 600, 420


@pytest.fixture(scope="session")
def lived_fleet() -> Fleet:
    """Return a fleet of `COUNT` devices after `DAYS` days from 2024-01-01 with seed 77; to be read only."""
    made = Fleet(make_roster(COUNT, default_models(), seed=77), seed=77, start=date(2024, 1, 1))
    made.record(DAYS - 1)
    return made
