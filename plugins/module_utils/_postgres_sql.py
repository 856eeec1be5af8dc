# SPDX-License-Identifier: GPL-3.0-or-later
"""SQL as PostgreSQL's own parser sees it (pglast): whether a text is one query, and what a condition asks of a column."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

try:
    from pglast import ast, parse_sql
    from pglast.enums import A_Expr_Kind, BoolExprType, SortByDir, SortByNulls
    from pglast.parser import ParseError, fingerprint
except ImportError:  # why_not_one_query() says so
    HAVE_PARSER = False
else:
    HAVE_PARSER = True

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
# Functions whose value is one and the same for a whole statement, so that an index can be asked for it.
_FIXED = frozenset({"now", "date_trunc", "make_interval", "lower", "upper"})


@dataclass(frozen=True)
class Condition:
    """What a condition asks of a column: one value, any of a list (``many``), or a range where ``equality`` is false.

    ``as_text`` is a column that is read as text, which an index on it serves where that is no conversion.
    """

    column: str
    equality: bool
    many: bool = False
    as_text: bool = False


def why_not_one_query(text: str) -> str:
    """Why the text cannot be explained; empty for a single SELECT, INSERT, UPDATE or DELETE."""
    if not HAVE_PARSER:
        return f"the parser pglast is missing for {sys.executable}"
    try:
        statements = parse_sql(text)
    except ParseError:
        return "the parser does not understand its text"
    queries = (ast.SelectStmt, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt)
    if len(statements) != 1 or not isinstance(statements[0].stmt, queries):
        return "it is not a single SELECT, INSERT, UPDATE or DELETE"
    if any(isinstance(node, ast.IntoClause) for node in walk(statements[0])):
        return "it creates a table"
    return ""


def is_same_statement(one: str, other: str) -> bool:
    """Whether two texts differ in their constants alone."""
    try:
        return bool(fingerprint(one) == fingerprint(other))
    except ParseError:
        return False


def conditions(text: str) -> list[Condition]:
    """What the conjuncts of a plan's Filter ask of single columns, those that an index can answer."""
    try:
        where = parse_sql(f"select 1 where {text}")[0].stmt.whereClause
    except ParseError:
        return []
    conjoined = isinstance(where, ast.BoolExpr) and where.boolop == BoolExprType.AND_EXPR
    return [found for conjunct in (where.args if conjoined else (where,)) if (found := _condition(conjunct))]


def sort_columns(keys: Sequence[str]) -> list[str]:
    """The columns of a plan's Sort Key as an index takes them, such as ``created_at desc``; none when it is not columns.

    An index is read from either end: one direction for all needs none in the index.
    """
    if not keys:
        return []
    try:
        clause = parse_sql(f"select 1 order by {', '.join(keys)}")[0].stmt.sortClause
    except ParseError:
        return []
    found = []
    for entry in clause:
        column, as_text = _column(entry.node)
        if column is None or as_text or entry.sortby_nulls != SortByNulls.SORTBY_NULLS_DEFAULT or entry.useOp:
            return []
        found.append((column, entry.sortby_dir == SortByDir.SORTBY_DESC))
    mixed = len({descending for _name, descending in found}) > 1
    return [f"{column} desc" if mixed and descending else column for column, descending in found]


def _condition(node: Any) -> Condition | None:
    if not isinstance(node, ast.A_Expr) or len(node.name) != 1:
        return None
    operator = node.name[0].sval
    sides = ((node.lexpr, node.rexpr, operator), (node.rexpr, node.lexpr, _MIRRORED.get(operator, operator)))
    for one, other, spelled in sides:
        column, as_text = _column(one)
        if column is None or not _is_fixed(other):
            continue
        if node.kind == A_Expr_Kind.AEXPR_OP and (spelled == "=" or spelled in _MIRRORED):
            return Condition(column, spelled == "=", as_text=as_text)
        if node.kind == A_Expr_Kind.AEXPR_OP_ANY and spelled == "=" and one is node.lexpr:
            return Condition(column, True, many=True, as_text=as_text)
    return None


def _is_fixed(node: Any) -> bool:
    """Whether the expression has one value for the whole scan."""
    for part in walk(node):
        if isinstance(part, ast.ColumnRef | ast.SubLink):
            return False
        if isinstance(part, ast.FuncCall) and part.funcname[-1].sval not in _FIXED:
            return False
    return True


def _column(node: Any) -> tuple[str | None, bool]:
    """The column that the expression is, and whether it is read as text."""
    if isinstance(node, ast.TypeCast) and node.typeName.names[-1].sval == "text":
        return _column(node.arg)[0], True
    if isinstance(node, ast.ColumnRef) and isinstance(node.fields[-1], ast.String):
        return node.fields[-1].sval, False
    return None, False


def walk(node: Any) -> Iterator[Any]:
    """The node and all below it."""
    if isinstance(node, ast.Node):
        yield node
        for name in node:
            yield from walk(getattr(node, name))
    elif isinstance(node, tuple | list):
        for part in node:
            yield from walk(part)
