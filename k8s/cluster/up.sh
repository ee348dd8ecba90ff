#!/usr/bin/env bash
# Starts a Kubernetes control plane on loopback, with fake nodes that kwok plays, in about 10 seconds and 550 MB:
# everything of the API is real (admission, RBAC, roll-outs, disruption budgets, evictions); only no container runs.
#
#   up.sh DIR [NODES]     state, logs and process ids go to DIR; 2 nodes by default, none with 0
#
# DIR/kubeconfig is an administrator's. `down.sh DIR` stops it. Ports are free ones of 127.0.0.1.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=versions.sh
source "$here/versions.sh"
[[ $# -ge 1 ]] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
nodes=${2:-2}
[[ -e $CONTROL_PLANE/.complete ]] || { echo "not built yet: run $here/build.sh" >&2; exit 1; }
if compgen -G "$dir/pids/*" >/dev/null; then echo "$dir is up already: run down.sh first" >&2; exit 1; fi

umask 077
mkdir -p "$dir"/{pki,pids,log}
cd "$dir"
# Nothing of the caller's environment reaches the cluster, nor a kubeconfig of the user's.
export HOME=$dir
unset KUBECONFIG HTTP_PROXY HTTPS_PROXY http_proxy https_proxy
read -r api etcd peer manager scheduler kubelet < <(python3 - <<'PY'
import socket
probes = [socket.socket() for _ in range(6)]
for probe in probes:
    probe.bind(("127.0.0.1", 0))
print(*(probe.getsockname()[1] for probe in probes))
PY
)

fail() {
  tail -n 5 log/*.log >&2
  "$here/down.sh" "$dir" >&2
}
trap 'code=$?; [[ $code == 0 ]] || fail' EXIT

# --- who is who: one authority, and a token for each component
key() { openssl ecparam -name prime256v1 -genkey -noout -out "pki/$1.key"; }
certificate() { # NAME SUBJECT USE SUBJECT_ALT_NAMES
  key "$1"
  openssl req -new -key "pki/$1.key" -subj "$2" -out "pki/$1.csr"
  openssl x509 -req -in "pki/$1.csr" -CA pki/ca.crt -CAkey pki/ca.key -CAcreateserial -days 30 -out "pki/$1.crt" \
    -extfile <(printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=%s\nsubjectAltName=%s\n' "$3" "$4") 2>/dev/null
}
if [[ ! -e pki/tokens.csv ]]; then
  key ca
  openssl req -x509 -new -key pki/ca.key -days 30 -subj /CN=cluster-authority -out pki/ca.crt \
    -addext keyUsage=critical,keyCertSign,digitalSignature
  certificate api /CN=kube-apiserver serverAuth DNS:localhost,IP:127.0.0.1,IP:10.96.0.1
  certificate kubelet /CN=kubelet serverAuth DNS:localhost,IP:127.0.0.1
  certificate to-kubelet /O=system:masters/CN=kube-apiserver clientAuth DNS:kube-apiserver
  certificate aggregator /CN=aggregator clientAuth DNS:aggregator
  openssl genrsa -out pki/accounts.key 2048 2>/dev/null
  openssl rsa -in pki/accounts.key -pubout -out pki/accounts.pub 2>/dev/null
  while read -r user name groups; do
    printf '%s,%s,%s%s\n' "$(openssl rand -hex 16 | tee "pki/$user.token")" "$name" "$user" "${groups:+,$groups}"
  done >pki/tokens.csv <<'USERS'
admin admin system:masters
manager system:kube-controller-manager
scheduler system:kube-scheduler
kwok kwok system:masters
USERS
fi
access() { # USER: its kubeconfig on standard output
  printf '{"apiVersion": "v1", "kind": "Config", "current-context": "local",
 "clusters": [{"name": "local", "cluster": {"server": "https://127.0.0.1:%s", "certificate-authority": "%s"}}],
 "users": [{"name": "%s", "user": {"token": "%s"}}],
 "contexts": [{"name": "local", "context": {"cluster": "local", "user": "%s"}}]}\n' \
    "$api" "$dir/pki/ca.crt" "$1" "$(<"pki/$1.token")" "$1"
}
access admin >kubeconfig
for user in manager scheduler kwok; do access "$user" >"pki/$user.kubeconfig"; done

run() { # NAME COMMAND...
  local name=$1
  shift
  setsid nohup "$CONTROL_PLANE/$1" "${@:2}" >"log/$name.log" 2>&1 </dev/null &
  echo $! >"pids/$name"
}
kubectl() { "$CONTROL_PLANE/kubectl" --kubeconfig "$dir/kubeconfig" --request-timeout=5s "$@"; }
wait_for() { # COMMAND...: at most a minute, and only while everything that was started lives
  local pid
  for _ in $(seq 300); do
    "$@" >/dev/null 2>&1 && return
    for pid in pids/*; do
      kill -0 "$(<"$pid")" 2>/dev/null || { echo "$(basename "$pid") has ended" >&2; return 1; }
    done
    sleep 0.2
  done
  echo "not ready within a minute: $*" >&2
  return 1
}

run etcd etcd --data-dir etcd --unsafe-no-fsync --log-level warn --name local \
  --listen-client-urls "http://127.0.0.1:$etcd" --advertise-client-urls "http://127.0.0.1:$etcd" \
  --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
  --initial-cluster "local=http://127.0.0.1:$peer"
run apiserver kube-apiserver --etcd-servers "http://127.0.0.1:$etcd" --bind-address 127.0.0.1 --secure-port "$api" \
  --advertise-address 127.0.0.1 --endpoint-reconciler-type none --service-cluster-ip-range 10.96.0.0/16 \
  --tls-cert-file pki/api.crt --tls-private-key-file pki/api.key --client-ca-file pki/ca.crt --cert-dir pki \
  --token-auth-file pki/tokens.csv --anonymous-auth=false --authorization-mode Node,RBAC --allow-privileged \
  --service-account-issuer https://kubernetes.default.svc --service-account-key-file pki/accounts.pub \
  --service-account-signing-key-file pki/accounts.key --requestheader-client-ca-file pki/ca.crt \
  --requestheader-allowed-names aggregator --requestheader-username-headers X-Remote-User \
  --requestheader-group-headers X-Remote-Group --requestheader-extra-headers-prefix X-Remote-Extra- \
  --proxy-client-cert-file pki/aggregator.crt --proxy-client-key-file pki/aggregator.key \
  --kubelet-certificate-authority pki/ca.crt --kubelet-client-certificate pki/to-kubelet.crt \
  --kubelet-client-key pki/to-kubelet.key --kubelet-preferred-address-types InternalIP --profiling=false
wait_for kubectl get --raw /readyz
common=(--leader-elect=false --profiling=false --bind-address 127.0.0.1 --cert-dir pki)
run manager kube-controller-manager --kubeconfig pki/manager.kubeconfig --secure-port "$manager" "${common[@]}" \
  --use-service-account-credentials --service-account-private-key-file pki/accounts.key --root-ca-file pki/ca.crt \
  --cluster-signing-cert-file pki/ca.crt --cluster-signing-key-file pki/ca.key
run scheduler kube-scheduler --kubeconfig pki/scheduler.kubeconfig --secure-port "$scheduler" "${common[@]}"
for number in $(seq "$nodes"); do
  cat <<YAML
---
apiVersion: v1
kind: Node
metadata:
  name: fake-$number
  annotations: {kwok.x-k8s.io/node: fake}
  labels: {type: kwok, kubernetes.io/hostname: fake-$number, kubernetes.io/os: linux}
status:
  allocatable: {cpu: "32", memory: 256Gi, pods: "110"}
  capacity: {cpu: "32", memory: 256Gi, pods: "110"}
YAML
done >nodes.yaml
if ((nodes)); then
  kubectl apply -f nodes.yaml >/dev/null
  run kwok kwok --kubeconfig pki/kwok.kubeconfig --manage-nodes-with-label-selector type=kwok --node-ip 127.0.0.1 \
    --node-port "$kubelet" --server-address "127.0.0.1:$kubelet" --tls-cert-file pki/kubelet.crt \
    --tls-private-key-file pki/kubelet.key --node-lease-duration-seconds 40 --config "$CONTROL_PLANE/stages.yaml"
  nodes_ready() { [[ $(kubectl get nodes --no-headers | grep -c ' Ready ') == "$nodes" ]]; }
  wait_for nodes_ready
fi
wait_for kubectl -n default get serviceaccount default
echo "$dir/kubeconfig"
