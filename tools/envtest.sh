#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The programs of a Kubernetes API server for tests: etcd, kube-apiserver and kube-controller-manager, built from
# tests/envtest/go.mod into a folder of the cache. No root and no container is needed; the first time takes minutes.
# Prints the folder. RETUNE_ENVTEST names another place for it.
set -eu
cd "$(dirname "$0")/../tests/envtest"

fail() { echo "error: $*" >&2; exit 1; }

PATH=$PATH:/usr/local/go/bin
version=$(sed -n 's/^.*k8s.io\/kubernetes v//p' go.mod)
[ -n "$version" ] || fail "tests/envtest/go.mod names no version of k8s.io/kubernetes"

# Root's own cache may be closed to the account that the sandbox's servers run as.
if [ "$(id -u)" = 0 ]; then cache=/var/cache; else cache=${XDG_CACHE_HOME:-$HOME/.cache}; fi
folder=${RETUNE_ENVTEST:-$cache/retune/envtest/$version}

is_made() { cmp -s go.sum "$folder/go.sum"; }

finish() { echo "$folder"; exit; }

is_made && finish
command -v go >/dev/null || fail "Go is needed to build Kubernetes $version: install Go $(sed -n 's/^go //p' go.mod) or later"

umask 022
mkdir -p "$(dirname "$folder")"
# One build at a time: a second one would make both slow, and finds the programs when the first is done.
exec 9>"$folder.lock"
flock 9
is_made && finish
new=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 130' INT TERM

echo "building Kubernetes $version's API server into $folder: some minutes" >&2
stamp=k8s.io/component-base/version
minor=${version#*.}
values="-X $stamp.gitVersion=v$version -X $stamp.gitMajor=${version%%.*} -X $stamp.gitMinor=${minor%%.*}"
build() { go build -buildvcs=false -ldflags "-s -w $values" -o "$@" >&2 || fail "go build failed: see above"; }
build "$new/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
build "$new/kube-controller-manager" k8s.io/kubernetes/cmd/kube-controller-manager
build "$new/etcd" go.etcd.io/etcd/server/v3
cp go.sum "$new/go.sum"
chmod 755 "$new"
rm -rf "$folder"
mv -T "$new" "$folder"
finish
