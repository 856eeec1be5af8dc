# SPDX-License-Identifier: GPL-3.0-or-later
"""A Kubernetes API server with its controllers, and the platform's workloads as they are before any tuning."""

import http.client
import os
import sys
from functools import partial
from pathlib import Path

import psutil
import yaml

from . import envtest, files, processes
from .certificates import Issued, issue
from .kube_api import CONTEXT, Api, kubeconfig
from .processes import LOOPBACK, Account, SandboxError
from .service import Program, Service

NAMESPACE = "leads"
FIELD_MANAGER = "helm"  # who owns the workloads' fields before Retune does
SERVICE_NETWORK = "10.0.0.0/24"
SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
ISSUER = "https://kubernetes.default.svc.cluster.local"
CONTROLLERS = "system:kube-controller-manager"
PODS = "retune.sandbox.pods"
PROCESSES = (*envtest.PROGRAMS, PODS)  # in the order in which they start
ETCD = "etcd.sock:0"  # a socket in the folder: over TCP any user of the machine could read every secret
ETCD_PEERS = "peers.sock:0"
COLLECTIONS = {"Namespace": "namespaces", "Service": "services", "Deployment": "deployments"}
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
"""


class Kubernetes(Service):
    """etcd, the API server, the controllers, and a program in the place of nodes; pods run nothing."""

    name = "kubernetes"
    needs = tuple(Program(name) for name in envtest.PROGRAMS)
    optional = True
    ready_seconds = 90

    @property
    def clients(self) -> Path:
        """The folder of the invoking user: its certificates give every right in the cluster."""
        return self.state.home / "kubernetes-clients"

    @property
    def server(self) -> str:
        return f"https://{self.endpoint}"

    @property
    def kubeconfig(self) -> Path:
        return self.clients / "admin.kubeconfig"

    @property
    def _pods_kubeconfig(self) -> Path:
        return self.clients / "pods.kubeconfig"

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    @classmethod
    def program(cls, name: str) -> str | None:
        folder = envtest.binaries()
        return None if folder is None else str(folder / name)

    def make(self) -> None:
        authority = issue("retune-sandbox")
        server = issue("kube-apiserver", authority, names=SERVER_NAMES, addresses=(LOOPBACK, "10.0.0.1"))
        tokens = issue("service-accounts", authority)
        self.write("audit-policy.yml", AUDIT_POLICY)
        for name, issued in {"server": server, "tokens": tokens}.items():
            self._write_pair(self.folder, name, issued, self.account)
        self._write_client(self.folder, authority, "controllers", issue(CONTROLLERS, authority), self.account)
        user = _invoker(self.account)
        files.make_folder(self.clients, user)
        for name in ("admin", "pods"):
            issued = issue(name, authority, organization="system:masters")
            self._write_client(self.clients, authority, name, issued, user)

    def _write_pair(self, folder: Path, name: str, issued: Issued, owner: Account) -> None:
        files.write(folder / f"{name}.crt", issued.certificate_pem, owner=owner)
        files.write(folder / f"{name}.key", issued.key_pem, owner=owner)

    def _write_client(self, folder: Path, authority: Issued, name: str, issued: Issued, owner: Account) -> None:
        files.write(folder / "ca.crt", authority.certificate_pem, owner=owner)
        self._write_pair(folder, name, issued, owner)
        files.write(folder / f"{name}.kubeconfig", kubeconfig(self.server, folder, name), owner=owner)

    def launch(self) -> None:
        self._spawn("etcd", self._etcd_options())
        self._spawn("kube-apiserver", self._server_options())
        # The controllers wait for the server for a few seconds only, and then end.
        if not processes.poll(self.answers, self.ready_seconds):
            raise SandboxError(f"kube-apiserver does not answer: see {self.folder / 'kube-apiserver.log'}")
        self._spawn("kube-controller-manager", self._controller_options())
        processes.spawn(
            _invoker(self.account),
            [sys.executable, "-m", PODS, self._pods_kubeconfig],
            files.SOURCES.parents[1],
            self.clients / "pods.log",
        )

    def _spawn(self, program: str, options: dict[str, object]) -> None:
        path = self.program(program)
        if path is None:
            raise SandboxError(f"{program} is gone: run 'make envtest'")
        arguments = [f"--{name}={value}" for name, value in options.items()]
        processes.spawn(self.account, [path, *arguments], self.folder, self.folder / f"{program}.log")

    def _etcd_options(self) -> dict[str, object]:
        client, peers = f"unix://{ETCD}", f"unix://{ETCD_PEERS}"
        return {
            "data-dir": self.folder / "etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"default={peers}",
            "unsafe-no-fsync": "true",  # the data is made anew in seconds
        }

    def _server_options(self) -> dict[str, object]:
        return {
            "etcd-servers": f"unix://{ETCD}",
            "bind-address": LOOPBACK,
            "advertise-address": LOOPBACK,
            "secure-port": self.port,
            "cert-dir": self.folder,
            "tls-cert-file": self.folder / "server.crt",
            "tls-private-key-file": self.folder / "server.key",
            "client-ca-file": self.folder / "ca.crt",
            "authorization-mode": "RBAC",
            "service-account-issuer": ISSUER,
            "service-account-key-file": self.folder / "tokens.crt",
            "service-account-signing-key-file": self.folder / "tokens.key",
            "service-cluster-ip-range": SERVICE_NETWORK,
            "endpoint-reconciler-type": "none",  # nothing runs in the cluster that would look for the server
            "enable-priority-and-fairness": "false",
            "audit-policy-file": self.folder / "audit-policy.yml",
            "audit-log-path": self.audit_log,
            "audit-log-maxbackup": 1,  # of 100 MB
        }

    def _controller_options(self) -> dict[str, object]:
        own = self.folder / "controllers.kubeconfig"
        return {
            "kubeconfig": own,
            "authentication-kubeconfig": own,
            "authorization-kubeconfig": own,
            "root-ca-file": self.folder / "ca.crt",
            "service-account-private-key-file": self.folder / "tokens.key",
            "use-service-account-credentials": "true",
            "secure-port": 0,
            "leader-elect": "false",
            "kube-api-qps": 500,  # the usual 20 make them take seconds to begin
            "kube-api-burst": 1000,
        }

    def answers(self) -> bool:
        try:
            status, _ = Api(self.kubeconfig).request("GET", "/readyz")
        except (OSError, http.client.HTTPException):
            return False
        return status == http.client.OK

    def fill(self) -> None:
        api = Api(self.kubeconfig)
        for manifest in yaml.safe_load_all((files.SOURCES / "workloads.yml").read_text(encoding="utf-8")):
            path = f"{_path(manifest)}?fieldManager={FIELD_MANAGER}&force=true"
            status, answer = api.request("PATCH", path, manifest, "application/apply-patch+yaml")
            if status not in (http.client.OK, http.client.CREATED):
                raise SandboxError(f"{manifest['kind']} {manifest['metadata']['name']} was refused: {answer['message']}")
        if not processes.poll(lambda: _is_rolled_out(api), self.ready_seconds):
            raise SandboxError(f"the controllers do not roll out: see {self.folder / 'kube-controller-manager.log'}")

    def host_variables(self) -> dict[str, object]:
        return {"kubernetes_connection": {"kubeconfig": str(self.kubeconfig), "context": CONTEXT}}

    def processes(self) -> list[psutil.Process]:
        return [process for name in PROCESSES for process in self._running(name)]

    def _running(self, name: str) -> list[psutil.Process]:
        if name != PODS:
            return processes.owned(self.folder, self.account.uid, {name})
        # Told by its whole command: other Python programs may work with the same file.
        ending = ["-m", PODS, str(self._pods_kubeconfig)]
        return processes.owned(self._pods_kubeconfig, os.geteuid(), {Path(sys.executable).name}, ending)

    @property
    def pid(self) -> int | None:
        """The API server's; None also where one of the other programs ended, as nothing works without it."""
        found = {name: self._running(name) for name in PROCESSES}
        return found["kube-apiserver"][0].pid if all(found.values()) else None

    def stop(self) -> None:
        """One after the other, the last to start first: each would complain of the next one's end."""
        for name in reversed(PROCESSES):
            if not processes.stop(partial(self._running, name), self.stop_signal, self.stop_seconds):
                raise SandboxError(f"{name} in {self.folder} does not stop: end it, then run 'retune sandbox down'")


def _invoker(account: Account) -> Account:
    """The user of the command, who may be another one than the services'."""
    return Account("", os.geteuid(), os.getegid(), switch=False) if account.switch else account


def _is_rolled_out(api: Api) -> bool:
    """Whether every replica of the workloads is available."""
    _, found = api.request("GET", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments")
    return all(each["status"].get("availableReplicas") == each["spec"]["replicas"] for each in found["items"])


def _path(manifest: dict[str, dict[str, str]]) -> str:
    """Where an object of the workloads is found."""
    version, metadata = str(manifest["apiVersion"]), manifest["metadata"]
    root = f"/api/{version}" if version == "v1" else f"/apis/{version}"
    place = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{root}{place}/{COLLECTIONS[str(manifest['kind'])]}/{metadata['name']}"
