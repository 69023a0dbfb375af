#!/bin/sh
# Writes requirements.lock from pyproject.toml: one file for Python 3.11 to 3.13 on Linux, macOS and Windows,
# with hashes, without the address of any package index and without comments that could name one.
set -eu
uv=$(command -v uv || printf '%s/uv' "$1")
"$uv" pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet -o requirements.lock
if grep -nE '://|^(-|/)|file:' requirements.lock; then
  echo 'requirements.lock names an address or a path: see the lines above' >&2
  exit 1
fi
echo "requirements.lock: $(grep -c == requirements.lock) packages"
