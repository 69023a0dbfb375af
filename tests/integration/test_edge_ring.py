"""The edge agent's ring: bounded, counted on over restarts, and never lost as a whole through one bad place."""

import sqlite3
from pathlib import Path
from random import Random

import pytest

from collector.mqtt.ring import EdgeRing
from crm_core.domain.errors import StoreUnavailable
from tests.telemetry_readings import reading

PAGE = 4096
KEPT = 120


def test_the_ring_counts_on_over_restarts_and_forgets_only_what_is_covered(tmp_path: Path) -> None:
    ring = EdgeRing(tmp_path / "ring.sqlite")
    ring.append([reading("d1"), reading("d2"), reading("d1", minutes=5)])
    boot = ring.boot_id
    ring.close()
    ring = EdgeRing(tmp_path / "ring.sqlite")
    ring.append([reading("d1", minutes=10)])
    assert ring.boot_id == boot
    assert [(w.device_id, w.seq, w.oldest_seq) for w in ring.after(0, 10)] == [
        ("d1", 1, 1), ("d2", 1, 1), ("d1", 2, 1), ("d1", 3, 1),
    ]  # fmt: skip
    assert list(ring.cover("d1", "another boot", 3)) == []
    assert len(ring.cover("d1", boot, 2)) == 2
    assert [(w.device_id, w.seq, w.oldest_seq) for w in ring.after(0, 10)] == [("d2", 1, 1), ("d1", 3, 3)]
    ring.close()


def test_a_full_ring_sheds_its_oldest_and_counts(tmp_path: Path) -> None:
    ring = EdgeRing(tmp_path / "ring.sqlite", capacity=10)
    for number in range(25):
        ring.append([reading("d1", minutes=number)])
    assert [w.seq for w in ring.after(0, 100)] == list(range(16, 26))
    assert ring.losses() == (15, 0)
    ring.close()


def test_a_torn_record_costs_only_itself(tmp_path: Path) -> None:
    ring = EdgeRing(tmp_path / "ring.sqlite")
    ring.append([reading("d1", minutes=n) for n in range(5)])
    with sqlite3.connect(tmp_path / "ring.sqlite") as other:
        other.execute("UPDATE reading SET body = zeroblob(50) WHERE seq = 3")
    other.close()
    assert [w.seq for w in ring.after(0, 10)] == [1, 2, 4, 5]
    assert ring.losses() == (0, 1)
    assert len(ring) == 4
    ring.close()


def _filled(path: Path) -> EdgeRing:
    """Return a ring with the readings of seven devices, closed once so that all of it is in one file."""
    ring = EdgeRing(path)
    ring.append([reading(f"d{n % 7}", minutes=n, pages=1000 + n * 7919) for n in range(KEPT)])
    ring.close()
    return ring


def _what_waits(path: Path) -> tuple[EdgeRing, list[tuple[str, int]]]:
    """Open the ring as the agent does, which tries again after an error."""
    ring = EdgeRing(path)
    for _ in range(2):
        try:
            return ring, [(one.device_id, one.seq) for one in ring.after(0, 1000)]
        except StoreUnavailable:
            continue
    raise AssertionError("the ring cannot be read")


def _kept(ring: EdgeRing, device: str) -> int:
    """Keep one more reading as the agent does, which tries again after an error; return its number."""
    try:
        ring.append([reading(device, minutes=9999)])
    except StoreUnavailable:
        ring.append([reading(device, minutes=9999)])
    return ring.after(0, 1000)[-1].seq


def test_a_bad_page_costs_its_own_records_and_the_rest_goes_on(tmp_path: Path) -> None:
    """Every page but the first is overwritten in turn: nothing is doubled, what is lost is counted, numbers go on."""
    original = tmp_path / "ring.sqlite"
    boot = _filled(original).boot_id
    whole = original.read_bytes()
    found: list[int] = []
    for page in range(1, len(whole) // PAGE):
        path = tmp_path / f"{page}" / "ring.sqlite"
        path.parent.mkdir()
        path.write_bytes(whole[: page * PAGE] + Random(page).randbytes(PAGE) + whole[(page + 1) * PAGE :])
        ring, waiting = _what_waits(path)
        assert ring.boot_id == boot
        assert len(waiting) == len(set(waiting)) == len(ring)
        assert len(waiting) + ring.losses()[1] == KEPT
        found.append(len(waiting))
        newest = _kept(ring, "d0")
        assert newest > max((seq for device, seq in waiting if device == "d0"), default=0)
        ring.close()
    assert sorted(found)[1] > KEPT // 2, "only the page from which SQLite finds all others costs everything"


def test_a_file_that_was_cut_off_keeps_its_first_half(tmp_path: Path) -> None:
    path = tmp_path / "ring.sqlite"
    boot = _filled(path).boot_id
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    ring, waiting = _what_waits(path)
    assert ring.boot_id == boot
    assert 0 < len(waiting) < KEPT
    assert len(waiting) + ring.losses()[1] == KEPT
    ring.close()
    assert path.with_name("ring.sqlite.broken").exists()


def test_a_file_that_is_no_ring_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "ring.sqlite"
    path.write_bytes(b"somebody else's file" * 1000)
    ring = EdgeRing(path)
    ring.append([reading("d1")])
    assert len(ring.after(0, 10)) == 1
    ring.close()
    assert path.with_name("ring.sqlite.broken").read_bytes().startswith(b"somebody else's file")


def test_a_rescue_that_was_killed_half_way_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "ring.sqlite"
    _filled(path)
    path.rename(tmp_path / "ring.sqlite.new")
    ring, waiting = _what_waits(path)
    assert len(waiting) == KEPT
    ring.close()


def test_a_folder_that_cannot_be_one_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreUnavailable, match="check the folder and the rights"):
        EdgeRing(tmp_path / "file" / "ring.sqlite")
