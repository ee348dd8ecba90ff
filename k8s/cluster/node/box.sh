#!/usr/bin/env bash
# The first process of a box (up.sh starts it): private mounts, a private network, a control plane, one real node.
set -euo pipefail
dir=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../versions.sh
source "$here/../versions.sh"
trap 'exit 143' TERM INT
trap '[[ -e $dir/ready ]] || touch "$dir/failed"' EXIT
mkdir -p "$dir"/{log,node}

# --- mounts: what the node writes to the usual places stays in the box
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mapfile -t hierarchies < <(awk -F: '$2 != "" {print $2}' /proc/self/cgroup)
if ((${#hierarchies[@]})); then
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  for controllers in "${hierarchies[@]}"; do
    mkdir -p "/sys/fs/cgroup/${controllers#name=}"
    mount -t cgroup -o "$controllers" cgroup "/sys/fs/cgroup/${controllers#name=}"
  done
else
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
for folder in /run /var/lib /var/log; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
mkdir -p /run/lock /run/netns /run/node
mount --bind "$dir/node" /run/node
# The kubelet wants some settings of the whole machine. It finds them as it wants them, so it changes none.
for setting in kernel/panic=10 kernel/panic_on_oops=1 vm/overcommit_memory=1 vm/panic_on_oom=0 \
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  file=/run/setting-${setting//\//-}
  echo "${setting#*=}" >"$file"
  mount --bind "$file" "/proc/sys/${setting%%=*}"
done
mount --make-rshared /
hostname box

# --- network: no way out; a bridge for the node's own address, one for its pods
ip link set lo up
ip link add node0 type bridge
ip addr add 10.250.0.1/24 dev node0
ip link set node0 up
ip link add pods0 type bridge
ip addr add 10.244.0.1/24 dev pods0
ip link set pods0 up
echo "nameserver 10.250.0.1" >/run/node/resolv.conf

start() { # NAME COMMAND...
  local name=$1
  shift
  "$@" >"$dir/log/$name.log" 2>&1 </dev/null &
  echo $! >"/run/$name.pid"
}
wait_for() { # COMMAND...
  local pid
  for _ in $(seq 600); do
    "$@" >/dev/null 2>&1 && return
    for pid in /run/*.pid; do
      [[ ! -e $pid ]] || kill -0 "$(<"$pid")" || { echo "$pid has ended"; return 1; }
    done
    sleep 0.1
  done
  echo "not ready within a minute: $*"
  return 1
}

# --- containers
mkdir -p /run/node/cni
cat >/run/node/cni/10-box.conflist <<'JSON'
{"cniVersion": "1.0.0", "name": "box", "plugins": [
  {"type": "bridge", "bridge": "pods0", "isGateway": true,
   "ipam": {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "10.244.0.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON
cat >/run/node/containerd.toml <<TOML
version = 3
root = '/run/node/containerd'
state = '/run/containerd'
imports = []
disabled_plugins = ['io.containerd.nri.v1.nri', 'io.containerd.snapshotter.v1.blockfile', 'io.containerd.snapshotter.v1.btrfs', 'io.containerd.snapshotter.v1.devmapper', 'io.containerd.snapshotter.v1.zfs', 'io.containerd.snapshotter.v1.erofs']
[grpc]
  address = '/run/containerd.sock'
[ttrpc]
  address = '/run/containerd.sock.ttrpc'
[plugins.'io.containerd.internal.v1.opt']
  path = '/run/node/opt'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = 'registry.local/pause:1'
[plugins.'io.containerd.cri.v1.runtime']
  # Without the capability to lower an oom_score_adj nobody does.
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['$NODE']
    conf_dir = '/run/node/cni'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = '$(command -v runc)'
      Root = '/run/runc'
      SystemdCgroup = false
TOML
start containerd env PATH="$NODE:$PATH" "$NODE/containerd" --config /run/node/containerd.toml
containers() { "$NODE/ctr" --address /run/containerd.sock --namespace k8s.io "$@"; }
"$here/../up.sh" "$dir/cluster" 0 >"$dir/log/control-plane.log" 2>&1 &
control_plane=$!
wait_for containers version
for archive in "$NODE"/*.tar; do containers images import --local "$archive"; done >"$dir/log/images.log" 2>&1
wait "$control_plane"
echo "the control plane is up after $SECONDS s"

# --- the node: it shows who it is with certificates, as anywhere
cd "$dir/cluster"
certificate() { # NAME USE SUBJECT_ALT_NAMES
  openssl ecparam -name prime256v1 -genkey -noout -out "pki/$1.key"
  openssl req -new -key "pki/$1.key" -subj /O=system:nodes/CN=system:node:real-1 -out "pki/$1.csr"
  openssl x509 -req -in "pki/$1.csr" -CA pki/ca.crt -CAkey pki/ca.key -CAcreateserial -days 30 -out "pki/$1.crt" \
    -extfile <(printf 'keyUsage=digitalSignature\nextendedKeyUsage=%s\nsubjectAltName=%s\n' "$2" "$3") 2>/dev/null
}
certificate node clientAuth DNS:real-1
certificate node-server serverAuth DNS:real-1,IP:10.250.0.1
server=$(grep -o 'https://127.0.0.1:[0-9]*' kubeconfig)
cat >pki/node.kubeconfig <<JSON
{"apiVersion": "v1", "kind": "Config", "current-context": "local",
 "clusters": [{"name": "local", "cluster": {"server": "$server", "certificate-authority": "$PWD/pki/ca.crt"}}],
 "users": [{"name": "node", "user": {"client-certificate": "$PWD/pki/node.crt", "client-key": "$PWD/pki/node.key"}}],
 "contexts": [{"name": "local", "context": {"cluster": "local", "user": "node"}}]}
JSON
# The kubelet's own group, so that pods lie below the box's.
for hierarchy in /sys/fs/cgroup/*/; do
  [[ ${#hierarchies[@]} -gt 0 ]] || break
  mkdir -p "${hierarchy}node"
  [[ ! -e ${hierarchy}cpuset.cpus ]] || for file in cpuset.cpus cpuset.mems; do cat "$hierarchy$file" >"${hierarchy}node/$file"; done
done
((${#hierarchies[@]})) || mkdir -p /sys/fs/cgroup/node
cat >/run/node/kubelet.yaml <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /node
containerRuntimeEndpoint: unix:///run/containerd.sock
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: "$PWD/pki/ca.crt"}}
authorization: {mode: Webhook}
address: 10.250.0.1
healthzPort: 0
tlsCertFile: $PWD/pki/node-server.crt
tlsPrivateKeyFile: $PWD/pki/node-server.key
rotateCertificates: false
resolvConf: /run/node/resolv.conf
failSwapOn: false
oomScoreAdj: 0
evictionHard: {memory.available: 100Mi, nodefs.available: "1%", nodefs.inodesFree: "1%", imagefs.available: "1%"}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
podLogsDir: /run/node/pods
volumePluginDir: /run/node/plugins
nodeStatusUpdateFrequency: 5s
YAML
start kubelet "$NODE/kubelet" --config /run/node/kubelet.yaml --kubeconfig pki/node.kubeconfig \
  --root-dir /run/node/kubelet --hostname-override real-1 --node-ip 10.250.0.1
node_ready() { "$CONTROL_PLANE/kubectl" --kubeconfig kubeconfig get nodes --no-headers | grep -q ' Ready '; }
wait_for node_ready
echo "the node is ready after $SECONDS s"
touch "$dir/ready"
# As process 1 this shell reaps orphans.
set +e
while :; do
  sleep 1000 &
  wait $!
done
