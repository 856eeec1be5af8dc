# SPDX-License-Identifier: GPL-3.0-or-later
"""Private, untuned services on loopback, to try the tuning on."""

from .grants import grant
from .processes import SandboxError
from .sandbox import DEFAULT, Sandbox

__all__ = ["DEFAULT", "Sandbox", "SandboxError", "grant"]
