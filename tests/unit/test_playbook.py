# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run is asked to stop, and what is left behind when it has."""

from __future__ import annotations

import os
import signal

from retune.playbook import _stop_requested


def test_the_former_signal_handlers_come_back() -> None:
    def mine(_number: int, _frame: object) -> None:
        raise AssertionError("this handler is not to be called")

    former = {number: signal.signal(number, mine) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        with _stop_requested(None) as why:
            assert why() == ""
            os.kill(os.getpid(), signal.SIGTERM)
            assert why() == "stopped by SIGTERM"
        assert all(signal.getsignal(number) is mine for number in former)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def test_a_deadline_that_has_passed_stops_the_run() -> None:
    with _stop_requested(0) as why:
        assert why() == "stopped after 0 s"
