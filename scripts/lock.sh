#!/bin/sh
# Writes the lock files, or checks that they are what pyproject.toml asks for.
#
#   lock.sh             after a change in pyproject.toml: keeps every pin that still fits
#   lock.sh --upgrade   takes the newest versions that fit
#   lock.sh --check     writes nothing; exit 1 when a lock file is not current
#
# A check starts from the pins and hashes that are there, so a newer release upstream does not make it fail.
set -eu
mode=${1:-}
uv=$PWD/.venv/bin/uv
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The work is done in a scratch folder under plain file names, so no path of this machine gets into a lock file.
cp pyproject.toml "$scratch"
if [ "$mode" != --upgrade ]; then
  cp requirements.lock requirements-dev.lock "$scratch"
fi

compile() { # NAME ARGUMENT...
  name=$1
  shift
  (cd "$scratch" && "$uv" pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
    --generate-hashes --all-extras --group build --custom-compile-command "make lock" \
    "$@" pyproject.toml --output-file "$name")
}

compile requirements.lock
compile requirements-dev.lock --group dev --constraints requirements.lock

if [ "$mode" != --check ]; then
  cp "$scratch/requirements.lock" "$scratch/requirements-dev.lock" .
  exit
fi
for name in requirements.lock requirements-dev.lock; do
  if ! diff -u "$name" "$scratch/$name"; then
    echo "$name does not follow from pyproject.toml any more: run 'make lock' and commit the result" >&2
    exit 1
  fi
done
