# SPDX-License-Identifier: GPL-3.0-or-later
"""https_probe on a real nginx with TLS, compression and a cache, as it should be and broken in one way after another."""

from __future__ import annotations

import http.server
import json
import os
import pwd
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils import _https_probe
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._https import Answer

from retune.sandbox.certificates import issue
from retune.sandbox.processes import LOOPBACK, find_program, free_ports, poll, port_is_free
from tests.integration.conftest import PROJECT

HOST = "leads.example.test"
ALICE, BOB = {"Authorization": "Bearer alice"}, {"Cookie": "session=bob"}
CONF = """
daemon off; user {user}; error_log stderr; pid {folder}/pid;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
  scgi_temp_path {folder}/s; proxy_temp_path {folder}/p; proxy_cache_path {folder}/cache keys_zone=edge:1m;
  gzip on; gzip_types application/json; gzip_min_length 100; gzip_proxied any;
  server {{ listen {host}:{plain}; {redirect} }}
  server {{
    listen {host}:{port} ssl{http2}; ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
    ssl_protocols {protocols}; ssl_ciphers ALL:@SECLEVEL=0; {hsts}
    location / {{
      proxy_pass http://{host}:{upstream}; proxy_cache edge; proxy_set_header Accept-Encoding "";
      {bypass}
      add_header X-Cache-Status $upstream_cache_status; {hsts}
    }}
  }}
}}
"""
GOOD = {
    "http2": " http2",
    "protocols": "TLSv1.2 TLSv1.3",
    "hsts": "add_header Strict-Transport-Security 'max-age=31536000' always;",
    "redirect": f"return 301 https://{HOST}$request_uri;",
    "bypass": "proxy_no_cache $http_authorization $http_cookie; proxy_cache_bypass $http_authorization $http_cookie;",
}
ROUTES: list[dict[str, Any]] = [
    {"path": "/static/app.0123abcd.js", "kind": "static", "users": [ALICE, BOB]},
    {"path": "/api/public/rates", "kind": "public", "encoding": "gzip", "users": [ALICE, BOB]},
    {"path": "/api/me", "kind": "private", "users": [ALICE, BOB]},
]


LIVES = {"/static": "public, max-age=31536000, immutable", "/api/public": "public, s-maxage=120, max-age=5"}


class Upstream(http.server.BaseHTTPRequestHandler):
    """An application that says who it takes the client for, and how long its answers may be kept."""

    def do_GET(self) -> None:
        who = self.headers.get("Authorization") or self.headers.get("Cookie") or "nobody"
        body = json.dumps({"who": who if self.path == "/api/me" else "anybody", "rates": list(range(500))}).encode()
        life = next((life for prefix, life in LIVES.items() if self.path.startswith(prefix)), "private, no-store")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=60" if "/leaky" in self.path else life)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


class Edge:
    """nginx with that configuration."""

    def __init__(self, folder: Path, upstream: int) -> None:
        self.folder, self.upstream = folder, upstream
        self.port, self.plain = free_ports(2)
        authority = issue("an authority of the test's own")
        server = issue(HOST, authority, names=[HOST])
        (folder / "ca.pem").write_text(authority.certificate_pem)
        (folder / "server.pem").write_text(server.certificate_pem)
        (folder / "server.key").write_text(server.key_pem)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **values: str) -> None:
        program = find_program("nginx")
        if program is None:
            pytest.skip("there is no nginx")
        text = CONF.format(
            user=pwd.getpwuid(os.geteuid()).pw_name,
            folder=self.folder,
            host=LOOPBACK,
            port=self.port,
            plain=self.plain,
            upstream=self.upstream,
            **{**GOOD, **values},
        )
        (self.folder / "nginx.conf").write_text(text)
        command = [program, "-p", self.folder, "-e", "stderr", "-c", self.folder / "nginx.conf"]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        assert poll(lambda: not port_is_free(self.port), 10)

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(10)

    def probe(self, **options: Any) -> dict[str, dict[str, Any]]:
        """The verdict of each control."""
        defaults = {name: about.get("default") for name, about in _https_probe.ARGUMENT_SPEC.items()}
        given = {
            "url": f"https://{HOST}",
            "address": f"{LOOPBACK}:{self.port}",
            "redirect_address": f"{LOOPBACK}:{self.plain}",
            "ca_cert": str(self.folder / "ca.pem"),
            **options,
        }
        routes = [
            {"headers": {}, "users": [], "encoding": None, "kind": "plain", **each} for each in given.pop("routes", [])
        ]
        found = _https_probe.probe({**defaults, **given, "routes": routes}, False)
        return {entry["control"]: entry for entry in found["audit"]}

    def kinds(self, **options: Any) -> list[str]:
        return [finding["kind"] for entry in self.probe(**options).values() for finding in entry["findings"]]


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Upstream)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    made = Edge(tmp_path, server.server_address[1])
    try:
        yield made
    finally:
        made.stop()
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_site_as_it_should_be_passes(edge: Edge) -> None:
    edge.start()
    found = edge.probe(routes=ROUTES)
    expected = {"api.brotli", "cdn.public_api", "cdn.static_assets", "ingress.tls_termination"}
    assert {control: entry["verdict"] for control, entry in found.items()} == dict.fromkeys(expected, "pass")


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ({"protocols": "TLSv1.1 TLSv1.2"}, ["old TLS"]),
        ({"hsts": ""}, ["HSTS"]),
        ({"hsts": "add_header Strict-Transport-Security 'includeSubDomains; max-age=60';"}, ["HSTS"]),
        ({"http2": ""}, ["no HTTP/2"]),
        ({"redirect": "return 302 https://$host$request_uri;"}, ["no redirect"]),
        ({"redirect": "return 301 https://elsewhere.example.test/;"}, ["no redirect"]),
        ({"redirect": "return 200 hello;"}, ["no redirect"]),
        ({"bypass": "proxy_no_cache 1;"}, ["not cached", "not cached"]),
        ({"bypass": ""}, ["cached for users"] * 4),
        (
            {"bypass": "proxy_ignore_headers Cache-Control; proxy_cache_valid 60;"},
            ["cached for users"] * 2 + ["private and cached"] * 2 + ["another's answer"] + ["cached for users"] * 2,
        ),
        ({"bypass": GOOD["bypass"] + "gzip off;"}, ["not compressed"]),
        ({"bypass": GOOD["bypass"] + "add_header Set-Cookie a=b;"}, ["cookie in the cache"] * 2),
    ],
)
def test_what_is_wrong_is_found(edge: Edge, values: dict[str, str], kinds: list[str]) -> None:
    edge.start(**values)
    assert sorted(edge.kinds(routes=ROUTES)) == sorted(kinds)


@pytest.mark.parametrize(
    ("route", "kinds"),
    [
        ({"path": "/static/leaky", "kind": "static"}, ["short life"]),
        ({"path": "/static/app.0123abcd.js", "kind": "public"}, ["wrong life"]),
        ({"path": "/api/public/rates", "encoding": "br"}, ["not compressed"]),
        ({"path": "/api/public/rates", "encoding": "gzip"}, []),
    ],
)
def test_a_route(edge: Edge, route: dict[str, Any], kinds: list[str]) -> None:
    edge.start()
    assert edge.kinds(routes=[route]) == kinds


def test_what_cannot_be_asked_is_one_sentence(edge: Edge) -> None:
    with pytest.raises(TuningError, match=rf"https://{HOST} at 127.0.0.1:{edge.port}: Connection refused"):
        edge.probe()
    edge.start()
    with pytest.raises(TuningError, match="its certificate is not to be trusted: unable to get local issuer"):
        edge.probe(ca_cert=None)
    with pytest.raises(TuningError, match="not to be trusted: Hostname mismatch"):
        edge.probe(url="https://other.example.test")
    with pytest.raises(TuningError, match=r"^url leads: "):
        edge.probe(url="leads")
    with pytest.raises(TuningError, match=r"^address somewhere: "):
        edge.probe(address="somewhere")
    assert edge.kinds(expires_after_days=9999) == ["certificate ends"]
    with pytest.raises(TuningError, match="certificate ends: on "):
        edge.probe(expires_after_days=9999, verify=True)


@pytest.mark.parametrize(("values", "status"), [({}, 0), ({"bypass": ""}, 2)])
def test_the_audit_asks_the_edge(edge: Edge, tmp_path: Path, values: dict[str, str], status: int) -> None:
    edge.start(**values)
    inventory = tmp_path / "inventories" / "site"
    (inventory / "group_vars").mkdir(parents=True)
    host = {
        "edge_url": f"https://{HOST}",
        "edge_address": f"{LOOPBACK}:{edge.port}",
        "edge_ca_cert": str(tmp_path / "ca.pem"),
        "edge_redirect_address": f"{LOOPBACK}:{edge.plain}",
        "edge_routes": ROUTES,
    }
    (inventory / "hosts.yml").write_text(json.dumps({"all": {"children": {"edge": {"hosts": {"the-edge": host}}}}}))
    shutil.copy(PROJECT / "inventories/sandbox/group_vars/all.yml", inventory / "group_vars" / "all.yml")
    done = subprocess.run(
        [sys.executable, "-m", "retune", "audit", inventory],
        cwd=PROJECT,
        env={**os.environ, "RETUNE_LOG_DIRECTORY": str(tmp_path / "log")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert ("cached for users" in done.stdout) == bool(status)
    assert "Bearer alice" not in done.stdout


@pytest.mark.parametrize(
    ("headers", "hit"),
    [
        ({}, False),
        ({"age": "0"}, False),
        ({"age": "7"}, True),
        ({"x-cache": "HIT from edge"}, True),
        ({"x-cache": "MISS"}, False),
        ({"cf-cache-status": "HIT"}, True),
        ({"cf-cache-status": "DYNAMIC"}, False),
        ({"cache-status": "Edge; hit"}, True),
        ({"cache-status": "Edge; fwd=miss"}, False),
    ],
)
def test_a_hit_is_told_by_what_caches_say(headers: dict[str, str], hit: bool) -> None:
    assert Answer(200, headers, b"").is_hit() is hit


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("max-age=60", 60),
        ("max-age=5, s-maxage=120", 120),
        ('s-maxage="90"', 90),
        ("no-store", None),
        ("", None),
        ("max-age=soon", None),
    ],
)
def test_the_life_in_a_shared_cache(given: str, seconds: int | None) -> None:
    assert Answer(200, {"cache-control": given}, b"").lifetime() == seconds
