# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are run as the user whom a service runs as, since as root it would refuse to start."""

from __future__ import annotations

import os
from typing import Any


def as_user(uid: int, gid: int) -> dict[str, Any]:
    """Arguments of subprocess that make root another user, with no groups but its own; none for anyone but root."""
    return {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 else {}
