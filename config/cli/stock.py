"""`drumbeat stock`: what is where, and the entries that people make."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Final

import typer

from config.cli.common import JsonFlag, notes, print_json, print_table, session_of
from config.clock import SystemClock
from config.wiring.core import Core, open_core
from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import ModelId, SiteId
from crm_core.domain.money import Money
from crm_core.domain.stock import (
    ItemId,
    PlaceKey,
    ReorderPoint,
    StockItem,
    StockMove,
    StockPlace,
    parse_place,
)
from crm_core.domain.wire import instant_to_json
from crm_core.ports.stock import MoveFilter
from crm_core.stock.book import StockBook, total_value

stock = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Show what is where, and enter what came, went and was counted.",
)
ItemArgument = Annotated[str, typer.Argument(help="Item; `drumbeat stock items` lists them.")]
Pieces = Annotated[int, typer.Argument(min=1, help="How many pieces.")]
PlaceOption = Annotated[
    str, typer.Option("--place", help="Place such as warehouse:main, van:tech-li, shelf:SITE.")
]
Reference = Annotated[
    str, typer.Option("--reference", help="The paper behind the entry; the same one counts once.")
]
ACTOR: Final = "command line"


@stock.command("list")
def list_stock(
    context: typer.Context,
    item: Annotated[str | None, typer.Option("--item", help="Only this item.")] = None,
    place: Annotated[str | None, typer.Option("--place", help="Only this place.")] = None,
    low: Annotated[bool, typer.Option("--low", help="Only what must be ordered.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show what each place holds, with what is reserved and its value."""
    core = _core(context)
    book = StockBook(core.uow_factory, core.clock)
    if low:
        orders = [
            {"item": row.item.item_id, "place": row.place, "free": row.free, "order": row.order}
            for row in book.reorders(core.tenant)
        ]
        _show(orders, ("item", "place", "free", "order"), as_json)
        return
    rows = book.list(core.tenant, item_id=_item(item), place=_place(place))
    shown = [
        {
            "place": row.balance.place,
            "item": row.item.item_id,
            "quantity": row.balance.quantity,
            "reserved": row.balance.reserved,
            "value": str(row.value.amount),
        }
        for row in rows
    ]
    _show(shown, ("place", "item", "quantity", "reserved", "value"), as_json)
    if not as_json:
        notes.print(f"{total_value(rows).amount} {total_value(rows).currency} at cost", markup=False)


@stock.command()
def items(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the items that are kept."""
    core = _core(context)
    with core.uow_factory() as uow:
        rows = [
            {
                "item": row.item_id,
                "name": row.name,
                "kind": row.kind,
                "colour": row.colour,
                "cost": str(row.unit_cost.amount),
                "fits": [str(each) for each in row.model_ids],
            }
            for row in uow.stock.items(core.tenant)
        ]
    if as_json:
        print_json(rows)
    else:
        print_table(
            ("item", "name", "kind", "colour", "cost"),
            ((r["item"], r["name"], r["kind"], r["colour"], r["cost"]) for r in rows),
        )


@stock.command()
def item(
    context: typer.Context,
    item_id: Annotated[str, typer.Argument(help="Key of the item, usually its part number.")],
    kind: Annotated[str, typer.Option(help="toner, ink, drum, fuser, feed_rollers, ...")],
    cost: Annotated[str, typer.Option(help="Cost of one piece in yuan.")],
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    colour: Annotated[str | None, typer.Option(help="black, cyan, magenta, yellow.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Model that it fits; repeat for more.")] = None,
    reorder: Annotated[
        list[str] | None,
        typer.Option(help="PLACE=LOW-UP: at LOW pieces or fewer order up to UP, as warehouse:main=5-20."),
    ] = None,
) -> None:
    """Add an item, or change what is known of it."""
    core = _core(context)
    StockBook(core.uow_factory, core.clock).save_item(
        StockItem(
            tenant=core.tenant,
            item_id=ItemId(item_id),
            name=name or item_id,
            kind=kind,
            colour=colour,
            part_number=item_id,
            unit_cost=_money(cost),
            model_ids=tuple(ModelId(each) for each in model or ()),
            reorder=tuple(_reorder(each) for each in reorder or ()),
        )
    )
    typer.echo(f"{item_id} is kept at {cost}")


@stock.command()
def place(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="Place such as warehouse:main.")],
    name: Annotated[str, typer.Option(help="What people call it.")],
    region: Annotated[str, typer.Option(help="Region that it serves first.")] = "default",
    latitude: Annotated[
        float | None, typer.Option(min=-90, max=90, help="Degrees; for stand-by machines.")
    ] = None,
    longitude: Annotated[float | None, typer.Option(min=-180, max=180, help="Degrees.")] = None,
) -> None:
    """Name a warehouse and say where it lies."""
    core = _core(context)
    StockBook(core.uow_factory, core.clock).save_place(
        StockPlace(
            tenant=core.tenant,
            place=parse_place(key),
            name=name,
            region=region,
            latitude=latitude,
            longitude=longitude,
        )
    )
    typer.echo(f"{key} is {name}")


@stock.command()
def receive(
    context: typer.Context,
    item_id: ItemArgument,
    quantity: Pieces,
    place: PlaceOption,
    reference: Reference = "",
    as_json: JsonFlag = False,
) -> None:
    """Enter a delivery of a supplier."""
    core = _core(context)
    made = StockBook(core.uow_factory, core.clock).receive(
        core.tenant, ItemId(item_id), quantity, parse_place(place), actor=ACTOR, reference=reference
    )
    _entered(made, as_json)


@stock.command()
def move(
    context: typer.Context,
    item_id: ItemArgument,
    quantity: Pieces,
    source: Annotated[str, typer.Option("--from", help="Place that gives.")],
    target: Annotated[str, typer.Option("--to", help="Place that takes.")],
    reference: Reference = "",
    as_json: JsonFlag = False,
) -> None:
    """Move pieces from one place to another."""
    core = _core(context)
    made = StockBook(core.uow_factory, core.clock).transfer(
        core.tenant,
        ItemId(item_id),
        quantity,
        parse_place(source),
        parse_place(target),
        actor=ACTOR,
        reference=reference,
    )
    _entered(made, as_json)


@stock.command()
def ship(
    context: typer.Context,
    item_id: ItemArgument,
    quantity: Pieces,
    site: Annotated[str, typer.Option("--site", help="Site that it is sent to.")],
    source: Annotated[str, typer.Option("--from", help="Place that gives.")] = "warehouse:main",
    reference: Reference = "",
    as_json: JsonFlag = False,
) -> None:
    """Send pieces to a customer's site; while they are on their way they cover what runs out there."""
    core = _core(context)
    made = StockBook(core.uow_factory, core.clock).ship(
        core.tenant,
        ItemId(item_id),
        quantity,
        parse_place(source),
        SiteId(site),
        actor=ACTOR,
        reference=reference,
    )
    _entered(made, as_json)


@stock.command()
def deliver(
    context: typer.Context,
    item_id: ItemArgument,
    quantity: Pieces,
    site: Annotated[str, typer.Option("--site", help="Site where it arrived.")],
    reference: Reference = "",
    as_json: JsonFlag = False,
) -> None:
    """Note that a shipment arrived: it is on the customer's shelf now."""
    core = _core(context)
    made = StockBook(core.uow_factory, core.clock).deliver(
        core.tenant, ItemId(item_id), quantity, SiteId(site), actor=ACTOR, reference=reference
    )
    _entered(made, as_json)


@stock.command()
def count(
    context: typer.Context,
    item_id: ItemArgument,
    counted: Annotated[int, typer.Argument(min=0, help="How many are really there.")],
    place: PlaceOption,
    note: Annotated[str, typer.Option(help="Why it differs.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Enter what somebody counted; the difference is booked."""
    core = _core(context)
    found = StockBook(core.uow_factory, core.clock).count(
        core.tenant, ItemId(item_id), parse_place(place), counted, actor=ACTOR, note=note
    )
    if as_json:
        print_json({"difference": found.difference, "broken": list(found.broken)})
    else:
        typer.echo(f"difference {found.difference:+d}")
        for holder in found.broken:
            notes.print(f"no longer reserved for {holder}", markup=False)


@stock.command()
def moves(
    context: typer.Context,
    item: Annotated[str | None, typer.Option("--item", help="Only this item.")] = None,
    place: Annotated[str | None, typer.Option("--place", help="Only from or to this place.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """Show how things moved, newest first."""
    core = _core(context)
    rows = [
        {
            "at": instant_to_json(row.at),
            "item": row.item_id,
            "quantity": row.quantity,
            "from": row.source,
            "to": row.target,
            "reason": row.reason.value,
            "actor": row.actor,
        }
        for row in StockBook(core.uow_factory, core.clock).moves(
            core.tenant, MoveFilter(item_id=_item(item), place=_place(place), limit=limit)
        )
    ]
    _show(rows, ("at", "item", "quantity", "from", "to", "reason", "actor"), as_json)


def _core(context: typer.Context) -> Core:
    return open_core(session_of(context).settings, SystemClock())


def _item(text: str | None) -> ItemId | None:
    return ItemId(text) if text else None


def _place(text: str | None) -> PlaceKey | None:
    return parse_place(text) if text else None


def _reorder(text: str) -> ReorderPoint:
    place, _, figures = text.partition("=")
    low, _, up = figures.partition("-")
    if not (low.isdigit() and up.isdigit() and int(low) < int(up)):
        raise InvalidValue(
            f"{text!r} is no reorder point; write PLACE=LOW-UP, for example warehouse:main=5-20"
        )
    return ReorderPoint(place=parse_place(place), at_or_below=int(low), up_to=int(up))


def _money(text: str) -> Money:
    try:
        return Money(Decimal(text))
    except ArithmeticError:
        raise InvalidValue(f"{text!r} is no amount; write for example 420.00") from None


def _entered(made: StockMove | None, as_json: bool) -> None:
    """Say what an entry did; a repeated reference did nothing."""
    if as_json:
        print_json({"repeated": made is None, "move_id": None if made is None else made.move_id})
    elif made is None:
        typer.echo("this reference was entered before; nothing moved")
    else:
        typer.echo(f"{made.quantity} x {made.item_id}: {made.source} -> {made.target}")


def _show(rows: Sequence[Mapping[str, object]], columns: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        print_table(columns, ([row[name] for name in columns] for row in rows))


APPS: Final = {"stock": stock}
