#!/bin/sh
# Prints a Python that the project runs on: the first of $PYTHON, python3.12, python3.11 and python3 that really
# starts (a pyenv shim may exist and fail), is 3.11 or 3.12 and can make a virtual environment with pip in it.
set -eu
for candidate in ${PYTHON:-} python3.12 python3.11 python3; do
  if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' >/dev/null 2>&1; then
    command -v "$candidate"
    exit 0
  fi
done
cat >&2 <<'TEXT'
No usable Python found. Sentinel needs Python 3.11 or 3.12 with its venv module.
  Debian, Ubuntu:  apt-get install python3 python3-venv
  elsewhere:       install Python 3.12, or name one: make PYTHON=/path/to/python3.12 ...
TEXT
exit 1
