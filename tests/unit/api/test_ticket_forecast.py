"""A ticket that a forecast raised says when it is expected, in plain words."""

from zoneinfo import ZoneInfo

from api.pages.foresight_view import ticket_forecast
from api.pages.formats import Formats
from api.pages.supply_view import Words
from config.locale_files import load_messages
from crm_core.storage.memory import make_memory_uow_factory
from tests.builders import T0, a_ticket


def _expected(*days: float) -> str:
    words = Words(messages=load_messages(), language="en", formats=Formats("en", ZoneInfo("UTC"), T0))
    detail = {"forecast_model": "supplies/1", "basis": "measured", "data_age_days": 0}
    detail |= dict(zip(("days_p10", "days_p50", "days_p90"), days, strict=True))
    with make_memory_uow_factory()() as uow:
        told = ticket_forecast(uow, a_ticket("life.fuser", detail=detail), words)
    assert told is not None
    return dict(told["rows"])["Expected"]


def test_what_lies_ahead_is_told_with_its_interval():
    assert "most likely" in _expected(3, 5, 9)


def test_what_is_due_already_is_told_as_now():
    assert _expected(0, 0, 0) == "now: the day has come"
