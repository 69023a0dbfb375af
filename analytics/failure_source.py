"""From the nightly state to the tables of the hazard: the same features on an installation as in the back-test.

The back-test reads files, the nightly run has the last 128 days of every device, training the whole walk; all three end
in one `FailureHistory`, so that one set of features and one fitted hazard serve all. Windows of the features end within
the ring; what is older (pages on a part, earlier repairs) comes from the state and the record of finished orders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analytics.backtest.failure_history import COMPONENTS, FailureHistory, prefix_sums
from analytics.features import FleetState
from analytics.part_fits import PartFit
from analytics.recent import DAYS, codes_between
from crm_core.domain.fleet import Device

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_KINDS: Final = len(COMPONENTS)
_MOST_CODES: Final = 32
_ANY_LIFE: Final = 200_000.0  # pages of a part that no catalogue lists: the order of magnitude


@dataclass(frozen=True, slots=True)
class CodeList:
    """The codes that a hazard was fitted on, with their components: both are part of the model."""

    codes: tuple[str, ...]
    component: tuple[int, ...]

    @classmethod
    def of(cls, state: FleetState) -> "CodeList":
        """Return the hardware codes seen so far, the most frequent ones first; most of what devices say is none."""
        book = state.recent.book
        seen = np.zeros(len(book.component), np.int64)
        for codes in (state.all_codes or state.recent.codes).values():
            seen += np.bincount(codes.code, minlength=len(seen))
        names = list(book.numbers)
        chosen = [at for at in np.argsort(-seen, kind="stable").tolist() if book.component[at] >= 0][
            :_MOST_CODES
        ]
        return cls(tuple(names[at] for at in chosen), tuple(book.component[at] for at in chosen))


def recent_history(
    state: FleetState, devices: Mapping[str, Device], rows: Ints, day: int, fits: Sequence[PartFit], codes: CodeList
) -> FailureHistory:  # fmt: skip
    """Return the last DAYS days of the devices `rows` as tables that end with `day`."""
    recent = state.recent
    return history_of(
        state, devices, rows, day - DAYS + 1, recent.window(recent.pages, day, rows),
        recent.window(recent.jams, day, rows), fits, codes,
    )  # fmt: skip


def history_of(
    state: FleetState, devices: Mapping[str, Device], rows: Ints, first: int, pages: Floats, jams: Floats,
    fits: Sequence[PartFit], codes: CodeList,
) -> FailureHistory:  # fmt: skip
    """Return tables of the devices `rows` over the days of `pages` and `jams` [rows, T] from day `first`."""
    n, length = pages.shape
    names = [state.device_ids[row] for row in rows.tolist()]
    known = [devices.get(name) for name in names]
    site = np.unique([(device.site_id or "") if device else "" for device in known], return_inverse=True)[1]
    model = np.unique(
        [(device.model_id or device.model_name or "") if device else "" for device in known],
        return_inverse=True,
    )[1]
    return FailureHistory(
        device_ids=names, first_day=first, days=length, model=np.asarray(model), site=np.asarray(site),
        pages=np.asarray(prefix_sums(pages), float), jams=np.asarray(prefix_sums(jams), float),
        worked=np.asarray(prefix_sums((pages > 0).astype(float)), float),
        stop_day=np.full((n, length), -999, np.int64), **_code_tables(state, rows, first, length, codes),
        **_part_tables(state, known, rows, first, pages, fits),
    )  # fmt: skip


def _code_tables(state: FleetState, rows: Ints, first: int, length: int, codes: CodeList) -> dict[str, Any]:
    place = np.full(len(state.device_ids), -1, np.int64)
    place[rows] = np.arange(len(rows))
    number = np.full(max(len(state.recent.book.component), 1), -1, np.int64)
    wanted = {code: at for at, code in enumerate(codes.codes)}
    for name, at in state.recent.book.numbers.items():
        number[at] = wanted.get(name, -1)
    day, row, number_of, severe = codes_between(
        state.all_codes or state.recent.codes, first, first + length - 1
    )
    slot, row, day = number[number_of], place[row], day - first
    keep = (slot >= 0) & (row >= 0)
    slot, row, day, severe = slot[keep], row[keep], day[keep], severe[keep]
    component = np.array(codes.component, np.int64)
    count = np.zeros((len(codes.codes), len(rows), length), np.int32)
    np.add.at(count, (slot, row, day), 1)
    bad = np.zeros((_KINDS, len(rows), length), np.int32)
    of_part = component[slot]
    np.add.at(bad, (of_part[severe], row[severe], day[severe]), 1)
    hinted = np.zeros_like(bad)
    np.add.at(hinted, (of_part, row, day), 1)
    active = np.stack([(count[component == kind].sum(0) > 0).astype(np.int32) for kind in range(_KINDS)])
    return {
        "codes": list(codes.codes), "code_component": component, "count": prefix_sums(count),
        "severe": prefix_sums(bad), "hinted": prefix_sums(hinted), "active": prefix_sums(active),
    }  # fmt: skip


def _part_tables(
    state: FleetState, known: Sequence[Device | None], rows: Ints, first: int, pages: Floats, fits: Sequence[PartFit]
) -> dict[str, Any]:  # fmt: skip
    """Return pages and days on every part; a part without a record is taken for the first one of its device."""
    n, length = pages.shape
    steps = np.arange(length)
    printed = np.cumsum(pages, axis=1)
    count = np.nan_to_num(state.usage.count[rows])
    at_start = np.maximum(count - printed[:, -1], 0.0)  # life count before the first day of the table
    begun = np.nan_to_num(first - state.usage.first_day[rows], nan=0.0)
    part_pages = np.repeat((at_start[:, None] + printed)[None], _KINDS, axis=0)
    part_days = np.repeat((np.maximum(begun, 0.0)[:, None] + 400.0 + steps)[None], _KINDS, axis=0)
    fitted = np.zeros((_KINDS, n, length), np.int32)
    place = {state.device_ids[row]: at for at, row in enumerate(rows.tolist())}
    for fit in sorted(fits, key=lambda each: each.day):
        at = place.get(fit.device_id)
        if at is None or fit.component not in COMPONENTS or fit.day >= first + length:
            continue
        kind, since = COMPONENTS.index(fit.component), fit.day - first
        fitted[kind, at, max(since, 0)] += 1
        later = slice(max(since, 0), None)
        part_days[kind, at, later] = steps[later] - since
        part_pages[kind, at, later] = np.maximum(at_start[at] + printed[at, later] - fit.count, 0.0)
    design = np.full((_KINDS, n), np.nan)
    for at, device in enumerate(known):
        model = state.priors.model_of(device) if device else None
        for part in model.parts if model else ():
            if part.component in COMPONENTS:
                design[COMPONENTS.index(part.component), at] = part.design_life_pages
    return {
        "part_pages": part_pages, "part_days": part_days, "repairs": prefix_sums(fitted),
        "design": np.where(np.isnan(design), _ANY_LIFE, design),
    }  # fmt: skip
