# SPDX-License-Identifier: GPL-3.0-or-later
"""What the event-loop monitors of pods tell, through the API server's proxy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes import Cluster, RefusedError, collection

_SECONDS = 2.0
_MOST_SILENT = 3  # after so many of a workload the others are not waited for
_P99 = re.compile(r"^nodejs_eventloop_lag_p99_seconds(?:\{[^}]*\})? (\S+)", re.MULTILINE)


def lags(cluster: Cluster, wish: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]) -> dict[str, float | str]:
    """The p99 of the event-loop lag in milliseconds by pod and container; else why there is none."""
    found: dict[str, float | str] = {}
    for pod in pods:
        for place, container in enumerate(wish["node_containers"]):
            if sum(isinstance(lag, str) for lag in found.values()) >= _MOST_SILENT:
                return found
            metadata = pod["metadata"]
            where = f"{quote(metadata['name'])}:{wish['event_loop_monitor']['port'] + place}"
            path = f"{collection('Pod', metadata['namespace'])}/{where}/proxy/metrics"
            found[f"{metadata['name']} {container}"] = _lag(cluster, path)
    return found


def _lag(cluster: Cluster, path: str) -> float | str:
    try:
        text = cluster.text(path, _SECONDS)
    except (RefusedError, TuningError) as error:
        return " ".join(str(error).split())
    lag = _P99.search(text)
    return round(float(lag[1]) * 1000, 3) if lag else "it answers without nodejs_eventloop_lag_p99_seconds"
