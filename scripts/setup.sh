#!/bin/sh
# Creates the virtual environment and installs what requirements.lock names, then the project itself (editable).
# Called by make; uses uv when it is on the PATH, else the standard library's venv and pip.
set -eu
VENV=${VENV:-.venv}
say() { printf 'drumbeat: %s\n' "$*" >&2; }
fail() { say "$1"; shift; for line in "$@"; do say "  $line"; done; exit 1; }
fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14 python; do
    if fits "$candidate"; then printf '%s' "$candidate"; return 0; fi
  done
  return 1
}

packages=$(grep -c '==' requirements.lock)
if command -v uv >/dev/null 2>&1; then
  python=$(find_python) || python='>=3.11'   # uv fetches one when the machine has none
  fits "$VENV/bin/python" || { say "creating $VENV with uv"; uv venv -q --allow-existing --python "$python" "$VENV"; }
  say "installing $packages packages with uv (once; a few seconds to two minutes)"
  uv pip install --python "$VENV/bin/python" --require-hashes -r requirements.lock
  uv pip install -q --python "$VENV/bin/python" --no-deps --no-build-isolation -e .
  say "compiling to bytecode, so that the first start is quick"
else
  python=$(find_python) || fail 'needs Python 3.11 or newer.' \
    'Debian, Ubuntu:  sudo apt-get install python3 python3-venv' \
    'or name one:     make setup PYTHON=/path/to/python3.12'
  "$python" -c 'import ensurepip' >/dev/null 2>&1 || fail "$python cannot create virtual environments." \
    'Debian, Ubuntu:  sudo apt-get install python3-venv'
  fits "$VENV/bin/python" || { say "creating $VENV with $("$python" --version)"; "$python" -m venv "$VENV"; }
  "$VENV/bin/python" -m pip --version >/dev/null 2>&1 || "$VENV/bin/python" -m ensurepip -q  # made by uv, without pip
  say "installing $packages packages with pip (once; one to four minutes, pip shows the progress)"
  "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --no-compile \
    --require-hashes -r requirements.lock
  "$VENV/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
  say "compiling to bytecode, so that the first start is quick"
fi
"$VENV/bin/python" -m compileall -q -j 0 "$VENV/lib" >/dev/null 2>&1 || true  # some packages carry templates that are no Python
"$VENV/bin/drumbeat" --help >/dev/null || fail "the installation does not start." "try:  make clean setup"
say "ready"
