"""The nightly look back: what became of forecasts, what is odd in the data, what the months ahead will need.

It runs after the forecasts are saved and in a transaction of its own: forecasts stand even if this fails. It writes through
`uow.quality` (and check tasks through `uow.relations`); people see it on the quality page and over the API.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.drift import drifted
from analytics.features import FleetState, day_number
from analytics.integrity import Oddity, looks_at, oddities
from analytics.model_registry import ModelRegistry
from analytics.outlook import CustomerFacts, churn, demand, idle_devices, volumes
from analytics.part_fits import ConfirmedFailure
from analytics.scorecard import broken_promise, failure_days, promises_of, resolved, score_rows, with_news
from crm_core.domain.fleet import Contract, Device
from crm_core.domain.forecast import FailureForecast, LifeForecast, Reason, SupplyForecast
from crm_core.domain.identity import CustomerId, DeviceId, TenantId
from crm_core.domain.part_lives import PartLife
from crm_core.domain.policy import PolicyBook
from crm_core.domain.quality import Finding, FindingKind, FindingState, Outlook, OutlookKind, Score
from crm_core.domain.relations import ComplaintState, Task, TaskState
from crm_core.domain.service import Role
from crm_core.domain.telemetry import DeviceReading
from crm_core.ports import Clock, TelemetryStore, UnitOfWork, UnitOfWorkFactory

CHECK_TASK: Final = "data_check"
CHURN_TASK: Final = "churn_warning"
_ACT_ON: Final = 2  # reasons to leave; a single complaint or renewal has a task of its own
_MODELS: Final = ("supplies", "failures", "pages")
_READINGS_AT_ONCE: Final = 20_000  # newest readings looked at for serials in one night
_KEPT_DAYS: Final = 400  # promises older than that are forgotten


class QualityNight:
    """One tenant's nightly look back. Holds nothing between nights."""

    def __init__(
        self, tenant: TenantId, store: TelemetryStore, uow_factory: UnitOfWorkFactory, policy: PolicyBook, clock: Clock,
        registry: ModelRegistry, reading: UnitOfWorkFactory | None = None,
    ) -> None:  # fmt: skip
        self._reading = reading or uow_factory  # long looks keep no writer waiting
        self._tenant = tenant
        self._store = store
        self._uow_factory = uow_factory
        self._policy = policy.quality
        self._clock = clock
        self._registry = registry

    def judge(
        self, state: FleetState, devices: Mapping[str, Device], supplies: Sequence[SupplyForecast],
        risks: Sequence[FailureForecast], failures: Sequence[ConfirmedFailure], as_of: date,
        seen: npt.NDArray[np.float32] | None,
    ) -> None:  # fmt: skip
        """Keep tonight's promises, judge those that came due, raise and clear findings."""
        models = {name: str(device.model_id or device.model_name or "") for name, device in devices.items()}
        window = as_of - timedelta(days=self._policy.window_days)
        with self._reading() as uow:
            opened = uow.quality.open_promises(self._tenant)
            kept = uow.quality.promises_since(self._tenant, window)
        known = failure_days((each.device_id, each.day) for each in failures)
        news = [
            *resolved(state, opened, known, as_of),
            *promises_of(state, supplies, risks, as_of, models),
        ]
        scores = score_rows(self._tenant, with_news(kept, news, window), as_of)
        odd = oddities(state, devices, day_number(as_of), self._readings(devices, as_of), self._policy)
        found = [*self._broken(scores), *self._drift(seen), *odd]
        with self._uow_factory() as uow:
            uow.quality.save_promises(news)
            uow.quality.save_scores(scores)
            uow.quality.forget_promises(self._tenant, as_of - timedelta(days=_KEPT_DAYS))
            self._keep(uow, found, devices, as_of)
            uow.commit()

    def look_ahead(
        self, state: FleetState, devices: Mapping[str, Device], supplies: Sequence[SupplyForecast],
        lives: Sequence[LifeForecast], as_of: date,
    ) -> None:  # fmt: skip
        """Work out demand by month, idle devices and customers who may leave."""
        models = {name: str(device.model_name or device.model_id or "?") for name, device in devices.items()}
        pages = state.supply.nominal / state.supply.slope
        yields = {
            (state.device_ids[key.device_row], key.index): float(pages[row])
            for row, key in enumerate(state.keys)
        }
        with self._reading() as uow:
            customers = self._customers(uow)
        rows = {
            OutlookKind.DEMAND: demand(supplies, lives, models, yields, as_of),
            OutlookKind.IDLE: idle_devices(state, devices, as_of, self._policy),
            OutlookKind.CHURN: churn(
                customers, volumes(state, devices, day_number(as_of)), as_of, self._policy
            ),
        }
        with self._uow_factory() as uow:
            for kind, made in rows.items():
                self._save(uow, kind, as_of, made)
            self._warn_of_churn(uow, rows[OutlookKind.CHURN], as_of)
            uow.commit()

    def show_part_lives(self, lives: Sequence[PartLife], as_of: date) -> None:
        """Write down how long each kind of part lasts, for the survival curves of the device's page."""
        with self._uow_factory() as uow:
            self._save(uow, OutlookKind.PART_LIVES, as_of, [life.as_row() for life in lives])
            uow.commit()

    def _save(
        self, uow: UnitOfWork, kind: OutlookKind, as_of: date, rows: Sequence[Mapping[str, object]]
    ) -> None:
        uow.quality.save_outlook(Outlook(tenant=self._tenant, kind=kind, as_of=as_of, rows=tuple(rows)))

    def show_models(self, as_of: date) -> None:
        """Write down the cards of all models, who is in charge and who cannot serve, so that people see it without files.

        Every night, not after training only: a model is taken out of service, or its file refused, in between.
        """
        rows: list[Mapping[str, object]] = []
        for name in _MODELS:
            promoted, refusal = self._registry.promoted_id(name), self._registry.refusal(name)
            for card in self._registry.cards(name)[-12:]:
                shown = {key: value for key, value in card.items() if key not in ("deciles", "shares")}
                its = card["model_id"] == promoted
                rows.append(
                    {**shown, "champion": its and refusal is None, "refused": refusal if its else None}
                )
        with self._uow_factory() as uow:
            self._save(uow, OutlookKind.MODELS, as_of, rows)
            uow.commit()

    # --- findings ------------------------------------------------------------------------------------------------------

    def _broken(self, scores: Iterable[Score]) -> list[Oddity]:
        """Demote the supply model whose intervals have left their band: the hierarchical formula takes over."""
        champion = self._registry.champion_id("supplies")
        if champion is None:
            return []
        policy = self._policy
        broken = broken_promise(
            scores, champion, policy.coverage_least, policy.coverage_most, policy.coverage_rows
        )
        if broken is None or broken.coverage is None:
            return []
        self._registry.demote("supplies")
        arguments: dict[str, str | int | float] = {
            "percent": round(100 * broken.coverage), "least": round(100 * policy.coverage_least),
            "most": round(100 * policy.coverage_most), "rows": broken.rows, "model": champion,
        }  # fmt: skip
        reason = Reason("reasons.found_coverage", arguments)
        return [Oddity(FindingKind.COVERAGE, "supplies", abs(broken.coverage - 0.8), (reason,))]

    def _drift(self, seen: npt.NDArray[np.float32] | None) -> list[Oddity]:
        model_id = self._registry.champion_id("supplies")
        if seen is None or model_id is None:
            return []
        families = drifted(self._registry.card(model_id), seen, self._policy.drift_limit)
        worst = sorted(families, key=lambda name: -families[name])[:3]
        reasons = tuple(Reason(f"reasons.drift_{name}", {"index": families[name]}) for name in worst)
        return [Oddity(FindingKind.DRIFT, "supplies", max(families.values()), reasons)] if reasons else []

    def _readings(self, devices: Mapping[str, Device], as_of: date) -> dict[str, DeviceReading]:
        """Return newest readings for their serials: of all devices, or of a part of a very large fleet every night."""
        names = sorted(devices)
        if len(names) > _READINGS_AT_ONCE:
            parts = -(-len(names) // _READINGS_AT_ONCE)
            names = names[day_number(as_of) % parts :: parts]
        found = self._store.newest_many(self._tenant, [DeviceId(name) for name in names])
        return {str(device_id): reading for device_id, reading in found.items()}

    def _keep(
        self, uow: UnitOfWork, found: Sequence[Oddity], devices: Mapping[str, Device], as_of: date
    ) -> None:
        """Raise new findings with their check tasks, renew those that still stand, clear those that are gone."""
        known = {
            (each.kind, each.subject): each
            for each in uow.quality.findings.where(self._tenant, limit=1_000_000)
        }
        present = {(each.kind, each.device_id): each for each in found}
        for key, oddity in present.items():
            before = known.get(key)
            device = devices.get(oddity.device_id)
            if before is None:
                uow.quality.findings.add(self._finding(oddity, device, as_of))
            else:
                back = before.state is FindingState.GONE
                uow.quality.findings.save(
                    replace(
                        before, last_seen=as_of, score=round(oddity.score, 4), reasons=oddity.reasons,
                        state=FindingState.OPEN if back else before.state,
                        first_seen=as_of if back else before.first_seen,
                    )
                )  # fmt: skip
            if before is None or before.state is FindingState.GONE:
                self._ask_for_check(uow, oddity, device, as_of)
        for key, before in known.items():
            looked = looks_at(before.kind, day_number(as_of))
            if before.kind is FindingKind.COVERAGE:  # stands until another model serves
                looked = self._registry.champion_id("supplies") is not None
            if looked and key not in present and before.state is not FindingState.GONE:
                uow.quality.findings.save(replace(before, state=FindingState.GONE))

    def _finding(self, oddity: Oddity, device: Device | None, as_of: date) -> Finding:
        return Finding(
            tenant=self._tenant, finding_id=0, kind=oddity.kind, subject=oddity.device_id,
            device_id=device.device_id if device else None, customer_id=device.customer_id if device else None,
            first_seen=as_of, last_seen=as_of, score=round(oddity.score, 4), reasons=oddity.reasons,
        )  # fmt: skip

    def _ask_for_check(self, uow: UnitOfWork, oddity: Oddity, device: Device | None, as_of: date) -> None:
        """Ask a dispatcher to look: a task, not a ticket - nothing is known to be broken."""
        if device is None or device.customer_id is None or oddity.kind is FindingKind.SILENT:
            return  # silence has its own way (`crm_core.silence`)
        now = self._clock.now()
        uow.relations.tasks.add_once(
            Task(
                tenant=self._tenant, task_id=0, kind=CHECK_TASK, subject=f"{oddity.kind.value}:{device.device_id}",
                period=as_of.isoformat(), customer_id=device.customer_id, created_at=now, role="dispatcher",
                due_at=now + timedelta(days=self._policy.check_days), detail={"device_id": str(device.device_id), "finding": oddity.kind.value},
            )
        )  # fmt: skip

    def _warn_of_churn(self, uow: UnitOfWork, rows: Sequence[Mapping[str, object]], as_of: date) -> None:
        """Ask somebody to act where the volume falls or several reasons meet (99); one task while one is open, one a month."""
        open_now = uow.relations.tasks.where(
            self._tenant, kind=CHURN_TASK, state=TaskState.OPEN, limit=100_000
        )
        asked = {task.subject for task in open_now}
        now = self._clock.now()
        for row in rows:
            customer, fall = CustomerId(str(row["customer_id"])), float(str(row["volume_fall"]))
            subject = f"customer:{customer}"
            serious = int(str(row["warnings"])) >= _ACT_ON or fall >= self._policy.churn_volume_fall
            if not serious or subject in asked:
                continue
            uow.relations.tasks.add_once(
                Task(
                    tenant=self._tenant, task_id=0, kind=CHURN_TASK, subject=subject, period=f"{as_of:%Y-%m}",
                    customer_id=customer, created_at=now, role=Role.SPECIALIST.value,
                    due_at=now + timedelta(days=self._policy.check_days),
                    detail={"volume_fall": f"-{100 * fall:.0f} %"} if fall > 0 else {},
                )
            )  # fmt: skip

    def _customers(self, uow: UnitOfWork) -> list[CustomerFacts]:
        complaints: dict[str, int] = {}
        for complaint in uow.relations.complaints.where(self._tenant, limit=100_000):
            if complaint.state is not ComplaintState.CLOSED:
                complaints[complaint.customer_id] = complaints.get(complaint.customer_id, 0) + 1
        contracts: dict[str, list[Contract]] = {}
        for contract in uow.contracts.all(self._tenant):
            contracts.setdefault(str(contract.customer_id), []).append(contract)
        return [
            CustomerFacts(
                customer,
                complaints.get(customer.customer_id, 0),
                contracts.get(str(customer.customer_id), ()),
            )
            for customer in uow.customers.all(self._tenant)
        ]
