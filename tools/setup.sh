#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Installs what a checkout needs and does not have: Debian packages, and the locked Python packages in .venv.
# usage: setup.sh [--python-only]     PYTHON names the interpreter (default: python3)
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

fail() { echo "error: $*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"
    else fail "root is needed for '$*': become root, or install sudo"; fi
}

# The services' own units stay as they are: installing a server must not start one on its default port.
keep_services_stopped() {
    [ -e /usr/sbin/policy-rc.d ] && return
    printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
    as_root chmod 755 /usr/sbin/policy-rc.d
    trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    trap 'exit 130' INT TERM
}

install_packages() {
    command -v apt-get >/dev/null || fail "missing: $*; install their like with this system's package manager"
    keep_services_stopped
    echo "installing $*"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

if [ "${1:-}" != --python-only ]; then
    missing=
    ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
    command -v pgbench >/dev/null || ls /usr/lib/postgresql/*/bin/pgbench >/dev/null 2>&1 || missing="$missing postgresql-contrib"
    [ -x /usr/sbin/pgbouncer ] || missing="$missing pgbouncer"
    command -v redis-server >/dev/null || missing="$missing redis-server"
    [ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
    if command -v apt-get >/dev/null && [ ! -e /usr/lib/nginx/modules/ngx_http_brotli_filter_module.so ]; then
        # Known to apt-cache only once the lists are there, as they are where nginx could be installed.
        if [ -n "$missing" ] || apt-cache show libnginx-mod-http-brotli-filter >/dev/null 2>&1; then
            missing="$missing libnginx-mod-http-brotli-filter libnginx-mod-http-brotli-static"
        fi
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
    # shellcheck disable=SC2086 # a list of words
    [ -z "$missing" ] || install_packages $missing
    # HypoPG confirms suggested indexes; where there is no package for a server, arithmetic does.
    for folder in /usr/lib/postgresql/*/; do
        version=$(basename "$folder")
        if command -v apt-cache >/dev/null && [ ! -e "/usr/share/postgresql/$version/extension/hypopg.control" ] &&
            apt-cache show "postgresql-$version-hypopg" >/dev/null 2>&1; then
            install_packages "postgresql-$version-hypopg"
        fi
    done
fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" --version) is too old: Retune needs Python 3.11 or later; name one with PYTHON=..."

# The stamp says which lock the environment was made from.
if ! cmp -s requirements/dev.txt .venv/lock.txt; then
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    echo "installing the locked Python packages into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
    cp requirements/dev.txt .venv/lock.txt
fi
