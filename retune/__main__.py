# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m retune``."""

import sys

from retune.cli import main

sys.exit(main())
