"""Where a person may go: the places of the product in sections, so that the bar stays short on a phone.

A page that people should find is one line in `PLACES`: its section, its text key `nav.<key>` in pages.toml, its
address, and the roles of the rule that its route declares. The first place in sight leads the section.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from api.access import (
    CARE,
    CUSTOMERS,
    MANAGERS,
    MONEY,
    OFFICE,
    STAFF,
    SUPERVISORS,
    TECHNICIANS,
    WHOLE_FIRM,
    Principal,
    Rule,
)
from crm_core.domain.service import Role

_INVOICED: Final = Rule(MONEY.roles | {Role.CUSTOMER}, owned=True)


@dataclass(frozen=True, slots=True)
class Place:
    """One page in the navigation; `section` is fleet, service, stock, customers, money, insight or firm."""

    section: str
    key: str
    href: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class Entry:
    """One link of a bar; `key` is a text under `nav.` in pages.toml."""

    key: str
    href: str
    current: bool


PLACES: Final[tuple[Place, ...]] = (
    Place("my_work", "my_work", "/work", TECHNICIANS),
    Place("my_work", "van", "/van", TECHNICIANS),
    Place("my_work", "hours", "/hours", TECHNICIANS),
    Place("my_work", "messages", "/messages", TECHNICIANS),
    Place("my_devices", "my_devices", "/my", CUSTOMERS),
    Place("my_devices", "my_meters", "/my/meters", CUSTOMERS),
    Place("my_devices", "my_estimates", "/my/estimates", CUSTOMERS),
    Place("my_devices", "my_care", "/my/care", CUSTOMERS),
    Place("my_devices", "my_questions", "/my/questions", CUSTOMERS),
    Place("my_devices", "prices", "/prices", CUSTOMERS),
    Place("my_devices", "messages", "/messages", CUSTOMERS),
    Place("fleet", "fleet", "/", OFFICE),
    Place("fleet", "devices", "/devices", STAFF),
    Place("fleet", "outlook", "/outlook", OFFICE),
    Place("fleet", "findings", "/findings", OFFICE),
    Place("service", "tickets", "/tickets", STAFF),
    Place("service", "work_orders", "/work-orders", OFFICE),
    Place("service", "plan", "/plan", OFFICE),
    Place("service", "team", "/team", OFFICE),
    Place("service", "regular_care", "/regular-care", OFFICE),
    Place("service", "incidents", "/incidents", OFFICE),
    Place("service", "notices", "/notices", OFFICE),
    Place("service", "messages", "/messages", OFFICE),
    Place("stock", "stock", "/stock", OFFICE),
    Place("stock", "stock_moves", "/stock/moves", OFFICE),
    Place("stock", "swaps", "/stock/swaps", OFFICE),
    Place("stock", "loans", "/stock/loans", OFFICE),
    Place("customers", "customers", "/customers", OFFICE),
    Place("customers", "my_tasks", "/tasks", CARE),
    Place("customers", "complaints", "/complaints", CARE),
    Place("customers", "segments", "/segments", CARE),
    Place("insight", "forecast_quality", "/forecast-quality", OFFICE),
    Place("insight", "outcomes", "/outcomes", MANAGERS),
    Place("money", "invoices", "/invoices", _INVOICED),
    Place("money", "contracts", "/contracts", _INVOICED),
    Place("money", "ageing", "/ageing", MONEY),
    Place("money", "meters", "/meters", MONEY),
    Place("money", "charges", "/charges", CARE),
    Place("firm", "policy", "/policy", MANAGERS),
    Place("firm", "import", "/import", WHOLE_FIRM),
    Place("insight", "service_quality", "/service-quality", SUPERVISORS),
)

#: Places whose single things have a page of their own: its help text is `<key>_one`.
ONE: Final = frozenset({"devices", "tickets", "work_orders", "customers", "invoices", "contracts"})


def sections_of(principal: Principal | None, path: str) -> list[Entry]:
    """Return the links of the upper bar."""
    here = _place_at(principal, path)
    entries: dict[str, Entry] = {}
    for section, places in _sections(principal):
        key = places[0].key if len(places) == 1 else f"section_{section}"
        entries[section] = Entry(key, places[0].href, here is not None and here.section == section)
    return list(entries.values())


def places_of(principal: Principal | None, path: str) -> list[Entry]:
    """Return the links of the section that the path lies in; nothing when it has one page only."""
    here = _place_at(principal, path)
    places = next((found for section, found in _sections(principal) if here and section == here.section), [])
    return [Entry(place.key, place.href, place is here) for place in places] if len(places) > 1 else []


def help_of(principal: Principal | None, path: str) -> str | None:
    """Return the key of the help text of a page, None outside the places: one thing of a list has a text of its own."""
    here = _place_at(principal, path)
    if here is None:
        return None
    return f"help.page.{here.key}_one" if path != here.href and here.key in ONE else f"help.page.{here.key}"


def _sections(principal: Principal | None) -> Iterator[tuple[str, list[Place]]]:
    seen: dict[str, list[Place]] = {}
    for place in PLACES:
        if principal is not None and principal.only_order is None and place.rule.admits(principal):
            seen.setdefault(place.section, []).append(place)
    yield from seen.items()


def _place_at(principal: Principal | None, path: str) -> Place | None:
    """Return the place in sight whose address is the longest beginning of the path."""
    found = [
        place
        for _, places in _sections(principal)
        for place in places
        if path == place.href or (place.href != "/" and path.startswith(f"{place.href}/"))
    ]
    return max(found, key=lambda place: len(place.href), default=None)
