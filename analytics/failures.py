"""Which device is likely to break: bursts of hardware codes and jams against what is usual for it.

The state counts codes per device with several memories and takes one day at a time. Once the company has enough
confirmed failures the hazard of `hazard` gives P(7 d) and P(14 d); until then a rule with cautious constants over these
counts does, and says so. They also carry the reasons that people read. A failure is what a technician confirmed, or a
hardware ticket that nobody has finished yet (`part_fits`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from crm_core.domain.telemetry import TelemetryEvent

Floats = npt.NDArray[np.float64]

COMPONENTS: Final = ("fuser", "transfer", "drum", "feed_rollers", "developer", "laser", "electronics")
_WORDS: Final = (
    ("fuser", re.compile(r"fus|heat|thermistor|定影", re.IGNORECASE)),
    ("transfer", re.compile(r"transfer|belt|转印", re.IGNORECASE)),
    ("drum", re.compile(r"drum|opc|photocond|imaging|感光", re.IGNORECASE)),
    ("feed_rollers", re.compile(r"feed|roller|pick|jam|搓纸", re.IGNORECASE)),
    ("developer", re.compile(r"develop|显影", re.IGNORECASE)),
    ("laser", re.compile(r"laser|polygon|scanner motor|lsu|激光", re.IGNORECASE)),
    ("electronics", re.compile(r"electr|controller|memory|board|fan|voltage|主板", re.IGNORECASE)),
)
_HARMLESS: Final = re.compile(
    r"toner|ink|paper|tray|cover|door|media|supply|low|open|sleep|power ?save", re.IGNORECASE
)
FAST, MID, SLOW = 4.0, 10.0, 45.0  # half-lives in days
FEATURES: Final = (
    "codes_fast",
    "codes_mid",
    "burst",
    "jams_per_1000",
    "jam_burst",
    "life_used",
    "pages_per_day",
)
PRIOR_FAILURES_A_YEAR: Final = 1.0  # of an office copier; replaced by the company's own count as it grows
_RULE: Final = np.array([0.55, 0.45, 0.25, 0.03, 0.10, 0.60, 0.05])


def component_in(words: str) -> str:
    """Return the component that a cause or a technician's words name, or an empty text."""
    exact = words.partition(".")[2] or words
    if exact in COMPONENTS:
        return exact
    return next((name for name, pattern in _WORDS if pattern.search(exact)), "")


def component_of(event: TelemetryEvent) -> int | None:
    """Return the row of the hardware component that an event names, -1 for hardware without a name, None: not hardware."""
    words = f"{event.code} {event.text or ''}"
    for row, (_, pattern) in enumerate(_WORDS):
        if pattern.search(words):
            return row
    if event.kind == "error_state" or _HARMLESS.search(words):
        return None
    return -1 if event.kind == "fault_code" or event.severity == "critical" else None


@dataclass(slots=True)
class FailureState:
    """Forgetting counts of n devices: hardware codes [component + 1, n] at two speeds, jams and pages [2, n]."""

    codes_fast: Floats
    codes_slow: Floats
    jams: Floats
    pages: Floats
    days: Floats
    advised_day: Floats

    @classmethod
    def empty(cls, n: int) -> "FailureState":
        """Return the state of devices that have not been seen yet."""
        kinds = len(COMPONENTS) + 1
        return cls(
            np.zeros((kinds, n)),
            np.zeros((kinds, n)),
            np.zeros((2, n)),
            np.zeros((2, n)),
            np.zeros(n),
            np.full(n, np.nan),
        )

    def grow(self, n: int) -> None:
        """Add devices at the end."""
        more = FailureState.empty(n)
        for item in fields(self):
            setattr(
                self, item.name, np.concatenate([getattr(self, item.name), getattr(more, item.name)], axis=-1)
            )

    def take(
        self,
        events: Sequence[tuple[int, TelemetryEvent]],
        pages: Floats,
        jams: Floats,
        heard: npt.NDArray[np.bool_],
    ) -> None:
        """Take one day: events by device row, pages [n], jams [n], and which devices answered; days count from the first."""
        self.codes_fast *= 0.5 ** (1 / FAST)
        self.codes_slow *= 0.5 ** (1 / SLOW)
        self.jams *= np.array([[0.5 ** (1 / MID)], [0.5 ** (1 / SLOW)]])
        self.pages *= np.array([[0.5 ** (1 / MID)], [0.5 ** (1 / SLOW)]])
        for row, event in events:
            component = component_of(event)
            if component is not None:
                self.codes_fast[component, row] += 1.0
                self.codes_slow[component, row] += 1.0
        self.jams += jams
        self.pages += pages
        self.days += heard | (self.days > 0)

    def features(self, life_used: Floats, pages_per_day: Floats) -> Floats:
        """Return [n, len(FEATURES)]; `life_used` is a share of design life."""
        fast, slow = self.codes_fast.sum(0), self.codes_slow.sum(0)
        usual = slow * (FAST / SLOW)
        per_1000 = 1000.0 * (self.jams[0] + 0.2) / (self.pages[0] + 200.0)
        usual_jams = 1000.0 * (self.jams[1] + 0.4) / (self.pages[1] + 400.0)
        columns = (
            np.log1p(fast), np.log1p(slow), np.log((fast + 0.3) / (usual + 0.3)), per_1000,
            np.log((per_1000 + 0.3) / (usual_jams + 0.3)), np.minimum(life_used, 2.0), np.log1p(pages_per_day),
        )  # fmt: skip
        return np.stack(columns, axis=1)

    def likely_component(self) -> npt.NDArray[np.int64]:
        """Return the component with most recent codes per device, -1 where none has any."""
        named = self.codes_fast[: len(COMPONENTS)]
        best = named.argmax(0)
        return np.asarray(np.where(named.max(0) > 0.15, best, -1))


def rule_probability(features: Floats, horizon_days: int, failures_a_year: float) -> Floats:
    """Return P(failure within the horizon) by rule: the company's mean rate times the exponent of the signs."""
    risk = np.exp(np.clip(features @ _RULE - 0.9, -2.0, 3.5))
    return np.asarray(1.0 - np.exp(-horizon_days * failures_a_year / 365.0 * risk))


@dataclass(frozen=True, slots=True)
class FailureChances:
    """Chances of n devices: within 7 and 14 days, the component to blame and how worn it is.

    `blame` is a row of COMPONENTS, -1 where none stands out; `worn` its share of the design life used.
    """

    seven: Floats
    fourteen: Floats
    blame: npt.NDArray[np.int64]
    worn: Floats
