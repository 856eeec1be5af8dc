# SPDX-License-Identifier: GPL-3.0-or-later
"""Every refusal that libpq words has a remedy that names the variable. The texts are those of libpq 15 to 18."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_refusals import reason_of, remedy_for

OPTIONS = {"host": "db", "port": 5432, "user": "tuning", "dbname": "leadgen", "sslmode": "verify-full"}
AT = 'connection to server at "10.0.0.1", port 5432 failed: '
HBA = 'FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "tuning", database "leadgen", '

REASONS = [
    (f"connection failed: {AT}Connection refused\n\tIs the server running on that host?", "Connection refused"),
    (
        f'connection failed: {AT}root certificate file "/ca" does not exist\nEither provide the file, or change sslmode',
        'root certificate file "/ca" does not exist',
    ),
    # Both attempts of sslmode prefer, and of allow.
    (f"connection failed: {AT}FATAL:  wrong\n{AT}{HBA}no encryption", "FATAL:  wrong"),
    (f"connection failed: {AT}{HBA}no encryption\n{AT}FATAL:  wrong", "FATAL:  wrong"),
    (f"connection failed: {AT}{HBA}no encryption", f"{HBA}no encryption"),
    (
        "Multiple connection attempts failed. All failures were:\n"
        f"- host: 'db', port: 5432, hostaddr: '::1': connection failed: {AT}FATAL:  one\n"
        f"- host: 'db', port: 5432, hostaddr: '10.0.0.1': connection failed: {AT}FATAL:  two",
        "FATAL:  one",
    ),
    (
        'connection is bad: connection to server on socket "/run/.s.PGSQL.1" failed: No such file or directory\n\tIs it?',
        "No such file or directory",
    ),
    ("failed to resolve host 'db': [Errno -2] Name or service\nnot known", None),
    ("connection timeout expired", None),
]


@pytest.mark.parametrize(("message", "reason"), REASONS)
def test_the_reason_is_one_line_without_hints(message: str, reason: str | None) -> None:
    assert reason_of(message) == (" ".join(message.split()) if reason is None else reason)


REMEDIES: list[tuple[str, dict[str, Any], dict[str, str], str]] = [
    ('root certificate file "/ca" does not exist', {}, {}, "give in postgres_connection.sslrootcert the file"),
    ('could not read root certificate file "/ca": no certificate', {}, {}, "give in postgres_connection.sslrootcert"),
    ("SSL error: certificate verify failed (certificate has expired)", {}, {}, "server's certificate renewed"),
    (
        "SSL error: certificate verify failed (unable to get local issuer certificate)",
        {"sslrootcert": "/ca"},
        {},
        "postgres_connection.sslrootcert, /ca, lacks the authority",
    ),
    ('server certificate for "a" (and 1 other name) does not match host name "b"', {}, {}, "in postgres_connection.host a"),
    ('private key file "/k" has group or world access; file must', {}, {}, "mode of postgres_connection.sslkey to 0600"),
    ('certificate present, but not private key file "/k"', {}, {}, "in postgres_connection.sslkey the key of"),
    ('could not load private key file "/k": key values mismatch', {}, {}, "in postgres_connection.sslkey the key of"),
    ('could not read certificate file "/c": no start line', {}, {}, "give in postgres_connection.sslcert a file"),
    ("FATAL:  connection requires a valid client certificate", {}, {}, "in postgres_connection.sslcert, and its key"),
    (
        "FATAL:  connection requires a valid client certificate",
        {"sslcert": "/c"},
        {"sslcert": "cannot be read (No such file or directory)"},
        "(/c cannot be read (No such file or directory))",
    ),
    ("SSL error: tlsv13 alert certificate required", {}, {}, "give the client's certificate in postgres_connection.sslcert"),
    ("SSL error: ssl/tls alert certificate expired", {}, {}, "renew the client's certificate, postgres_connection.sslcert"),
    ("SSL error: tlsv1 alert unknown ca", {}, {}, "have postgres_connection.sslcert signed by"),
    ('FATAL:  certificate authentication failed for user "tuning"', {}, {}, "sslcert has to be for the role tuning"),
    (f"{HBA}no encryption", {"sslmode": "disable"}, {}, "set postgres_connection.sslmode to verify-full"),
    (f"{HBA}no encryption", {"sslmode": "prefer"}, {}, "have TLS switched on at the server, or"),
    (f"{HBA}SSL encryption", {}, {}, "a line added to the server's pg_hba.conf for this address"),
    ('FATAL:  pg_hba.conf rejects connection for host "10.0.0.1"', {}, {}, "or correct postgres_connection.user"),
    ("server does not support SSL, but SSL was required", {}, {}, "since postgres_connection.sslmode is verify-full"),
    ("fe_sendauth: no password supplied", {}, {}, "give postgres_connection.password, from a vault, or"),
    (
        "fe_sendauth: no password supplied",
        {"passfile": "/p"},
        {"passfile": "is open"},
        "postgres_connection.passfile that can be used: /p is open",
    ),
    ("fe_sendauth: no password supplied", {"passfile": "/p"}, {}, "give the line for db:5432:leadgen:tuning in"),
    (
        'FATAL:  password authentication failed for user "tuning"',
        {"password": "x"},
        {},
        "correct postgres_connection.password",
    ),
    (
        'FATAL:  password authentication failed for user "tuning"',
        {"passfile": "/p"},
        {},
        "in postgres_connection.passfile, /p",
    ),
    ('FATAL:  Peer authentication failed for user "tuning"', {}, {}, "run as the system's user of the role's name"),
    ('FATAL:  database "nowhere" does not exist', {}, {}, "correct postgres_connection.dbname"),
    ('FATAL:  permission denied for database "leadgen"', {}, {}, "correct postgres_connection.dbname"),
    ('FATAL:  role "tuning" does not exist', {}, {}, "correct postgres_connection.user"),
    ('FATAL:  role "tuning" is not permitted to log in', {}, {}, "correct postgres_connection.user"),
    ("failed to resolve host 'db': [Errno -2] Name or service not known", {}, {}, "correct postgres_connection.host"),
    ("FATAL:  the database system is starting up", {}, {}, "run again when the server is ready"),
    ("FATAL:  the database system is not yet accepting connections", {}, {}, "run again when the server is ready"),
    ("FATAL:  sorry, too many clients already", {}, {}, "connections to spare"),
    (
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        {},
        {},
        "connections to spare",
    ),
    ("Connection refused", {}, {}, "check that the server runs and that postgres_connection.host, db, and"),
    ("connection timeout expired", {"host": None}, {}, "check that the server runs and that postgres_connection.host, the"),
]


@pytest.mark.parametrize(("reason", "options", "faults", "remedy"), REMEDIES)
def test_a_reason_has_its_remedy(reason: str, options: dict[str, Any], faults: dict[str, str], remedy: str) -> None:
    found = remedy_for(reason, {**OPTIONS, **options}, faults)
    assert remedy in found
    assert "{" not in found
