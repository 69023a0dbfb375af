"""Lists as CSV or XLSX, safe to open in a spreadsheet.

A cell that begins with =, +, -, @, tab or return would be run as a formula (OWASP, CSV injection): texts of that kind
get a leading apostrophe in CSV; XLSX cells are written with the type string. Numbers stay numbers. CSV is UTF-8 with a
byte order mark, because spreadsheets of Chinese Windows read it as GBK otherwise.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.utils.exceptions import IllegalCharacterError

Cell = str | int | float | datetime | None

CSV_TYPE: Final = "text/csv; charset=utf-8"
XLSX_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """Return the table as CSV with CRLF line ends (RFC 4180)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_csv_cell(cell) for cell in row])
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8", "replace")


def as_xlsx(columns: Sequence[str], rows: Iterable[Sequence[Cell]], title: str) -> bytes:
    """Return the table as one sheet with a bold, frozen head."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title[:31])
    sheet.freeze_panes = "A2"
    head = []
    for column in columns:
        cell = WriteOnlyCell(sheet, value=column)
        cell.font = Font(bold=True)
        head.append(cell)
    sheet.append(head)
    for row in rows:
        sheet.append([_xlsx_cell(sheet, cell) for cell in row])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _csv_cell(cell: Cell) -> str | int | float:
    """Return a cell for the CSV writer."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.isoformat().replace("+00:00", "Z")
    if isinstance(cell, str) and cell.startswith(_DANGEROUS):
        return "'" + cell
    return cell


def _xlsx_cell(sheet: object, cell: Cell) -> object:
    """Return a cell for the sheet; a text is always a text, and instants lose their zone (they are UTC)."""
    if isinstance(cell, datetime):
        return cell.replace(tzinfo=None)
    if not isinstance(cell, str):
        return cell
    try:
        made = WriteOnlyCell(sheet, value=cell)
    except IllegalCharacterError:
        made = WriteOnlyCell(sheet, value="".join(c for c in cell if c.isprintable()))
    made.data_type = "s"
    return made
