"""The false-ticket corpus: every quirk of real printers lives 30 virtual days without a wrong ticket.

Each device talks as the recordings do (reference printers.md section 3). On day 20 each also has one true fault, which
must give exactly one ticket. The policy is the rental firm's own.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from config.fault_code_files import load_fault_codes
from config.policy_files import load_policies
from crm_core.domain.service import TicketState
from crm_core.domain.telemetry import (
    Cover,
    DeviceReading,
    DeviceStatus,
    InputTray,
    MarkerSupply,
    level_state,
    percent_of,
)
from crm_core.signals import Concluder, conclude
from tests.builders import a_reading, a_supply, an_alert
from tests.scenarios.site import World

START = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
EVERY = timedelta(hours=6)
DAYS = 30
#: The fuser is too hot for a day; each device's on another one, so that it is no campaign.
TRUE_FAULT = an_alert(1002, group=10)

Quirk = Callable[[int], dict[str, object]]


def supply(
    index: str, level: int, capacity: int = 100, unit: str = "percent", **more: object
) -> MarkerSupply:
    return a_supply(
        index, level, capacity=capacity, unit=unit, level_state=level_state(level),
        percent=percent_of(level, capacity, unit), **more,
    )  # fmt: skip


WASTE = {"type": "wasteToner", "cls": "receptacleThatIsFilled", "colorant": None}
SLEEP = an_alert(0, severity=0, training=0, group=0, gindex=0, desc="Sleep")

QUIRKS: dict[str, Quirk] = {
    "some remaining (-3) for ever, and 0 beside it": lambda n: {"supplies": [supply("1.1", -3), supply("1.2", 0)]},
    "unknown (-2) for ever": lambda n: {"supplies": [supply("1.1", -2, capacity=-2)]},
    "no restriction (-1)": lambda n: {"supplies": [supply("1.1", -1)]},
    "levels that flicker between a number and none": lambda n: {"supplies": [supply("1.1", (40, -3, -2)[n % 3])]},
    "150 percent": lambda n: {"supplies": [supply("1.1", 150)]},
    "a ghost supply that comes and goes": lambda n: {"supplies": [supply("1.1", 60), *([supply("1.9", 0)] if n % 2 else [])]},
    "a gauge of three steps": lambda n: {"supplies": [supply("1.1", (100, 50, 10)[n % 3])]},
    "level without capacity (Sharp waste)": lambda n: {"supplies": [supply("1.5", 100, capacity=-2, unit="other", **WASTE)]},
    "a full-looking waste box: 0 counts down to nothing": lambda n: {"supplies": [supply("1.5", max(0, 100 - n), **WASTE)]},
    "one per cent for weeks without a word": lambda n: {"supplies": [supply("1.1", 1)]},
    "asleep half of the time (Brother)": lambda n: (
        {"supplies": [supply("1.1", -3)], "alerts": [SLEEP]} if n % 2 else {"supplies": [supply("1.1", 80)]}
    ),
    "power-up row for ever (Kyocera 503)": lambda n: {"alerts": [an_alert(503, severity=4, training=6, group=5, desc="")]},
    "cold fuser while asleep (Kyocera 1001)": lambda n: {"alerts": [an_alert(1001, severity=5, group=10)] if n % 2 else []},
    "ready to print (507)": lambda n: {"alerts": [an_alert(507, severity=4)]},
    "idle row (Epson code 1)": lambda n: {"alerts": [an_alert(1, severity=1, training=1, group=1, gindex=-1, desc="Idle")]},
    "alert indexes that only grow": lambda n: {"alerts": [an_alert(503, severity=4, index=f"1.{n + 1}")]},
    "a warning that paper is low": lambda n: {"errors": ["lowPaper"], "trays": [InputTray(index="1.1", level=0)]},
    "an empty by-pass tray": lambda n: {"trays": [InputTray(index="1.1", level=0), InputTray(index="1.2", level=-3)]},
    "paper runs out and is refilled": lambda n: {"errors": ["noPaper"] if n % 8 == 0 else []},
    "a cover open for one look": lambda n: {"covers": {"1.1": Cover(status=3 if n % 8 == 0 else 4)}},
    "no error bits at all": lambda n: {"status": DeviceStatus()},
    "parts that time out": lambda n: {"incomplete": ("alerts", "supplies") if n % 3 == 0 else ()},
    "unknown alert codes": lambda n: {"alerts": [an_alert(99_999, severity=3), an_alert(30_999, severity=4)]},
    "nothing answers but the system group": lambda n: {
        "status": DeviceStatus(), "incomplete": ("supplies", "alerts", "covers", "trays", "status")
    },
}  # fmt: skip


#: Looked at each hour, these come and go three times a day: that is flapping, and has its ticket (reference 3.3).
CALM = {
    name: quirk
    for name, quirk in QUIRKS.items()
    if name not in {"paper runs out and is refilled", "a cover open for one look"}
}


def paired() -> dict[str, Quirk]:
    """Return each quirk together with the next two that speak of other parts of the device."""
    both: dict[str, Quirk] = {}
    names = list(QUIRKS)
    for at, name in enumerate(names):
        others = [each for each in names[at + 1 :] if not QUIRKS[name](0).keys() & QUIRKS[each](0).keys()]
        for other in others[:2]:
            both[f"{name}; {other}"] = lambda n, one=name, two=other: {**QUIRKS[one](n), **QUIRKS[two](n)}
    return both


def says_nothing(quirk: Quirk) -> bool:
    """Return True for a device that never names its alerts: it cannot tell of the true fault either."""
    return all("alerts" in quirk(n).get("incomplete", ()) for n in range(6))


@pytest.mark.parametrize(
    ("quirks", "every", "phase"),
    [
        pytest.param(QUIRKS, EVERY, 0, id="each, four looks a day"),
        pytest.param(QUIRKS, timedelta(hours=3, minutes=17), 5, id="each, another rhythm"),
        pytest.param(paired(), EVERY, 3, id="pairs"),
        pytest.param(CALM, timedelta(hours=1), 1, id="each, hourly", marks=pytest.mark.heavy),
        pytest.param(paired(), timedelta(hours=2, minutes=7), 7, id="pairs, often", marks=pytest.mark.heavy),
    ],
)
def test_the_corpus(quirks, every, phase):
    """Live through the days; half-way the collector starts anew: of each device it knows what is stored, no more."""
    world = World({"q": len(quirks)}, policy=load_policies()[0].book)
    book = load_fault_codes()
    concluder = Concluder(book)
    names = {f"q-{number}": name for number, name in enumerate(quirks)}
    previous: dict[str, DeviceReading] = {}
    tickets: dict[str, set[str]] = {name: set() for name in quirks}
    for poll in range(int(timedelta(days=DAYS) / every)):
        now = START + poll * every
        if START + timedelta(days=DAYS / 2) <= now < START + timedelta(days=DAYS / 2) + every:
            concluder = Concluder(book)
        world.clock.move_to(now)
        signals = []
        for number, (device_id, name) in enumerate(names.items()):
            begins = START + timedelta(days=3 + number % 24, minutes=number)
            says = dict(quirks[name](poll + phase))
            if begins <= now < begins + timedelta(days=1) and "alerts" not in says.get("incomplete", ()):
                says["alerts"] = [*[each for each in says.get("alerts", []) if each is not SLEEP], TRUE_FAULT]
            reading = a_reading(now, device_id=device_id, **says)
            signal = concluder(reading, previous.get(device_id)).signal
            previous[device_id] = reading
            signals += [signal] if signal else []
        world.take(signals)
    for ticket in world.tickets():
        tickets[names[ticket.device_id]].add(ticket.cause)
    wrong = {
        name: causes - {"fault.fuser", "fault.markerfuserovertemperature"} for name, causes in tickets.items()
    }
    assert {name: causes for name, causes in wrong.items() if causes} == {}
    silent = {name for name in quirks if says_nothing(quirks[name])}
    missed = {name for name, causes in tickets.items() if not causes} - silent
    assert missed == set()
    assert len(world.tickets()) == len(quirks) - len(silent)
    left = {
        names[ticket.device_id]: ticket.state
        for ticket in world.tickets()
        if ticket.state is not TicketState.AUTO_RESOLVED
    }
    assert left == {}


@pytest.mark.parametrize("name", QUIRKS)
def test_each_quirk_alone_never_raises_at_its_first_look(name):
    book = load_fault_codes()
    signal = conclude(a_reading(START, **QUIRKS[name](1)), None, book).signal
    assert signal is None or all(each.level is None for each in signal.conditions)
