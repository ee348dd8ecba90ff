#!/bin/sh
# Installs the project into .venv: exactly what a lock file says, with hashes, then the project itself, editable.
#
#   install.sh LOCK     LOCK is requirements.lock or requirements-dev.lock
#
# uv comes from the same lock file, so that it is as fixed and as checked as everything else.
set -eu
lock=$1
python=.venv/bin/python

if [ ! -x "$python" ]; then
  base=$(scripts/find_python.sh)
  echo "creating .venv with $("$base" --version)"
  "$base" -m venv .venv
fi
if [ ! -x .venv/bin/uv ]; then
  only_uv=.venv/uv.lock.txt
  awk '/^uv==/ {take = 1; print; next} take && /^ / {print; next} {take = 0}' "$lock" >"$only_uv"
  "$python" -m pip install --quiet --no-deps --require-hashes -r "$only_uv"
fi
.venv/bin/uv pip install --quiet --python "$python" --require-hashes -r "$lock"
.venv/bin/uv pip install --quiet --python "$python" --no-deps --no-build-isolation --editable .
