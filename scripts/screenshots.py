# ruff: noqa: INP001 - a script, not a package
r"""Takes pictures of every page of a running Drumbeat, to be looked at before a release and shown in the documents.

    python scripts/screenshots.py http://127.0.0.1:8080 --people manager:... --people technician:... --people customer:... \
        --into docs/screenshots --webp --pair

Widths 1280 and 390, light and dark, zh-CN and English; `--pair` takes the desk in light English and the phone in dark Chinese. Needs Playwright and Debian's chromium.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
OFFICE_PAGES = {
    "fleet": "/", "devices": "/devices", "device": "/", "outlook": "/outlook", "findings": "/findings",
    "tickets": "/tickets", "ticket": "/tickets", "work-orders": "/work-orders", "plan": "/plan", "incidents": "/incidents",
    "team": "/team", "regular-care": "/regular-care", "notices": "/notices", "messages": "/messages", "stock": "/stock", "stock-moves": "/stock/moves",
    "swaps": "/stock/swaps", "loans": "/stock/loans", "meters": "/meters", "charges": "/charges", "import": "/import",
    "customers": "/customers", "customer": "/customers", "tasks": "/tasks", "complaints": "/complaints", "segments": "/segments",
    "invoices": "/invoices", "invoice": "/invoices", "contracts": "/contracts", "contract": "/contracts", "ageing": "/ageing",
    "service-quality": "/service-quality", "forecast-quality": "/forecast-quality", "outcomes": "/outcomes", "policy": "/policy",
    "docs": "/docs",
}  # fmt: skip
FIELD_PAGES = {"work": "/work", "work-order": "/work", "van": "/van", "hours": "/hours"}
CUSTOMER_PAGES = {
    "my": "/my", "my-meters": "/my/meters", "my-meter": "/my/meters", "my-care": "/my/care", "my-estimates": "/my/estimates", "my-questions": "/my/questions", "my-invoices": "/invoices", "prices": "/prices",
}  # fmt: skip
#: Who looks at which pages, in the order of --people.
VISITORS = (OFFICE_PAGES, FIELD_PAGES, CUSTOMER_PAGES)
#: Width, theme and language of the pictures in the documents.
PAIR = ((1280, "light", "en"), (390, "dark", "zh-CN"))
#: On these pages the first link of that selector is followed.
FOLLOW = {
    "device": "#out tbody a.lead", "ticket": "main a.tile", "work-order": "main .job a",
    "my-meter": "main a[href^='/meters/']", "customer": "main table a", "invoice": "main table a.lead", "contract": "main table a.lead",
}  # fmt: skip


def main() -> int:
    """Take all pictures; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("address")
    parser.add_argument(
        "--people",
        action="append",
        required=True,
        help="name:password; the first sees the office pages, the second those of a technician, the third those of a customer",
    )
    parser.add_argument("--into", type=Path, default=Path("screenshots"))
    parser.add_argument("--only", help="part of the file name")
    parser.add_argument(
        "--pair", action="store_true", help="the two kinds of pictures that the documents show"
    )
    parser.add_argument("--whole", action="store_true", help="the whole page instead of one screen")
    parser.add_argument(
        "--webp", action="store_true", help="WebP instead of PNG: small enough for the repository"
    )
    arguments = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.stderr.write("chromium is not installed: sudo apt-get install chromium\n")
        return 1
    arguments.into.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for path in shots(browser, arguments):
            sys.stdout.write(f"{path}\n")
        browser.close()
    return 0


def as_webp(picture: Path) -> Path:
    """Replace a PNG by a WebP of a quarter of its size; return the new path."""
    target = picture.with_suffix(".webp")
    with Image.open(picture) as image:
        image.convert("RGB").save(target, "WEBP", quality=70, method=6)
    picture.unlink()
    return target


def shots(browser: Browser, arguments: argparse.Namespace) -> Iterator[Path]:
    """Yield the path of each picture taken."""
    pages = list(zip(arguments.people, VISITORS, strict=False))
    for width, theme, language in (
        PAIR if arguments.pair else product((1280, 390), ("light", "dark"), ("zh-CN", "en"))
    ):
        suffix = f"{width}-{theme}-{language}"
        for who, addresses in pages:
            wanted = {
                name: path
                for name, path in addresses.items()
                if not arguments.only or arguments.only in f"{name}-{suffix}"
            }
            if not wanted:
                continue
            context = browser.new_context(
                viewport={"width": width, "height": 860 if width > 600 else 844},
                color_scheme=theme, locale=language, device_scale_factor=1 if width > 600 else 2,
            )  # fmt: skip
            context.add_cookies([{"name": "drumbeat_lang", "value": language, "url": arguments.address}])
            page = context.new_page()
            page.goto(f"{arguments.address}/sign-in")
            name, _, password = who.partition(":")
            page.fill("#name", name)
            page.fill("#password", password)
            page.click("button.primary")
            for shot, path in wanted.items():
                page.goto(arguments.address + path)
                if shot in FOLLOW:
                    if not page.locator(FOLLOW[shot]).count():
                        sys.stderr.write(f"{path} shows nothing to follow for {name}: no picture of {shot}\n")
                        continue
                    page.locator(FOLLOW[shot]).first.click()
                    page.wait_for_load_state()
                target = arguments.into / f"{shot}-{suffix}.png"
                page.screenshot(path=target, full_page=arguments.whole)
                yield target if not arguments.webp else as_webp(target)
            context.close()


if __name__ == "__main__":
    sys.exit(main())
