# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server of the test session's own, and a namespace of each test's own."""

from __future__ import annotations

import base64
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml

from retune.sandbox import Sandbox
from retune.sandbox.kubernetes import Kubernetes
from retune.sandbox.processes import poll

SECONDS = 30
TOKEN_SECONDS = 86400
RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Cluster:
    """A server, and its administrator's way to it."""

    kubeconfig: Path
    folder: Path  # gets the kubeconfig files of service accounts
    audit_log: Path | None = field(default=None)  # None where the server is not the session's own

    @cached_property
    def _client(self) -> Any:
        from kubernetes import config  # noqa: PLC0415 - most of the tests do without it

        return config.new_client_from_config(str(self.kubeconfig))

    @property
    def server(self) -> str:
        """The URL."""
        return str(self._client.configuration.host)

    def request(
        self, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        """Ask as the administrator; the status, and the answer where it is JSON, else its text."""
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        answer = self._client.rest_client.pool_manager.request(
            method,
            self.server + path,
            body=None if body is None else json.dumps(body),
            headers=headers,
            timeout=SECONDS,
            retries=False,
        )
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        return answer.status, json.loads(answer.data) if is_json else answer.data.decode()

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object in a collection."""
        status, answer = self.request("POST", path, body)
        assert status == 201, answer
        made: dict[str, Any] = answer
        return made

    def service_account(self, namespace: str, name: str, rules: list[dict[str, Any]]) -> Path:
        """Make a service account with a Role of these rules; a kubeconfig file with a token of it.

        Returns when the server honours the rules, which is some moments after it took them.
        """
        roles = f"/apis/{RBAC}/v1/namespaces/{namespace}"
        metadata = {"metadata": {"name": name}}
        self.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", metadata)
        self.create(f"{roles}/roles", {**metadata, "rules": rules})
        reference = {"apiGroup": RBAC, "kind": "Role", "name": name}
        subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        self.create(f"{roles}/rolebindings", {**metadata, "roleRef": reference, "subjects": [subject]})
        return self.kubeconfig_of(namespace, name, rules)

    def kubeconfig_of(self, namespace: str, name: str, rules: list[dict[str, Any]]) -> Path:
        """A kubeconfig file with a token of a service account, once the server honours these rules of its Role."""
        place = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        token = self.create(place, {"spec": {"expirationSeconds": TOKEN_SECONDS}})["status"]["token"]
        for rule in rules:
            assert poll(lambda rule=rule: self._may(namespace, name, rule), SECONDS), rule  # type: ignore[misc]
        path = self.folder / f"{namespace}-{name}.kubeconfig"
        path.write_text(self._kubeconfig(namespace, name, token), encoding="utf-8")
        path.chmod(0o600)
        return path

    def _may(self, namespace: str, name: str, rule: dict[str, Any]) -> bool:
        resource, _, subresource = rule["resources"][0].partition("/")
        attributes = {
            "namespace": namespace,
            "verb": rule["verbs"][0],
            "group": rule["apiGroups"][0],
            "resource": resource,
            "subresource": subresource,
            "name": rule.get("resourceNames", [""])[0],
        }
        spec = {"user": f"system:serviceaccount:{namespace}:{name}", "resourceAttributes": attributes}
        review = self.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})
        return bool(review["status"]["allowed"])

    def _kubeconfig(self, namespace: str, name: str, token: str) -> str:
        known = self._client.configuration
        cluster: dict[str, Any] = {"server": self.server}
        if not known.verify_ssl:
            cluster["insecure-skip-tls-verify"] = True
        elif known.ssl_ca_cert:
            cluster["certificate-authority-data"] = base64.b64encode(Path(known.ssl_ca_cert).read_bytes()).decode()
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name, "namespace": namespace}}],
            "current-context": "test",
        }
        return yaml.safe_dump(document)

    def audit_lines(self, since: int = 0) -> list[dict[str, Any]]:
        """The server's audit events, of every request that was answered before the call, without the first ``since``."""
        if self.audit_log is None:
            pytest.skip("the audit log of a server that is not the session's own is not read")
        mark = f"/version?mark={uuid.uuid4().hex}"
        self.request("GET", mark)  # an event is written some moments after the answer
        assert poll(lambda: any(event["requestURI"] == mark for event in self._audited()), SECONDS)
        return self._audited()[since:]

    def _audited(self) -> list[dict[str, Any]]:
        assert self.audit_log
        *whole, _ = self.audit_log.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in whole]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server that TUNING_TEST_KUBECONFIG names, or one of the session's own."""
    folder = tmp_path_factory.mktemp("kubernetes")
    if named := os.environ.get("TUNING_TEST_KUBECONFIG"):
        yield Cluster(Path(named), folder)
        return
    if Kubernetes.missing():
        pytest.skip("the API server of Kubernetes is not there: run 'make envtest'")
    sandbox = Sandbox(folder / "sandbox", folder / "inventory")
    try:
        sandbox.up(services=("kubernetes",))
        hosts = yaml.safe_load(sandbox.hosts_file.read_text(encoding="utf-8"))["all"]["children"]
        connection = hosts["kubernetes"]["hosts"]["sandbox-kubernetes"]["kubernetes_connection"]
        yield Cluster(Path(connection["kubeconfig"]), folder, sandbox.directory.resolve() / "kubernetes" / "audit.log")
    finally:
        sandbox.down()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """The name of a new namespace; it is deleted after the test, which does not wait for that."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    cluster.create("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    cluster.request("DELETE", f"/api/v1/namespaces/{name}")
