# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment variables that a run is given.

ansible-runner writes the whole environment of a run into a file beside its results. That file is removed with them, but a
machine that loses power keeps it; so a run gets what Ansible and the services' clients use, and nothing else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_NAMES = frozenset(
    """HOME LANG LANGUAGE LOGNAME PATH SHELL SSH_AUTH_SOCK SUDO_USER TERM TMPDIR TZ USER VIRTUAL_ENV KRB5CCNAME KUBECONFIG
    RETUNE_LOG_DIRECTORY REQUESTS_CA_BUNDLE SSL_CERT_DIR SSL_CERT_FILE HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy
    https_proxy no_proxy""".split()
)
_PREFIXES = ("ANSIBLE_", "LC_", "XDG_")
# libpq's own, but for the password (PostgreSQL documentation, "Environment Variables").
_LIBPQ = frozenset(
    """PGAPPNAME PGCHANNELBINDING PGCONNECT_TIMEOUT PGDATABASE PGHOST PGHOSTADDR PGKRBSRVNAME PGOPTIONS PGPASSFILE PGPORT
    PGREQUIREAUTH PGSERVICE PGSERVICEFILE PGSSLCERT PGSSLCRL PGSSLKEY PGSSLMODE PGSSLROOTCERT PGSYSCONFDIR PGTZ
    PGUSER""".split()
)
KEEP = "RETUNE_KEEP_ENVIRONMENT"


def scrubbed(environ: Mapping[str, str]) -> dict[str, str]:
    """What a run needs of ``environ``, and the variables that RETUNE_KEEP_ENVIRONMENT names, separated by commas."""
    kept = {name.strip() for name in environ.get(KEEP, "").split(",")}
    return {
        name: value
        for name, value in environ.items()
        if name in kept or name in _NAMES or name in _LIBPQ or name.startswith(_PREFIXES)
    }


def run_environment(project: Path, name: str, record_file: Path) -> dict[str, str]:
    """The environment of a playbook run: this interpreter's own ansible-playbook, and the checkout's configuration."""
    environment = scrubbed(os.environ)
    own = str(Path(sys.executable).parent)
    environment["PATH"] = os.pathsep.join([own, environment.get("PATH", os.defpath)])
    # Always the checkout's: one that the shell has for another project knows neither the collection nor the callback.
    environment["ANSIBLE_CONFIG"] = str(project / "ansible.cfg")
    environment["ANSIBLE_NOCOLOR"] = "1"  # what Ansible prints is read, and printed again as a sentence
    environment["RETUNE_ENVIRONMENT"] = name
    environment["RETUNE_RECORD_FILE"] = str(record_file)
    return environment
