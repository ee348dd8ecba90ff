#!/usr/bin/env bash
# Builds what a real node runs into the user's cache, once, and prints the folder: kubelet, containerd with its shim and
# ctr, three network plugins, and the two programs of the test image. About 6 minutes on two cores after ../build.sh.
# runc comes from the system (Debian's package runc).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../versions.sh
source "$here/../versions.sh"

# build_images: the programs of images/ and what holds them, anew whenever these files have changed
build_images() {
  local program tag state
  state=$NODE/.images-$(cat "$here/images/"* | sha256sum | cut -c1-12)
  [[ ! -e $state ]] || return 0
  find_go
  for program in pause sick; do
    (cd "$here/images" && CGO_ENABLED=0 GO111MODULE=off GOFLAGS="" go build -ldflags="-s -w" -o "$NODE/$program" "$program.go")
  done
  python3 "$here/images/image.py" "$NODE/pause.tar" registry.local/pause:1 "$NODE/pause"
  for tag in 1 2; do python3 "$here/images/image.py" "$NODE/sick-$tag.tar" "registry.local/sick:$tag" "$NODE/sick"; done
  rm -f "$NODE"/.images-*
  touch "$state"
}

if [[ -e $NODE/.complete ]]; then
  build_images
  echo "$NODE"
  exit 0
fi
find_go
mkdir -p "$NODE"
exec 9>"$NODE/.lock"
flock 9
if [[ -e $NODE/.complete ]]; then
  echo "$NODE"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CGO_ENABLED=0 GOWORK=off GOFLAGS="-mod=mod -trimpath -buildvcs=false"
lap() { echo "$1: $SECONDS s" >&2; }

kubernetes_module "$work/kubernetes" kubelet
(cd "$work/kubernetes" && go build -ldflags="$(kubernetes_ldflags)" -o "$NODE/" k8s.io/kubernetes/cmd/kubelet)
lap "kubelet is built"

# commands MODULE VERSION PACKAGE...: build these commands of a module that has nothing to replace
commands() {
  local module=$1 version=$2 folder
  shift 2
  folder=$(mktemp -d -p "$work")
  (
    cd "$folder"
    go mod init cluster 2>/dev/null
    go get "$module@$version" 2>get.log
    {
      printf '//go:build tools\n\npackage tools\n\nimport (\n'
      printf '\t_ "%s"\n' "${@/#/$module/}"
      echo ")"
    } >tools.go
    go mod tidy -e >tidy.log 2>&1
    go build -ldflags="-s -w" -o "$NODE/" "${@/#/$module/}"
  )
}
commands github.com/containerd/containerd/v2 "$CONTAINERD" cmd/containerd cmd/containerd-shim-runc-v2 cmd/ctr
lap "containerd is built"
commands github.com/containernetworking/plugins "$CNI" plugins/main/bridge plugins/main/loopback plugins/ipam/host-local
lap "the network plugins are built"
build_images
touch "$NODE/.complete"
echo "$NODE"
