"""Tables from files of strangers, and tables that are safe to open in a spreadsheet.

CSV may be UTF-8 (with or without byte order mark), UTF-16 with a mark, or GB 18030; XLSX is looked at before it is
opened, because an archive of a few kilobytes can unpack to gigabytes. Every refusal says what to do.
"""

import csv
import io
import itertools
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from openpyxl import Workbook, load_workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.utils.exceptions import InvalidFileException

from crm_core.domain.errors import InvalidValue

Cell = str | int | float | datetime | date | None

MOST_BYTES: Final = 20 * 1024 * 1024
MOST_ROWS: Final = 100_000
MOST_COLUMNS: Final = 200
MOST_CELL: Final = 4000
_MOST_UNPACKED: Final = 200 * 1024 * 1024
_MOST_RATIO: Final = 200
_MOST_PARTS: Final = 1000
_ZIP: Final = b"PK\x03\x04"
_DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table with named columns; every cell is a text without surrounding blanks, empty where there is nothing."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    encoding: str = "utf-8"

    def as_dicts(self) -> list[dict[str, str]]:
        """Return the rows by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def read_sheet(body: bytes) -> Sheet:
    """Return the table of a CSV or XLSX file; raise `InvalidValue` with what to do about it."""
    if len(body) > MOST_BYTES:
        raise InvalidValue(f"the file has {len(body)} bytes, at most {MOST_BYTES} are read: split it")
    if not body.strip():
        raise InvalidValue("the file is empty")
    if body.startswith(_ZIP):
        return _from_xlsx(body)
    if body.startswith(b"\xd0\xcf\x11\xe0"):
        raise InvalidValue("this is an old .xls file: save it as .xlsx or CSV")
    return _from_csv(body)


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, mark: bool = True) -> bytes:
    """Return the table as CSV (RFC 4180); a text that a spreadsheet would run as a formula gets an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([_defused(column) for column in columns])
    for row in rows:
        writer.writerow([_defused(_plain(cell)) for cell in row])
    return (b"\xef\xbb\xbf" if mark else b"") + out.getvalue().encode("utf-8", "replace")


def write_xlsx(columns: Sequence[str], rows: Iterable[Sequence[Cell]], title: str) -> bytes:
    """Return the table as one sheet; texts are stored as texts, never as formulas."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title[:31])
    sheet.freeze_panes = "A2"
    for row in ([*columns], *rows):
        sheet.append([_as_text_cell(sheet, cell) for cell in row])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _as_text_cell(sheet: object, cell: Cell) -> object:
    plain = _plain(cell)
    if not isinstance(plain, str):
        return plain
    made = WriteOnlyCell(sheet, value="".join(one for one in plain if one.isprintable() or one in "\n\t"))
    made.data_type = "s"
    return made


def _plain(cell: Cell) -> str | int | float:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.isoformat().replace("+00:00", "Z")
    return cell.isoformat() if isinstance(cell, date) else cell


def _defused(cell: str | float) -> str | int | float:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_DANGEROUS) else cell


def _from_csv(body: bytes) -> Sheet:
    text, encoding = _decoded(body)
    if "\0" in text:
        raise InvalidValue("the file is neither CSV nor XLSX")
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t|", key=head.count) if any(head.count(each) for each in ",;\t|") else ","
    csv.field_size_limit(MOST_CELL * 4)
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            if any(cell.strip() for cell in row):
                rows.append(row)
            if len(rows) > MOST_ROWS + 1:
                raise InvalidValue(f"more than {MOST_ROWS} rows: split the file")
    except csv.Error as error:
        raise InvalidValue(f"the CSV cannot be read at row {len(rows) + 1}: {error}") from error
    return _sheet(rows, encoding)


def _decoded(body: bytes) -> tuple[str, str]:
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            candidates: tuple[str, ...] = (encoding,)
            break
    else:
        candidates = ("utf-8", "gb18030")
    for encoding in candidates:
        try:
            return body.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    raise InvalidValue("the text is neither UTF-8 nor GBK: save it as CSV UTF-8")


def _from_xlsx(body: bytes) -> Sheet:
    _check_archive(body)
    try:
        book = load_workbook(io.BytesIO(body), read_only=True, data_only=True, keep_links=False)
        found = book.worksheets[0].iter_rows(
            max_col=MOST_COLUMNS + 1, max_row=MOST_ROWS * 2, values_only=True
        )
        texts = ([_text(cell) for cell in row] for row in found)
        rows = list(itertools.islice((row for row in texts if any(row)), MOST_ROWS + 2))
        book.close()
    except (
        InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, TypeError, IndexError, AttributeError,
        OSError, SyntaxError, EOFError, RuntimeError, OverflowError,
    ) as error:  # what openpyxl and its XML parser raise on damaged files  # fmt: skip
        raise InvalidValue(
            f"the XLSX cannot be read ({type(error).__name__}): save it anew or as CSV"
        ) from error
    if len(rows) > MOST_ROWS + 1:
        raise InvalidValue(f"more than {MOST_ROWS} rows: split the file")
    return _sheet(rows, "xlsx")


def _check_archive(body: bytes) -> None:
    """Refuse an archive that would unpack to much more than it is, before anything of it is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, RuntimeError, OSError) as error:
        raise InvalidValue(f"the XLSX is damaged: {error}") from error
    unpacked = sum(part.file_size for part in parts)
    if len(parts) > _MOST_PARTS or unpacked > _MOST_UNPACKED or unpacked > _MOST_RATIO * max(len(body), 1):
        raise InvalidValue(f"the XLSX would unpack to {unpacked} bytes in {len(parts)} parts: refused")
    if any(part.flag_bits & 1 for part in parts):
        raise InvalidValue("the XLSX is protected by a password: save it without one")
    if not any(part.filename == "xl/workbook.xml" for part in parts):
        raise InvalidValue("the archive is no XLSX workbook")


def _text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.isoformat() if cell.time().isoformat() != "00:00:00" else cell.date().isoformat()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return str(cell).strip()


def _sheet(rows: list[list[str]], encoding: str) -> Sheet:
    if not rows:
        raise InvalidValue("the file holds no rows")
    columns = [column.strip().lstrip("\ufeff") for column in rows[0]]
    while columns and not columns[-1]:
        columns.pop()
    if not columns or len(columns) > MOST_COLUMNS:
        raise InvalidValue(f"the first row must name 1 to {MOST_COLUMNS} columns")
    doubled = sorted({column for column in columns if column and columns.count(column) > 1})
    if doubled or not all(columns):
        raise InvalidValue(f"each column needs a name of its own: {', '.join(doubled) or 'one is empty'}")
    made = []
    for number, row in enumerate(rows[1:], 2):
        cells = [_undefused(cell.strip()) for cell in row[: len(columns)]]
        if any(cell.strip() for cell in row[len(columns) :]):
            raise InvalidValue(f"row {number} has more cells than the first row has columns")
        if any(len(cell) > MOST_CELL for cell in cells):
            raise InvalidValue(f"row {number} has a cell of more than {MOST_CELL} characters")
        made.append(tuple(cells + [""] * (len(columns) - len(cells))))
    return Sheet(tuple(columns), tuple(made), encoding)


def _undefused(cell: str) -> str:
    """Return a cell without the apostrophe that `write_csv` put before it."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_DANGEROUS) else cell
