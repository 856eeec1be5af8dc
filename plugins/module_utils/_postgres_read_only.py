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

# Unsafe is what a user may have brought in (C is for superusers), and what its owner calls volatile. All is asked by name,
# in every schema, since which one a name stands for depends on types and on the search_path.
_DOUBTS = """
    with unsafe as (
        select p.oid, p.proname from pg_proc as p join pg_language as l on l.oid = p.prolang
        where p.provolatile = 'v' or (p.pronamespace <> 'pg_catalog'::regnamespace and l.lanname not in ('internal', 'c'))
    )
    select array(
        select format('the function %%s is volatile or of a user''s making', proname) from unsafe
        where proname = any(%(functions)s)
        union all
        select format('the operator %%s is volatile or of a user''s making', o.oprname)
        from pg_operator as o join unsafe on unsafe.oid = o.oprcode where o.oprname = any(%(operators)s)
        union all
        select format('the type %%s is of a user''s making', t.typname) from pg_type as t
        where t.typname = any(%(types)s) and t.typnamespace <> 'pg_catalog'::regnamespace and t.typtype not in ('b', 'e')
        union all
        select format('%%I.%%I is no plain table, or has row-level security', c.relnamespace::regnamespace, c.relname)
        from pg_class as c
        where c.relname = any(%(relations)s) and (c.relkind not in ('r', 'p', 'm', 'i', 'I', 'S', 't') or c.relrowsecurity)
        union all
        select 'the database has casts that call functions of a user''s making'
        from pg_cast as c join unsafe on unsafe.oid = c.castfunc
        union all
        select format('%%s is a partition on another server', c.oid::regclass)
        from pg_inherits as i join pg_class as c on c.oid = i.inhrelid where c.relkind = 'f'
    ) as doubts
"""


@dataclass(frozen=True)
class Names:
    """The names in a statement that the server gives a meaning to, without their schemas."""

    functions: list[str]
    operators: list[str]
    types: list[str]
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
    functions, operators, types, relations = set(), set(_IMPLIED), set(), set()
    for node in walk(parse_sql(text)):
        if isinstance(node, ast.FuncCall):
            functions.add(node.funcname[-1].sval)
        elif isinstance(node, ast.A_Expr):
            operators.add(node.name[-1].sval)
        elif isinstance(node, ast.SubLink | ast.SortBy):
            operators.update(
                name.sval for name in (getattr(node, "operName", None) or getattr(node, "useOp", None) or ())[-1:]
            )
        elif isinstance(node, ast.TypeName):
            types.add(node.names[-1].sval)
        elif isinstance(node, ast.RangeVar):
            relations.add(node.relname)
    return Names(*(sorted(names) for names in (functions, operators, types, relations)))


def why_not_safe(connection: psycopg.Connection[Any], text: str) -> str:
    """Why running the text is not proved to change nothing; empty where it is.

    The source of volatility is PostgreSQL's documentation, "Function Volatility Categories": what is not VOLATILE cannot
    modify the database. Only the word of those who may write C is taken for it.
    """
    reason = why_not_reading(text)
    if reason:
        return reason
    doubts: list[str] = one_row(connection.execute(_DOUBTS, vars(names_in(text))))["doubts"]
    return doubts[0] if doubts else ""
