"""From statements of a counter to billable pages: epochs, roll-overs, false readings. Pure.

A counter only rises. A fall is a roll-over (exact), a reset or another board (a new epoch: what was printed around it is
not known and nothing is invented), or a false reading. Each page lies between two statements of one epoch; whatever is
not plain is flagged, so that a person looks at it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import Final

from crm_core.domain.billing import MeterPoint, PageSegment
from crm_core.metering import meter_step

NEW_EPOCH: Final = "new_epoch"  # board swap or reset: pages around it are not known
ROLL_OVER: Final = "roll_over"  # 32-bit counter rolled over: pages are exact
FALSE_READING: Final = "false_reading"  # a statement that cannot be true was left out
JUMP: Final = "jump"  # the counter rose faster than any copier prints and stayed there: not billed
NO_SPLIT: Final = "no_split"  # mono and colour are not told apart: billed as mono
SPLIT_DIFFERS: Final = "split_differs"  # mono and colour do not sum to the total

_SHORTEST: Final = timedelta(hours=1)  # a limit per day says little about minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Pages of a chain of statements with their segments and flags (each once, in order)."""

    mono: int
    colour: int
    segments: tuple[PageSegment, ...]
    flags: tuple[str, ...]


def pages_of(points: Sequence[MeterPoint], most_pages_a_day: int) -> Pages:
    """Return the pages between the first and the last statement (ordered by time, `total` never None)."""
    kept, flags = without_false(points, most_pages_a_day)
    segments: list[PageSegment] = []
    for opening, closing in pairwise(kept):
        segment = _step(opening, closing, most_pages_a_day)
        if segments and not segment.flag and not segments[-1].flag:
            segments[-1] = _joined(segments[-1], segment)
        else:
            segments.append(segment)
    found = [*flags, *(flag for row in segments for flag in row.flag.split() if flag)]
    if _split_changes(kept):
        found.append(NO_SPLIT)
    return Pages(
        mono=sum(row.mono for row in segments),
        colour=sum(row.colour for row in segments),
        segments=tuple(segments),
        flags=tuple(dict.fromkeys(found)),
    )


def without_false(points: Sequence[MeterPoint], most_pages_a_day: int) -> tuple[list[MeterPoint], list[str]]:
    """Leave out statements that the ones on both sides contradict: a spike up or down that is gone at the next look."""
    kept: list[MeterPoint] = list(points[:1])
    flags: list[str] = []
    for place in range(1, len(points)):
        following = points[place + 1] if place + 1 < len(points) else None
        if following is not None and _is_false(kept[-1], points[place], following, most_pages_a_day):
            flags.append(FALSE_READING)
        else:
            kept.append(points[place])
    return kept, flags


def _is_false(before: MeterPoint, point: MeterPoint, after: MeterPoint, most_pages_a_day: int) -> bool:
    """Return True if `after` continues `before` while `point` lies off the way between them."""
    low, middle, high = before.total or 0, point.total or 0, after.total or 0
    if not low <= high or low <= middle <= high:
        return False
    return high - low <= most_pages(before, after, most_pages_a_day)


def _step(opening: MeterPoint, closing: MeterPoint, most_pages_a_day: int) -> PageSegment:
    """Return the pages of one step; a fall or an impossible rise is flagged."""
    total = meter_step(opening.total, closing.total)
    plain = PageSegment(opening=opening, closing=closing, mono=0, colour=0)
    if total.new_epoch and not total.pages:
        return replace(plain, flag=NEW_EPOCH)
    if total.pages > most_pages(opening, closing, most_pages_a_day):
        return replace(plain, flag=JUMP)
    flags = [ROLL_OVER] if total.new_epoch else []
    if not (_has_split(opening) and _has_split(closing)):
        return replace(plain, mono=total.pages, flag=" ".join(flags))
    mono, colour = meter_step(opening.mono, closing.mono), meter_step(opening.colour, closing.colour)
    if mono.pages + colour.pages != total.pages:
        # The parts are the billing meters; they may be read a moment after the total, or be reset apart from it.
        flags.append(SPLIT_DIFFERS)
        coloured = min(colour.pages, total.pages)
        return replace(plain, mono=total.pages - coloured, colour=coloured, flag=" ".join(flags))
    return replace(plain, mono=mono.pages, colour=colour.pages, flag=" ".join(flags))


def _joined(first: PageSegment, second: PageSegment) -> PageSegment:
    """Return two plain neighbours as one: a page is traced to two readings, not to hundreds."""
    return replace(
        first, closing=second.closing, mono=first.mono + second.mono, colour=first.colour + second.colour
    )


def most_pages(first: MeterPoint, last: MeterPoint, most_pages_a_day: int) -> float:
    """Return how many pages a copier can print at most between two statements."""
    return most_pages_a_day * (max(last.at - first.at, _SHORTEST) / timedelta(days=1))


def _has_split(point: MeterPoint) -> bool:
    return point.mono is not None and point.colour is not None


def _split_changes(points: Sequence[MeterPoint]) -> bool:
    """Return True if only some statements tell mono from colour; a plain mono device never does, which is no flaw."""
    return len({_has_split(point) for point in points}) > 1
