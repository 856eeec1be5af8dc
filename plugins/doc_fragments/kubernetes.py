# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a connection to a Kubernetes cluster."""

from __future__ import annotations


class ModuleDocFragment:
    """What every module of this service documents alike."""

    DOCUMENTATION = r"""
options:
  connection:
    description: How to reach the API server. Empty, it is the cluster that the module runs in, else the default kubeconfig.
    type: dict
    default: {}
    suboptions:
      kubeconfig:
        description: Kubeconfig file.
        type: path
      context:
        description: Context of the kubeconfig; left out, its current one.
        type: str
      host:
        description: Address of the API server, instead of a kubeconfig, such as V(https://cluster.example.com:6443).
        type: str
      api_key:
        description: Bearer token for O(connection.host).
        type: str
      ca_cert:
        description: File with the certificates of the authorities that are trusted.
        type: path
      validate_certs:
        description: Whether the server's certificate is checked.
        type: bool
        default: true
      timeout:
        description: Seconds to wait for a connection, and for each answer.
        type: float
        default: 30.0
requirements:
  - Python 3.11 or later, where the module runs
  - kubernetes (the Python client) 31 or later, where the module runs
"""
