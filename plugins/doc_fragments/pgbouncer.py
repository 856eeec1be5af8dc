# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a connection to PgBouncer's admin console."""

from __future__ import annotations


class ModuleDocFragment:
    """What every module of this service documents alike."""

    DOCUMENTATION = r"""
options:
  connection:
    description: How to reach the admin console; the user has to be one of C(admin_users).
    type: dict
    required: true
    suboptions:
      host:
        description: Name, address, or folder of the local socket. Left out, the local socket is used.
        type: str
      port:
        description: Port of PgBouncer.
        type: int
        default: 6432
      user:
        description: User to log in as.
        type: str
        default: pgbouncer
      password:
        description: Password of the user. A O(connection.passfile) or a client certificate keeps it out of the inventory.
        type: str
      dbname:
        description: The console's name.
        type: str
        default: pgbouncer
      passfile:
        description: Password file in the format of C(.pgpass), which only its owner may read.
        type: path
      sslmode:
        description: How TLS is used.
        type: str
        choices: [disable, allow, prefer, require, verify-ca, verify-full]
        default: prefer
      sslrootcert:
        description: File with the certificates of the authorities that are trusted.
        type: path
      sslcert:
        description: File with the client's certificate.
        type: path
      sslkey:
        description: File with the client's private key.
        type: path
      connect_timeout:
        description: Seconds to wait for a connection.
        type: int
        default: 10
requirements:
  - Python 3.11 or later, where the module runs
  - psycopg 3.1 or later, where the module runs
"""
