# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to a Kubernetes API server: lists by the page, and server-side apply."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

try:
    import kubernetes.client
    import kubernetes.config
    import urllib3
except ImportError:
    kubernetes = None

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_fields import without_none

MANAGER = "leadgen-tuning"
# Of an answer, so that one with large objects takes little memory.
PAGE = 100
_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_MERGE = "application/strategic-merge-patch+json"
_REFUSED = 400
_CONFLICT = 409
_NOT_FOUND = 404
# The API of each kind that is read or applied here.
APIS = {
    "ConfigMap": ("v1", "configmaps"),
    "DaemonSet": ("apps/v1", "daemonsets"),
    "Deployment": ("apps/v1", "deployments"),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "horizontalpodautoscalers"),
    "LimitRange": ("v1", "limitranges"),
    "Pod": ("v1", "pods"),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudgets"),
    "ReplicaSet": ("apps/v1", "replicasets"),
    "ResourceQuota": ("v1", "resourcequotas"),
    "Rollout": ("argoproj.io/v1alpha1", "rollouts"),
    "Secret": ("v1", "secrets"),
    "StatefulSet": ("apps/v1", "statefulsets"),
}


class RefusedError(Exception):
    """The server's refusal: its HTTP status, its message, and the causes of a conflict."""

    def __init__(self, status: int, answer: Mapping[str, Any]) -> None:
        super().__init__(str(answer.get("message") or f"HTTP status {status}"))
        self.status = status
        self.reason = str(answer.get("reason", ""))
        self.causes: list[dict[str, Any]] = (answer.get("details") or {}).get("causes") or []

    @property
    def is_conflict(self) -> bool:
        """Whether another manager owns a field that was to have another value."""
        return self.status == _CONFLICT and any(cause.get("reason") == "FieldManagerConflict" for cause in self.causes)


def connection_argument() -> dict[str, Any]:
    """The argument spec of the option ``connection``."""
    return {
        "connection": {
            "type": "dict",
            "default": {},
            "options": {
                "kubeconfig": {"type": "path"},
                "context": {"type": "str"},
                "host": {"type": "str"},
                "api_key": {"type": "str", "no_log": True},
                "ca_cert": {"type": "path"},
                "validate_certs": {"type": "bool", "default": True},
                "timeout": {"type": "float", "default": 30.0},
            },
        }
    }


@dataclass
class Cluster:
    """An API server, over one pool of connections."""

    client: Any
    host: str
    timeout: float

    def get(self, path: str) -> dict[str, Any]:
        """What is at the path.

        :raises RefusedError: when the server refuses.
        :raises TuningError: when it cannot be reached.
        """
        return self._answer(self._request("GET", path))

    def text(self, path: str, seconds: float) -> str:
        """What is at the path, such as a pod's own answer, as a text.

        :raises RefusedError: when the server refuses, or the pod does.
        :raises TuningError: when there is no answer within so many seconds.
        """
        answer = self._request("GET", path, seconds=seconds)
        if answer.status >= _REFUSED:
            self._answer(answer)
        return str(answer.data.decode(errors="replace"))

    def find(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """One object; None where there is none of that name."""
        try:
            return self.get(f"{collection(kind, namespace)}/{quote(name)}")
        except RefusedError as refused:
            if refused.status == _NOT_FOUND:
                return None
            raise

    def list(self, kind: str, namespace: str, **selectors: str) -> Iterator[dict[str, Any]]:
        """The objects of a kind in a namespace, a page of them at a time; ``selectors`` as in ``labelSelector``."""
        version = APIS[kind][0]
        following = ""
        while True:
            asked = {"limit": str(PAGE), **selectors, **({"continue": following} if following else {})}
            page = self.get(f"{collection(kind, namespace)}?{urlencode(asked)}")
            for item in page["items"]:
                yield {**item, "apiVersion": version, "kind": kind}
            following = page["metadata"].get("continue") or ""
            if not following:
                return

    def apply(self, body: Mapping[str, Any], *, dry_run: bool, force: bool) -> dict[str, Any]:
        """Server-side apply under our field manager; return the object as the server has it then, or would have it.

        :raises RefusedError: for an unknown field, an invalid object, or another's field unless ``force``.
        """
        asked = {"fieldManager": MANAGER, "fieldValidation": "Strict", "force": str(force).lower()}
        if dry_run:
            asked["dryRun"] = "All"
        return self._answer(self._request("PATCH", f"{place(body)}?{urlencode(asked)}", without_none(body), _APPLY))

    def merge(self, body: Mapping[str, Any], *, dry_run: bool) -> dict[str, Any]:
        """Strategic merge patch under our field manager, where None takes a field out, whoever owns it.

        :raises RefusedError: for an unknown field or an invalid object.
        """
        asked = {"fieldManager": MANAGER, "fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        return self._answer(self._request("PATCH", f"{place(body)}?{urlencode(asked)}", body, _MERGE))

    def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        content: str = "application/json",
        seconds: float = 0.0,
    ) -> Any:
        headers = {"Accept": "application/json, */*", "User-Agent": MANAGER, "Content-Type": content}
        for setting in self.client.configuration.auth_settings().values():
            headers[setting["key"]] = setting["value"]
        try:
            return self.client.rest_client.pool_manager.request(
                method,
                self.host + path,
                headers=headers,
                body=None if body is None else json.dumps(body),
                timeout=seconds or self.timeout,
                retries=urllib3.Retry(2) if method == "GET" and not seconds else False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise TuningError(f"the Kubernetes API server {self.host} cannot be reached: {_reason(error)}") from error

    @staticmethod
    def _answer(answer: Any) -> dict[str, Any]:
        try:
            found = json.loads(answer.data)
        except ValueError:
            found = {"message": answer.data.decode(errors="replace").strip()[:200]}
        if answer.status >= _REFUSED:
            raise RefusedError(answer.status, found)
        return dict(found)


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error).rpartition(": ")[2]


def collection(kind: str, namespace: str) -> str:
    """The path of the objects of a kind in a namespace."""
    version, plural = APIS[kind]
    return f"/{'apis' if '/' in version else 'api'}/{version}/namespaces/{quote(namespace)}/{plural}"


def place(body: Mapping[str, Any]) -> str:
    """The path of an object."""
    return f"{collection(body['kind'], body['metadata']['namespace'])}/{quote(body['metadata']['name'])}"


@contextlib.contextmanager
def connect(options: Mapping[str, Any]) -> Iterator[Cluster]:
    """The cluster that the option ``connection`` names: by kubeconfig, by host and token, or the one it runs in.

    :raises TuningError: when the configuration is missing or wrong, or the server has refused something within.
    """
    if kubernetes is None:
        raise TuningError("the Python package kubernetes is missing where the module runs; install python3-kubernetes there")
    configuration = kubernetes.client.Configuration()
    if options.get("host"):
        configuration.host = options["host"].rstrip("/")
        configuration.api_key["authorization"] = f"Bearer {options['api_key']}" if options.get("api_key") else ""
    else:
        _load(options, configuration)
    configuration.ssl_ca_cert = options.get("ca_cert") or configuration.ssl_ca_cert
    if not options.get("validate_certs", True):
        configuration.verify_ssl = False
    client = kubernetes.client.ApiClient(configuration)
    try:
        yield Cluster(client, configuration.host, options.get("timeout") or 30.0)
    except RefusedError as refused:
        said = " ".join(str(refused).split())
        raise TuningError(
            f"kubernetes_connection, {configuration.host}: {said}; see the Role in docs/kubernetes.md"
        ) from refused
    finally:
        client.rest_client.pool_manager.clear()


def _load(options: Mapping[str, Any], configuration: Any) -> None:
    wrong = "kubernetes_connection: {}; name a kubeconfig and context, or a host and api_key"
    try:
        if options.get("kubeconfig") or options.get("context"):
            kubernetes.config.load_kube_config(
                options.get("kubeconfig"), options.get("context"), configuration, persist_config=False
            )
            return
        try:
            kubernetes.config.load_incluster_config(configuration)
        except kubernetes.config.ConfigException:
            kubernetes.config.load_kube_config(client_configuration=configuration, persist_config=False)
    except (kubernetes.config.ConfigException, OSError) as error:
        raise TuningError(wrong.format(" ".join(str(error).split()))) from error
    except (ValueError, TypeError, KeyError) as error:
        raise TuningError(wrong.format("the kubeconfig is not one")) from error
