# SPDX-License-Identifier: GPL-3.0-or-later
"""The error that the command line prints as one sentence."""


class RetuneError(Exception):
    """What is wrong and what to do about it, in one sentence."""
