"""What a notice says, in the receiver's language and local time: composed when it leaves, from its key and arguments."""

import json
from datetime import datetime
from zoneinfo import ZoneInfo

from crm_core.domain.messages import Messages
from crm_core.domain.notices import Notice
from crm_core.domain.wording import worded_detail


def composed(notice: Notice, messages: Messages, time_zone: str) -> tuple[str, str]:
    """Return title and text of a notice; what was written by a person stays as it is."""
    words = _words(notice, messages, time_zone)
    title = messages.text(notice.language, f"{notice.text_key}_subject", **words)
    return title, messages.text(notice.language, notice.text_key, **words).strip()


def _words(notice: Notice, messages: Messages, time_zone: str) -> dict[str, object]:
    """Return the arguments as words: titles, states, instants."""
    language = notice.language
    words: dict[str, object] = {
        name: "–" if value is None else value for name, value in notice.arguments.items()
    }
    title_key, detail = notice.arguments.get("title_key"), notice.arguments.get("detail")
    if isinstance(title_key, str) and isinstance(detail, str):
        words["title"] = messages.text(
            language, title_key, **worded_detail(json.loads(detail), messages, language)
        )
    for name, family in (("state", "state"), ("clock", "clock"), ("kind", "kind")):
        value = notice.arguments.get(name)
        if isinstance(value, str):
            words[name] = messages.text(language, f"pages.{family}.{value}")
    for name in ("promised", "due"):
        value = notice.arguments.get(name)
        if isinstance(value, str):
            local = datetime.fromisoformat(value).astimezone(ZoneInfo(time_zone))
            words[name] = local.strftime("%Y-%m-%d %H:%M")
    return words
