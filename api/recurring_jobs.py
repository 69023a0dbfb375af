"""The recurring jobs of a process as people see and start them.

Apart from the other services: processes without an API show their jobs too, and load nothing else of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInfo:
    """One recurring job of the supervisor, as people see it. `schedule` is words such as 'every 60 s'."""

    name: str
    schedule: str
    next_run_at: datetime | None = None
    last_run_at: datetime | None = None
    last_seconds: float | None = None
    last_error: str | None = None
    running: bool = False
    runs: int = 0


class Jobs(Protocol):
    """The recurring jobs of this process; `config.supervision` implements it over APScheduler."""

    def list(self) -> Sequence[JobInfo]:
        """Return all jobs, ordered by name."""
        ...

    def run(self, name: str) -> JobInfo:
        """Ask for one run as soon as possible and return at once; `NotFound` for an unknown name."""
        ...
