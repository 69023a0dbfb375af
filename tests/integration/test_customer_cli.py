"""`drumbeat customer` as people and scripts use it: add, classify, show, dry run, segments, and its refusals."""

import json
from functools import partial
from pathlib import Path

import pytest

from tests.command_line import Shell


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs `drumbeat customer` over one data folder."""
    return partial(Shell(capsys, monkeypatch), "--log-level", "error", "customer", data=tmp_path)


def test_customers_on_the_command_line(run):
    assert run("add", "c-1", "--name", "Studio", "--contact", "Li", "--industry", "design")[0] == 0
    code, _, error = run("add", "c-2", "--name", "Nobody to call")
    assert (code, "contact person" in error) == (1, True)
    code, out, _ = run("classify", "--json")
    moves = {row["axis"]: row["to"] for row in json.loads(out)["moves"]}
    assert (code, moves["tier"], moves["industry"], moves["volume"]) == (0, "potential", "design", "unknown")
    assert json.loads(run("classify", "--json")[1])["moves"] == []
    shown = json.loads(run("show", "c-1", "--json")[1])
    assert {row["axis"] for row in shown["classes"]} == set(moves)
    assert json.loads(run("list", "--json")[1])[0]["classes"]["mark"] == "potential"
    leads = next(row for row in json.loads(run("segments", "--json")[1]) if row["segment"] == "leads")
    assert leads["customers"] == ["c-1"]
    dry = run("classify", "--dry-run", "--set", "tier.ordinary.running_contracts=0", "--json")
    assert [(row["axis"], row["to"]) for row in json.loads(dry[1])["moves"]] == [("tier", "ordinary")]


@pytest.mark.parametrize(
    "wrong",
    [["--dry-run"], ["--set", "tier.core.spend_12m=1"], ["--dry-run", "--set", "tier.core.spend_12m"]],
)
def test_a_dry_run_that_cannot_be_is_one_line(run, wrong):
    code, out, error = run("classify", *wrong)
    assert (code, out, len(error.strip().splitlines())) == (1, "", 1)
