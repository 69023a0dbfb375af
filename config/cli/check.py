"""`drumbeat check-config`: everything that is read at start, checked without starting anything."""

from typing import Final

import typer

from config.cli.common import JsonFlag, print_json, session_of
from config.loaders import load_knowledge
from config.locale_files import load_messages, missing_keys
from crm_core.domain.errors import InvalidConfiguration

app = typer.Typer(add_completion=False)


@app.command()
def check_config(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Check settings, policy, catalogue, fault codes and texts; exit 1 with the first mistake."""
    settings = session_of(context).settings
    knowledge = load_knowledge(settings)
    messages = load_messages()
    gaps = missing_keys(messages)
    if gaps:
        language, keys = next(iter(gaps.items()))
        raise InvalidConfiguration(f"texts: {language} lacks {len(keys)} keys, first {min(keys)}")
    answer = {
        "ok": True,
        "data_dir": str(settings.general.folder),
        "telemetry_store": settings.telemetry.store,
        "snmp_engine": settings.snmp.engine,
        "models": len(knowledge.catalogue.models),
        "fault_codes": len(knowledge.fault_codes.rows),
        "policy_versions": [version.book.version for version in knowledge.policies],
        "texts": len(messages.keys("en")),
    }
    if as_json:
        print_json(answer)
    else:
        for key, value in answer.items():
            typer.echo(f"{key}: {value}")


APPS: Final = {"check-config": app}
