"""What a technician would look at, as numbers: one row per device, day and component.

Bursts of the component's own codes against what is usual for the device, its model (firmware) and its site (damp
paper), jams per page, how worn and how old the part is, what was repaired lately, and whether other components speak
more loudly.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analytics.backtest.failure_history import COMPONENTS, FailureHistory

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SLOTS: Final = 3
_DECAYS: Final = (1.5, 4.0, 12.0)  # half-lives of the forgetting sums in days


def _decayed(table: npt.NDArray[Any], half_life: float) -> npt.NDArray[np.float32]:
    """Return forgetting sums along the last axis: each day keeps what the day before left of it."""
    keep = np.float32(0.5 ** (1.0 / half_life))
    out = np.empty(table.shape, np.float32)
    running = np.zeros(table.shape[:-1], np.float32)
    for day in range(table.shape[-1]):
        running = running * keep + table[..., day]
        out[..., day] = running
    return out


def _group_sums(table: npt.NDArray[Any], group: Ints) -> npt.NDArray[np.float32]:
    """Return [.., groups, T] sums over devices of one group."""
    groups = int(group.max()) + 1
    out = np.zeros((*table.shape[:-2], groups, table.shape[-1]), np.float32)
    for member in range(len(group)):
        out[..., group[member], :] += table[..., member, :]
    return out


@dataclass(frozen=True, slots=True)
class FailureFeatures:
    """Tables from which rows are picked: everything by [component, device, day], sums up to the end of the day."""

    history: FailureHistory
    own: npt.NDArray[np.int32]  # [7, n, T + 1]
    decayed: tuple[npt.NDArray[np.float32], ...]  # by half-life, [7, n, T]
    hardware: npt.NDArray[np.float32]  # [n, T] forgetting sum over all components
    loudest: npt.NDArray[np.int64]  # [n, T]
    model_decayed: npt.NDArray[np.float32]  # [7, models, T]
    model_share: npt.NDArray[np.float32]  # [slots, 7, models, T] devices of the model with the code in 7 days
    site_decayed: npt.NDArray[np.float32]  # [7, sites, T]
    model_size: Ints
    site_size: Ints
    soft: dict[str, npt.NDArray[np.int32]]  # user and network codes, [n, T + 1]
    slots: list[list[int]]  # codes of each component
    trouble: npt.NDArray[np.float32]  # [7, models, T] repairs of the component per device so far

    @classmethod
    def of(cls, history: FailureHistory) -> "FailureFeatures":
        """Build the tables; every step looks back only."""
        kinds = len(COMPONENTS)
        slots = [
            [int(at) for at in np.flatnonzero(history.code_component == c)][:_SLOTS] for c in range(kinds)
        ]
        own = np.stack(
            [history.count[history.code_component == c].sum(0, dtype=np.int32) for c in range(kinds)]
        )
        daily = np.diff(own, axis=-1)
        decayed = tuple(_decayed(daily, half_life) for half_life in _DECAYS)
        share = np.zeros((_SLOTS, kinds, int(history.model.max()) + 1, history.days), np.float32)
        for c in range(kinds):
            for slot, code in enumerate(slots[c]):
                week = (
                    history.count[code][:, 1:]
                    - history.count[code][:, np.maximum(np.arange(1, history.days + 1) - 7, 0)]
                )
                share[slot, c] = _group_sums((week > 0).astype(np.float32), history.model)
        size = np.bincount(history.model)
        share /= np.maximum(size, 1)[None, None, :, None]
        soft = {
            name: history.count[
                [
                    at
                    for at, code in enumerate(history.codes)
                    if history.code_component[at] < 0 and code.startswith(name)
                ]
            ].sum(0, dtype=np.int32)
            for name in ("USR", "NET")
        }
        fixed = _group_sums(np.diff(history.repairs, axis=-1), history.model)
        return cls(
            history, own, decayed, decayed[1].sum(0), decayed[1].argmax(0), _group_sums(decayed[1], history.model), share,
            _group_sums(decayed[1], history.site), size, np.bincount(history.site), soft, slots,
            (np.cumsum(fixed, axis=-1) / np.maximum(size, 1)[None, :, None]).astype(np.float32),
        )  # fmt: skip

    def rows(self, kind: Ints, device: Ints, day: Ints) -> npt.NDArray[np.float32]:
        """Return features [m, f] of rows (component, device, day)."""
        parts = [
            *self._own(kind, device, day), *self._slots(kind, device, day), *self._peers(kind, device, day),
            *self._part(kind, device, day), *self._device(device, day), kind.astype(float),
            self.history.model[device].astype(float),
        ]  # fmt: skip
        return np.stack(parts, axis=1).astype(np.float32)

    def _pick(
        self, table: npt.NDArray[Any], kind: Ints, device: Ints, day: Ints, length: int, lag: int = 0
    ) -> Floats:
        end = np.maximum(day + 1 - lag, 0)
        return np.asarray(
            table[kind, device, end] - table[kind, device, np.maximum(end - length, 0)], dtype=float
        )

    def _own(self, kind: Ints, device: Ints, day: Ints) -> list[Floats]:
        h = self.history
        counts = [self._pick(self.own, kind, device, day, length) for length in (1, 2, 3, 5, 7, 14, 30)]
        usual = (self._pick(self.own, kind, device, day, 90, lag=14) + 0.3) / (
            np.minimum(np.maximum(day - 14, 0), 90) + 10
        )
        pages7 = h.window(h.pages, device, day, 7) + 20.0
        pages90 = h.window(h.pages, device, day, 90) + 200.0
        active = [self._pick(h.active, kind, device, day, length) for length in (3, 7, 14, 45)]
        severe = [self._pick(h.severe, kind, device, day, length) for length in (3, 7, 30)]
        hinted = [self._pick(h.hinted, kind, device, day, length) for length in (3, 7, 30)]
        surprise7 = (counts[4] - 7 * usual) / np.sqrt(7 * usual + 0.5)
        surprise3 = (counts[2] - 3 * usual) / np.sqrt(3 * usual + 0.5)
        rate = np.log(
            (counts[4] + 0.3) / pages7 * pages90 / (self._pick(self.own, kind, device, day, 90) + 0.6)
        )
        growth = np.log((counts[2] + 0.4) / (self._pick(self.own, kind, device, day, 5, lag=3) + 0.6))
        forgetting = [table[kind, device, day].astype(float) for table in self.decayed]
        quiet = self._pick(h.active, kind, device, day, 30, lag=14)
        return [
            *counts,
            usual,
            *active,
            *severe,
            *hinted,
            surprise7,
            surprise3,
            rate,
            growth,
            *forgetting,
            quiet,
        ]

    def _slots(self, kind: Ints, device: Ints, day: Ints) -> list[Floats]:
        h = self.history
        made = []
        for slot in range(_SLOTS):
            code = np.array([codes[slot] if slot < len(codes) else -1 for codes in self.slots])[kind]
            missing = code < 0
            safe = np.maximum(code, 0)
            for length in (2, 7, 30):
                start = np.maximum(day + 1 - length, 0)
                value = (h.count[safe, device, day + 1] - h.count[safe, device, start]).astype(float)
                made.append(np.where(missing, np.nan, value))
            share = self.model_share[slot, kind, h.model[device], day].astype(float)
            made.append(np.where(missing, np.nan, share))
        return made

    def _peers(self, kind: Ints, device: Ints, day: Ints) -> list[Floats]:
        h = self.history
        mine = self.decayed[1][kind, device, day].astype(float)
        model, site = h.model[device], h.site[device]
        of_model = (self.model_decayed[kind, model, day] - mine) / np.maximum(self.model_size[model] - 1, 1)
        of_site = (self.site_decayed[kind, site, day] - mine) / np.maximum(self.site_size[site] - 1, 1)
        total = self.hardware[device, day].astype(float)
        return [
            of_model, np.log((mine + 0.3) / (of_model + 0.3)), of_site, np.log((mine + 0.3) / (of_site + 0.3)),
            self.site_size[site].astype(float), total - mine, mine / (total + 0.2),
            (self.loudest[device, day] == kind) * 1.0, self.trouble[kind, model, day].astype(float),
        ]  # fmt: skip

    def _part(self, kind: Ints, device: Ints, day: Ints) -> list[Floats]:
        h = self.history
        pages, age = h.part_pages[kind, device, day], h.part_days[kind, device, day]
        per_day = h.window(h.pages, device, day, 60) / np.minimum(day + 1, 60)
        design = h.design[kind, device]
        every = h.repairs.sum(0)
        return [
            pages / design, pages / design + 14.0 * per_day / design, age, design, per_day / design,
            self._pick(h.repairs, kind, device, day, 1000), h.window(every, device, day, 14), h.window(every, device, day, 60),
            h.window(every, device, day, 1000) / (day + 60.0),
        ]  # fmt: skip

    def _device(self, device: Ints, day: Ints) -> list[Floats]:
        h = self.history
        jams = [h.window(h.jams, device, day, length) for length in (1, 3, 7, 14, 30, 90)]
        pages = [h.window(h.pages, device, day, length) for length in (1, 3, 7, 30, 90)]
        rate7 = 1000 * (jams[2] + 0.2) / (pages[2] + 100)
        rate90 = 1000 * (jams[5] + 0.5) / (pages[4] + 250)
        rate3 = 1000 * (jams[1] + 0.2) / (pages[1] + 100)
        stop = day - h.stop_day[device, day]
        soft = [
            h.window(self.soft[name], device, day, length) for name in ("USR", "NET") for length in (7, 60)
        ]
        chatter = h.window(self.own.sum(0), device, day, 90) / (pages[4] / 1000 + 1)
        return [
            *jams[:5], rate3, rate7, rate90, np.log(rate7 / rate90), np.log(rate3 / rate90), pages[0], pages[2] / 7,
            np.log((pages[2] / 7 + 1) / (pages[4] / np.minimum(day + 1, 90) + 1)), h.window(h.worked, device, day, 7),
            np.minimum(stop, 400).astype(float), *soft, chatter, h.window(self.own.sum(0), device, day, 7),
        ]  # fmt: skip
