#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe a site with real requests - TLS, compression, caching."""

from __future__ import annotations

DOCUMENTATION = r"""
module: https_probe
short_description: Probe a site with real requests - TLS, compression, caching
version_added: 0.1.0
description:
  - Shakes hands as a browser does, and in each version of TLS below O(minimum_tls), which has to be refused. Judges the
    certificate's end, HSTS, HTTP/2 and the redirect from plain HTTP.
  - Asks for each route twice, and judges how it is compressed, whether the second answer comes from a cache and for how long
    it may be kept, and that no answer for a user does.
options:
  url:
    description: The site, such as V(https://leads.example.com).
    type: str
    required: true
  address:
    description: Host and port to connect to instead, such as V(192.0.2.1:443), to ask one edge of several.
    type: str
    default: ""
  ca_cert:
    description: File with the certificates of the authorities that are trusted, instead of the system's.
    type: path
  timeout:
    description: Seconds to wait for a connection, and for each answer.
    type: float
    default: 10.0
  minimum_tls:
    description: The lowest version of TLS that may be accepted.
    type: str
    choices: [TLSv1.2, TLSv1.3]
    default: TLSv1.2
  expires_after_days:
    description: How many days the certificate has to hold still.
    type: int
    default: 14
  hsts_seconds:
    description: What C(Strict-Transport-Security) has to say at least; V(0) asks for none.
    type: int
    default: 31536000
  http2:
    description: Whether HTTP/2 has to be offered.
    type: bool
    default: true
  redirect_address:
    description: Host and port of plain HTTP, which has to redirect to the site for good. Empty, it is not asked.
    type: str
    default: ""
  routes:
    description: What is asked for.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Path and query.
        type: str
        required: true
      kind:
        description:
          - V(static) is a file with a fingerprint in its name, kept for a year and immutable. V(public) is an answer of the
            API that a shared cache keeps for 60 to 300 seconds. V(private) is an answer for a user, which no cache keeps.
        type: str
        choices: [plain, static, public, private]
        default: plain
      encoding:
        description: The encoding that is asked for, and has to be the answer's.
        type: str
        choices: [br, gzip, zstd]
      headers:
        description: Headers of the request.
        type: dict
        default: {}
      users:
        description:
          - Headers that make a request a user's, C(Authorization) or C(Cookie); with them no answer may come from a cache.
          - Of a V(private) route no two users may get the same.
        type: list
        elements: dict
        default: []
  verify:
    description: Fail for the first thing that is wrong.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Nothing is changed, in check mode or without.
  diff_mode:
    support: none
    description: Nothing is changed.
requirements:
  - Python 3.11 or later, where the module runs
notes:
  - An answer counts as one of a cache by C(Cache-Status), C(X-Cache), C(X-Cache-Status), C(CF-Cache-Status) or an C(Age).
  - A version of TLS that the OpenSSL of this machine does not have any more cannot be tried, and the verdict is unknown.
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: See how the edge answers
  leadgen.tuning.https_probe:
    url: https://leads.example.com
    redirect_address: leads.example.com:80
    routes:
      - {path: /static/app.3f9a1c7e.js, kind: static, encoding: br}
      - {path: /api/public/rates, kind: public, users: [{Authorization: "Bearer {{ token }}"}]}
"""

RETURN = r"""
audit:
  description: A verdict for each control that was looked at, with its findings. The figure is their number.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._https_probe import ARGUMENT_SPEC, probe
from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, probe)


if __name__ == "__main__":
    main()
