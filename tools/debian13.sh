#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Debian 13's servers on an older Debian, beside the machine's own: their packages in a folder, with every library that they
# load, the C library too. Nothing is installed, no root is needed, and any user may run them.
# Prints the folder of PostgreSQL's programs, for PG_BIN. RETUNE_DEBIAN13 names another place for the folder.
set -eu

packages="postgresql-17 postgresql-17-hypopg pgbouncer redis-server valkey-server"
suite=trixie
postgres_bin=usr/lib/postgresql/17/bin
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

fail() { echo "error: $*" >&2; exit 1; }

# Root's own cache may be closed to the account that the sandbox's servers run as.
if [ "$(id -u)" = 0 ]; then cache=/var/cache; else cache=${XDG_CACHE_HOME:-$HOME/.cache}; fi
folder=${RETUNE_DEBIAN13:-$cache/retune/debian13}

is_made() { [ "$(cat "$folder/packages" 2>/dev/null)" = "$packages" ] && "$folder/$postgres_bin/postgres" --version >/dev/null 2>&1; }

installed=$(ls -d /usr/lib/postgresql/*/bin/postgres 2>/dev/null | cut -d/ -f5 | sort -n | tail -1)
if [ "${installed:-0}" -ge 17 ] && [ -z "${RETUNE_DEBIAN13:-}" ]; then
    echo "PostgreSQL $installed is installed here: Debian 13's is not needed" >&2
    echo "/usr/lib/postgresql/$installed/bin"
    exit
fi
if is_made; then
    echo "$folder/$postgres_bin"
    exit
fi

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    fail "apt-get and dpkg-deb are needed to fetch Debian 13's packages: run this on Debian"
[ -r "$keyring" ] || fail "$keyring is missing: install debian-archive-keyring"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -1)
[ -n "$mirror" ] || fail "apt knows no mirror of Debian: add one to its sources, and run apt-get update"

umask 022
mkdir -p "$(dirname "$folder")"
new=$(mktemp -d "$folder.XXXXXX")
work=$(mktemp -d)
trap 'rm -rf "$new" "$work"' EXIT
trap 'exit 130' INT TERM

# An apt of its own: the machine's lists, packages and their state are neither read nor changed.
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
: > "$work/status"
echo "deb [signed-by=$keyring] $mirror $suite main" > "$work/sources.list"
apt() {
    apt-get -qq -o Dir::State="$work/state" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" \
        -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
        -o APT::Sandbox::User="$(id -un)" -o APT::Update::Error-Mode=any -o Acquire::Languages=none \
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
        -o APT::Update::Post-Invoke= -o APT::Update::Post-Invoke-Success= "$@" >"$work/log" 2>&1 ||
        fail "apt-get $1 failed for Debian 13 from $mirror: $(tail -1 "$work/log")"
}
echo "fetching Debian 13's PostgreSQL 17, PgBouncer, Redis and Valkey into $folder" >&2
apt update
# shellcheck disable=SC2086 # a list of words
apt install --yes --no-install-recommends --download-only $packages patchelf
for package in "$work"/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$new"
done
rm -rf "$new/usr/share/doc" "$new/usr/share/man" "$new/usr/share/locale"
chmod 755 "$new"
for name in lib lib64; do # as the package base-files has them
    [ -e "$new/$name" ] || ln -s "usr/$name" "$new/$name"
done

# The programs look for the loader and the libraries in the folder; libraries look where the program that loads them does.
libraries=$(cd "$new" && echo usr/lib/*-linux-gnu)
patchelf() { "$new"/lib*/ld-linux*.so.* --library-path "$new/$libraries" "$new/usr/bin/patchelf" "$@" 2>/dev/null; }
for program in "$new/$postgres_bin"/* "$new"/usr/bin/redis-* "$new"/usr/bin/valkey-* "$new"/usr/sbin/pgbouncer; do
    [ -L "$program" ] && continue
    loader=$(patchelf --print-interpreter "$program") || continue
    patchelf --set-interpreter "$folder$loader" --force-rpath --set-rpath "$folder/$libraries" "$program" ||
        fail "patchelf could not change $program"
done

echo "$packages" > "$new/packages"
# Another run may have been quicker: then its folder is as good.
if ! is_made; then
    [ ! -e "$folder" ] || mv -T "$folder" "$work/old"
    mv -T "$new" "$folder"
fi
is_made || fail "the PostgreSQL in $folder does not run: $("$folder/$postgres_bin/postgres" --version 2>&1 | tail -1)"
echo "$folder/$postgres_bin"
