"""Ten thousand counter histories with wrap, reset, swap, spike and gap: pages exact where they can be known, else flagged.

The oracle prints pages; what the device states is made from them. Nothing of the rules under test is used here.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.locale_files import load_messages
from crm_core.billing import epochs, meters
from crm_core.billing.epochs import ROLL_OVER, pages_of
from crm_core.billing.pages_price import month_after, price_pages
from crm_core.domain.billing import CarryBucket, MeterPoint, PageTariff, PriceStep
from crm_core.domain.messages import LANGUAGES
from tests.money_world import MAY

MOST = 100_000
START = datetime(2026, 5, 1, tzinfo=UTC)
TOP = 2**32
History = tuple[list[MeterPoint], int, set[str]]


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Return statements three hours apart, the pages really printed, and what happened to the counter."""
    split = draw(st.booleans())
    begin = draw(st.one_of(st.integers(0, 2_000_000), st.integers(TOP - 3000, TOP - 1)))
    colour = draw(st.integers(0, begin)) if split else 0
    total, printed, happened = begin, 0, set()
    points = [_point(0, total, colour if split else None)]
    for place in range(1, draw(st.integers(2, 25))):
        what = draw(st.sampled_from(("print",) * 8 + ("gap", "spike", "dip", "swap")))
        pages = draw(st.integers(0, 9000))
        coloured = draw(st.integers(0, pages)) if split else 0
        happened.add(what)
        if what == "swap" and total > 20_000:
            total, colour = draw(st.integers(0, 9000)), 0
            points.append(_point(place, total, 0 if split else None))
            happened.add(
                "lost"
            )  # what was printed around a swap nobody knows: the oracle counts it as nothing
            continue
        printed += pages
        total, colour = (total + pages) % TOP, (colour + coloured) % TOP
        if what == "gap":
            continue
        if what in ("spike", "dip") and 20_000 < total < TOP - 10_000_000:
            wrong = total + 9_000_000 if what == "spike" else total // 7
            points.append(_point(place - 0.5, wrong, wrong // 2 if split else None))
        points.append(_point(place, total, colour if split else None))
    if points[-1].total != total:
        points.append(_point(26, total, colour if split else None))
    return points, printed, happened


def _point(place: float, total: int, colour: int | None) -> MeterPoint:
    mono = None if colour is None else (total - colour) % TOP
    at = START + timedelta(hours=3 * place)
    return MeterPoint(at=at, total=total, mono=mono, colour=colour, evidence=f"t:{place}")


@settings(max_examples=400, deadline=None)
@given(histories())
def test_pages_are_exact_or_flagged(history: History) -> None:
    check(history)


@pytest.mark.heavy
@settings(max_examples=10_000, deadline=None)
@given(histories())
def test_pages_of_ten_thousand_histories_are_exact_or_flagged(history: History) -> None:
    check(history)


def check(history: History) -> None:
    points, printed, happened = history
    found = pages_of(points, MOST)
    pages = found.mono + found.colour
    assert found.mono >= 0
    assert found.colour >= 0
    assert pages == printed or found.flags, (pages, printed, happened)
    if not happened & {"swap", "spike", "dip"}:
        assert pages == printed  # gaps and roll-overs cost nothing
    if (
        ROLL_OVER not in found.flags
    ):  # a board that is changed just below 2**32 looks like one, and is flagged as one
        assert pages <= printed  # what is not known is never billed
    assert sum(row.mono + row.colour for row in found.segments) == pages
    for row in found.segments:  # every page lies between two statements of the device
        assert row.opening in points
        assert row.closing in points
        assert row.opening.at <= row.closing.at


prices = st.integers(0, 50_000).map(lambda number: Decimal(number) / 10_000)


@given(
    st.integers(0, 30_000),
    prices,
    st.lists(st.tuples(st.integers(2, 20_000), prices), max_size=4, unique_by=lambda row: row[0]),
    st.integers(0, 5000),
)
def test_steps_against_a_page_by_page_count(
    pages: int, price: Decimal, steps: list[tuple[int, Decimal]], free: int
) -> None:
    tariff = PageTariff(
        price=price,
        free_pages=free,
        steps=tuple(PriceStep(from_page=page, price=cost) for page, cost in steps),
    )
    exact, billed = Fraction(0), max(pages - free, 0)
    ordered = sorted(steps)
    bounds = [1, *(page for page, _ in ordered), 10**9]
    costs = [price, *(cost for _, cost in ordered)]
    for cost, first, last in zip(costs, bounds, bounds[1:], strict=False):
        exact += Fraction(cost) * max(min(billed, last - 1) - first + 1, 0)
    made = price_pages(pages, tariff, MAY)
    assert made.billed == billed
    assert made.amount == Decimal(int(exact * 100 + Fraction(1, 2))) / 100
    assert made.amount >= 0


@given(st.integers(0, 3), st.integers(0, 200), st.lists(st.integers(0, 500), min_size=1, max_size=12))
def test_carry_over_against_a_page_by_page_count(keep: int, free: int, used: list[int]) -> None:
    """Each free page is an object with a last month; pages are taken from the ones that expire first."""
    tariff = PageTariff(price=Decimal("0.08"), free_pages=free)
    purse: list[int] = []
    carried: tuple[CarryBucket, ...] = ()
    for place, pages in enumerate(used):
        month = month_after(MAY, place)
        purse = sorted([last for last in purse if last >= place] + [place + keep] * free)
        taken = min(pages, len(purse))
        purse = purse[taken:]
        made = price_pages(pages, tariff, month, carried=carried, carry_over_months=keep)
        carried = made.carried_out
        assert made.billed == pages - taken
        assert sum(bucket.pages for bucket in carried) == sum(last > place for last in purse)


def test_every_flag_says_in_both_languages_what_it_means_and_what_to_do() -> None:
    messages = load_messages()
    flags = [getattr(module, name) for module in (epochs, meters) for name in _FLAGS if hasattr(module, name)]
    assert len(set(flags)) == len(_FLAGS)
    for language in LANGUAGES:
        known = messages.keys(language)
        assert not [
            flag for flag in flags if not {f"billing.flag.{flag}", f"billing.problem.{flag}"} <= known
        ]


_FLAGS = (
    "NEW_EPOCH", "ROLL_OVER", "FALSE_READING", "JUMP", "NO_SPLIT", "SPLIT_DIFFERS",
    "ESTIMATED", "INTERPOLATED", "NO_HISTORY", "NO_READING",
)  # fmt: skip
