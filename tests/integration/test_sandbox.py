# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox for real: a small one that the tests share, and some that are broken on purpose."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import yaml

from retune.sandbox import Sandbox, SandboxError, files, home, processes
from retune.sandbox.postgres import binaries

SERVICES = {"postgres", "pgbouncer", "redis", "edge"}
PROGRAMS = {"postgres", "initdb", "pg_ctl", "pgbouncer", "redis-server", "nginx", "pgbench"}
PROJECT = Path(__file__).parents[2]


def installed() -> bool:
    return binaries() is not None and all(map(processes.find_program, ("pgbouncer", "redis-server", "nginx")))


pytestmark = pytest.mark.skipif(not installed(), reason="needs postgresql, pgbouncer, redis-server and nginx")


def small_up(sandbox: Sandbox, *services: str) -> None:
    sandbox.up(events=20_000, leads=2_000, keys=500, services=services or SERVICES)


def make(folder: Path) -> Sandbox:
    return Sandbox(folder / ".sandbox", folder / "inventory")


def left_over(sandbox: Sandbox) -> list[psutil.Process]:
    """Processes of any user that work in the sandbox or name it."""
    places = [sandbox.directory, home.fallback(sandbox.directory)]
    found = []
    for process in psutil.process_iter(["name"]):
        try:
            if process.name() in PROGRAMS:
                words = f"{' '.join(process.cmdline())} {process.cwd()}"
                found += [process for place in places if str(place) in words]
        except psutil.Error:
            continue
    return found


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Sandbox]:
    sandbox = make(tmp_path)
    yield sandbox
    sandbox.down()
    assert left_over(sandbox) == []


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = make(tmp_path_factory.mktemp("sandbox"))
    try:
        small_up(sandbox)
        yield sandbox
    finally:
        sandbox.down()


def inventory(sandbox: Sandbox) -> dict[str, dict[str, object]]:
    """The variables of each host, by group."""
    children = yaml.safe_load(sandbox.hosts_file.read_text())["all"]["children"]
    return {group: contents["hosts"][f"sandbox-{group}"] for group, contents in children.items()}


def connect(sandbox: Sandbox, group: str, variable: str = "") -> psycopg.Connection:
    return psycopg.connect(autocommit=True, **inventory(sandbox)[group][variable or f"{group}_connection"])


def test_status_is_ready_and_loopback(running: Sandbox) -> None:
    status = running.status()
    assert set(status) == SERVICES
    assert all(each["ready"] for each in status.values())
    assert all(each["endpoint"].startswith("127.0.0.1:") for each in status.values())


def test_second_up_is_quick_and_changes_nothing(running: Sandbox) -> None:
    before, hosts = running.status(), running.hosts_file.read_text()
    started = time.monotonic()
    small_up(running)
    assert time.monotonic() - started < 1
    assert running.status() == before
    assert running.hosts_file.read_text() == hosts


def test_services_run_unprivileged(running: Sandbox) -> None:
    users = {psutil.Process(each["pid"]).uids().real for each in running.status().values()}
    assert users == {processes.service_account().uid}
    assert 0 not in users


@pytest.mark.skipif(os.geteuid() != 0, reason="only root switches users")
def test_directory_that_the_service_user_cannot_enter_becomes_a_link(running: Sandbox) -> None:
    """pytest's own temporary directory is closed to others, as /root is."""
    target = running.directory.resolve()
    assert running.directory.is_symlink()
    assert target.parent == home.ELSEWHERE
    assert target.stat().st_uid == 0
    assert target.stat().st_mode & 0o777 == 0o711


def test_secrets_are_private(running: Sandbox) -> None:
    for name in ("pgpass", "state.json", "pgbouncer/userlist.txt"):
        assert (running.directory / name).stat().st_mode & 0o777 == 0o600
    assert running.hosts_file.stat().st_mode & 0o777 == 0o600
    assert (running.directory / "pgpass").stat().st_uid == os.geteuid()


def test_inventory_describes_every_service(running: Sandbox) -> None:
    hosts = inventory(running)
    assert set(hosts) == SERVICES
    for group in ("postgres", "pgbouncer", "redis"):
        assert hosts[group][f"{group}_connection"]["host"] == "127.0.0.1"
    assert hosts["edge"]["edge_url"] == f"http://{running.status()['edge']['endpoint']}"


def test_postgres_has_the_data_and_lacks_the_index(running: Sandbox) -> None:
    with connect(running, "postgres", "postgres_superuser_connection") as connection:
        counts = connection.execute("SELECT (SELECT count(*) FROM leads), (SELECT count(*) FROM events)").fetchone()
        assert counts == (2_000, 20_000)
        query = "EXPLAIN SELECT * FROM events WHERE lead_id = 7 ORDER BY created_at DESC LIMIT 20"
        plan = "\n".join(row[0] for row in connection.execute(query))
        assert "Seq Scan on events" in plan
        own = "SELECT name FROM pg_settings WHERE source = 'configuration file' AND setting <> boot_val"
        changed = {row[0] for row in connection.execute(own)}
        assert {"shared_buffers", "work_mem", "random_page_cost"} & changed <= {"shared_buffers"}
        assert connection.execute("SHOW unix_socket_directories").fetchone() == ("",)


def test_pgbouncer_admin_console_answers(running: Sandbox) -> None:
    variables = inventory(running)["pgbouncer"]["pgbouncer_connection"]
    arguments = {key: str(value) for key, value in variables.items()}
    with psycopg.connect(autocommit=True, **arguments, cursor_factory=psycopg.ClientCursor) as connection:
        config = {row[0]: row[1] for row in connection.execute("SHOW CONFIG")}
    assert config["pool_mode"] == "session"


def test_restart_command_restarts_from_any_directory(running: Sandbox, tmp_path: Path) -> None:
    before = running.status()["postgres"]["pid"]
    command = inventory(running)["postgres"]["postgres_restart_command"]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, timeout=60)
    assert processes.poll(lambda: all(each["ready"] for each in running.status().values()), 10)
    assert running.status()["postgres"]["pid"] != before


def test_load_counts_and_survives_a_restart(running: Sandbox) -> None:
    timer = threading.Timer(1, running.restart, [["postgres", "redis", "edge"]])
    timer.start()
    counts = running.load(6)
    timer.join()
    assert counts["postgres"]["transactions"] > 0
    assert counts["redis"]["hits"] > 0
    assert counts["http"]["requests"] > 0
    assert not [each for each in left_over(running) if each.info["name"] == "pgbench"]


def test_load_three_seconds(running: Sandbox) -> None:
    started = time.monotonic()
    counts = running.load(3)
    assert time.monotonic() - started < 8
    assert counts["postgres"]["transactions"] > 0
    assert 0.7 < counts["redis"]["hits"] / counts["redis"]["gets"] < 0.9
    assert counts["http"]["requests"] > 0
    assert not any(each["errors"] for each in counts.values())


def test_a_killed_service_is_not_ready_and_comes_back(running: Sandbox) -> None:
    psutil.Process(running.status()["redis"]["pid"]).kill()
    assert processes.poll(lambda: not running.status()["redis"]["ready"], 5)
    small_up(running)
    assert running.status()["redis"]["ready"]
    assert running.load(1)["redis"]["hits"] > 0


def test_down_leaves_nothing_and_can_be_repeated(empty: Sandbox) -> None:
    empty.down()
    small_up(empty)
    assert left_over(empty)
    empty.down()
    assert left_over(empty) == []
    assert not os.path.lexists(empty.directory)
    assert not home.fallback(empty.directory).exists()
    assert not empty.hosts_file.exists()
    assert empty.status() == {}
    empty.down()


def test_only_some_services(empty: Sandbox) -> None:
    small_up(empty, "redis")
    assert set(empty.status()) == set(inventory(empty)) == {"redis"}
    assert set(empty.load(1)) == {"redis"}


def test_half_made_data_is_made_anew(empty: Sandbox) -> None:
    """initdb was interrupted: the directory is there, the mark that it is complete is not."""
    small_up(empty, "redis")
    folder = empty.directory.resolve() / "postgres"
    files.make_folder(folder, processes.service_account())
    (folder / "data").mkdir()
    (folder / "data" / "PG_VERSION").write_text("15\n")
    small_up(empty, "postgres")
    assert empty.status()["postgres"]["ready"]
    assert "postgres" in json.loads((empty.directory / "state.json").read_text())["complete"]


@pytest.mark.parametrize("moment", ["postgres/data/postgresql.auto.conf", "postgres/log"])
@pytest.mark.parametrize("then", ["up", "down"])
def test_up_that_is_killed(empty: Sandbox, moment: str, then: str) -> None:
    """Killed during initdb, or while the server starts and is filled."""
    code = (
        "import sys; from pathlib import Path; from retune.sandbox import Sandbox;"
        "Sandbox(Path(sys.argv[1]), Path(sys.argv[2])).up(services=['postgres'])"
    )
    arguments = [str(empty.directory), str(empty.hosts_file.parent)]
    victim = subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=PROJECT)
    assert processes.poll((empty.directory / moment).exists, 20)
    victim.send_signal(signal.SIGKILL)
    victim.wait(10)
    if then == "up":
        small_up(empty, "postgres")
        assert empty.status()["postgres"]["ready"]


def test_missing_programs_are_named_together(empty: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "find_program", lambda name: None if name in ("nginx", "redis-server") else name)
    with pytest.raises(SandboxError) as caught:
        small_up(empty)
    assert str(caught.value) == (
        "redis-server and nginx are not installed: run 'make setup' (Debian packages redis-server, nginx)"
    )
    assert not os.path.lexists(empty.directory)


def test_a_taken_port_is_reported(empty: Sandbox) -> None:
    small_up(empty, "redis")
    port = int(empty.status()["redis"]["endpoint"].split(":")[1])
    psutil.Process(empty.status()["redis"]["pid"]).kill()
    assert processes.poll(lambda: processes.port_is_free(port), 5)
    code = f"import socket; s = socket.create_server(('127.0.0.1', {port})); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as thief:
        thief.stdout.readline()
        with pytest.raises(SandboxError, match=f"port {port} .* is taken by another program"):
            small_up(empty, "redis")
        thief.communicate(b"\n", timeout=5)
    small_up(empty, "redis")


def test_foreign_directories_and_files_are_left_alone(tmp_path: Path) -> None:
    sandbox = make(tmp_path)
    sandbox.directory.mkdir()
    precious = sandbox.directory / "thesis.txt"
    precious.write_text("years of work")
    for act in (sandbox.down, lambda: small_up(sandbox, "redis")):
        with pytest.raises(SandboxError, match="holds other files and no sandbox"):
            act()
    assert precious.read_text() == "years of work"


def test_a_foreign_inventory_is_left_alone(empty: Sandbox) -> None:
    empty.hosts_file.parent.mkdir()
    empty.hosts_file.write_text("all: {}\n")
    with pytest.raises(SandboxError, match="was not written by"):
        small_up(empty, "redis")
    empty.down()
    assert empty.hosts_file.read_text() == "all: {}\n"


def test_a_foreign_link_is_refused(tmp_path: Path) -> None:
    sandbox = make(tmp_path)
    sandbox.directory.symlink_to(PROJECT)
    with pytest.raises(SandboxError, match="symbolic link"):
        sandbox.down()


def test_an_editor_in_the_sandbox_is_not_ours(running: Sandbox) -> None:
    """A program that only looks into the sandbox is not one of its processes."""
    log = running.directory.resolve() / "postgres/log"
    with subprocess.Popen(["tail", "-f", str(log)], stdout=subprocess.DEVNULL) as reader:
        running.restart(["postgres"])
        assert reader.poll() is None
        reader.terminate()


def test_status_answers_at_once_when_postgres_is_down(empty: Sandbox) -> None:
    empty.up(events=2_000, leads=100, keys=50, services=("postgres", "pgbouncer"))
    psutil.Process(empty.status()["postgres"]["pid"]).kill()
    assert processes.poll(lambda: not empty.status()["postgres"]["ready"], 10)
    started = time.monotonic()
    assert not empty.status()["pgbouncer"]["ready"]
    assert time.monotonic() - started < 10
