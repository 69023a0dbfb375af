"""Which model suits a request: decided from the catalogue's fields by industry, needs and volume, with reasons (4-7, 116)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from crm_core.domain.catalogue import Catalogue, DeviceModel
from crm_core.domain.credit import Recommendation, Remark
from crm_core.domain.credit_policy import IndustryNeed, RecommendationPolicy
from crm_core.domain.errors import InvalidValue

#: Features that the questionnaire may ask for; each is a field of the catalogue.
FEATURES: Final = (
    "colour",
    "duplex",
    "staple",
    "mobile_print",
    "disk_encryption",
    "user_rights",
    "separate_drum",
    "pantone",
)
MUST: Final = 3  # the priority at which a feature that is missing refuses a model


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of a model: pages a month of one device, features with priority 1 to 3, the industry."""

    pages_mono: int
    pages_colour: int
    needs: Mapping[str, int]
    industry: str | None = None


def check_needs(needs: Mapping[str, int]) -> None:
    """Raise `InvalidValue` for a feature that the catalogue does not carry or a priority other than 1 to 3."""
    unknown = sorted(needs.keys() - set(FEATURES))
    if unknown:
        raise InvalidValue(f"needs: {', '.join(unknown)} unknown; ask for {', '.join(FEATURES)}")
    if any(not 1 <= priority <= MUST for priority in needs.values()):
        raise InvalidValue("needs: a priority is 1 (nice to have), 2 (important) or 3 (must)")


def recommend(catalogue: Catalogue, asked: Asked, policy: RecommendationPolicy) -> list[Recommendation]:
    """Return every model, the best first: what the industry prefers leads, then points; refused ones with why, last."""
    check_needs(asked.needs)
    rule = next((each for each in policy.industries if each.industry == asked.industry), None)
    judged = [_judge(model, asked, rule, policy) for model in catalogue.models]
    return sorted(judged, key=_order)


def warnings_for(
    model: DeviceModel | None, industry: str | None, policy: RecommendationPolicy
) -> tuple[str, ...]:
    """Return the features that a model lacks though its customer's industry should have them (5)."""
    rule = next((each for each in policy.industries if each.industry == industry), None)
    if rule is None or model is None:
        return ()
    return tuple(feature for feature in rule.warn if not _has(model, feature))


def _order(row: Recommendation) -> tuple[bool, int, Decimal, str]:
    preferred = sum(remark.kind == "prefers" for remark in row.remarks)
    return row.refused, -preferred, -row.points, row.name


def _judge(
    model: DeviceModel, asked: Asked, rule: IndustryNeed | None, policy: RecommendationPolicy
) -> Recommendation:
    remarks = list(_remarks(model, asked, rule, policy))
    points = sum((_points(remark, asked, policy) for remark in remarks), Decimal(0))
    return Recommendation(
        model_id=model.model_id,
        name=model.name,
        points=points.quantize(Decimal("0.1")),
        refused=any(remark.kind == "refuses" for remark in remarks),
        remarks=tuple(remarks),
    )


def _remarks(
    model: DeviceModel, asked: Asked, rule: IndustryNeed | None, policy: RecommendationPolicy
) -> Iterator[Remark]:
    if asked.pages_colour and not model.capabilities.colour:
        yield Remark(kind="refuses", feature="colour", detail=f"{asked.pages_colour} colour pages a month")
    if rule is not None:
        yield from _by_industry(model, rule)
    for feature, priority in asked.needs.items():
        if _has(model, feature):
            yield Remark(kind="meets", feature=feature, detail=str(priority))
        else:
            kind = "refuses" if priority == MUST else "misses"
            yield Remark(kind=kind, feature=feature, detail=str(priority))
    if model.list_price is None:
        yield Remark(kind="refuses", feature="list_price", detail="no price in the catalogue")
    yield _volume(model, asked, policy)


def _by_industry(model: DeviceModel, rule: IndustryNeed) -> Iterator[Remark]:
    for field, least in rule.must.items():
        value = getattr(model.capabilities, field, None)
        if value is None or Decimal(value) < least:
            shown = "unknown" if value is None else f"{value}"
            yield Remark(kind="refuses", feature=field, detail=f"{shown} < {least:f} ({rule.industry})")
    for feature in rule.warn:
        if not _has(model, feature):
            yield Remark(kind="warns", feature=feature, detail=rule.industry)
    for feature in rule.prefer:
        if _has(model, feature):
            yield Remark(kind="prefers", feature=feature, detail=rule.industry)


def _volume(model: DeviceModel, asked: Asked, policy: RecommendationPolicy) -> Remark:
    """Return how the pages asked for fit what the model usually does, as a factor."""
    pages = max(asked.pages_mono + asked.pages_colour, 1)
    factor = Decimal(model.typical_pages_a_month) / pages
    shown = f"{factor.quantize(Decimal('0.01'))}"
    off = factor > policy.volume_tolerance or factor * policy.volume_tolerance < 1
    return Remark(kind="refuses" if off else "fits", feature="volume", detail=shown)


def _points(remark: Remark, asked: Asked, policy: RecommendationPolicy) -> Decimal:
    match remark.kind:
        case "meets":
            return policy.need_weight * asked.needs[remark.feature]
        case "prefers":
            return policy.prefer_weight
        case "warns":
            return -policy.need_weight
        case "fits":
            factor = max(Decimal(remark.detail), Decimal("0.01"))
            return policy.fit_weight * min(factor, 1 / factor)
        case _:
            return Decimal(0)


def _has(model: DeviceModel, feature: str) -> bool:
    return bool(getattr(model.capabilities, feature, False))
