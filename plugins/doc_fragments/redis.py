# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a connection to Redis."""

from __future__ import annotations


class ModuleDocFragment:
    """What every module of this service documents alike."""

    DOCUMENTATION = r"""
options:
  connection:
    description: How to reach the server.
    type: dict
    required: true
    suboptions:
      host:
        description: Name or address.
        type: str
        default: 127.0.0.1
      port:
        description: Port of the server.
        type: int
        default: 6379
      unix_socket_path:
        description: Local socket, instead of host and port.
        type: path
      username:
        description: ACL user.
        type: str
      password:
        description: Password of the user.
        type: str
      ssl:
        description: Whether to use TLS.
        type: bool
        default: false
      ssl_ca_certs:
        description: File with the certificates of the authorities that are trusted.
        type: path
      ssl_certfile:
        description: File with the client's certificate.
        type: path
      ssl_keyfile:
        description: File with the client's private key.
        type: path
      socket_timeout:
        description: Seconds to wait for a connection, and for each answer.
        type: float
        default: 10.0
      config_command:
        description: The name that C(rename-command) has given to C(CONFIG).
        type: str
        default: CONFIG
requirements:
  - Python 3.11 or later, where the module runs
  - redis (redis-py) 5.0 or later, where the module runs
"""
