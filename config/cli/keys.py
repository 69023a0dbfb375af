"""`drumbeat keys`: the keys of personal data - which there are, a new one, and old ones away."""

from collections import Counter
from typing import Annotated, Final

import typer

from config.cli.common import JsonFlag, notes, print_json, print_table, session_of
from config.clock import SystemClock
from config.settings import Settings
from config.wiring.core import Core, open_core, open_lock
from crm_core.domain.errors import Conflict
from crm_core.domain.trust import AuditNote
from crm_core.notices.hook_secrets import HookSecrets, keys_in_use
from crm_core.storage.trust.lock import AesPersonalLock, keys_of_file, new_key, write_keys
from crm_core.trust.personal import PersonalData

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="List and rotate the keys of personal data."
)


@app.command("list")
def list_keys(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the ids of the keys, newest first, with the number of fields that each seals. Keys are never shown."""
    core = _core(context)
    rows = _rows(core)
    if as_json:
        print_json([{"key_id": key_id, "fields": fields, "present": here} for key_id, fields, here in rows])
    else:
        print_table(
            ("key", "fields", ""), ((key, fields, "" if here else "MISSING") for key, fields, here in rows)
        )


@app.command()
def rotate(
    context: typer.Context,
    drop_old: Annotated[
        bool,
        typer.Option("--drop-old", help="Remove old keys that seal nothing any more; old backups need them!"),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make a new key and seal every personal field with it, in small steps; the product may run meanwhile.

    With keys in the settings (crm.personal_keys) put the new key first there; this command then only seals anew.
    """
    core = _core(context)
    settings = core.settings
    if not settings.crm.personal_keys:
        path = settings.personal_key_file
        write_keys(path, [new_key(), *keys_of_file(path)])
    moved = _seal_anew(core, open_lock(settings))
    dropped = _drop(settings, core) if drop_old else 0
    if as_json:
        print_json({"fields": moved, "dropped_keys": dropped, "key_id": open_lock(settings).key_ids[0]})
        return
    typer.echo(f"{moved} fields sealed with key {open_lock(settings).key_ids[0]}, {dropped} old keys removed")
    if not drop_old:
        notes.print("old keys stay for old backups; back up personal.key now", markup=False)


def _seal_anew(core: Core, lock: AesPersonalLock) -> int:
    personal, secrets = PersonalData(lock, core.policy, core.clock), HookSecrets(lock)
    total = 0
    while True:
        with core.uow_factory() as uow:
            moved = personal.move_to_newest_key(uow) + secrets.move_to_newest_key(uow)
            if moved:
                total += moved
            else:
                uow.trust.note(
                    AuditNote(
                        tenant=core.tenant,
                        action="keys.rotated",
                        kind="keys",
                        object_id=lock.key_ids[0],
                        detail=f"{total} fields",
                    )
                )
            uow.commit()
        if not moved:
            return total


def _drop(settings: Settings, core: Core) -> int:
    if settings.crm.personal_keys:
        raise Conflict("the keys stand in crm.personal_keys: remove the old ones there")
    keys = keys_of_file(settings.personal_key_file)
    ids = AesPersonalLock(keys).key_ids
    used = _used(core)
    kept = [key for key, key_id in zip(keys, ids, strict=True) if key_id == ids[0] or used.get(key_id)]
    write_keys(settings.personal_key_file, kept)
    return len(keys) - len(kept)


def _rows(core: Core) -> list[tuple[str, int, bool]]:
    used = _used(core)
    ids = open_lock(core.settings).key_ids
    known = [(key_id, used.get(key_id, 0), True) for key_id in ids]
    return known + [(key_id, fields, False) for key_id, fields in used.items() if key_id not in ids]


def _used(core: Core) -> Counter[str]:
    """Return how many fields and secrets each key seals."""
    with core.uow_factory() as uow:
        return Counter(uow.trust.personal_by_key()) + Counter(keys_in_use(uow.notices.webhooks(None)))


def _core(context: typer.Context) -> Core:
    return open_core(session_of(context).settings, SystemClock())


APPS: Final = {"keys": app}
