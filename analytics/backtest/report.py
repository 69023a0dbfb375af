"""The back-test as a page for people: what was forecast, what happened, and how to read the pictures."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

from analytics.backtest.report_words import both, chinese

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1c2733;--soft:#5d6b7a;--paper:#fff;--line:#d7dee6;--main:#0b6bcb;--good:#1a8f5a;--other:#b9c4cf}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa7b4;--paper:#12181f;--line:#2b3642;--main:#63a9f5;--good:#3fb67f;--other:#4a5866}}
body{margin:0 auto;max-width:1040px;padding:24px;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
h1{font-size:24px;margin:0 0 4px}h2{font-size:17px;margin:0 0 4px}p{margin:4px 0 12px;color:var(--soft)}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(420px,100%),1fr));gap:28px}
table{border-collapse:collapse;margin:12px 0 28px}td,th{padding:4px 14px 4px 0;text-align:left;border-bottom:1px solid var(--line)}
td+td{text-align:right;padding-right:0;font-variant-numeric:tabular-nums}
section{min-width:0;max-width:620px}svg{width:100%;height:auto}svg text{fill:var(--soft);font-size:12px}
.axis{stroke:var(--soft);fill:none}.grid{stroke:var(--line);fill:none}.ideal{stroke:var(--soft);stroke-dasharray:4 4;fill:none}
.main{stroke:var(--main);fill:none;stroke-width:2}.truth{stroke:var(--good);fill:none;stroke-width:2}.band{fill:var(--main);opacity:.22}
.third{stroke:#c2570c;fill:none;stroke-width:2}.mark-main{fill:var(--main)}.mark-truth{fill:var(--good)}.mark-third{fill:#c2570c}
.dot{fill:var(--main)}.good{fill:var(--good)}.other{fill:var(--other)}
"""


_WHAT_IT_IS: Final = (
    "The past is walked through day by day as if each day were today. Everything was learned before the first forecast; "
    "no forecast knows a later day."
)
_NOT_JUDGED: Final = "What could not be judged"
#: For programs (they stand in the JSON), not for readers.
_NOT_SHOWN: Final = frozenset({"out", "ticket_thresholds", "calibration", "not_judged"})


def write_report(
    path: Path, title: str, facts: Mapping[str, object], pictures: Sequence[tuple[str, str, str]],
    not_judged: Sequence[str] = (),
) -> None:  # fmt: skip
    """Write an HTML file in both languages; `pictures` are (heading, how to read it, SVG).

    `not_judged` says in whole sentences what the history was too short for.
    """
    lacks = "".join(_paragraphs(sentence) for sentence in not_judged)
    if lacks:
        lacks = f"<h2>{escape(both(_NOT_JUDGED))}</h2>{lacks}"
    rows = "".join(
        f"<tr><td>{escape(both(name))}</td><td>{escape(_figure(value))}</td></tr>"
        for name, value in facts.items()
        if name not in _NOT_SHOWN
    )
    figures = "".join(
        f"<section><h2>{escape(both(heading))}</h2>{_paragraphs(reading)}{svg}</section>"
        for heading, reading, svg in pictures
    )
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(both(title))}</title><style>{_STYLE}</style><h1>{escape(both(title))}</h1>{_paragraphs(_WHAT_IT_IS)}"
        f'<table>{rows}</table>{lacks}<div class="pictures">{figures}</div></html>'
    )
    path.write_text(page, encoding="utf-8")


def _paragraphs(text: str) -> str:
    words = chinese(text)
    return f"<p>{escape(text)}</p>" + (f'<p lang="zh-CN">{escape(words)}</p>' if words else "")


def _figure(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return both(str(value)) if isinstance(value, str) else str(value)
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else f"{value:g}"
