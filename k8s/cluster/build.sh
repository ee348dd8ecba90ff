#!/usr/bin/env bash
# Builds a Kubernetes control plane into the user's cache, once, and prints the folder: kube-apiserver,
# kube-controller-manager, kube-scheduler, kubectl, etcd, and kwok, which plays the nodes. Everything comes through Go's
# own module client. About 8 minutes on two cores with empty caches, no time when it is there; 450 MB.
#
#   build.sh           build what is missing
#   build.sh --try     the same, but without a Go tool chain say so and end well
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=versions.sh
source "$here/versions.sh"

if [[ -e $CONTROL_PLANE/.complete ]]; then
  echo "$CONTROL_PLANE"
  exit 0
fi
if ! find_go; then
  [[ ${1:-} == --try ]] && exit 0
  exit 1
fi
mkdir -p "$CONTROL_PLANE"
exec 9>"$CONTROL_PLANE/.lock"
flock 9 # another build of the same may be under way: then its result is ours
if [[ -e $CONTROL_PLANE/.complete ]]; then
  echo "$CONTROL_PLANE"
  exit 0
fi

echo "Kubernetes $KUBERNETES is built into $CONTROL_PLANE, once; this takes about 8 minutes on two cores" >&2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CGO_ENABLED=0 GOWORK=off GOFLAGS="-mod=mod -trimpath -buildvcs=false"
lap() { echo "$1: $SECONDS s" >&2; }

commands=(kube-apiserver kube-controller-manager kube-scheduler kubectl)
kubernetes_module "$work/kubernetes" "${commands[@]}"
lap "Kubernetes' modules are there"
(cd "$work/kubernetes" && go build -ldflags="$(kubernetes_ldflags)" -o "$CONTROL_PLANE/" "${commands[@]/#/k8s.io/kubernetes/cmd/}")
lap "Kubernetes is built"

# Not `go install …@version`: etcd's go.mod has replacements of its own, which that refuses.
mkdir "$work/etcd"
(
  cd "$work/etcd"
  go mod init cluster 2>/dev/null
  printf '//go:build tools\n\npackage tools\n\nimport _ "go.etcd.io/etcd/server/v3"\n' >tools.go
  go get "go.etcd.io/etcd/server/v3@$ETCD" 2>get.log
  go build -ldflags="-s -w" -o "$CONTROL_PLANE/etcd" go.etcd.io/etcd/server/v3
)
lap "etcd is built"

GOFLAGS="-trimpath -buildvcs=false" GOBIN=$CONTROL_PLANE go install -ldflags="-s -w" "sigs.k8s.io/kwok/cmd/kwok@$KWOK"
# kwok built this way knows no stage of a node's or a pod's life; its module carries them as files.
source_of_kwok=$(GOFLAGS="" go mod download -json "sigs.k8s.io/kwok@$KWOK" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
for stage in node/fast/node-initialize node/heartbeat-with-lease/node-heartbeat-with-lease pod/fast/pod-ready \
  pod/fast/pod-complete pod/fast/pod-delete pod/chaos/pod-container-running-failed; do
  echo "---"
  cat "$source_of_kwok/kustomize/stage/$stage.yaml"
done >"$CONTROL_PLANE/stages.yaml"
lap "kwok is built"
touch "$CONTROL_PLANE/.complete"
echo "$CONTROL_PLANE"
