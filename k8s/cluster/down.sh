#!/usr/bin/env bash
# Stops what up.sh started for DIR, by its process ids; the state stays and up.sh goes on from it.
#
#   down.sh DIR
set -uo pipefail
dir=$(cd "$1" && pwd) || exit 2
ours() { # NAME: its process id, if it still lives and works in DIR: an id may have been given to somebody else since
  local pid
  pid=$(cat "$dir/pids/$1" 2>/dev/null) || return 1
  [[ $(readlink "/proc/$pid/cwd") == "$dir" ]] && echo "$pid"
}
signal() { # SIGNAL: to all that still live; fails when none does
  local name pid found=1
  for name in kwok scheduler manager apiserver etcd; do
    pid=$(ours "$name") && found=0 && kill "-$1" "$pid" 2>/dev/null
  done
  return $found
}
signal TERM
# The API server takes its time for open watches; nothing is lost when it is not given.
for _ in $(seq 20); do signal 0 || break; sleep 0.1; done
signal KILL
rm -f "$dir"/pids/*
