"""The ledger of stock keeps its promises on every store: books balance, nothing owes, each effect counts once."""

import random
import threading
from collections import defaultdict
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_core.domain.errors import Conflict
from crm_core.domain.stock import (
    COUNT,
    SCRAP,
    SUPPLIER,
    ItemId,
    MoveReason,
    PlaceKey,
    Reservation,
    StockPlace,
    is_external,
)
from crm_core.ports.stock import MoveFilter
from crm_core.storage.memory import make_memory_uow_factory
from tests.builders import T0, TENANT
from tests.contract.test_unit_of_work import run_together
from tests.stock_builders import WAREHOUSE, a_move, an_item

TONER = ItemId("TN-black")
VAN = PlaceKey("van:t1")
SHELF = PlaceKey("shelf:s1")


def post(uow_factory, *moves):
    with uow_factory() as uow:
        made = uow.stock.post(moves)
        uow.commit()
    return made


def held(uow_factory, place=WAREHOUSE, item_id=TONER):
    with uow_factory() as uow:
        return uow.stock.balance(TENANT, item_id, place).quantity


def a_promise(holder="order:1", quantity=1, place=WAREHOUSE):
    return Reservation(tenant=TENANT, holder=holder, item_id=TONER, place=place, quantity=quantity, at=T0)


def test_a_receipt_gives_to_one_place_what_another_owes(uow_factory):
    (made,) = post(uow_factory, a_move(5))
    assert made.move_id > 0
    with uow_factory() as uow:
        found = {(row.place, row.quantity) for row in uow.stock.balances(TENANT)}
        assert found == {(WAREHOUSE, 5), (SUPPLIER, -5)}
        assert [move.quantity for move in uow.stock.moves(TENANT, MoveFilter(item_id=TONER))] == [5]


def test_a_repeated_effect_moves_nothing(uow_factory):
    post(uow_factory, a_move(5))
    assert post(uow_factory, a_move(5), a_move(5)) == []
    assert held(uow_factory) == 5


def test_what_is_not_there_cannot_be_taken_and_nothing_of_the_call_stays(uow_factory):
    post(uow_factory, a_move(2))
    with uow_factory() as uow:
        with pytest.raises(Conflict, match="warehouse:main holds 2 of TN-black; 3 cannot be taken"):
            uow.stock.post(
                [
                    a_move(1, WAREHOUSE, VAN, effect="a", reason=MoveReason.TRANSFER),
                    a_move(2, WAREHOUSE, SHELF, effect="b", reason=MoveReason.TRANSFER),
                ]
            )
        uow.commit()  # the refusal left the transaction usable, and empty
    assert (held(uow_factory), held(uow_factory, VAN), held(uow_factory, SHELF)) == (2, 0, 0)
    post(uow_factory, a_move(1, WAREHOUSE, VAN, effect="a", reason=MoveReason.TRANSFER))
    assert held(uow_factory, VAN) == 1


def test_what_is_reserved_stays_until_it_is_released(uow_factory):
    post(uow_factory, a_move(2))
    with uow_factory() as uow:
        assert uow.stock.reserve(a_promise())
        assert uow.stock.reserve(a_promise())  # a repeat promises nothing twice
        assert not uow.stock.reserve(a_promise("order:2", 2))
        assert uow.stock.balance(TENANT, TONER, WAREHOUSE).free == 1
        uow.commit()
    with pytest.raises(Conflict, match="1 of them reserved"):
        post(uow_factory, a_move(2, WAREHOUSE, VAN, effect="t"))
    with uow_factory() as uow:
        assert [row.holder for row in uow.stock.reservations(TENANT, place=WAREHOUSE)] == ["order:1"]
        assert uow.stock.release(a_promise())
        assert not uow.stock.release(a_promise())
        uow.stock.post([a_move(2, WAREHOUSE, VAN, effect="t")])
        uow.commit()
    assert held(uow_factory, VAN) == 2


def test_moves_are_found_by_either_end_and_by_order(uow_factory):
    post(uow_factory, a_move(3), a_move(1, WAREHOUSE, VAN, effect="x", work_order_id=7))
    with uow_factory() as uow:
        assert len(uow.stock.moves(TENANT, MoveFilter(place=WAREHOUSE))) == 2
        (move,) = uow.stock.moves(TENANT, MoveFilter(work_order_id=7))
        assert uow.stock.moves(TENANT, MoveFilter(before=move.move_id))[0].effect == "receipt:1"


def test_items_and_places_are_kept(uow_factory):
    place = StockPlace(tenant=TENANT, place=WAREHOUSE, name="Main", latitude=31.2, longitude=121.5)
    with uow_factory() as uow:
        uow.stock.save_item(an_item())
        uow.stock.save_place(place)
        uow.commit()
    with uow_factory() as uow:
        assert uow.stock.find_item(TENANT, TONER) == an_item()
        assert uow.stock.items(TENANT) == [an_item()]
        assert uow.stock.places(TENANT) == [place]


PLACES = [SUPPLIER, WAREHOUSE, VAN, SHELF, SCRAP, COUNT]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(PLACES), st.sampled_from(PLACES), st.integers(1, 4), st.integers(0, 25)
        ).filter(lambda each: each[0] != each[1]),
        max_size=40,
    )
)
def test_books_balance_whatever_is_tried(tries):
    uow_factory = make_memory_uow_factory()
    expected: dict[str, int] = defaultdict(int)
    done: set[int] = set()
    for source, target, quantity, effect in tries:
        with uow_factory() as uow:
            try:
                made = uow.stock.post([a_move(quantity, source, target, effect=str(effect))])
            except Conflict:
                assert effect not in done
                assert expected[source] < quantity
                continue
            uow.commit()
        assert bool(made) == (effect not in done)
        if made:
            done.add(effect)
            expected[source] -= quantity
            expected[target] += quantity
    with uow_factory() as uow:
        balances = uow.stock.balances(TENANT)
    assert {row.place: row.quantity for row in balances} == {
        key: value for key, value in expected.items() if value
    }
    assert sum(row.quantity for row in balances) == 0
    assert all(row.quantity >= 0 for row in balances if not is_external(row.place))


def test_many_hands_at_once_never_take_what_is_not_there(uow_factory):
    """8 writers move 2 kinds of toner to and fro, repeat themselves, and reserve: books balance, nothing owes."""
    items = ["TN-black", "TN-cyan"]
    places = [WAREHOUSE, VAN, SHELF, SCRAP]
    post(uow_factory, *(a_move(6, item_id=item, effect=f"r:{item}") for item in items))
    seeds = iter(range(8))
    lock = threading.Lock()
    refused = []

    def move_about():
        with lock:
            draw = random.Random(next(seeds))
        for number in range(12):
            source, target = draw.sample(places, 2)
            effect = f"{draw.randrange(60)}"
            move = a_move(draw.randint(1, 3), source, target, item_id=draw.choice(items), effect=effect)
            promise = Reservation(
                tenant=TENANT, holder=f"order:{number}", item_id=move.item_id, place=target, quantity=1,
                at=T0 + timedelta(seconds=number),
            )  # fmt: skip
            try:
                with uow_factory() as uow:
                    uow.stock.post([move])
                    if draw.random() < 0.3 and not uow.stock.reserve(promise):
                        uow.stock.release(promise)
                    uow.commit()
            except Conflict as conflict:
                refused.append(str(conflict))

    run_together(8, move_about)
    with uow_factory() as uow:
        balances = uow.stock.balances(TENANT)
        promised = uow.stock.reservations(TENANT)
        moves = uow.stock.moves(TENANT, MoveFilter(limit=10_000))
    assert refused
    assert len({move.effect for move in moves}) == len(moves)
    for item in items:
        rows = {row.place: row for row in balances if row.item_id == item}
        assert sum(row.quantity for row in rows.values()) == 0
        for place, row in rows.items():
            flow = sum(
                move.quantity * ((move.target == place) - (move.source == place))
                for move in moves
                if move.item_id == item
            )
            assert row.quantity == flow
            if not is_external(place):
                assert row.quantity >= row.reserved >= 0
                kept = sum(each.quantity for each in promised if (each.item_id, each.place) == (item, place))
                assert row.reserved == kept
