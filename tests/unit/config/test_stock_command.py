"""`drumbeat stock` from the first item to a count, in one process; the books are the product's own."""

import json
from functools import partial

import pytest

from tests.command_line import Shell


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Return a function that runs one command on a data folder of its own."""
    return partial(Shell(capsys, monkeypatch), data=tmp_path / "data")


def test_goods_come_move_and_are_counted(run):
    run("stock", "item", "TN-1", "--kind", "toner", "--cost", "420.00", "--colour", "black")
    run("stock", "place", "warehouse:main", "--name", "Main")
    receive = ("stock", "receive", "TN-1", "12", "--place", "warehouse:main", "--reference", "DN-1", "--json")
    assert json.loads(run(*receive)[1])["repeated"] is False
    assert json.loads(run(*receive)[1])["repeated"] is True
    move = ("stock", "move", "TN-1", "5", "--from", "warehouse:main", "--to")
    assert run(*move, "warehouse:other")[0] == 0
    assert run(*move, "van:nobody") == (1, "", run(*move, "van:nobody")[2])
    counted = run("stock", "count", "TN-1", "6", "--place", "warehouse:main", "--json")[1]
    assert json.loads(counted)["difference"] == -1
    rows = json.loads(run("stock", "list", "--json")[1])
    assert [(row["place"], row["quantity"], row["value"]) for row in rows] == [
        ("warehouse:main", 6, "2520.00"),
        ("warehouse:other", 5, "2100.00"),
    ]
    run("stock", "item", "TN-1", "--kind", "toner", "--cost", "420.00", "--reorder", "warehouse:main=8-20")
    (low,) = json.loads(run("stock", "list", "--low", "--json")[1])
    assert (low["free"], low["order"]) == (6, 14)
    moves = json.loads(run("stock", "moves", "--json")[1])
    assert [row["reason"] for row in moves] == ["count", "transfer", "receipt"]


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (("stock", "receive", "NONE", "1", "--place", "warehouse:main"), "there is no item"),
        (("stock", "receive", "NONE", "1", "--place", "moon:x"), "is no place"),
        (("stock", "item", "X", "--kind", "toner", "--cost", "much"), "is no amount"),
        (("stock", "item", "X", "--kind", "toner", "--cost", "1", "--reorder", "x=9"), "is no reorder point"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(run, arguments, advice):
    code, out, error = run(*arguments)
    assert (code, out) == (1, "")
    assert advice in error
    assert error.count("\n") == 1
