"""`drumbeat customer`: customers with their classes, and the classification itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Annotated, Final

import typer

from config.cli.common import JsonFlag, print_json, print_table, session_of
from config.clock import SystemClock
from config.wiring.core import Core, open_core
from config.wiring.customers import build_customers, customers_night
from config.wiring.telemetry import open_telemetry
from crm_core.domain.customer_files import CustomerSource
from crm_core.domain.errors import InvalidValue
from crm_core.domain.fleet import Customer, CustomerKind
from crm_core.domain.identity import CustomerId
from crm_core.domain.wire import instant_to_json
from crm_core.relations.classifier import Classification
from crm_core.relations.segments import classes_at, members
from crm_core.relations.services import CustomerServices

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Show customers with their classes; classify them."
)


@app.command("list")
def list_customers(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List all customers with tier, mark, loyalty and responsible person."""
    core = open_core(session_of(context).settings, SystemClock())
    with core.uow_factory() as uow:
        customers = uow.customers.all(core.tenant)
        held = classes_at(uow.relations.present_classes(core.tenant))
    rows = [
        {
            "customer_id": each.customer_id,
            "name": each.name,
            "kind": each.kind.value,
            "tier": each.tier.value,
            "owner": each.owner,
            "classes": held.get(each.customer_id, {}),
        }
        for each in customers
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("customer", "name", "tier", "mark", "loyalty", "owner"),
        (
            (
                each.customer_id,
                each.name,
                each.tier.value,
                held.get(each.customer_id, {}).get("mark"),
                held.get(each.customer_id, {}).get("loyalty"),
                each.owner,
            )
            for each in customers
        ),
    )


@app.command()
def show(
    context: typer.Context,
    customer_id: Annotated[str, typer.Argument(help="Id of the customer.")],
    as_json: JsonFlag = False,
) -> None:
    """Show the classes of a customer with their reasons, the past ones too."""
    core = open_core(session_of(context).settings, SystemClock())
    with core.uow_factory() as uow:
        customer = uow.customers.get(core.tenant, customer_id)
        classes = uow.relations.classes.where(core.tenant, customer_id=customer_id)
    rows = [
        {
            "axis": row.axis,
            "value": row.value,
            "since": instant_to_json(row.since),
            "until": row.until and instant_to_json(row.until),
            "reasons": [
                f"{each.measure} {each.value} {each.relation} {each.threshold} ({each.basis})"
                for each in row.reasons
            ],
        }
        for row in sorted(classes, key=lambda row: (row.until is not None, row.axis))
    ]
    if as_json:
        print_json({"customer_id": customer.customer_id, "name": customer.name, "classes": rows})
        return
    cells = ((r["axis"], r["value"], r["since"], r["until"], "; ".join(r["reasons"] or [])) for r in rows)
    print_table(("axis", "class", "since", "until", "reasons"), cells, title=customer.name)


@app.command()
def add(
    context: typer.Context,
    customer_id: Annotated[str, typer.Argument(help="Id that the customer shall have.")],
    name: Annotated[str, typer.Option(help="Name of the customer.")],
    contact: Annotated[str | None, typer.Option(help="Contact person; needed for a company.")] = None,
    kind: Annotated[CustomerKind, typer.Option(help="person or company.")] = CustomerKind.COMPANY,
    phone: Annotated[str | None, typer.Option(help="Phone number.")] = None,
    industry: Annotated[str | None, typer.Option(help="Industry, as education, finance or design.")] = None,
    source: Annotated[CustomerSource | None, typer.Option(help="How the customer came.")] = None,
    referred_by: Annotated[str | None, typer.Option(help="Id of the customer who referred this one.")] = None,
) -> None:
    """Add a customer; a company without a contact person is refused."""
    with _opened(context) as (core, customers):
        made = customers.files.register(
            Customer(
                tenant=core.tenant,
                customer_id=CustomerId(customer_id),
                name=name,
                kind=kind,
                contact_name=contact,
                phone=phone,
                industry=industry,
                source=source,
                referred_by=CustomerId(referred_by) if referred_by else None,
            )
        )
    typer.echo(f"{made.customer_id} is a customer; the file is due for review on {made.review_due_on}")


@app.command()
def classify(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say who would move; needs --set.")] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Threshold for the dry run: axis.class.measure=VALUE; repeat for more."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Classify all customers now, as the night does; with --dry-run and --set say who would move."""
    if bool(changes) != dry_run:
        raise InvalidValue(
            "--dry-run and --set belong together: the figures in force change by `drumbeat policy change`"
        )
    with _opened(context) as (core, customers):
        if dry_run:
            found = customers.classifier.dry_run(
                core.tenant, dict(_threshold(each) for each in changes or ())
            )
        else:
            found = customers.classifier.run(core.tenant)
            customers_night(core, customers)
    _print_moves(found, as_json=as_json)


@app.command()
def segments(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the segments with their definition and who is in them."""
    core = open_core(session_of(context).settings, SystemClock())
    with core.uow_factory() as uow:
        held = classes_at(uow.relations.present_classes(core.tenant))
    rows = [
        {
            "segment": each.name,
            "definition": {axis: list(values) for axis, values in each.classes.items()},
            "offer": each.offer,
            "customers": members(each, held),
        }
        for each in core.policy.relations.segments
    ]
    if as_json:
        print_json(rows)
    else:
        cells = (
            (each.name, each.offer, ", ".join(members(each, held))) for each in core.policy.relations.segments
        )
        print_table(("segment", "offer", "customers"), cells)


def _print_moves(found: Classification, *, as_json: bool) -> None:
    if as_json:
        moves = [
            {"customer_id": m.customer_id, "axis": m.axis, "from": m.from_value, "to": m.to_value}
            for m in found.moves
        ]
        print_json({"customers": found.customers, "moves": moves})
        return
    cells = ((m.customer_id, m.name, m.axis, m.from_value, m.to_value) for m in found.moves)
    print_table(("customer", "name", "axis", "from", "to"), cells, title=f"{found.customers} customers")


def _threshold(text: str) -> tuple[str, Decimal]:
    key, equals, value = text.partition("=")
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if not equals or not number.is_finite():
        raise InvalidValue(f"--set {text!r} must be axis.class.measure=NUMBER")
    return key.strip(), number


@contextmanager
def _opened(context: typer.Context) -> Iterator[tuple[Core, CustomerServices]]:
    """Open the services with telemetry, which print volume needs, and close it afterwards."""
    core = open_core(session_of(context).settings, SystemClock())
    telemetry = open_telemetry(core)
    try:
        yield (
            core,
            build_customers(core.uow_factory, core.clock, core.policy, core.catalogue, telemetry.store),
        )
    finally:
        telemetry.close()


APPS: Final = {"customer": app}
