# SPDX-License-Identifier: GPL-3.0-or-later
"""The command and its playbooks, run as a person or a schedule runs them, against real servers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest

from tests.integration.conftest import PROJECT, Retune, Services

ANSIBLE_PLAYBOOK = str(Path(sys.executable).with_name("ansible-playbook"))


def traces(services: Services) -> tuple[Any, ...]:
    with services.redis_client() as client:
        calls = client.info("commandstats")
    counted = [calls.get(f"cmdstat_config|{name}", {}).get("calls", 0) for name in ("set", "rewrite")]
    signals = services.postgres_log.read_text(encoding="utf-8").count("received SIGHUP")
    started = services.sql("select pg_postmaster_start_time(), pg_conf_load_time()")
    files = [(path.stat().st_mtime_ns, path.stat().st_ino) for path in (services.auto_conf, services.redis_conf)]
    return counted, signals, started, files


def test_plan_apply_plan_drift_and_the_log(untuned: Services, retune: Retune, tmp_path: Path) -> None:
    planned = retune("plan", "--json", "--allow-restart")
    assert planned.returncode == 2, planned.stderr
    assert not (tmp_path / "log").exists()

    applied = retune("apply", "--yes", "--json", "--allow-restart")
    assert applied.returncode == 0, applied.stderr
    record = json.loads(applied.stdout)
    schema = json.loads((PROJECT / "docs" / "run-record.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(record, schema)
    assert record["outcome"] == "changed"
    for host in ("sandbox-postgres", "sandbox-redis"):
        assert set(record["measurements"][host]) == {"before", "after"}
    lines = (tmp_path / "log" / "inventory.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [record]
    assert list((tmp_path / "log").glob("*.partial")) == []
    assert list((tmp_path / "log").glob("*.lock")) == []

    in_sync = traces(untuned)
    for verb in ("plan", "drift"):
        again = retune(verb, "--allow-restart") if verb == "plan" else retune(verb)
        assert (again.returncode, "in sync" in again.stdout) == (0, True), again.stderr
    repeated = retune("apply", "--yes", "--allow-restart")
    assert (repeated.returncode, "nothing was changed" in repeated.stdout) == (0, True), repeated.stderr
    assert traces(untuned) == in_sync
    assert len((tmp_path / "log" / "inventory.jsonl").read_text(encoding="utf-8").splitlines()) == 1

    shown = retune("log")
    assert "autovacuum_naptime" in shown.stdout
    assert "Measured effect" in shown.stdout
    assert untuned.sql("select count(*) > 0 from pg_stat_statements") == [(True,)]


def test_without_permission_nothing_is_restarted_and_what_waits_is_listed(untuned: Services, retune: Retune) -> None:
    started = untuned.sql("select pg_postmaster_start_time()")
    applied = retune("apply", "--yes")
    assert applied.returncode == 0, applied.stderr
    assert untuned.sql("select pg_postmaster_start_time()") == started
    assert "awaits a restart: autovacuum_max_workers, pg_stat_statements.max" in applied.stdout
    again = retune("plan")
    assert (again.returncode, "awaits a restart" in again.stdout) == (0, True)
    permitted = retune("plan", "--allow-restart", "--json")
    changed = [decision for decision in json.loads(permitted.stdout)["decisions"] if decision["changed"]]
    assert [decision["after"] for decision in changed] == [{"restart": "done"}]


def test_drift_is_found_named_and_mended(untuned: Services, retune: Retune) -> None:
    assert retune("apply", "--yes", "--allow-restart").returncode == 0
    with untuned.redis_client() as client:
        client.config_set("maxmemory-policy", "noeviction")
    found = retune("drift", "--json")
    assert found.returncode == 2
    changed = [decision for decision in json.loads(found.stdout)["decisions"] if decision["changed"]]
    assert [(d["controls"], d["before"], d["after"]) for d in changed] == [
        (["redis.eviction"], {"maxmemory-policy": "noeviction"}, {"maxmemory-policy": "allkeys-lru"})
    ]
    assert retune("apply", "--yes").returncode == 0
    assert retune("drift").returncode == 0


def test_drift_by_ansible_playbook_alone_fails_with_a_message_of_its_own(untuned: Services, tmp_path: Path) -> None:
    before = traces(untuned)
    done = subprocess.run(
        [ANSIBLE_PLAYBOOK, "-i", str(untuned.inventory), "playbooks/drift.yml"],
        cwd=PROJECT,
        env={**os.environ, "RETUNE_LOG_DIRECTORY": str(tmp_path), "ANSIBLE_SHOW_CUSTOM_STATS": "true"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert "drift found: sandbox-postgres postgres.pg_stat_statements" in done.stdout
    assert "CUSTOM STATS" in done.stdout
    assert traces(untuned) == before


def test_tags_and_limit_have_their_usual_meaning(untuned: Services, retune: Retune) -> None:
    record = json.loads(retune("plan", "--json", "--tags", "redis.eviction").stdout)
    assert {name for decision in record["decisions"] for name in decision["controls"]} == {"redis.eviction"}
    record = json.loads(retune("plan", "--json", "--limit", "sandbox-redis").stdout)
    assert {decision["host"] for decision in record["decisions"]} == {"sandbox-redis"}


ERRORS = [
    ('{"postgres_settings": {"autovacuum_nap": "30s"}}', "sandbox-postgres", "postgres_settings.autovacuum_nap on"),
    ('{"postgres_settings": {"autovacuum_naptime": "0s"}}', "sandbox-postgres", "outside its range"),
    ('{"redis_settings": {"maxmemory": "lots"}}', "sandbox-redis", "redis_settings.maxmemory on"),
    ('{"redis_connection": {"port": 1}}', "sandbox-redis", "redis_connection: cannot talk to Redis at 127.0.0.1:1"),
    ('{"postgres_connection": {"host": "127.0.0.1", "port": 1}}', "sandbox-postgres", "postgres_connection: cannot connect"),
]


@pytest.mark.parametrize("verb", ["plan", "apply"])
@pytest.mark.parametrize(("values", "host", "message"), ERRORS)
def test_an_error_is_one_sentence_and_exit_1(
    untuned: Services, retune: Retune, verb: str, values: str, host: str, message: str
) -> None:
    before = traces(untuned)
    done = retune(verb, *(["--yes"] if verb == "apply" else []), "--limit", host, "-e", values)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1
    assert len(errors) == 1, done.stderr
    assert message in errors[0]
    assert host in errors[0]
    assert "Traceback" not in done.stdout + done.stderr
    assert traces(untuned) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-e", "@/nowhere.yml"), "there is no such file"),
        (("-e", "nonsense"), "-e takes key=value"),
        (("-e", '{"postgres_settings": 5}'), "argument 'postgres_settings' is of type int"),
        (("-e", '{"postgres_connection": null}'), "argument 'postgres_connection' is of type NoneType"),
        (("--tags", "nothing"), "no control was looked at; check --tags and --limit"),
        (("--limit", "nobody"), "no hosts to target"),
    ],
)
def test_a_wrong_option_is_one_sentence(
    services: Services, retune: Retune, arguments: tuple[str, ...], message: str
) -> None:
    done = retune("plan", *arguments)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if not line.startswith("  ")]
    assert len(errors) == 1, done.stderr
    assert message in errors[0]


def test_what_a_failed_task_has_changed_is_in_the_log(untuned: Services, retune: Retune, tmp_path: Path) -> None:
    folder = untuned.redis_conf.parent
    mode = folder.stat().st_mode
    options = ("--limit", "sandbox-redis", "-e", '{"redis_settings": {"maxmemory": "48mb"}, "redis_profile": ""}')
    try:
        folder.chmod(0o555)
        done = retune("apply", "--yes", *options)
    finally:
        folder.chmod(mode)
    assert done.returncode == 1, done.stdout
    assert "until the next restart there are in force: maxmemory" in done.stderr
    record = json.loads((tmp_path / "log" / "inventory.jsonl").read_text(encoding="utf-8"))
    changed = [decision["after"] for decision in record["decisions"] if decision["changed"]]
    assert (record["outcome"], changed) == ("failed", [{"maxmemory": "48mb"}])
    with untuned.redis_client() as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(48 << 20)}


def test_a_log_that_cannot_be_written_stops_the_run_before_it_changes_anything(untuned: Services, retune: Retune) -> None:
    before = traces(untuned)
    done = retune("apply", "--yes", RETUNE_LOG_DIRECTORY="/proc/nowhere")
    assert done.returncode == 1
    assert "folder /proc/nowhere cannot be written" in done.stderr
    assert traces(untuned) == before


def test_an_environment_that_is_not_there_is_one_sentence_that_names_those_that_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "retune", "plan", "prod"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "there is no inventory for 'prod'; there is: development, production, sandbox, staging" in done.stderr


def test_apply_asks_and_says_how_to_go_without(untuned: Services, retune: Retune) -> None:
    before = traces(untuned)
    done = retune("apply")
    assert done.returncode == 1
    assert "add --yes" in done.stderr
    assert traces(untuned) == before


def test_secrets_reach_neither_arguments_nor_output(untuned: Services, retune: Retune) -> None:
    secret = "s3cret-of-the-test"
    done = retune(
        "apply",
        "--yes",
        "--json",
        "--limit",
        "sandbox-redis",
        "-e",
        json.dumps({"redis_settings": {"masterauth": secret, "maxmemory": "64mb"}}),
    )
    with untuned.redis_client() as client:
        assert client.config_get("masterauth") == {"masterauth": secret}
        client.config_set("masterauth", "")
        client.config_rewrite()
    assert done.returncode == 0, done.stderr
    assert secret not in done.stdout + done.stderr


def test_a_vaulted_value_is_read_with_the_password_file(untuned: Services, retune: Retune, tmp_path: Path) -> None:
    password, values = tmp_path / "password", tmp_path / "values.yml"
    password.write_text("of-the-vault", encoding="utf-8")
    values.write_text("{redis_settings: {maxmemory: 77mb}, redis_profile: ''}\n", encoding="utf-8")
    vault = str(Path(sys.executable).with_name("ansible-vault"))
    subprocess.run(
        [vault, "encrypt", "--vault-id", f"dev@{password}", str(values)], check=True, capture_output=True, timeout=60
    )
    assert "77mb" not in values.read_text(encoding="utf-8")
    for option in (("--vault-password-file", str(password)), ("--vault-id", f"dev@{password}")):
        done = retune("plan", "--json", "--limit", "sandbox-redis", "-e", f"@{values}", *option)
        decisions = json.loads(done.stdout)["decisions"]
        assert [d["after"] for d in decisions if d["changed"]] == [{"maxmemory": "77mb"}]
    without = retune("plan", "--limit", "sandbox-redis", "-e", f"@{values}")
    assert without.returncode == 1
    assert "Traceback" not in without.stderr


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""  # it has ended since it was listed


def test_a_run_keeps_secrets_of_the_environment_out_of_its_files(untuned: Services, tmp_path: Path) -> None:
    secrets = {"AWS_SECRET_ACCESS_KEY": "s3cret-of-the-cloud", "PGPASSWORD": "s3cret-of-the-database"}
    given = {**os.environ, **secrets, "TMPDIR": str(tmp_path), "RETUNE_LOG_DIRECTORY": str(tmp_path / "log")}
    values = json.dumps({"tuning_measurement_window": 60, "redis_settings": {"masterauth": "s3cret-of-redis"}})
    process = subprocess.Popen(
        [sys.executable, "-m", "retune", "apply", str(untuned.inventory), "--yes", "-e", values],
        cwd=PROJECT,
        env=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _wait_for(lambda: _locked(tmp_path / "log"))
        (private,) = tmp_path.glob("retune-*")
        assert private.stat().st_mode & 0o777 == 0o700
        recorded = "".join(path.read_text(errors="replace") for path in private.glob("artifacts/**/*") if path.is_file())
        assert "ANSIBLE_CONFIG" in recorded  # the environment is recorded, and there is something to look at
        assert [secret for secret in secrets.values() if secret in recorded] == []
        arguments = " ".join(map(command_line, psutil.Process(process.pid).children(recursive=True)))
        assert "ansible-playbook" in arguments
        assert "s3cret" not in arguments
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert list(tmp_path.glob("retune-*")) == []


def _start(services: Services, log: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "retune", "apply", str(services.inventory), "--yes", *arguments],
        cwd=PROJECT,
        env={**os.environ, "RETUNE_LOG_DIRECTORY": str(log)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_for(condition: Any, seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)
    return found


def _locked(log: Path) -> bool:
    return (log / "inventory.lock").is_file()


def test_a_cancel_ends_the_workers_too_and_gives_the_lock_back(untuned: Services, tmp_path: Path) -> None:
    process = _start(untuned, tmp_path, "-e", '{"tuning_measurement_window": 60}')
    _wait_for(lambda: _locked(tmp_path))
    root = psutil.Process(process.pid)
    descendants = _wait_for(lambda: [p for p in root.children(recursive=True) if p.ppid() != process.pid])
    descendants += root.children()
    process.send_signal(signal.SIGINT)
    _stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "stopped by SIGINT" in stderr
    assert "Traceback" not in stderr
    _gone, alive = psutil.wait_procs(descendants, timeout=10)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []
    follower = _start(untuned, tmp_path, "-e", '{"tuning_measurement_window": 0.2}', "--limit", "sandbox-redis")
    follower.communicate(timeout=60)
    assert follower.returncode == 0


def test_a_timeout_ends_the_run(untuned: Services, tmp_path: Path) -> None:
    process = _start(untuned, tmp_path, "-e", '{"tuning_measurement_window": 60}', "--timeout", "3")
    _stdout, stderr = process.communicate(timeout=40)
    assert process.returncode == 1
    assert "stopped after 3 s" in stderr


def test_two_applies_of_one_environment_exclude_each_other(untuned: Services, tmp_path: Path) -> None:
    first = _start(untuned, tmp_path, "-e", '{"tuning_measurement_window": 60}')
    try:
        _wait_for(lambda: _locked(tmp_path))
        second = _start(untuned, tmp_path)
        _stdout, stderr = second.communicate(timeout=60)
        assert second.returncode == 1
        assert "another apply of inventory is running:" in stderr
        assert socket.gethostname() in stderr
    finally:
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=30)


def test_a_run_that_is_killed_leaves_its_decisions_to_the_next(untuned: Services, tmp_path: Path) -> None:
    # Redis comes after PostgreSQL, and is made to keep the run waiting where PostgreSQL has been changed.
    with untuned.redis_client() as client:
        process = _start(untuned, tmp_path)
        _wait_for(_locked_and_measured(tmp_path, untuned))
        client.execute_command("CLIENT", "PAUSE", 8000, "ALL")
        partial = _wait_for(lambda: list(tmp_path.glob("*.partial")))
        root = psutil.Process(process.pid)
        for found in [*root.children(recursive=True), root]:
            found.kill()
        process.communicate(timeout=30)
        assert partial
        client.execute_command("PING")
    finished = _start(untuned, tmp_path)
    _stdout, stderr = finished.communicate(timeout=90)
    assert finished.returncode == 0, stderr
    lines = [json.loads(line) for line in (tmp_path / "inventory.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["outcome"] for line in lines] == ["interrupted", "changed"]
    assert lines[0]["decisions"][0]["host"] == "sandbox-postgres"
    assert list(tmp_path.glob("*.partial")) == []


def _locked_and_measured(log: Path, services: Services) -> Any:
    """True once the first value has been written: what comes before it needs Redis, what comes after does not."""
    before = services.auto_conf.stat().st_mtime_ns
    return lambda: _locked(log) and services.auto_conf.stat().st_mtime_ns != before


def test_a_failed_restart_puts_back_what_the_run_changed(untuned: Services, retune: Retune) -> None:
    done = _apply_with_restart(retune, ["false"])
    assert done.returncode == 1
    assert "postgres_restart_command on" in done.stderr
    _assert_put_back(untuned, done)


def test_a_failed_verification_puts_back_what_the_run_changed(untuned: Services, retune: Retune) -> None:
    # Another hand changes a value in the middle of the run, along with the restart.
    options = {name: value for name, value in untuned.postgres.items() if value is not None}
    program = f"""
import subprocess, psycopg
with psycopg.connect(**{options!r}, autocommit=True) as connection:
    connection.execute("alter system set autovacuum_naptime = '45s'")
subprocess.run({untuned.restart_command!r}, check=True, stdout=subprocess.DEVNULL)
"""
    done = _apply_with_restart(retune, [sys.executable, "-c", program])
    assert done.returncode == 1
    assert "verification found 45s where 30s is wanted" in done.stderr
    _assert_put_back(untuned, done)


def test_a_server_that_cannot_start_is_put_back_and_started(untuned: Services, retune: Retune) -> None:
    values = json.dumps({"postgres_settings": {"shared_buffers": "4TB", "autovacuum_naptime": "30s"}})
    done = retune("apply", "--yes", "--json", "--allow-restart", "--limit", "sandbox-postgres", "-e", values)
    assert done.returncode == 1
    assert "shared_buffers, autovacuum_naptime put back in" in done.stderr
    assert "the server runs again" in done.stderr
    assert untuned.sql("show shared_buffers") == [("128MB",)]
    assert untuned.auto_conf.read_text(encoding="utf-8").splitlines()[2:] == []


def test_a_restart_without_a_command_is_an_error_of_the_plan(untuned: Services, retune: Retune) -> None:
    done = retune("plan", "--allow-restart", "-e", '{"postgres_restart_command": []}')
    assert done.returncode == 1
    assert "postgres_restart_command on" in done.stderr


def test_an_error_in_one_service_changes_nothing_in_another(untuned: Services, retune: Retune) -> None:
    before = traces(untuned)
    done = retune("apply", "--yes", "-e", '{"redis_settings": {"maxmemry": "1gb"}}')
    assert done.returncode == 1
    assert "redis_settings.maxmemry on" in done.stderr
    assert traces(untuned) == before


def test_drift_of_one_service_is_seen_when_another_is_down(untuned: Services, retune: Retune) -> None:
    values = '{"postgres_connection": {"host": "127.0.0.1", "port": 1}}'
    done = retune("drift", "--json", "-e", values)
    assert done.returncode == 1
    assert "cannot connect to PostgreSQL at 127.0.0.1:1" in done.stderr
    changed = [decision for decision in json.loads(done.stdout)["decisions"] if decision["changed"]]
    assert {name for decision in changed for name in decision["controls"]} == {"redis.eviction", "redis.persistence"}
    alone = subprocess.run(
        [ANSIBLE_PLAYBOOK, "-i", str(untuned.inventory), "playbooks/drift.yml", "-e", values],
        cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert alone.returncode == 2
    assert "could not tell: sandbox-postgres:" in alone.stdout
    assert "drift found: sandbox-redis redis.eviction maxmemory:" in alone.stdout


@pytest.mark.parametrize(
    "arguments", [("drift",), ("drift", "sandbox", "--bogus"), ("plan", "sandbox", "--timeout", "soon"), ("nonsense",)]
)
def test_a_usage_error_is_not_taken_for_drift(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "retune", *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "error: " in done.stderr


def test_an_inventory_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: [1,2", encoding="utf-8")
    for verb in ("plan", "drift", "doctor"):
        command = [sys.executable, "-m", "retune", verb, str(tmp_path)]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1, done.stdout
        assert "Traceback" not in done.stderr


def test_the_modules_run_as_another_process_too_and_keep_its_secrets(untuned: Services, tmp_path: Path) -> None:
    # With become the action plugin hands the work to the module, packed and run as on a managed host.
    play = tmp_path / "play.yml"
    play.write_text(
        """
- hosts: all
  gather_facts: false
  become: true
  become_method: ansible.builtin.su
  become_user: root
  tasks:
    - leadgen.tuning.redis_settings:
        connection: "{{ redis_connection }}"
        settings: {maxmemory: 77mb, masterauth: s3cret-of-redis}
      when: redis_connection is defined
    - leadgen.tuning.postgres_settings:
        connection: "{{ postgres_connection }}"
        settings: {work_mem: 8192kB}
      when: postgres_connection is defined
""",
        encoding="utf-8",
    )
    if os.geteuid() != 0:
        pytest.skip("su asks anyone but root for a password")
    done = subprocess.run(
        [ANSIBLE_PLAYBOOK, "-i", str(untuned.inventory), "-vvv", "--diff", str(play)],
        cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "s3cret" not in done.stdout
    assert untuned.sql("select setting from pg_file_settings where name = 'work_mem'") == [("8MB",)]
    with untuned.redis_client() as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(77 * 1024**2)}
        client.config_set("masterauth", "")


def _apply_with_restart(retune: Retune, command: list[str]) -> subprocess.CompletedProcess[str]:
    values = json.dumps({"postgres_restart_command": command})
    return retune("apply", "--yes", "--json", "--allow-restart", "--limit", "sandbox-postgres", "-e", values)


def _assert_put_back(services: Services, done: subprocess.CompletedProcess[str]) -> None:
    assert "the parameters of this run were put back" in done.stderr
    assert services.auto_conf.read_text(encoding="utf-8").splitlines()[2:] == []
    assert services.sql("show autovacuum_naptime") == [("1min",)]
    assert json.loads(done.stdout)["outcome"] == "failed"


def test_doctor_names_what_is_wrong(services: Services, retune: Retune) -> None:
    assert retune("doctor").returncode == 0
    sick = retune("doctor", "-e", '{"redis_connection": {"port": 1}}')
    assert sick.returncode == 1
    assert "cannot talk to Redis at 127.0.0.1:1" in sick.stderr


def test_sandbox_status_as_json(services: Services) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "retune", "sandbox", "status", "--json", "--directory", str(services.directory),
         "--inventory", str(services.inventory)],
        cwd=PROJECT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    status = json.loads(done.stdout)
    ready = {name: service["ready"] for name, service in status.items()}
    assert ready == {"postgres": True, "pgbouncer": True, "redis": True}
