#!/usr/bin/env bash
# Runs a command in the network of a box of its own (up.sh), which ends with it.
#
#   with.sh COMMAND...
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
box=$(mktemp -d)
trap '"$here/down.sh" "$box"; rm -rf "$box"' EXIT
enter=$("$here/up.sh" "$box")
SENTINEL_REAL_NODES=1 "$enter" "$@"
