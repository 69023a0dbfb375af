"""What the cells of an import must be: one check a field, each refusal in words that name the cell's content."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import checked_identifier

Convert = Callable[[str], Any]
_DAY_FORMS: Final = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日", "%Y%m%d")


def text(cell: str) -> str:
    """Return a text of at most 200 characters without control characters."""
    if len(cell) > 200 or any(ord(one) < 32 for one in cell):
        raise InvalidValue("a text of at most 200 characters without line ends")
    return cell


def identifier(cell: str) -> str:
    """Return an id."""
    return checked_identifier(cell, "id")


def day(cell: str) -> date:
    """Return a day in one of the usual forms, year first."""
    plain = cell.partition(" ")[0].partition("T")[0]
    for form in _DAY_FORMS:
        try:
            return datetime.strptime(plain, form).replace(tzinfo=UTC).date()
        except ValueError:
            continue
    raise InvalidValue(f"{cell[:40]!r} is no day such as 2026-11-22")


def instant(cell: str) -> datetime:
    """Return an instant, UTC unless the text says otherwise; a day alone is its noon."""
    try:
        found = datetime.fromisoformat(cell.replace("Z", "+00:00").replace("/", "-"))
    except ValueError:
        found = datetime.combine(day(cell), time(12))
    if "T" not in cell and ":" not in cell:
        found = datetime.combine(found.date(), time(12))
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=ZoneInfo("UTC"))


def decimal(cell: str) -> Decimal:
    """Return an exact number; a thousands separator is allowed, a sign is not."""
    try:
        found = Decimal(cell.replace(",", "").replace("¥", "").replace("%", "").strip())
    except InvalidOperation:
        raise InvalidValue(f"{cell[:40]!r} is no number") from None
    if not found.is_finite() or found < 0 or found > Decimal("1e12"):
        raise InvalidValue(f"{cell[:40]!r} must be from 0 to 1,000,000,000,000")
    return found


def whole(cell: str) -> int:
    """Return a whole number from 0 on."""
    found = decimal(cell)
    if found != found.to_integral_value():
        raise InvalidValue(f"{cell[:40]!r} must be a whole number")
    return int(found)


def percent(cell: str) -> float:
    """Return a percentage, 0 to 100."""
    found = float(decimal(cell))
    if found > 100:
        raise InvalidValue(f"{cell[:40]!r} must be 0 to 100 percent")
    return found


def choice(*allowed: str) -> Convert:
    """Return a check that takes these words only, whatever their case."""

    def check(cell: str) -> str:
        found = cell.strip().lower()
        if found not in allowed:
            raise InvalidValue(f"{cell[:40]!r} must be one of {', '.join(allowed)}")
        return found

    return check


#: kind -> field -> (check, needed)
FIELDS: Final[Mapping[str, Mapping[str, tuple[Convert, bool]]]] = {
    "customers": {
        "customer_id": (identifier, True),
        "name": (text, True),
        "kind": (choice("company", "person"), False),
        "contact_name": (text, False),
        "phone": (text, False),
        "email": (text, False),
        "industry": (text, False),
        "language": (choice("zh-cn", "en"), False),
        "identity_number": (text, False),
        "registration_number": (text, False),
    },
    "sites": {
        "site_id": (identifier, True),
        "customer_id": (identifier, True),
        "name": (text, True),
        "address": (text, False),
        "region": (text, False),
    },
    "contracts": {
        "contract_id": (identifier, True),
        "customer_id": (identifier, True),
        "starts_on": (day, True),
        "ends_on": (day, True),
        "monthly_rent": (decimal, True),
        "on_site_hours": (whole, False),
        "plan": (text, False),
        "lines": (whole, False),
        "device_value": (decimal, False),
        "document": (text, False),
    },
    "devices": {
        "device_id": (identifier, True),
        "serial": (text, False),
        "customer_id": (identifier, False),
        "site_id": (identifier, False),
        "contract_id": (identifier, False),
        "vendor": (text, False),
        "model_name": (text, False),
        "asset_tag": (text, False),
        "host": (text, False),
        "transport": (choice("snmp", "mqtt"), False),
        "owner_state": (choice("stock", "installed", "loan", "repair", "retired", "lost"), False),
        "installed_on": (day, False),
    },
    "readings": {
        "device_id": (identifier, False),
        "serial": (text, False),
        "at": (instant, True),
        "total": (whole, False),
        "billing_total": (whole, False),
        "mono": (whole, False),
        "colour": (whole, False),
        "black_percent": (percent, False),
        "cyan_percent": (percent, False),
        "magenta_percent": (percent, False),
        "yellow_percent": (percent, False),
    },
    "print_totals": {
        "device_id": (identifier, False),
        "serial": (text, False),
        "account": (text, True),
        "mono": (whole, False),
        "colour": (whole, False),
        "pages": (whole, False),
    },
}


def converted(kind: str, row: Mapping[str, str]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the checked values of a row and what is wrong with it as (field, reason)."""
    values: dict[str, Any] = {}
    wrong: list[tuple[str, str]] = []
    for name, (check, needed) in FIELDS[kind].items():
        cell = row.get(name, "")
        if not cell:
            if needed:
                wrong.append((name, "is needed"))
            continue
        try:
            values[name] = check(cell)
        except InvalidValue as error:
            wrong.append((name, str(error)))
    return values, wrong
