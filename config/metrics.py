"""Figures of the collecting and analysing side for `/metrics`, read from the parts when Prometheus asks."""

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from collector.ingest import IngestCounters
from collector.outbox import Outbox
from collector.snmp.engine import EngineStatistics
from collector.snmp.traps import TrapStatistics
from config.polling import PollCounters


class CollectingFigures(Collector):
    """Counters of ingest and polling, and what waits in the outbox."""

    def __init__(
        self,
        ingest: IngestCounters,
        outbox: Outbox,
        dead_letters: Callable[[], int],
        polls: PollCounters | None,
        snmp: EngineStatistics | None,
        traps: Callable[[], TrapStatistics] | None,
    ) -> None:
        self._snmp = snmp
        self._traps = traps
        self._ingest = ingest
        self._outbox = outbox
        self._dead_letters = dead_letters
        self._polls = polls

    def collect(self) -> Iterable[Metric]:
        """Yield the figures as they are now."""
        readings = CounterMetricFamily(
            "drumbeat_readings", "Readings by what became of them", labels=["outcome"]
        )
        for outcome in ("stored", "duplicates", "rejected", "late", "clock_wrong"):
            readings.add_metric([outcome], getattr(self._ingest, outcome))
        yield readings
        yield GaugeMetricFamily(
            "drumbeat_outbox_records", "Records that wait for delivery", value=self._outbox.waiting()
        )
        yield GaugeMetricFamily(
            "drumbeat_dead_letters", "Messages that could not be understood", value=self._dead_letters()
        )
        if self._polls is not None:
            polls = CounterMetricFamily(
                "drumbeat_polls", "Polls of devices by what became of them", labels=["outcome"]
            )
            for outcome in ("polled", "unreachable", "misbehaved", "unresolved"):
                polls.add_metric([outcome], getattr(self._polls, outcome))
            yield polls
        if self._snmp is not None:
            yield from _snmp_figures(self._snmp)
        if self._traps is not None:
            yield _trap_figures(self._traps())


def _snmp_figures(statistics: EngineStatistics) -> Iterable[Metric]:
    messages = CounterMetricFamily("drumbeat_snmp_messages", "SNMP messages by kind", labels=["kind"])
    for kind in ("requests", "replies", "repeats", "timeouts"):
        messages.add_metric([kind], getattr(statistics, kind))
    yield messages
    rejected = CounterMetricFamily(
        "drumbeat_snmp_rejected", "Replies and rows that were not accepted, by reason", labels=["reason"]
    )
    for reason, count in sorted(statistics.rejected.items()):
        rejected.add_metric([reason], count)
    yield rejected


def _trap_figures(statistics: TrapStatistics) -> Metric:
    traps = CounterMetricFamily(
        "drumbeat_traps", "Traps and informs by what became of them", labels=["outcome"]
    )
    traps.add_metric(["accepted"], statistics.accepted)
    for reason, count in sorted(statistics.dropped.items()):
        traps.add_metric([reason], count)
    return traps


def register_collecting(
    registry: CollectorRegistry,
    *,
    ingest: IngestCounters,
    outbox: Outbox,
    dead_letters: Callable[[], int],
    polls: PollCounters | None,
    snmp: EngineStatistics | None = None,
    traps: Callable[[], TrapStatistics] | None = None,
) -> None:
    """Add the figures of this process to its registry."""
    registry.register(CollectingFigures(ingest, outbox, dead_letters, polls, snmp, traps))
