# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules and roles document is what they take."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_wishes import WISH

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "ansible_collections.leadgen.tuning.plugins"
MODULES = [
    "https_probe",
    "kubernetes_workload",
    "kubernetes_counters",
    "kubernetes_workload_audit",
    "postgres_settings",
    "postgres_databases",
    "postgres_grants",
    "postgres_restart",
    "postgres_session_defaults",
    "postgres_counters",
    "postgres_index_usage",
    "postgres_queries",
    "postgres_vacuum_health",
    "pgbouncer_auth",
    "pgbouncer_config",
    "pgbouncer_counters",
    "pgbouncer_restart",
    "redis_settings",
    "redis_counters",
    "redis_keys",
    "redis_round_trips",
]
ROLES = sorted(path.parent.parent.name for path in ROOT.glob("roles/*/meta/argument_specs.yml"))
# Validated by the module itself, so that an error names the workload.
OF_ELEMENTS = {"kubernetes_workload": {"workloads": WISH}}
FACTS = ("type", "elements", "required", "default", "choices")


def constant(path: Path, name: str) -> str:
    """The text of a constant of a file, without running it; in a class too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name]:
            return str(ast.literal_eval(node.value))
    raise AssertionError(f"{path} has no {name}")


def documentation(module: str) -> dict[str, Any]:
    """The module's documentation with its fragments' options merged in."""
    about: dict[str, Any] = yaml.safe_load(constant(ROOT / f"plugins/modules/{module}.py", "DOCUMENTATION"))
    options: dict[str, Any] = {}
    for fragment in about.get("extends_documentation_fragment", []):
        path = ROOT / f"plugins/doc_fragments/{fragment.rpartition('.')[2]}.py"
        options |= yaml.safe_load(constant(path, "DOCUMENTATION"))["options"]
    own = about.get("options", {})
    assert not options.keys() & own.keys(), "an option is documented twice"
    about["options"] = options | own
    return about


def facts(options: dict[str, Any], inner: str) -> dict[str, Any]:
    """What both sides say of each option, with what goes without saying; ``inner`` is the key of its own options."""
    found: dict[str, Any] = {}
    for name, about in options.items():
        said = {fact: about.get(fact) for fact in FACTS}
        said["required"] = bool(about.get("required", False))
        said["type"] = about.get("type", "str")
        said["default type"] = type(about.get("default")).__name__
        said["options"] = facts(about[inner], inner) if inner in about else None
        found[name] = said
    return found


@pytest.mark.parametrize("module", MODULES)
def test_module_takes_what_it_documents(module: str) -> None:
    spec = importlib.import_module(f"{PACKAGE}.module_utils._{module}").ARGUMENT_SPEC
    for option, elements in OF_ELEMENTS.get(module, {}).items():
        spec = {**spec, option: {**spec[option], "options": elements}}
    about = documentation(module)
    assert about["module"] == module
    documented = facts(about["options"], "suboptions")
    assert documented == facts(spec, "options")
    assert module == "https_probe" or documented["connection"]["options"]


@pytest.mark.parametrize("module", [module for module in MODULES if module != "https_probe"])
def test_passwords_are_not_logged(module: str) -> None:
    spec = importlib.import_module(f"{PACKAGE}.module_utils._{module}").ARGUMENT_SPEC
    secret = "api_key" if module.startswith("kubernetes") else "password"
    assert spec["connection"]["options"][secret]["no_log"] is True


@pytest.mark.parametrize("module", sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py")))
def test_every_option_is_described(module: str) -> None:
    def described(options: dict[str, Any]) -> bool:
        return all(about.get("description") and described(about.get("suboptions", {})) for about in options.values())

    about = documentation(module)
    assert about["module"] == module
    assert about["short_description"]
    assert described(about["options"])


def test_the_roles_are_found() -> None:
    assert sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir()) == ROLES
    assert {"postgres", "redis"} <= set(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_role_defaults_are_its_options(role: str) -> None:
    folder = ROOT / "roles" / role
    options = yaml.safe_load((folder / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"][
        "options"
    ]
    defaults = yaml.safe_load((folder / "defaults/main.yml").read_text(encoding="utf-8"))
    optional = {name: about.get("default") for name, about in options.items() if not about.get("required")}
    assert defaults == optional
    assert all(name.startswith(f"{role}_") for name in options)
