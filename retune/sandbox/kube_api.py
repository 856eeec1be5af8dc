# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to the sandbox's Kubernetes API server: JSON over HTTPS, with a certificate that a kubeconfig file names."""

import contextlib
import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

CONTEXT = "retune-sandbox"
SECONDS = 30
JSON = "application/json"


def kubeconfig(server: str, folder: Path, user: str) -> str:
    """A kubeconfig file for the user whose certificate is in the folder."""
    cluster = {"server": server, "certificate-authority": str(folder / "ca.crt")}
    identity = {"client-certificate": str(folder / f"{user}.crt"), "client-key": str(folder / f"{user}.key")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": cluster}],
        "users": [{"name": user, "user": identity}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
        "current-context": CONTEXT,
    }
    return yaml.safe_dump(document, sort_keys=False)


class Api:
    """One user of the server, as a file that `kubeconfig` wrote describes it."""

    def __init__(self, path: Path) -> None:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        self._address = urlsplit(cluster["server"]).netloc
        self._tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self._tls.load_cert_chain(user["client-certificate"], user["client-key"])

    def request(
        self, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        """The status and the answer, parsed where it is JSON.

        :raises OSError, http.client.HTTPException: where the server does not answer.
        """
        with self._connection() as connection:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": content_type, "Accept": JSON})
            answer = connection.getresponse()
            text = answer.read().decode()
            is_json = answer.headers.get_content_type() == JSON
            return answer.status, json.loads(text) if is_json else text

    def watch(self, path: str, seconds: int) -> Iterator[dict[str, Any]]:
        """The events of a watch as they come, for at most this long."""
        with self._connection(seconds + SECONDS) as connection:
            connection.request("GET", f"{path}&watch=1&timeoutSeconds={seconds}")
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise http.client.HTTPException(f"{path}: {answer.status}")
            for line in answer:
                yield json.loads(line)

    @contextlib.contextmanager
    def _connection(self, seconds: float = SECONDS) -> Iterator[http.client.HTTPSConnection]:
        connection = http.client.HTTPSConnection(self._address, timeout=seconds, context=self._tls)
        try:
            yield connection
        finally:
            connection.close()
