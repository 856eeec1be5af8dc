# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection URL of Prisma changes where it has to, and nowhere else; no error shows any of it."""

from __future__ import annotations

import inspect
import json
import string
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.leadgen.tuning.plugins.filter import prisma_url as filters
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._prisma_url import (
    POOL_PARAMETERS,
    direct_url,
    needs_flag,
    parse,
    pool_environment,
    prisma_url,
)
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
BASE = "postgresql://app:sesame@pooler:6432/leads"
OLD = {"pgbouncer_version": "1.18.0"}
NEW = {"pgbouncer_version": "1.24.1", "max_prepared_statements": 200}


@pytest.mark.parametrize(
    ("url", "options", "expected"),
    [
        # Prisma's page "Connection pool": connection_limit and pool_timeout
        (BASE, {}, f"{BASE}?connection_limit=7"),
        (BASE, {"pool_timeout": 20}, f"{BASE}?connection_limit=7&pool_timeout=20"),
        (BASE, {"pool_timeout": 0}, f"{BASE}?connection_limit=7&pool_timeout=0"),
        (BASE, {"pool_timeout": "20"}, f"{BASE}?connection_limit=7&pool_timeout=20"),
        (f"{BASE}?pool_timeout=3", {}, f"{BASE}?pool_timeout=3&connection_limit=7"),
        # Prisma's page "Configure Prisma Client with PgBouncer": the flag below 1.21 alone
        (BASE, OLD, f"{BASE}?connection_limit=7&pgbouncer=true"),
        (f"{BASE}?pgbouncer=false", OLD, f"{BASE}?pgbouncer=true&connection_limit=7"),
        (f"{BASE}?pgbouncer=true&schema=public", NEW, f"{BASE}?schema=public&connection_limit=7"),
        (f"{BASE}?pgbouncer=false&schema=public", NEW, f"{BASE}?schema=public&connection_limit=7"),
        (BASE, NEW, f"{BASE}?connection_limit=7"),
        (f"{BASE}?pgbouncer=true", {}, f"{BASE}?pgbouncer=true&connection_limit=7"),
        # parameters keep their place and spelling
        (
            f"{BASE}?schema=public&connection_limit=40&sslmode=require",
            {},
            f"{BASE}?schema=public&connection_limit=7&sslmode=require",
        ),
        (f"{BASE}?options=-c%20a%3db&x=%2f+", {}, f"{BASE}?options=-c%20a%3db&x=%2f+&connection_limit=7"),
        (f"{BASE}?flag&empty=&a=b=c&q=?", {}, f"{BASE}?flag&empty=&a=b=c&q=?&connection_limit=7"),
        (f"{BASE}?host=/var/run/postgresql/", {}, f"{BASE}?host=/var/run/postgresql/&connection_limit=7"),
        (f"{BASE}?application_name=a@b", {}, f"{BASE}?application_name=a@b&connection_limit=7"),
        # names are decoded, their case counts, and the last one of a name would be Prisma's
        (f"{BASE}?connection%5Flimit=40", {}, f"{BASE}?connection_limit=7"),
        (f"{BASE}?Connection_Limit=40", {}, f"{BASE}?Connection_Limit=40&connection_limit=7"),
        (f"{BASE}?connection_limit=1&a=b&connection_limit=2", {}, f"{BASE}?connection_limit=7&a=b"),
        (f"{BASE}?connection_limit", {}, f"{BASE}?connection_limit=7"),
        (f"{BASE}?", {}, f"{BASE}?connection_limit=7"),
        (f"{BASE}?a=b&&c=d&", {}, f"{BASE}?a=b&c=d&connection_limit=7"),
        # everything before the parameters is as it was
        ("postgres://app:p%40s%2fs%3A@h/d", {}, "postgres://app:p%40s%2fs%3A@h/d?connection_limit=7"),
        ("postgres://app:p@s:s!$'*~%@h:1/d", {}, "postgres://app:p@s:s!$'*~%@h:1/d?connection_limit=7"),
        ("postgres://a@h/d", {}, "postgres://a@h/d?connection_limit=7"),
        ("postgres://h", {}, "postgres://h?connection_limit=7"),
        ("postgres://a:b@h?schema=x", {}, "postgres://a:b@h?schema=x&connection_limit=7"),
        ("postgres://a:b@[::1]:5432/d", {}, "postgres://a:b@[::1]:5432/d?connection_limit=7"),
        ("postgres://a:b@%2Frun%2Fpg/d", {}, "postgres://a:b@%2Frun%2Fpg/d?connection_limit=7"),
    ],
)
def test_prisma_url(url: str, options: dict[str, Any], expected: str) -> None:
    assert prisma_url(url, 7, **options) == expected
    assert prisma_url(expected, 7, **options) == expected


@pytest.mark.parametrize(
    ("version", "prepared", "expected"),
    [
        ("1.18.0", None, True),
        ("1.18", 0, True),
        ("1.20.1", 200, True),
        ("PgBouncer 1.18.0", None, True),
        ("0.9", None, True),
        ("1.21.0", 100, False),
        ("1.21", "100", False),
        ("1.24.1-1.pgdg12+1", 200, False),
        ("PgBouncer 1.25.0", 1, False),
        ("1.100", 1, False),
        ("2.0", 1, False),
    ],
)
def test_flag(version: str, prepared: int | str | None, expected: bool) -> None:
    assert needs_flag(version, prepared) is expected


@pytest.mark.parametrize("prepared", [0, "0", None])
def test_flag_needs_prepared_statements(prepared: int | str | None) -> None:
    with pytest.raises(TuningError, match=r"max_prepared_statements above 0 in PgBouncer 1\.21"):
        needs_flag("1.21.0", prepared)


@pytest.mark.parametrize("version", [1.2, 1, None, "", "1", "new", "1.x", "sesame 1.24", b"1.24"])
def test_flag_refuses_what_is_no_version(version: Any) -> None:
    with pytest.raises(TuningError, match="in quotes") as refused:
        needs_flag(version, 100)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "begin with"),
        ("sesame", "begin with"),
        ("mysql://app:sesame@h/d", "begin with"),
        ("prisma://app:sesame@h/d", "begin with"),
        ("prisma+postgres://app:sesame@h/d", "begin with"),
        ("POSTGRESQL://app:sesame@h/d", "begin with"),
        (" postgresql://app:sesame@h/d", "begin with"),
        ("host=h password=sesame", "begin with"),
        ("postgresql://app:sesame@h/d\n", "percent-encode"),
        ("postgresql://app:sesame @h/d", "percent-encode"),
        ("postgresql://app:#sesame@h/d", "percent-encode"),
        ("postgresql://app:1/sesame@h/d", "%2F"),
        ("postgresql://app:1?sesame@h/d", "%2F"),
        ("postgresql://app:1@h/sesame@h/d", "%2F"),
        ("postgresql://app:sesame@", "one host"),
        ("postgresql://app:sesame@/d", "one host"),
        ("postgresql://app:sesame@h1,h2/d", "one host"),
        ("postgresql://app:sesame@h1:1,h2:2/d", "one host"),
        ("postgresql://app:sesame@h:port/d", "one host"),
        ("postgresql://app:sesame@h:/d", "one host"),
        ("postgresql://app:sesame@::1/d", "one host"),
        ("postgresql://app:sesame", "one host"),
        ("postgresql://", "one host"),
    ],
)
def test_a_wrong_url_is_not_repeated(url: str, told: str) -> None:
    for refuse in (lambda: prisma_url(url, 7), lambda: direct_url(url, "db")):
        with pytest.raises(TuningError, match=told) as refused:
            refuse()
        assert "sesame" not in str(refused.value)
        assert str(refused.value).count("\n") == 0


@pytest.mark.parametrize(
    ("limit", "options"),
    [
        (0, {}),
        (-1, {}),
        ("sesame", {}),
        ("", {}),
        (None, {}),
        (True, {}),
        (1.5, {}),
        ("\u0663", {}),  # a digit, and not one of Prisma's
        (7, {"pool_timeout": -1}),
        (7, {"pool_timeout": "sesame"}),
        (7, {"pool_timeout": 0.5}),
        (7, {"pgbouncer_version": "sesame"}),
        (7, {"pgbouncer_version": 1.2}),
        (7, {"pgbouncer_version": "1.24", "max_prepared_statements": "sesame"}),
        (7, {"pgbouncer_version": "1.24", "max_prepared_statements": -1}),
    ],
)
def test_a_wrong_option_is_told_by_its_name(limit: Any, options: dict[str, Any]) -> None:
    with pytest.raises(TuningError, match=list(options)[-1] if options else "connection_limit") as refused:
        prisma_url(BASE, limit, **options)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "host", "port", "expected"),
    [
        # Prisma's page "Configure Prisma Client with PgBouncer": the same URL without the pooler and its flag
        (f"{BASE}?pgbouncer=true", "db", 5432, "postgresql://app:sesame@db:5432/leads"),
        (BASE, "db.internal", "5433", "postgresql://app:sesame@db.internal:5433/leads"),
        (
            f"{BASE}?connection_limit=7&schema=a&pool_timeout=1&sslmode=require",
            "db",
            1,
            "postgresql://app:sesame@db:1/leads?schema=a&sslmode=require",
        ),
        (
            f"{BASE}?max_connection_lifetime=1&connect_timeout=9&max_idle_connection_lifetime=2",
            "db",
            1,
            "postgresql://app:sesame@db:1/leads?connect_timeout=9",
        ),
        ("postgres://a:p%40@pooler/d", "10.0.0.7", 5432, "postgres://a:p%40@10.0.0.7:5432/d"),
        ("postgres://a:b@[::2]:6432/d", "::1", 5432, "postgres://a:b@[::1]:5432/d"),
        ("postgres://a:b@h/d", "[::1]", 5432, "postgres://a:b@[::1]:5432/d"),
        # the parameter host would go before the address
        ("postgres://a:b@localhost/d?host=/run/pgbouncer&schema=a", "db", 5432, "postgres://a:b@db:5432/d?schema=a"),
        (
            "postgres://a:b@h/d?schema=a",
            "/run/postgresql",
            5432,
            "postgres://a:b@localhost:5432/d?schema=a&host=/run/postgresql",
        ),
        (
            "postgres://a:b@h/d?host=/x&schema=a",
            "/run/a&b",
            5432,
            "postgres://a:b@localhost:5432/d?host=/run/a%26b&schema=a",
        ),
    ],
)
def test_direct_url(url: str, host: str, port: int | str, expected: str) -> None:
    assert direct_url(url, host, port) == expected
    assert direct_url(expected, host, port) == expected


@pytest.mark.parametrize(
    "host", ["", "h:5432", "db:5432", "app:sesame@h", "h/d", "h1,h2", "/a b", "/a#", "fe80::1%1", None, 7]
)
def test_direct_url_refuses_a_host(host: Any) -> None:
    with pytest.raises(TuningError, match="host has to be") as refused:
        direct_url(BASE, host)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize("port", [0, "sesame", None, ""])
def test_direct_url_refuses_a_port(port: Any) -> None:
    with pytest.raises(TuningError, match="port") as refused:
        direct_url(BASE, "db", port)
    assert "sesame" not in str(refused.value)


def test_pool_environment() -> None:
    # Prisma's page "Connection pool": max, and connectionTimeoutMillis with 0 for no timeout
    assert pool_environment(7) == {"DATABASE_POOL_MAX": "7", "DATABASE_POOL_TIMEOUT_MS": "10000"}
    assert pool_environment("7", 0, "PG_") == {"PG_MAX": "7", "PG_TIMEOUT_MS": "0"}


@pytest.mark.parametrize(
    "given_options", [(0,), ("sesame",), (7, -1), (7, 0.5), (7, 10, "1A"), (7, 10, ""), (7, 10, "sesame="), (7, 10, None)]
)
def test_pool_environment_refuses(given_options: tuple[Any, ...]) -> None:
    with pytest.raises(TuningError) as refused:
        pool_environment(*given_options)
    assert "sesame" not in str(refused.value)


def test_a_url_in_parts_does_not_show_itself() -> None:
    assert "sesame" not in repr(parse(BASE))


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
SAFE = st.text(string.ascii_letters + string.digits + "-._~!$'()*,;:%", max_size=12)
PASSWORDS = TEXTS.map(lambda text: quote(text, safe="")) | SAFE
PARAMETERS = st.lists(
    st.builds("{}={}".format, st.sampled_from((*POOL_PARAMETERS, "schema", "host", "Pgbouncer", "a%20b", "")), PASSWORDS),
    max_size=8,
)
VERSIONS = st.sampled_from((None, "1.18.0", "1.24.1"))


@st.composite
def urls(draw: st.DrawFn) -> str:
    """A URL with any password and parameters, some of them twice."""
    query = "&".join(draw(PARAMETERS))
    return f"postgresql://{draw(PASSWORDS)}:{draw(PASSWORDS)}@pooler:6432/leads" + (f"?{query}" if query else "")


def others(url: str, names: tuple[str, ...]) -> list[str]:
    """The parameters with other names, as they are spelled."""
    return [parameter for parameter in parse(url).parameters if parameter.partition("=")[0] not in names]


@given(url=urls(), limit=st.integers(1, 1000), timeout=st.none() | st.integers(0, 100), version=VERSIONS)
def test_only_the_pool_changes(url: str, limit: int, timeout: int | None, version: str | None) -> None:
    made = prisma_url(url, limit, timeout, version, 200)
    assert made == prisma_url(made, limit, timeout, version, 200)
    assert made.partition("?")[0] == url.partition("?")[0]
    own = ("connection_limit", *(("pool_timeout",) if timeout is not None else ()), *(("pgbouncer",) if version else ()))
    assert others(made, own) == others(url, own)
    expected = {"connection_limit": [str(limit)]}
    if timeout is not None:
        expected["pool_timeout"] = [str(timeout)]
    if version:
        expected["pgbouncer"] = ["true"] if version == "1.18.0" else []
    values = parse_qsl(urlsplit(made).query, keep_blank_values=True)
    assert {name: [value for key, value in values if key == name] for name in expected} == expected


@given(url=urls())
def test_direct_url_leaves_the_rest(url: str) -> None:
    made = direct_url(url, "db.internal")
    assert made == direct_url(made, "db.internal") == direct_url(prisma_url(url, 7, 10, "1.18.0"), "db.internal")
    assert parse(made).user == parse(url).user
    assert parse(made).path == parse(url).path
    assert list(parse(made).parameters) == others(url, (*POOL_PARAMETERS, "host"))


@given(before=st.text("postgresql://:@%a1") | st.just("postgresql://a:"), after=st.text("postgresql:/@?&=%#[]1a, "))
def test_any_text_is_read_or_refused_without_a_word_of_it(before: str, after: str) -> None:
    url = f"{before}sesame{after}"
    try:
        made = prisma_url(url, 7)
    except TuningError as refused:
        told = str(refused)
    else:
        told, url = "", made
        assert prisma_url(made, 7) == made
    assert "sesame" in url
    assert "sesame" not in told


FILTERS = filters.FilterModule().filters()


def test_the_filters_refuse_as_filters_do() -> None:
    for refuse in (
        lambda: FILTERS["prisma_url"]("mysql://app:sesame@h/d", 7),
        lambda: FILTERS["prisma_url"](7, BASE),
        lambda: FILTERS["prisma_url"](None, 7),
        lambda: FILTERS["prisma_direct_url"](BASE, BASE),
        lambda: FILTERS["prisma_pool_environment"](BASE),
    ):
        with pytest.raises(AnsibleFilterError) as refused:
            refuse()
        assert "sesame" not in str(refused.value)
        assert refused.value.__cause__ is None


def test_the_filters_are_the_functions() -> None:
    assert FILTERS["prisma_url"](BASE, 7, 10, "1.18") == prisma_url(BASE, 7, 10, "1.18")
    assert FILTERS["prisma_direct_url"](BASE, "db", 5433) == direct_url(BASE, "db", 5433)
    assert FILTERS["prisma_pool_environment"](7, 5, "P_") == pool_environment(7, 5, "P_")


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_a_filter_takes_what_it_documents(name: str) -> None:
    about = yaml.safe_load((ROOT / f"plugins/filter/{name}.yml").read_text(encoding="utf-8"))["DOCUMENTATION"]
    assert about["name"] == name
    options = dict(about["options"])
    assert options.pop("_input")["required"] is True
    _, *parameters = inspect.signature(FILTERS[name]).parameters.values()
    assert about["positional"].split(", ") == list(options) == [parameter.name for parameter in parameters]
    for parameter in parameters:
        option = options[parameter.name]
        assert option.get("required", False) == (parameter.default is inspect.Parameter.empty)
        assert option.get("required") or option.get("default") == parameter.default


def test_ansible_finds_the_filters() -> None:
    names = [f"leadgen.tuning.{name}" for name in sorted(FILTERS)]
    command = [str(Path(sys.executable).parent / "ansible-doc"), "--type", "filter", "--json", *names]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    about = json.loads(shown.stdout)
    assert sorted(about) == names
    assert all(about[name]["doc"]["short_description"] and about[name]["examples"] for name in names)
