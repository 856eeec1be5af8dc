# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers that an inventory gives. No I/O."""

from __future__ import annotations

import re

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError


def whole_number(name: str, value: object, least: int = 0) -> int:
    """The value as an integer; a text of digits is one, since that is what a template and ``-e`` give.

    :raises TuningError: for anything else, and below ``least``. Only a number is repeated: a text may be a secret.
    """
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TuningError(f"{name} has to be a whole number of {least} or more")
    if value < least:
        raise TuningError(f"{name} is {value}, and has to be {least} or more")
    return int(value)
