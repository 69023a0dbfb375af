"""Readings for tests of the collector, and strategies that make them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from crm_core.domain.telemetry import (
    Counters,
    Derived,
    DerivedSupply,
    DeviceIdentity,
    DeviceReading,
    DeviceStatus,
    InputTray,
    MarkerSupply,
    PrinterAlert,
    level_state,
    percent_of,
)

START = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)


def reading(
    device: str = "d1",
    *,
    minutes: float = 0,
    seq: int | None = None,
    boot: str = "boot-1",
    pages: int | None = 1000,
    total: int | None = None,
    toner: int | None = 80,
    errors: Sequence[str] = (),
    alerts: Sequence[PrinterAlert] = (),
    tenant: str = "default",
    site: str | None = "site-1",
) -> DeviceReading:
    """Return one plausible reading; pushed if it has a sequence number, polled otherwise."""
    life = {} if pages is None else {"1.1": pages}
    vendor = (
        {}
        if total is None
        else {"total_printed": total, "mono": max(total - 10, 0), "colour": min(total, 10)}
    )
    return DeviceReading(
        tenant=tenant,
        site_id=site,
        device_id=device,
        polled_at=START + timedelta(minutes=minutes),
        source="snmp" if seq is None else "mqtt",
        boot_id=None if seq is None else boot,
        seq=seq,
        identity=DeviceIdentity(vendor="Canon", model='iR-ADV "C3525i"', serial="XYZ\\1", firmware="1.0"),
        supplies=(
            MarkerSupply(
                index="1.1",
                name="Tóner, negro = 1",
                type="tonerCartridge",
                cls="supplyThatIsConsumed",
                colorant="black",
                unit="percent",
                capacity=100,
                level=toner,
                level_state=level_state(toner),
                percent=percent_of(toner, 100, "percent"),
            ),
            MarkerSupply(
                index="1.2",
                type="wasteToner",
                cls="receptacleThatIsFilled",
                unit="percent",
                capacity=-2,
                level=-3,
                level_state=level_state(-3),
            ),
        ),
        trays=(InputTray(index="1.1", name="Tray 1", capacity=550, level=400, percent=72.7),),
        alerts=tuple(alerts),
        status=DeviceStatus(hr_printer_status={"1": 3}, errors={"1": tuple(errors)}),
        counters=Counters(prt_marker_life_count=life, vendor=vendor),
        derived=Derived(supplies=(DerivedSupply(index="1.1", kind="toner", colour="black"),)),
    )


JAM = PrinterAlert(index="1.7", severity=3, group=5, gindex=2, code=8, desc="Paper jam")

#: Minutes from START: inside one day, over midnight, days apart; whole minutes, so no two share a microsecond.
moments = st.one_of(st.integers(0, 900), st.integers(900, 1200), st.integers(0, 7 * 1440))


@st.composite
def histories(draw: st.DrawFn, devices: Sequence[str] = ("d1", "d2"), size: int = 14) -> list[DeviceReading]:
    """Return readings of a few devices in order of time: gaps, resets, swaps, jams, repeats of one content."""
    made: list[DeviceReading] = []
    for device in devices:
        times = sorted(draw(st.lists(moments, min_size=0, max_size=size, unique=True)))
        pushed = draw(st.booleans())
        pages = draw(st.sampled_from((0, 1000, 2**32 - 50)))
        for number, minutes in enumerate(times, start=1):
            pages = draw(
                st.one_of(
                    st.just(pages),
                    st.integers(pages, pages + 300).map(lambda n: n % 2**32),
                    st.sampled_from((0, 5, 120_000)),
                )
            )
            made.append(
                reading(
                    device,
                    minutes=minutes,
                    seq=number if pushed else None,
                    boot=draw(st.sampled_from(("boot-1", "boot-1", "boot-2"))),
                    pages=draw(st.sampled_from((pages, pages, None))),
                    total=draw(st.sampled_from((None, pages))),
                    toner=draw(st.sampled_from((80, 79, 3, -3, None))),
                    errors=draw(st.sampled_from(((), (), ("jammed",), ("lowToner",)))),
                    alerts=draw(st.sampled_from(((), (JAM,)))),
                )
            )
    return sorted(made, key=lambda r: (r.polled_at, r.device_id or ""))
