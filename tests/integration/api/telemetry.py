"""What the printers of the test world said and what was foreseen of them, as plain values."""

from datetime import UTC, datetime

from crm_core.domain.forecast import (
    FailureForecast,
    Forecast,
    ForecastBasis,
    Interval,
    LifeForecast,
    Provenance,
    Reason,
    SupplyForecast,
)
from crm_core.domain.identity import DEFAULT_TENANT, DeviceId, TenantId
from crm_core.domain.telemetry import (
    Counters,
    Derived,
    DerivedSupply,
    DeviceIdentity,
    DeviceReading,
    DeviceStatus,
    LevelState,
    MarkerSupply,
)

NOW = datetime(2026, 3, 11, 2, 30, tzinfo=UTC)  # a Wednesday, 10:30 in Shanghai
COLOURS = ("black", "cyan", "magenta", "yellow")
OTHER_TENANT = TenantId("rival")

#: (device, site, model, levels of the four colours in percent or raw -3, error bits)
ROSTER = (
    ("c3525-01", "hq", "Canon iR-ADV C3525i", (4, 55, 61, 70), ("lowToner",)),
    ("c3525-02", "hq", "Canon iR-ADV C3525i", (82, 400, 900, 1000), ()),
    ("m126-01", "branch", "HP LaserJet M126nw", (35,), ("jammed",)),
    ("c7773-01", "school", "ApeosPort-VII C7773", (66, 40, 12, 80), ()),
    ("c7773-02", "school", "ApeosPort-VII C7773", (-3, 40, 44, 80), ("serviceRequested",)),
    ("m126-02", "studio", "HP LaserJet M126nw", (51,), ()),
    ("m126-03", "studio", "HP LaserJet M126nw", (77,), ()),
)
REGION_OF_SITE = {"hq": "east", "branch": "east", "school": "west", "studio": "west"}


def reading_of(
    device_id: str,
    at: datetime,
    levels: tuple[int, ...],
    errors: tuple[str, ...],
    count: int,
    tenant: str = DEFAULT_TENANT,
) -> DeviceReading:
    """Return a reading with toners at `levels` percent (-3: some remaining) and the given error bits."""
    supplies = tuple(
        MarkerSupply(
            index=f"1.{number}",
            name=f"{colour.title()} Toner",
            type="toner",
            cls="supplyThatIsConsumed",
            colorant=colour,
            unit="percent",
            capacity=100,
            level=level,
            level_state=LevelState.KNOWN if level >= 0 else LevelState.SOME_REMAINING,
            percent=float(level) if level >= 0 else None,
        )
        for number, (colour, level) in enumerate(zip(COLOURS, levels, strict=False), 1)
    )
    derived = tuple(
        DerivedSupply(index=row.index, kind="toner", colour=row.colorant, source={"kind": "name"})
        for row in supplies
    )
    return DeviceReading(
        tenant=tenant,
        device_id=device_id,
        polled_at=at,
        identity=DeviceIdentity(vendor="Canon", model="iR-ADV", serial="X1", firmware="1.2"),
        supplies=supplies,
        status=DeviceStatus(errors={"1": errors} if errors else {}),
        counters=Counters(prt_marker_life_count={"1.1": count}),
        derived=Derived(vendor="canon", supplies=derived),
    )


def forecasts_of(roster: tuple[tuple[object, ...], ...] = ROSTER) -> list[Forecast]:
    origin = Provenance(
        made_at=NOW,
        as_of=NOW.date(),
        model="supplies-test/1",
        basis=ForecastBasis.OWN_HISTORY,
        age_of_data_days=0.1,
        reasons=(Reason("reasons.supply_pages_left", {"pages": 900, "pages_per_day": 300.0}),),
    )
    forecasts: list[SupplyForecast | LifeForecast | FailureForecast] = []
    for device_id, _, _, levels, _ in roster:
        for number, level in enumerate(levels, 1):
            days = Interval(level * 0.4, level * 0.6, level * 0.9) if level >= 0 else None
            forecasts.append(
                SupplyForecast(
                    tenant=DEFAULT_TENANT,
                    device_id=DeviceId(device_id),
                    supply_index=f"1.{number}",
                    kind="toner",
                    colour=COLOURS[number - 1],
                    level_percent=float(min(level, 100)) if level >= 0 else None,
                    days_to_empty=days,
                    pages_per_day=Interval(200, 300, 420) if days else None,
                    missing_reason=None if days else "reasons.missing_some_remaining",
                    replenish=bool(days and days.p50 < 7),
                    provenance=origin,
                )
            )
        forecasts.append(
            LifeForecast(
                tenant=DEFAULT_TENANT,
                device_id=DeviceId(device_id),
                component="device",
                used_share=0.41,
                design_life_pages=600_000,
                days_to_replacement=Interval(200, 260, 400),
                provenance=origin,
            )
        )
        forecasts.append(
            FailureForecast(
                tenant=DEFAULT_TENANT,
                device_id=DeviceId(device_id),
                component="fuser",
                p_fail_7d=0.02,
                p_fail_14d=0.04,
                provenance=origin,
            )
        )
    return forecasts
