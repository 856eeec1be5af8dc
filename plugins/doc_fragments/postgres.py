# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a connection to PostgreSQL."""

from __future__ import annotations


class ModuleDocFragment:
    """What every module of this service documents alike."""

    DOCUMENTATION = r"""
options:
  connection:
    description:
      - How to reach the server. The environment cannot lead elsewhere, as C(PGHOSTADDR) and C(PGSERVICE) would; it only
        gives a password (C(PGPASSWORD)) or a certificate where none is named here.
    type: dict
    required: true
    suboptions:
      host:
        description: Name, address, or folder of the local socket. Left out, the local socket is used.
        type: str
      port:
        description: Port of the server.
        type: int
        default: 5432
      user:
        description: Role to connect as.
        type: str
        default: postgres
      password:
        description: Password of the role. A O(connection.passfile) or a client certificate keeps it out of the inventory.
        type: str
      dbname:
        description: Database to connect to for what is not a matter of one database.
        type: str
        default: postgres
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
