# SPDX-License-Identifier: GPL-3.0-or-later
"""What the grammar shows to be a read, and what a plan keeps of a statement's values."""

from __future__ import annotations

import json

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_analyze import without_values
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_read_only import names_in, why_not_reading


@pytest.mark.parametrize(
    "text",
    [
        "select id, note from orders where customer = 5 order by placed desc limit 20",
        "with recent as (select * from orders where placed > now() - interval '1 day') select count(*) from recent",
        "select o.id, case when o.id > 3 then 'a' end from orders o left join small s using (id) where s.id is not null",
        "select customer, sum(id) over (partition by customer) from orders where id between 3 and 9 and note like 'a%'",
        "select coalesce(max(id), 0), array[1], (select 1)::text from orders group by rollup (customer) having count(*) > 1",
        "values (1), (2)",
        "select data -> 'a' ->> 'b', current_date from t where not (a in (1, 2) or b is true) union all select 1, null;",
    ],
)
def test_a_read_is_known(text: str) -> None:
    assert why_not_reading(text) == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("select 1; select 2", "not a single"),
        ("select id from orders where customer = $1", "sent apart"),
        ("select id from orders for update", "LockingClause"),
        ("select id into other from orders", "creates a table"),
        ("with gone as (delete from orders returning id) select * from gone", "DeleteStmt"),
        ("with made as (insert into orders values (1) returning id) select * from made", "InsertStmt"),
        ("update orders set note = 'x'", "UpdateStmt"),
        ("insert into orders values (1)", "InsertStmt"),
        ("delete from orders", "DeleteStmt"),
        ("merge into a using b on a.id = b.id when matched then delete", "not a single"),
        ("select * from orders tablesample system (1)", "RangeTableSample"),
        ("explain analyze delete from orders", "not a single"),
        ("call something()", "not a single"),
        ("copy orders to program 'x'", "not a single"),
        ("select 'cut", "does not understand"),
    ],
)
def test_what_is_no_read_is_refused(text: str, reason: str) -> None:
    assert reason in why_not_reading(text)


def test_the_names_that_the_server_gives_a_meaning_to() -> None:
    names = names_in(
        "with c as (select other.f(x::mood) from shop.orders)"
        " select a @@@ b, now() from c where a <<< any (select 1) order by a using <%"
    )
    assert names.functions == ["f", "now"]
    assert {"@@@", "<<<", "<%", "="} <= set(names.operators)
    assert names.relations == ["c", "orders"]


def test_a_plan_keeps_no_value() -> None:
    plan = {
        "Node Type": "Limit",
        "Actual Rows": 3,
        "Plans": [
            {
                "Node Type": "Index Scan",
                "Index Cond": "(email = 'secret@example.com'::text)",
                "Filter": "(note = 'secret'::text)",
                "Output": ["'secret'::text"],
                "A field of a later release": "secret",
                "Plans": [{"Node Type": "Function Scan", "Function Call": "f('secret')", "Sort Key": ["('secret'::text)"]}],
            }
        ],
    }
    kept = without_values(plan)
    assert "secret" not in json.dumps(kept)
    assert kept["Plans"][0]["Plans"] == [{"Node Type": "Function Scan"}]
    assert kept["Actual Rows"] == 3
