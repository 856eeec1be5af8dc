# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a site answers as the guide says: TLS, compression, and what its caches keep and never give to another."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._audit import audited, finding
from ansible_collections.leadgen.tuning.plugins.module_utils._https import (
    VERSIONS,
    Answer,
    Handshake,
    Site,
    accepts,
    get,
    handshake,
)

TLS, COMPRESSION, STATIC, PUBLIC = "ingress.tls_termination", "api.brotli", "cdn.static_assets", "cdn.public_api"
YEAR = 31_536_000
_PUBLIC_SECONDS = (60, 300)
_ROUTE: dict[str, Any] = {
    "path": {"type": "str", "required": True},
    "kind": {"type": "str", "choices": ["plain", "static", "public", "private"], "default": "plain"},
    "encoding": {"type": "str", "choices": ["br", "gzip", "zstd"]},
    "headers": {"type": "dict", "default": {}},
    "users": {"type": "list", "elements": "dict", "default": [], "no_log": True},
}
ARGUMENT_SPEC: dict[str, Any] = {
    "url": {"type": "str", "required": True},
    "address": {"type": "str", "default": ""},
    "ca_cert": {"type": "path"},
    "timeout": {"type": "float", "default": 10.0},
    "minimum_tls": {"type": "str", "choices": ["TLSv1.2", "TLSv1.3"], "default": "TLSv1.2"},
    "expires_after_days": {"type": "int", "default": 14},
    "hsts_seconds": {"type": "int", "default": YEAR},
    "http2": {"type": "bool", "default": True},
    "redirect_address": {"type": "str", "default": ""},
    "routes": {"type": "list", "elements": "dict", "default": [], "options": _ROUTE},
    "verify": {"type": "bool", "default": False},
}


@dataclass
class Findings:
    """What is wrong, by control; a control that was looked at is there with none."""

    by_control: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    unknown: dict[str, list[str]] = field(default_factory=dict)

    def look(self, control: str) -> None:
        """Take a control as looked at."""
        self.by_control.setdefault(control, [])

    def find(self, control: str, kind: str, where: str, why: str) -> None:
        """Take in a finding."""
        self.by_control.setdefault(control, []).append(finding(kind, where, why))


def probe(options: Mapping[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Ask the site for real, and judge its answers. Nothing is changed.

    :raises TuningError: when the site cannot be reached or its certificate is not to be trusted; with ``verify``, for the
        first thing that is wrong.
    """
    site = Site.of(options)
    found = Findings()
    if site.scheme == "https":
        _judge_tls(site, options, found)
    for route in options["routes"]:
        _JUDGES[route["kind"]](site, route, found)
    audit = [
        audited(control, float(len(findings)), findings, found.unknown.get(control, ()))
        for control, findings in sorted(found.by_control.items())
    ]
    wrong = [each for entry in audit for each in entry["findings"]]
    if options["verify"] and wrong:
        raise site.error(f"{wrong[0]['table']}: {wrong[0]['kind']}: {wrong[0]['why']}")
    return {"changed": False, "audit": audit}


def _judge_tls(site: Site, options: Mapping[str, Any], found: Findings) -> None:
    found.look(TLS)
    secure, agreed = handshake(site, ("h2", "http/1.1"))
    secure.close()
    for kind, why in _of_handshake(agreed, options, datetime.now(UTC)):
        found.find(TLS, kind, site.host, why)
    for version in [name for name, number in VERSIONS.items() if number < VERSIONS[options["minimum_tls"]]]:
        accepted = accepts(site, version)
        if accepted is None:
            found.unknown.setdefault(TLS, []).append(f"this machine cannot try {version}")
        elif accepted:
            found.find(TLS, "old TLS", site.host, f"it shakes hands in {version}")
    if options["hsts_seconds"]:
        age = _hsts(get(site, "/", {}))
        if age < options["hsts_seconds"]:
            found.find(TLS, "HSTS", site.host, f"Strict-Transport-Security keeps browsers to TLS for {age} s")
    if options["redirect_address"]:
        _judge_redirect(site, options, found)


def _of_handshake(agreed: Handshake, options: Mapping[str, Any], now: datetime) -> Iterator[tuple[str, str]]:
    if agreed.not_after - now < timedelta(days=options["expires_after_days"]):
        yield "certificate ends", f"on {agreed.not_after:%Y-%m-%d}, in {(agreed.not_after - now).days} days"
    if options["http2"] and agreed.protocol != "h2":
        yield "no HTTP/2", "a connection carries one request at a time"
    if VERSIONS.get(agreed.version, 0) < VERSIONS["TLSv1.3"] and not agreed.cipher.startswith(("ECDHE", "DHE")):
        yield "no forward secrecy", f"the cipher is {agreed.cipher}"


def _hsts(answer: Answer) -> int:
    parts = (each.strip().partition("=") for each in answer.headers.get("strict-transport-security", "").split(";"))
    ages = [value.strip('"') for name, _equals, value in parts if name.lower() == "max-age"]
    return int(ages[0]) if ages and ages[0].isdigit() else 0


def _judge_redirect(site: Site, options: Mapping[str, Any], found: Findings) -> None:
    plain = Site.of({**options, "url": f"http://{site.host}", "address": options["redirect_address"]})
    answer = get(plain, "/any?path=1", {})
    location = answer.headers.get("location", "")
    if answer.status not in {301, 308} or not location.startswith(f"https://{site.host}"):
        found.find(TLS, "no redirect", site.host, f"plain HTTP is answered with {answer.status} {location}".rstrip())


def _judge_plain(site: Site, route: Mapping[str, Any], found: Findings) -> None:
    answer = _answer(site, route, found)
    if answer is not None:
        _judge_encoding(route, answer, found)


def _judge_encoding(route: Mapping[str, Any], answer: Answer, found: Findings) -> None:
    if not route["encoding"]:
        return
    found.look(COMPRESSION)
    given = answer.headers.get("content-encoding", "none")
    if given != route["encoding"]:
        why = f"asked for {route['encoding']}, it comes as {given}, in {len(answer.body)} bytes"
        found.find(COMPRESSION, "not compressed", route["path"], why)


def _judge_cached(control: str, site: Site, route: Mapping[str, Any], found: Findings) -> None:
    """The second request is a hit, for as long as the guide says; one with credentials never is."""
    found.look(control)
    answer = _answer(site, route, found, control)
    if answer is None:
        return
    _judge_encoding(route, answer, found)
    if not answer.is_hit():
        found.find(control, "not cached", route["path"], "the second request for it is no hit either")
    for kind, why in _of_lifetime(control, answer):
        found.find(control, kind, route["path"], why)
    for user in route["users"]:
        of_user = _answer(site, {**route, "headers": {**route["headers"], **user}}, found, control)
        if of_user is not None and of_user.is_hit():
            found.find(control, "cached for users", route["path"], f"with {', '.join(user)} it is answered from the cache")


def _of_lifetime(control: str, answer: Answer) -> Iterator[tuple[str, str]]:
    seconds, directives = answer.lifetime(), answer.directives()
    if control == STATIC and ((seconds or 0) < YEAR or "immutable" not in directives):
        yield (
            "short life",
            f"Cache-Control is {answer.headers.get('cache-control', 'missing')}; a year and immutable are meant",
        )
    least, most = _PUBLIC_SECONDS
    if control == PUBLIC and not least <= (seconds or 0) <= most:
        life = "no time that is told" if seconds is None else f"{seconds} s"
        yield "wrong life", f"a shared cache may keep it for {life}; {least} to {most} s are meant"
    if "set-cookie" in answer.headers:
        yield "cookie in the cache", "the answer that is kept sets a cookie, and so for everybody"


def _judge_private(site: Site, route: Mapping[str, Any], found: Findings) -> None:
    """Nobody gets it from a cache, and no user gets what is another's."""
    found.look(PUBLIC)
    bodies: list[bytes] = []
    for user in route["users"]:
        answer = _answer(site, {**route, "headers": {**route["headers"], **user}}, found, PUBLIC)
        if answer is None:
            return
        if answer.is_hit():
            found.find(PUBLIC, "private and cached", route["path"], f"with {', '.join(user)} it is answered from the cache")
        bodies.append(answer.body)
        if len(bodies) == 1:
            _judge_encoding(route, answer, found)
    if len(set(bodies)) < len(bodies):
        found.find(PUBLIC, "another's answer", route["path"], "two users get the same")


def _answer(site: Site, route: Mapping[str, Any], found: Findings, control: str = COMPRESSION) -> Answer | None:
    """The second answer of two, when a cache has had its chance; None where the route does not answer."""
    headers = {str(name): str(value) for name, value in route["headers"].items()}
    if route["encoding"]:
        headers["Accept-Encoding"] = route["encoding"]
    get(site, route["path"], headers)
    answer = get(site, route["path"], headers)
    if answer.status == http.client.OK:
        return answer
    found.find(control, "no answer", route["path"], f"it is answered with {answer.status}")
    return None


_JUDGES: dict[str, Callable[[Site, Mapping[str, Any], Findings], None]] = {
    "plain": _judge_plain,
    "static": partial(_judge_cached, STATIC),
    "public": partial(_judge_cached, PUBLIC),
    "private": _judge_private,
}
