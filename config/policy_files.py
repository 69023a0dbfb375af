"""Reads the figures of the business from `config/policy/*.yaml`: each with its unit and requirement, by date.

A leaf is `{value, unit?, requirement, note?}`; its key is `<file>.<table>...<name>`. Later versions lie in
folders `from-YYYY-MM-DD` beside the files and hold only what changes. A missing, unknown or impossible figure
is refused with its key; nothing has a default in code.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from config.calendar_files import load_calendar
from config.catalogue_files import read_yaml
from config.policy_sections.agreements import agreements_policy
from config.policy_sections.billing import billing_policy
from config.policy_sections.fieldwork import fieldwork_policy
from config.policy_sections.notices import notices_policy
from config.policy_sections.quality import quality_policy
from config.policy_sections.relations import relations_policy
from config.policy_sections.stock import stock_policy
from config.policy_sections.trust import trust_policy
from config.policy_taker import Figure, Taker
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.fleet import CustomerTier
from crm_core.domain.policy import (
    CauseRule,
    DispatchPolicy,
    FailurePolicy,
    LifePolicy,
    PolicyBook,
    ReplenishmentPolicy,
    SlaPolicy,
    TriagePolicy,
)
from crm_core.domain.service import TicketLevel, WorkOrderKind
from crm_core.domain.sla import EscalationStep

POLICY: Final = Path(__file__).parent / "policy"
REQUIREMENTS: Final = range(1, 121)  # reference numbers of the rental firm's documents
_LEAF: Final = frozenset({"value", "unit", "requirement", "note"})


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """All figures in force from a date, and the book made of them."""

    book: PolicyBook
    figures: Mapping[str, Figure]


def load_policies(folder: Path = POLICY, *more: Path) -> tuple[PolicyVersion, ...]:
    """Return all versions in `folder`, oldest first; `more` folders hold further `from-...` folders.

    Raises `InvalidConfiguration` naming file and key.
    """
    figures = dict(_figures_of(folder))
    versions = [_version(folder, folder, figures)]
    for later in _later_folders((folder, *more)):
        changes = dict(_figures_of(later))
        unknown = sorted(changes.keys() - figures.keys())
        if unknown:
            raise InvalidConfiguration(f"{later}: changes figures that do not exist: {', '.join(unknown)}")
        figures = {**figures, **changes}
        versions.append(_version(folder, later, figures))
        if any(version.book.version == versions[-1].book.version for version in versions[:-1]):
            raise InvalidConfiguration(f"{later}: version {versions[-1].book.version} exists already")
        if versions[-1].book.effective_from <= versions[0].book.effective_from:
            raise InvalidConfiguration(f"{later}: begins before the first version")
    return tuple(versions)


def _later_folders(roots: tuple[Path, ...]) -> list[Path]:
    """Return the version folders of all roots by date; a date stands for one version."""
    found = sorted((later for root in roots for later in root.glob("from-*")), key=lambda each: each.name)
    for one, other in itertools.pairwise(found):
        if one.name == other.name:
            raise InvalidConfiguration(f"{other}: {one} holds a version of the same date")
    return found


def policy_on(versions: tuple[PolicyVersion, ...], day: date) -> PolicyVersion:
    """Return the version in force on `day`; before the first one, the first."""
    in_force = [version for version in versions if version.book.effective_from <= day]
    return in_force[-1] if in_force else versions[0]


def _version(folder: Path, part: Path, figures: Mapping[str, Figure]) -> PolicyVersion:
    head = read_yaml(part / "book.yaml")
    extra = sorted(head.keys() - {"version", "effective_from"})
    since = head.get("effective_from")
    if extra or not isinstance(since, date) or not isinstance(head.get("version"), str):
        raise InvalidConfiguration(
            f"{part / 'book.yaml'}: must hold exactly version (a text) and effective_from (a date)"
        )
    if part != folder and part.name != f"from-{since.isoformat()}":
        raise InvalidConfiguration(
            f"{part / 'book.yaml'}: effective_from {since} does not fit the folder's name"
        )
    return make_version(folder, head["version"], since, figures)


def make_version(folder: Path, name: str, since: date, figures: Mapping[str, Figure]) -> PolicyVersion:
    """Return the version that the figures make, with the calendars of `folder`; every figure is checked."""
    take = Taker(folder, figures)
    book = PolicyBook(
        version=name,
        effective_from=since,
        sla=_sla(take, folder),
        triage=_triage(take),
        replenishment=_replenishment(take),
        life=_life(take),
        failures=_failures(take),
        dispatch=_dispatch(take),
        stock=stock_policy(take),
        notices=notices_policy(take),
        fieldwork=fieldwork_policy(take),
        relations=relations_policy(take),
        agreements=agreements_policy(take),
        billing=billing_policy(take),
        trust=trust_policy(take),
        quality=quality_policy(take),
    )
    take.nothing_left()
    return PolicyVersion(book, dict(figures))


def _figures_of(folder: Path) -> Iterator[tuple[str, Figure]]:
    for path in sorted(folder.glob("*.yaml")):
        if path.name != "book.yaml":
            yield from figures_in(path, path.stem, read_yaml(path))


def figures_in(path: Path, prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of a file or of a table in it with their keys, which begin with `prefix`."""
    for name, entry in table.items():
        key = f"{prefix}.{name}"
        if not isinstance(entry, Mapping):
            raise InvalidConfiguration(
                f"{path}: {key} must be a figure {{value, requirement}} or a table of them"
            )
        if "value" in entry:
            yield key, _figure(path, key, entry)
        else:
            yield from figures_in(path, key, entry)


def _figure(path: Path, key: str, entry: Mapping[str, Any]) -> Figure:
    extra = sorted(entry.keys() - _LEAF)
    if extra:
        raise InvalidConfiguration(f"{path}: {key} has unknown parts: {', '.join(map(str, extra))}")
    if entry.get("requirement") not in REQUIREMENTS:
        raise InvalidConfiguration(f"{path}: {key} must name its requirement, 1 to {REQUIREMENTS[-1]}")
    if not isinstance(entry["value"], (bool, int, float, str)):
        raise InvalidConfiguration(f"{path}: {key}: the value must be a number, text, true or false")
    unit, note = str(entry.get("unit", "")), str(entry.get("note", ""))
    return Figure(key, entry["value"], unit, entry["requirement"], note, path)


def _sla(take: Taker, folder: Path) -> SlaPolicy:
    return SlaPolicy(
        calendar=load_calendar(folder / "calendars" / f"{take.text('sla.calendar')}.yaml"),
        first_response={tier: take.duration(f"sla.first_response.{tier.value}") for tier in CustomerTier},
        first_response_business_hours=take.flag("sla.first_response.business_hours"),
        restore={level: take.duration(f"sla.restore.{level.value}") for level in TicketLevel},
        restore_business_hours={
            level: take.flag(f"sla.restore_business_hours.{level.value}") for level in TicketLevel
        },
        proposal={tier: take.duration(f"sla.proposal.{tier.value}") for tier in CustomerTier},
        proposal_business_hours=take.flag("sla.proposal.business_hours"),
        call_back=take.duration("sla.call_back.within"),
        call_back_business_hours=take.flag("sla.call_back.business_hours"),
        escalation={
            step: take.number(f"sla.escalation.{step.value}", least=0.01, most=10) for step in EscalationStep
        },
        at_risk_within=take.duration("sla.at_risk_within"),
        calendars={path.stem: load_calendar(path) for path in sorted((folder / "calendars").glob("*.yaml"))},
    )


def _triage(take: Taker) -> TriagePolicy:
    rules = tuple(_rule(take, f"triage.rules.{name}") for name in take.names_under("triage.rules"))
    if not any(rule.prefix == "" for rule in rules):
        raise InvalidConfiguration("triage.rules: one rule needs the empty prefix, for all other causes")
    return TriagePolicy(
        rules=rules,
        max_automatic_tickets_per_device_day=take.whole("triage.budget.per_device_day", least=1),
        max_automatic_tickets_per_site_day=take.whole("triage.budget.per_site_day", least=1),
        jam_count_for_ticket=take.whole("triage.jam.count_for_ticket", least=1),
        jam_window=take.duration("triage.jam.window"),
        silent_after=take.duration("triage.silence.after"),
        silent_business_time=take.duration("triage.silence.business_time"),
        clear_hold=take.duration("triage.closing.clear_hold"),
        settle_after=take.duration("triage.closing.settle_after"),
        verify_after=take.duration("triage.closing.verify_after"),
        close_after=take.duration("triage.closing.close_after"),
        recall_within=take.duration("triage.closing.recall_within"),
        storm_devices=take.whole("triage.storm.devices", least=2),
        storm_share=take.number("triage.storm.share", most=1),
        storm_window=take.duration("triage.storm.window"),
        storm_settle=take.duration("triage.storm.settle"),
        fleet_storm_share=take.number("triage.storm.fleet_share", most=1),
        campaign_devices=take.whole("triage.campaign.devices", least=2),
        campaign_share=take.number("triage.campaign.share", most=1),
        campaign_window=take.duration("triage.campaign.window"),
    )


def _rule(take: Taker, table: str) -> CauseRule:
    return CauseRule(
        prefix=take.text(f"{table}.prefix"),
        raise_observations=take.whole(f"{table}.raise_observations", least=1, most=1000),
        raise_after=take.duration(f"{table}.raise_after"),
        clear_observations=take.whole(f"{table}.clear_observations", least=1, most=1000),
        clear_after=take.duration(f"{table}.clear_after"),
    )


def _replenishment(take: Taker) -> ReplenishmentPolicy:
    policy = ReplenishmentPolicy(
        delivery_days=take.number("forecasts.replenishment.delivery", most=90),
        raise_at_days_left=take.number("forecasts.replenishment.raise_at_days_left", most=365),
        clear_at_days_left=take.number("forecasts.replenishment.clear_at_days_left", most=365),
        stock_out_cost=take.number("forecasts.replenishment.stock_out_cost"),
        watch_days_left=take.number("forecasts.replenishment.watch_days_left", least=1, most=365),
        early_waste_cost_per_day=take.number("forecasts.replenishment.early_waste_cost_per_day"),
    )
    if policy.clear_at_days_left <= policy.raise_at_days_left:
        raise InvalidConfiguration(
            "forecasts.replenishment: clear_at_days_left must be more than raise_at_days_left"
        )
    return policy


def _life(take: Taker) -> LifePolicy:
    return LifePolicy(
        replacement_share=take.number("forecasts.life.replacement_share", least=0.01, most=2),
        part_ticket_days_left=take.number("forecasts.life.part_ticket_days_left", most=365),
        device_years=take.number("forecasts.life.device_years", least=1, most=50),
        proposal_rest=take.duration("forecasts.life.proposal_rest"),
        part_failed_share=take.number("forecasts.life.part_failed_share", least=0.01, most=0.99),
    )


def _failures(take: Taker) -> FailurePolicy:
    return FailurePolicy(
        bundle_threshold_p14=take.number("forecasts.failures.bundle_threshold_p14", most=1),
        visit_threshold_p14=take.number("forecasts.failures.visit_threshold_p14", most=1),
        tickets_per_100_devices_month=take.number(
            "forecasts.failures.tickets_per_100_devices_month", most=3000
        ),
        breakdown_cost=take.number("forecasts.failures.breakdown_cost"),
        visit_cost=take.number("forecasts.failures.visit_cost"),
    )


def _dispatch(take: Taker) -> DispatchPolicy:
    policy = DispatchPolicy(
        minutes_on_site={
            kind.value: take.whole(f"dispatch.minutes_on_site.{kind.value}", least=1, most=1440)
            for kind in WorkOrderKind
        },
        travel_speed_kmh=take.number("dispatch.travel_speed", least=1, most=500),
        unknown_travel=take.duration("dispatch.unknown_travel"),
        day_starts_minutes=take.whole("dispatch.day_starts", most=1440),
        day_ends_minutes=take.whole("dispatch.day_ends", most=1440),
        promise_slack=take.duration("dispatch.promise_slack"),
        replan_share=take.number("dispatch.replan_share", most=1),
        weights={
            tier.value: take.number(f"dispatch.weight.{tier.value}", least=0.1, most=1000)
            for tier in CustomerTier
        },
    )
    if policy.day_ends_minutes <= policy.day_starts_minutes:
        raise InvalidConfiguration("dispatch: day_ends must be later than day_starts")
    return policy
