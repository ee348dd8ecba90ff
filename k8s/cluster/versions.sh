# shellcheck shell=bash
# Sourced by the scripts of this folder: what is built, and where it is kept. Say only what must change together.
KUBERNETES=v1.37.2
ETCD=v3.7.3
KWOK=v0.8.0
CONTAINERD=v2.4.2
CNI=v1.9.1
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/aiops-sentinel
CONTROL_PLANE=$CACHE/kubernetes-${KUBERNETES#v}-etcd-${ETCD#v}-kwok-${KWOK#v}
NODE=$CACHE/kubernetes-node-${KUBERNETES#v}-containerd-${CONTAINERD#v}-cni-${CNI#v}

# find_go: puts a Go tool chain on PATH; fails with the reason when this machine has none that is new enough.
find_go() {
  command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
  if ! command -v go >/dev/null; then
    echo "no Go tool chain on PATH: Kubernetes $KUBERNETES is built from source, with Go 1.21 or newer" >&2
    return 1
  fi
  # From 1.21 on, go fetches by itself the newer tool chain that a module asks for.
  if [[ $(go env GOVERSION | cut -d. -f1-2) =~ ^go1\.(1?[0-9]|20)$ ]]; then
    echo "$(go env GOVERSION) is too old: Kubernetes $KUBERNETES needs Go 1.21 or newer to build" >&2
    return 1
  fi
}

# kubernetes_module FOLDER COMMAND...: a module in FOLDER that can build these commands of k8s.io/kubernetes, whose go.mod
# points its staging modules at v0.0.0: each is replaced by the version that was published with the release.
kubernetes_module() {
  local folder=$1 staged="v0.${KUBERNETES#v1.}" upstream
  shift
  mkdir -p "$folder"
  upstream=$(go mod download -json "k8s.io/kubernetes@$KUBERNETES" | sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p')
  {
    echo "module cluster"
    grep -m1 '^go ' "$upstream"
    echo "require k8s.io/kubernetes $KUBERNETES"
    sed -n 's/^\t\(k8s\.io\/[^ ]*\) v0\.0\.0\( .*\)\?$/replace \1 => \1 '"$staged"'/p' "$upstream" | sort -u
  } >"$folder/go.mod"
  {
    printf '//go:build tools\n\npackage tools\n\nimport (\n'
    printf '\t_ "k8s.io/kubernetes/cmd/%s"\n' "$@"
    echo ")"
  } >"$folder/tools.go"
  (cd "$folder" && go mod tidy -e >tidy.log 2>&1)
}

# kubernetes_ldflags: the version that the commands tell about themselves.
kubernetes_ldflags() {
  local package minor=${KUBERNETES#v1.} flags="-s -w"
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=$KUBERNETES -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}"
    flags+=" -X $package.gitTreeState=clean"
  done
  echo "$flags"
}
