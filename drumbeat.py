"""Launcher: makes the product's own folders win over any other package of the same name.

The top-level folders carry plain names (`api`, `config`, ...). A foreign distribution may bring a package
of the same name, so the application folder goes first on `sys.path`: the checkout itself, or
`drumbeat_app/` beside this file in an installed wheel.
"""

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_APPLICATION = _HERE / "drumbeat_app" if (_HERE / "drumbeat_app").is_dir() else _HERE
sys.path.insert(0, str(_APPLICATION))


def main() -> None:
    """Run the `drumbeat` command line."""
    from config.cli import main as run  # only now does the path name the right `config`

    run()


if __name__ == "__main__":
    main()
