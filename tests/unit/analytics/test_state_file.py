"""A night gives what a walk through the whole history gives, however readings came and however often the process restarted.

The kept state is a short cut: whatever does not fit it is refused, and the history is walked.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.corrections import is_cheaper_whole
from analytics.forecasting import Forecaster, ForecastReport
from collector.stores.memory import MemoryTelemetryStore
from config.catalogue_files import load_catalogue
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.fleet import Device
from crm_core.domain.identity import DEFAULT_TENANT, DeviceId, ModelId
from crm_core.domain.telemetry import DeviceReading
from crm_core.ports import DeviceForecasts, UnitOfWorkFactory
from crm_core.storage.memory import make_memory_uow_factory
from tests.policies import a_policy
from tests.unit.analytics import fleet

_CATALOGUE = load_catalogue()
_NAMES = ("a", "b", "c")
_DAYS = 40


def _night(
    store: MemoryTelemetryStore, uow_factory: UnitOfWorkFactory, folder: Path, *, catalogue: Catalogue = _CATALOGUE,
    holidays: frozenset[date] = frozenset(),
) -> Forecaster:  # fmt: skip
    """Return the forecaster of a process that has just started."""
    return Forecaster(
        store, uow_factory, catalogue, a_policy(), fleet.FixedClock(), folder, holidays=holidays
    )


def _firm(*devices: Device) -> UnitOfWorkFactory:
    uow_factory = make_memory_uow_factory()
    with uow_factory() as uow:
        for device in devices:
            uow.devices.save(device)
        uow.commit()
    return uow_factory


def _told(uow_factory: UnitOfWorkFactory) -> dict[str, DeviceForecasts]:
    """Return all forecasts without the advice to visit: that depends on what was advised in earlier nights."""
    with uow_factory() as uow:
        found = uow.forecasts.for_devices(DEFAULT_TENANT)
    return {
        name: replace(
            told, failure=told.failure and replace(told.failure, visit_advised=False, bundle_with=None)
        )
        for name, told in found.items()
    }


# --- a night and a walk agree -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Course:
    """Which readings of which device there are, in the order in which they come; and after how many a night runs."""

    readings: tuple[DeviceReading, ...]
    nights: tuple[
        tuple[int, bool], ...
    ]  # so many readings have come; the process starts anew before the night


@st.composite
def _courses(draw: st.DrawFn) -> _Course:
    """Draw a fleet whose devices come and go, fall silent, get new boards and cartridges, and report late or twice."""
    readings: list[DeviceReading] = []
    for seed, name in enumerate(_NAMES):
        began, ended = draw(st.integers(0, 20)), draw(st.integers(25, _DAYS))
        silent = draw(st.frozensets(st.integers(0, _DAYS), max_size=12))
        board = draw(st.none() | st.integers(5, 35))  # from this day on a new board counts from nothing
        swap = draw(st.none() | st.integers(5, 35))
        for number, told in enumerate(fleet.history(name, ended, seed, pages_a_day=150.0)):
            if number < began or number in silent:
                continue
            count = told.counters.prt_marker_life_count["1.1"]
            if board is not None and number >= board:
                count -= 10_000
            level = 100 if number == swap else told.supplies[0].level
            readings.append(fleet.reading(name, number, level=level, count=count))
    readings.sort(key=lambda each: each.polled_at)
    for moved in draw(st.lists(st.integers(0, max(len(readings) - 1, 0)), max_size=4)):
        late = readings[moved]
        readings.insert(draw(st.integers(moved, len(readings))), late)  # twice, or
        if draw(st.booleans()):
            del readings[moved]  # late
    nights = draw(
        st.lists(st.tuples(st.integers(1, max(len(readings), 1)), st.booleans()), min_size=1, max_size=4)
    )
    return _Course(tuple(readings), tuple(sorted(nights)))


@settings(max_examples=12, deadline=None)
@given(_courses())
def test_nights_with_restarts_give_what_one_walk_gives(
    tmp_path_factory: pytest.TempPathFactory, course: _Course
) -> None:
    store, folder = MemoryTelemetryStore(), tmp_path_factory.mktemp("models")
    firm = _firm(*fleet.devices(*_NAMES, model_id="canon-ir-adv-c3525i"))
    running, come, last = _night(store, firm, folder), 0, fleet.day(0)
    for until, restarted in (*course.nights, (len(course.readings), True)):
        fleet.land(store, *course.readings[come:until])
        come = until
        heard = [each.polled_at.date() for each in course.readings[:until]]
        last = max([last, *heard])
        running = _night(store, firm, folder) if restarted else running
        running.run(DEFAULT_TENANT, last)
    afresh = _firm(*fleet.devices(*_NAMES, model_id="canon-ir-adv-c3525i"))
    _night(store, afresh, tmp_path_factory.mktemp("afresh")).run(DEFAULT_TENANT, last)
    assert _told(firm) == _told(afresh)


# --- what is refused ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kept:
    """A firm whose last night was day 29 and whose process has ended."""

    store: MemoryTelemetryStore
    firm: UnitOfWorkFactory
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / DEFAULT_TENANT / "state.bin"


def _kept(folder: Path) -> _Kept:
    store, firm = MemoryTelemetryStore(), _firm(*fleet.devices(*_NAMES))
    for seed, name in enumerate(_NAMES):
        fleet.land(store, *fleet.history(name, 30, seed))
    _night(store, firm, folder).run(DEFAULT_TENANT, fleet.day(29))
    for seed, name in enumerate(_NAMES):
        fleet.land(store, fleet.history(name, 31, seed)[-1])
    return _Kept(store, firm, folder)


def _after_a_restart(kept: _Kept) -> ForecastReport:
    return _night(kept.store, kept.firm, kept.folder).run(DEFAULT_TENANT, fleet.day(30))


def test_a_restart_takes_the_new_day_only(tmp_path: Path) -> None:
    report = _after_a_restart(_kept(tmp_path))
    assert (report.new_days, report.walked_because) == (1, None)
    assert [path.name for path in (tmp_path / DEFAULT_TENANT).iterdir()] == ["state.bin"]


def test_a_night_that_was_cut_short_is_done_again(tmp_path: Path) -> None:
    kept = _kept(tmp_path)
    before = kept.file.read_bytes()
    _after_a_restart(kept)
    first = _told(kept.firm)
    kept.file.write_bytes(before)  # as if the process had died before it kept the state of this night
    assert _after_a_restart(kept).new_days == 1
    assert _told(kept.firm) == first


def test_a_night_is_finished_when_its_last_step_is(tmp_path: Path) -> None:
    kept = _kept(tmp_path)
    night = _night(kept.store, kept.firm, kept.folder)
    assert night.finished(DEFAULT_TENANT) == fleet.day(29)
    assert _night(kept.store, _firm(), tmp_path / "new").finished(DEFAULT_TENANT) is None
    night.run(DEFAULT_TENANT, fleet.day(30))
    assert night.finished(DEFAULT_TENANT) == fleet.day(30)


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flipped(content: bytes) -> bytes:
    return content[:-500] + bytes([content[-500] ^ 1]) + content[-499:]


@pytest.mark.parametrize(
    ("harm", "said"),
    [(_cut, "SHA-256"), (_flipped, "SHA-256"), (lambda _: b"", "cut off"), (lambda _: b"x" * 5000, "no state file")],
)  # fmt: skip
def test_a_file_that_is_not_as_it_was_written_is_refused(
    tmp_path: Path, harm: Callable[[bytes], bytes], said: str
) -> None:
    kept = _kept(tmp_path)
    kept.file.write_bytes(harm(kept.file.read_bytes()))
    report = _after_a_restart(kept)
    assert report.new_days == 31
    assert said in str(report.walked_because)
    assert _after_a_restart(kept).walked_because is None  # it was written anew


def test_another_catalogue_or_calendar_means_another_walk(tmp_path: Path) -> None:
    kept = _kept(tmp_path)
    smaller = Catalogue(_CATALOGUE.models[1:])
    report = _night(kept.store, kept.firm, kept.folder, catalogue=smaller).run(DEFAULT_TENANT, fleet.day(30))
    assert "catalogue" in str(report.walked_because)
    past, future = fleet.day(10), fleet.day(300)
    for holiday, walks in ((past, True), (future, False)):
        _night(kept.store, kept.firm, kept.folder).run(DEFAULT_TENANT, fleet.day(30))
        again = _night(kept.store, kept.firm, kept.folder, holidays=frozenset({holiday}))
        assert (again.run(DEFAULT_TENANT, fleet.day(30)).new_days == 31) is walks


def test_a_store_that_was_put_back_to_an_earlier_day_is_noticed(tmp_path: Path) -> None:
    kept = _kept(tmp_path)
    restored = MemoryTelemetryStore()
    for seed, name in enumerate(_NAMES):
        fleet.land(restored, *fleet.history(name, 20, seed))
    report = _night(restored, kept.firm, kept.folder).run(DEFAULT_TENANT, fleet.day(30))
    assert "telemetry store" in str(report.walked_because)


@pytest.mark.parametrize("few", [0, 500])  # devices up to which a fleet walks as a whole
def test_a_device_whose_model_becomes_known_is_pooled_with_its_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    kept = _kept(tmp_path / "kept")
    monkeypatch.setattr("analytics.forecasting.is_cheaper_whole", lambda changed, n: n <= few or changed > n)
    named = replace(fleet.devices("b")[0], model_id=ModelId("canon-ir-adv-c3525i"))
    with kept.firm() as uow:
        uow.devices.save(named)
        uow.commit()
    report = _after_a_restart(kept)
    assert (report.new_days == 31) is (few > 0)
    afresh = _firm(*fleet.devices("a", "c"), named)
    _night(kept.store, afresh, tmp_path / "afresh").run(DEFAULT_TENANT, fleet.day(30))
    mine, theirs = _told(kept.firm)[DeviceId("b")], _told(afresh)[DeviceId("b")]
    assert [each.used_share for each in mine.life] == [each.used_share for each in theirs.life]
    assert mine.supplies[0].days_to_empty is not None
    assert theirs.supplies[0].days_to_empty is not None
    assert mine.supplies[0].days_to_empty.p50 == pytest.approx(theirs.supplies[0].days_to_empty.p50, rel=0.05)
    assert _after_a_restart(kept).walked_because is None


def test_few_of_many_are_corrected_alone() -> None:
    assert is_cheaper_whole(1, 500)
    assert not is_cheaper_whole(40, 1000)
    assert is_cheaper_whole(51, 1000)
