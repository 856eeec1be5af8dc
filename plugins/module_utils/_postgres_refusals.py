# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a connection to PostgreSQL could not be had, and which value of the inventory to mend. No I/O.

The texts are libpq's and the server's, in English: libpq is asked for no other language, and gives no code before a session
has begun.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# What libpq and psycopg put before the reason of each attempt.
_ATTEMPT = re.compile(
    r"^(?:- host: .*?: )?(?:connection (?:failed|is bad): )?connection to server (?:at|on socket) .*? failed: ", re.MULTILINE
)
_PLAIN_REFUSED = re.compile(r"no pg_hba\.conf entry .*no encryption")
# Each remedy is for the first pattern that is found in the reason.
_REMEDIES: tuple[tuple[str, str], ...] = (
    (
        r"root certificate file",
        "give in postgres_connection.sslrootcert the file with the authority that signed the server's certificate",
    ),
    (
        r"certificate verify failed.*(expired|not yet valid)",
        "have the server's certificate renewed: no postgres_connection.sslmode that verifies can do with it",
    ),
    (
        r"certificate verify failed",
        "postgres_connection.sslrootcert, {sslrootcert}, lacks the authority that signed the server's certificate; give "
        "the file that has it",
    ),
    (
        r"server certificate for .* does not match host name",
        "give in postgres_connection.host a name that the server's certificate is for",
    ),
    (r"private key file .* has group or world access", "set the mode of postgres_connection.sslkey to 0600"),
    (r"private key|key values mismatch", "give in postgres_connection.sslkey the key of postgres_connection.sslcert"),
    (r"certificate file", "give in postgres_connection.sslcert a file with the client's certificate"),
    (
        r"valid client certificate|certificate required",
        "give the client's certificate in postgres_connection.sslcert, and its key in .sslkey{sslcert_fault}",
    ),
    (r"alert certificate (expired|revoked)", "renew the client's certificate, postgres_connection.sslcert"),
    (
        r"alert (unknown ca|bad certificate|certificate unknown)",
        "have postgres_connection.sslcert signed by an authority in the server's ssl_ca_file",
    ),
    (
        r"certificate authentication failed",
        "postgres_connection.sslcert has to be for the role {user}, or mapped to it in the server's pg_ident.conf",
    ),
    (
        r"no encryption",
        "the server lets the role in only over TLS, if at all; set postgres_connection.sslmode to verify-full",
    ),
    (
        r"pg_hba\.conf",
        "have a line added to the server's pg_hba.conf for this address, or correct postgres_connection.user and "
        "postgres_connection.dbname",
    ),
    (
        r"server does not support SSL",
        "switch on ssl at the server, since postgres_connection.sslmode is {sslmode}",
    ),
    (r"no password supplied", "give {password}"),
    # PgBouncer says SASL where PostgreSQL says password.
    (r"(password|SASL) authentication failed", "correct {password}"),
    (
        r"(Peer|Ident) authentication failed",
        "run as the system's user of the role's name, or give postgres_connection.host and a password",
    ),
    (r"database .* does not exist|permission denied for database", "correct postgres_connection.dbname"),
    (r"role .* (does not exist|is not permitted to log in)", "correct postgres_connection.user"),
    (r"resolve host|translate host name|[Nn]ame or service not known", "correct postgres_connection.host"),
    (r"starting up|shutting down|recovery mode|not (yet )?accepting connections", "run again when the server is ready"),
    (r"too many (clients|connections)|connection slots", "run again when the server has connections to spare"),
)
_OTHERWISE = (
    "check that the server runs and that postgres_connection.host, {host}, and postgres_connection.port, {port}, are right"
)


def reason_of(message: str) -> str:
    """The reason of the attempt that matters, without libpq's hints, which advise against verification.

    Where libpq tried with and without TLS, the refusal of the attempt without says nothing.
    """
    starts = list(_ATTEMPT.finditer(message))
    reasons = [message[start.end() :].partition("\n")[0].strip() for start in starts] or [" ".join(message.split())]
    return next((reason for reason in reasons if not _PLAIN_REFUSED.search(reason)), reasons[0])


def remedy_for(reason: str, options: Mapping[str, Any], faults: Mapping[str, str]) -> str:
    """What to do about a reason, naming the variable. ``faults`` says by option what is wrong with its file."""
    found = next((remedy for pattern, remedy in _REMEDIES if re.search(pattern, reason)), _OTHERWISE)
    if "no encryption" in reason and options.get("sslmode") not in ("disable", "allow"):
        found = "have TLS switched on at the server, or a line added to its pg_hba.conf for postgres_connection.user"
    return found.format(
        host=options.get("host") or "the local socket",
        port=options.get("port"),
        user=options.get("user"),
        sslmode=options.get("sslmode"),
        sslrootcert=options.get("sslrootcert") or "not given",
        sslcert_fault=f" ({options.get('sslcert')} {faults['sslcert']})" if "sslcert" in faults else "",
        password=_password(options, faults),
    )


def _password(options: Mapping[str, Any], faults: Mapping[str, str]) -> str:
    """Where the password is looked for: libpq passes over a file that it may not use, and tells nobody."""
    if options.get("password"):
        return "postgres_connection.password"
    if not options.get("passfile"):
        return "postgres_connection.password, from a vault, or postgres_connection.passfile"
    if "passfile" in faults:
        return f"a postgres_connection.passfile that can be used: {options['passfile']} {faults['passfile']}"
    fields = (options.get("host") or "localhost", options.get("port"), options.get("dbname"), options.get("user"))
    return f"the line for {':'.join(map(str, fields))} in postgres_connection.passfile, {options['passfile']}"
