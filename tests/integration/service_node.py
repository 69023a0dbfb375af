"""One node of two: a real process with its own timers that triages only while it leads.

`python -m tests.integration.service_node URL NAME LEASE_SECONDS [FILE]` prints `ready` and runs until it is killed. When
FILE appears, the node stops itself (SIGSTOP) within its next transaction as leader: it then holds all its locks.
"""

import os
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path

from config.clock import SystemClock
from config.supervision import LeaderLease, Supervisor
from crm_core.dispatching import Dispatcher
from crm_core.ports import Changes, UnitOfWork
from crm_core.storage.sqlalchemy_uow import make_uow_factory
from crm_core.triage import Triage
from tests.builders import TENANT
from tests.policies import a_book, a_catalogue, a_policy


def stop_when_asked(file: Path, _uow: UnitOfWork, changes: Changes) -> None:
    if changes.tickets and file.exists():
        file.unlink()
        os.kill(os.getpid(), signal.SIGSTOP)


def main(url: str, name: str, lease_seconds: float, file: Path | None) -> None:
    factory, clock, policy = make_uow_factory(url), SystemClock(), a_policy()
    triage = Triage(factory, clock, policy, a_book(), a_catalogue())
    dispatcher = Dispatcher(factory, clock, policy, a_catalogue(), a_book())
    lease = LeaderLease(factory, clock, name="triage", holder=name, duration=timedelta(seconds=lease_seconds))
    factory.on_commit(lease.fence_commits)
    if file is not None:
        factory.on_commit(lambda uow, changes: stop_when_asked(file, uow, changes))

    def work() -> None:
        triage.run_all()
        dispatcher.dispatch(TENANT)

    supervisor = Supervisor(clock, "UTC")
    supervisor.every("triage", 0.5, lease.only_as_leader(work), first_after=0.1)
    supervisor.start()
    lease.keep()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), Path(sys.argv[4]) if len(sys.argv) > 4 else None)
