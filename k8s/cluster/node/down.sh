#!/usr/bin/env bash
# Ends a box of up.sh: its first process, and the kernel ends the rest.
#
#   down.sh DIR
set -uo pipefail
dir=$(cd "$1" && pwd) || exit 2
pid=$(cat "$dir/box.pid" 2>/dev/null) || exit 0
# An id may have been given to somebody else since: ours runs box.sh for DIR.
if cat "/proc/$pid/cmdline" 2>/dev/null | tr '\0' ' ' | grep -qF "box.sh $dir"; then kill -KILL "$pid"; fi
remove() { # every control group of the box, as soon as nothing lives in it
  local group left=0
  while read -r group; do
    [[ ! -d $group ]] || find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
    [[ ! -d $group ]] || left=1
  done <"$dir/groups"
  return $left
}
for _ in $(seq 100); do remove && break; sleep 0.1; done
rm -f "$dir"/{box.pid,ready,enter}
