# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that running a statement changes nothing: by its grammar, and by what its names stand for on the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import one_row
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_sql import walk, why_not_one_query

try:
    import psycopg
except ImportError:  # connect() says so
    pass
try:
    from pglast import ast, parse_sql
except ImportError:  # why_not_one_query() says so
    pass

# A read has these nodes and no others. What is new in a later grammar is refused until someone has looked at it; of today's,
# a lock (FOR UPDATE), SELECT INTO, a CTE that writes, TABLESAMPLE and XML are left out on purpose.
_READING = frozenset(
    "RawStmt SelectStmt ResTarget ColumnRef A_Star A_Const A_ArrayExpr A_Expr A_Indices A_Indirection"
    " Alias Boolean BitString BooleanTest BoolExpr CaseExpr CaseWhen CoalesceExpr CollateClause"
    " CommonTableExpr Float FuncCall GroupingFunc GroupingSet Integer JoinExpr List MinMaxExpr"
    " NamedArgExpr NullTest RangeFunction RangeSubselect RangeVar RowExpr SQLValueFunction SortBy String"
    " SubLink TypeCast TypeName WindowDef WithClause".split()
)
# Operators that other spellings (BETWEEN, IN, USING, DISTINCT FROM, LIKE) are made into.
_IMPLIED = ("=", "<>", "<", "<=", ">", ">=", "~~", "!~~", "~~*", "!~~*", "~", "!~")

# Functions that are not IMMUTABLE and known to do no more than read what they are given. Others that are STABLE run a text
# as SQL (table_to_xml), take a transaction id (txid_current) or call a type's input function (jsonb_populate_record).
_KNOWN = (
    "now transaction_timestamp statement_timestamp date_trunc date_part to_char to_date to_timestamp age timezone concat"
    " concat_ws to_json to_jsonb row_to_json json_agg jsonb_agg json_object_agg jsonb_object_agg json_build_object"
    " jsonb_build_object json_build_array jsonb_build_array to_tsvector to_tsquery plainto_tsquery"
    " websearch_to_tsquery".split()
)
# A user's function can be called without its name being there: by an operator, a cast, an aggregate, a domain's check, a
# row's attribute. So a database is only trusted that has none; triggers' functions are called by what writes alone.
_DATABASE_DOUBTS = """
    with ours as (
        select p.oid from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
        where n.nspname not in ('pg_catalog', 'information_schema') and p.prorettype <> 'trigger'::regtype
          and not exists (select from pg_depend as d
                          where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
    )
    select array(
        select format('the database has functions of its own (%s), which could do anything', min(oid::regprocedure::text))
        from ours having count(*) > 0
        union all
        select format('the database has domains with conditions (%s), which could call anything',
                      min(contypid::regtype::text))
        from pg_constraint where contypid <> 0 and connamespace <> 'information_schema'::regnamespace having count(*) > 0
        union all
        select format('%s is a partition on another server', c.oid::regclass)
        from pg_inherits as i join pg_class as c on c.oid = i.inhrelid where c.relkind = 'f'
    ) as doubts
"""
# By name in every schema, since which one a name stands for depends on types and on the search_path.
_NAME_DOUBTS = """
    with doubtful as (select oid, proname from pg_proc where provolatile <> 'i' and proname <> all(%(known)s))
    select array(
        select format('the function %%s is not known to only compute', proname) from doubtful
        where proname = any(%(functions)s)
        union all
        select format('the operator %%s is not known to only compute', o.oprname)
        from pg_operator as o join doubtful on doubtful.oid = o.oprcode
        where o.oprname = any(%(operators)s) and doubtful.oid >= 16384
        union all
        select format('%%I.%%I is no plain table, or has row-level security', c.relnamespace::regnamespace, c.relname)
        from pg_class as c
        where c.relname = any(%(relations)s) and (c.relkind not in ('r', 'p', 'm', 'i', 'I', 'S', 't') or c.relrowsecurity)
    ) as doubts
"""


@dataclass(frozen=True)
class Names:
    """The names in a statement that the server gives a meaning to, without their schemas."""

    functions: list[str]
    operators: list[str]
    relations: list[str]


def why_not_reading(text: str) -> str:
    """Why the grammar does not show the text to be a read with all its values in it; empty where it does."""
    reason = why_not_one_query(text)
    if reason:
        return reason
    for node in walk(parse_sql(text)):
        kind = type(node).__name__
        if kind == "ParamRef":
            return "its values are sent apart from its text"
        if kind not in _READING:
            return f"its text has a {kind}, which is not known to only read"
    return ""


def names_in(text: str) -> Names:
    """What a text that ``why_not_reading`` has nothing against refers to."""
    functions, operators, relations = set(), set(_IMPLIED), set()
    for node in walk(parse_sql(text)):
        if isinstance(node, ast.FuncCall):
            functions.add(node.funcname[-1].sval)
        elif isinstance(node, ast.A_Expr):
            operators.add(node.name[-1].sval)
        elif isinstance(node, ast.SubLink | ast.SortBy):
            operators.update(
                name.sval for name in (getattr(node, "operName", None) or getattr(node, "useOp", None) or ())[-1:]
            )
        elif isinstance(node, ast.RangeVar):
            relations.add(node.relname)
    return Names(*(sorted(names) for names in (functions, operators, relations)))


def why_not_trusted(connection: psycopg.Connection[Any]) -> str:
    """Why planning or running a text with values could call code of a user's making; empty where it cannot."""
    doubts: list[str] = one_row(connection.execute(_DATABASE_DOUBTS))["doubts"]
    return doubts[0] if doubts else ""


def why_not_safe(connection: psycopg.Connection[Any], text: str) -> str:
    """Why running the text, in a database that ``why_not_trusted`` has nothing against, is not proved to change nothing.

    Not by volatility alone (PostgreSQL's documentation, "Function Volatility Categories"): of PostgreSQL's own functions
    that are STABLE some do run SQL.
    """
    reason = why_not_reading(text)
    if reason:
        return reason
    doubts: list[str] = one_row(connection.execute(_NAME_DOUBTS, {**vars(names_in(text)), "known": list(_KNOWN)}))["doubts"]
    return doubts[0] if doubts else ""
