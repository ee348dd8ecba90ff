#!/usr/bin/env bash
# Starts a control plane with one real node, in namespaces of its own on this machine: pods really run, probes probe, the
# kernel kills what takes too much memory. About 20 seconds. As root, on Linux, with runc.
#
#   up.sh DIR             then: DIR/enter kubectl get nodes, or any command, in the box's network with KUBECONFIG set
#
# `down.sh DIR` ends the box and with it every process, mount and network in it. No setting of the machine is changed, and
# nothing in the box can reach out. Images: registry.local/sick:1 and :2 (images/sick.go); others are not to be had.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../versions.sh
source "$here/../versions.sh"
[[ $# == 1 ]] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
((EUID == 0)) || { echo "a real node needs root" >&2; exit 1; }
command -v runc >/dev/null || { echo "a real node needs runc: apt-get install --no-install-recommends runc" >&2; exit 1; }
[[ -e $NODE/.complete ]] || { echo "not built yet: run $here/build.sh" >&2; exit 1; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
[[ ! -e $dir/box.pid ]] || { echo "$dir is up already: run down.sh first" >&2; exit 1; }
rm -rf "$dir"/{ready,failed,cluster,node,log} # a box begins anew each time

# A control group of the box's own below ours, in each hierarchy: whatever limits us limits the box.
: >"$dir/groups"
while IFS=: read -r _ controllers path; do
  mount=/sys/fs/cgroup/${controllers#name=}
  [[ -n $controllers && -d $mount ]] || continue
  group=$mount${path%/}/sentinel-box-$$
  mkdir -p "$group"
  if [[ $controllers == cpuset ]]; then
    for file in cpuset.cpus cpuset.mems; do cat "$group/../$file" >"$group/$file"; done
  fi
  echo "$group" >>"$dir/groups"
done </proc/self/cgroup

(
  while read -r group; do echo "$BASHPID" >"$group/cgroup.procs"; done <"$dir/groups"
  exec setsid unshare --mount --net --uts --ipc --pid --cgroup --fork --kill-child --propagation private \
    "$here/box.sh" "$dir"
) >"$dir/box.log" 2>&1 </dev/null &
outer=$!
for _ in $(seq 50); do
  inner=$(tr -d ' ' <"/proc/$outer/task/$outer/children" 2>/dev/null) || inner=
  [[ -z $inner ]] || break
  sleep 0.1
done
echo "${inner:?the box did not start: $(cat "$dir/box.log")}" >"$dir/box.pid"
cat >"$dir/enter" <<SCRIPT
#!/bin/sh
export KUBECONFIG=$dir/cluster/kubeconfig PATH=$CONTROL_PLANE:\$PATH
exec nsenter --target $inner --net -- "\$@"
SCRIPT
chmod +x "$dir/enter"
for _ in $(seq 900); do
  if [[ -e $dir/ready ]]; then
    echo "$dir/enter"
    exit 0
  fi
  [[ ! -e $dir/failed ]] && kill -0 "$outer" 2>/dev/null || break
  sleep 0.1
done
tail -n 20 "$dir/box.log" "$dir"/log/*.log >&2
"$here/down.sh" "$dir"
exit 1
