# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor tells how late a real Node.js application's event loop is, and the application does not notice it."""

from __future__ import annotations

import http.client
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import PROJECT
from tests.integration.node import VERSIONS, node
from tests.integration.prometheus_text import Family, parse

MONITOR = PROJECT / "roles" / "kubernetes" / "files" / "event-loop-monitor.cjs"
PATIENCE = 20.0
LAGS = ("min", "max", "mean", "stddev", "p50", "p90", "p99")
KINDS = ("minor", "major", "incremental", "weakcb")

STALL = "const stall = () => { const end = Date.now() + 200; while (Date.now() < end); };"
# Runs until its standard input ends.
IDLE = "process.stdin.on('end', () => console.log('done')).resume(); console.log('ready');"
STALLS_WHEN_TOLD = f"{STALL} process.on('SIGUSR2', stall); {IDLE}"
BUSY = f"{STALL} setInterval(stall, 10).unref(); {IDLE}"
BRIEF = "console.log('ready'); setTimeout(() => console.log('done'), 100);"
SECONDS = 8
TIMED = f"console.log('ready'); setTimeout(() => console.log('done'), {SECONDS * 1000}); process.stdin.resume();"

pytestmark = pytest.mark.parametrize("major", VERSIONS)


def free_port() -> int:
    """Of those that no system gives to outgoing connections: one of these could come between."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@dataclass(frozen=True)
class Application:
    process: subprocess.Popen[str]
    port: int

    def request(self, method: str, path: str) -> tuple[http.client.HTTPResponse, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body="x" * 10_000 if method == "POST" else None)
            response = connection.getresponse()
            return response, response.read().decode()
        finally:
            connection.close()

    def scrape(self) -> dict[str, Family]:
        response, text = self.request("GET", "/metrics")
        assert response.status == 200
        return parse(text)

    def lag(self, what: str) -> float:
        return self.scrape()[f"nodejs_eventloop_lag_{what}_seconds"].samples[""]

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self, timeout: float = PATIENCE) -> tuple[str, str]:
        """What it wrote to stdout and stderr until it ended, by itself, once its input is over."""
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.close()
        status = process.wait(timeout)
        # Not by communicate(): it passes over what was read ahead with a line.
        written = process.stdout.read(), process.stderr.read()
        assert status == 0, written
        return written

    def cpu_seconds(self) -> float:
        """The processor time of all its threads."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def application(
    major: int, folder: Path, source: str, *arguments: str, name: str = "app.js", monitored: bool = True, **env: str
) -> Iterator[Application]:
    """A running application, ready. ``arguments`` are Node's own, ``env`` is without its EVENT_LOOP_MONITOR_."""
    port = int(env.setdefault("PORT", str(free_port())) if env.get("PORT", "0").isdigit() else 0)
    script = folder / name
    script.write_text(source, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], **{f"EVENT_LOOP_MONITOR_{key}": value for key, value in env.items()}}
    if monitored:
        environment["NODE_OPTIONS"] = f"--require {MONITOR}"
    process = subprocess.Popen(
        [node(major), *arguments, script],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            running = Application(process, port)
            assert running.line() == "ready\n", process.stderr and process.stderr.read()
            yield running
        finally:
            process.kill()


def eventually(holds: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Ask again until it holds; an application that does not listen yet is asked again as well."""
    deadline = time.monotonic() + patience
    while True:
        try:
            if holds():
                return
        except ConnectionError:
            pass
        assert time.monotonic() < deadline, "it does not come to hold"
        time.sleep(0.02)


def answers(app: Application) -> bool:
    return bool(app.scrape())


def listeners(port: int) -> list[int | None]:
    """The processes that listen on the port."""
    return [
        each.pid for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN and each.laddr.port == port
    ]


def test_the_metrics(major: int, tmp_path: Path) -> None:
    with application(major, tmp_path, IDLE) as app:
        eventually(lambda: app.lag("max") >= 0)
        metrics = app.scrape()
        gauges = [*(f"nodejs_eventloop_lag_{what}_seconds" for what in LAGS), "nodejs_eventloop_utilization"]
        assert {name: family.type for name, family in metrics.items()} == {
            **dict.fromkeys(gauges, "gauge"),
            "nodejs_gc_duration_seconds": "summary",
        }
        assert all(list(metrics[name].samples) == [""] for name in gauges)
        assert set(metrics["nodejs_gc_duration_seconds"].samples) == {
            f'_{part}{{kind="{kind}"}}' for kind in KINDS for part in ("sum", "count")
        }
        assert app.end() == ("done\n", "")


def test_only_metrics_are_served_and_only_to_get(major: int, tmp_path: Path) -> None:
    with application(major, tmp_path, IDLE) as app:
        eventually(lambda: answers(app))
        response, _ = app.request("GET", "/metrics?name=any")
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        for method, path, status in (
            ("GET", "/", 404),
            ("GET", "/metrics/", 404),
            ("POST", "/metrics", 405),
            ("HEAD", "/metrics", 405),
        ):
            response, text = app.request(method, path)
            assert (response.status, text) == (status, "")
            assert response.headers["Allow"] == ("GET" if status == 405 else None)
        with socket.create_connection(("127.0.0.1", app.port), timeout=PATIENCE) as client:
            client.sendall(b"no request\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 400 ")
        with socket.create_connection(("127.0.0.1", app.port), timeout=PATIENCE) as client:
            client.sendall(b"x" * 8193)
            with suppress(ConnectionError):
                assert client.recv(100) == b""
        assert app.end() == ("done\n", "")


def test_a_busy_loop_is_reported(major: int, tmp_path: Path) -> None:
    with application(major, tmp_path, BUSY) as app:
        eventually(lambda: app.lag("p99") >= 0.15)
        metrics = app.scrape()
        assert metrics["nodejs_eventloop_lag_max_seconds"].samples[""] >= 0.15
        assert metrics["nodejs_eventloop_utilization"].samples[""] > 0.5
        assert app.end() == ("done\n", "")


def test_an_idle_loop_is_hardly_late(major: int, tmp_path: Path) -> None:
    with application(major, tmp_path, IDLE) as app:
        eventually(lambda: app.lag("p50") < 0.005 and app.lag("min") < 0.002)
        assert app.scrape()["nodejs_eventloop_utilization"].samples[""] < 0.5


def test_scrapers_see_the_same_window(major: int, tmp_path: Path) -> None:
    with application(major, tmp_path, STALLS_WHEN_TOLD, WINDOW_SECONDS="3600") as app:
        eventually(lambda: app.lag("max") >= 0)
        app.process.send_signal(signal.SIGUSR2)
        eventually(lambda: app.lag("max") >= 0.15)
        assert len({app.lag("max") for _ in range(5)}) == 1


def test_a_stall_leaves_the_window_and_the_next_is_seen(major: int, tmp_path: Path) -> None:
    with application(major, tmp_path, STALLS_WHEN_TOLD, WINDOW_SECONDS="1") as app:
        eventually(lambda: app.lag("max") >= 0)
        for _ in range(2):
            app.process.send_signal(signal.SIGUSR2)
            eventually(lambda: app.lag("max") >= 0.15)
            eventually(lambda: app.lag("max") < 0.1)


def test_collections_are_counted(major: int, tmp_path: Path) -> None:
    with application(major, tmp_path, f"gc(); gc(); {IDLE}", "--expose-gc") as app:
        eventually(lambda: app.scrape()["nodejs_gc_duration_seconds"].samples['_count{kind="major"}'] >= 2)
        assert 0 < app.scrape()["nodejs_gc_duration_seconds"].samples['_sum{kind="major"}'] < 1


def test_idle_it_costs_less_than_a_hundredth_of_a_processor(
    major: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with application(major, tmp_path, TIMED) as watched, application(major, tmp_path, TIMED, monitored=False) as bare:
        eventually(lambda: answers(watched))
        before = [app.cpu_seconds() for app in (watched, bare)]
        assert [app.line() for app in (watched, bare)] == ["done\n", "done\n"]
        spent = [app.cpu_seconds() - start for app, start in zip((watched, bare), before, strict=True)]
        record_property("share", (spent[0] - spent[1]) / SECONDS)
        assert (spent[0] - spent[1]) / SECONDS < 0.01


def test_connections_do_not_keep_the_application_alive(major: int, tmp_path: Path) -> None:
    with application(major, tmp_path, IDLE) as app, ExitStack() as stack:
        eventually(lambda: answers(app))
        idle, half, whole = [
            stack.enter_context(socket.create_connection(("127.0.0.1", app.port), timeout=PATIENCE)) for _ in range(3)
        ]
        half.sendall(b"GET /metrics HTTP/1.1\r\n")
        whole.sendall(b"GET /metrics HTTP/1.1\r\nConnection: keep-alive\r\n\r\n")
        assert whole.recv(10)
        # Sooner than the monitor itself gives such connections up.
        assert app.end(timeout=4) == ("done\n", "")
        assert idle.fileno() >= 0


@pytest.mark.parametrize("source", [BRIEF, "console.log('ready'); console.log('done')"])
def test_the_application_ends_by_itself(major: int, tmp_path: Path, source: str) -> None:
    with application(major, tmp_path, source) as app:
        assert app.end() == ("done\n", "")


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({}, "EADDRINUSE"),
        ({"HOST": "192.0.2.1"}, "EADDRNOTAVAIL"),
        ({"PORT": "http"}, "EVENT_LOOP_MONITOR_PORT"),
        ({"PORT": "70000"}, "EVENT_LOOP_MONITOR_PORT"),
        ({"WINDOW_SECONDS": "0"}, "EVENT_LOOP_MONITOR_WINDOW_SECONDS"),
    ],
)
def test_where_it_cannot_start_the_application_goes_on(major: int, tmp_path: Path, env: dict[str, str], why: str) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:  # noqa: S104 # the monitor's own default
        port = str(taken.getsockname()[1])
        with application(major, tmp_path, BRIEF, **{"PORT": port, **env}) as app:
            out, err = app.end()
    assert out == "done\n"
    assert err.startswith("event-loop-monitor: not monitoring: ")
    assert why in err
    assert err.count("\n") == 1


def test_worker_threads_are_left_alone(major: int, tmp_path: Path) -> None:
    source = f"""
        const {{ Worker }} = require('worker_threads');
        const worker = new Worker("require('worker_threads').parentPort.on('message', () => process.exit()).postMessage(0)",
                                  {{ eval: true }});
        worker.once('message', () => {{ {IDLE} }});
        process.stdin.on('end', () => worker.postMessage(0));
    """
    with application(major, tmp_path, source) as app:
        eventually(lambda: answers(app))
        assert app.end() == ("done\n", "")


def test_of_a_cluster_the_primary_answers(major: int, tmp_path: Path) -> None:
    source = f"""
        const cluster = require('cluster');
        if (cluster.isPrimary) {{
            for (let i = 0; i < 5; i++) gc();
            cluster.fork(); cluster.fork();
            let online = 0;
            cluster.on('listening', () => {{ if (++online === 2) {{ {IDLE} }} }});
            process.stdin.on('end', () => cluster.disconnect());
        }} else require('http').createServer().listen(0, '127.0.0.1');
    """
    with application(major, tmp_path, source, "--expose-gc") as app:
        collected = lambda: app.scrape()["nodejs_gc_duration_seconds"].samples['_count{kind="major"}']  # noqa: E731
        eventually(lambda: collected() >= 5)
        assert min(collected() for _ in range(10)) >= 5
        assert listeners(app.port) == [app.process.pid]
        assert app.end() == ("done\n", "")


def test_of_a_cluster_whose_primary_is_a_launcher_one_worker_answers(major: int, tmp_path: Path) -> None:
    served = tmp_path / "served.js"
    served.write_text("require('http').createServer().listen(0, '127.0.0.1');")
    source = f"""
        const cluster = require('cluster');
        cluster.setupPrimary({{ exec: {str(served)!r} }});
        const workers = [cluster.fork(), cluster.fork()];
        let online = 0;
        cluster.on('listening', () => {{
            if (++online !== 2) return;
            {IDLE}
            console.log(workers.map((worker) => worker.process.pid).join(' '));
        }});
        process.stdin.on('end', () => cluster.disconnect());
    """
    with application(major, tmp_path, source, name="pm2-runtime") as app:
        workers = [int(pid) for pid in app.line().split()]
        eventually(lambda: answers(app))
        [listener] = listeners(app.port)
        assert listener in workers
        assert app.end() == ("done\n", "")


def test_a_forked_process_says_that_the_port_is_taken(major: int, tmp_path: Path) -> None:
    source = f"""
        if (process.send) process.send(0);
        else require('child_process').fork(__filename).on('exit', (code) => {{ process.exitCode = code; {IDLE} }});
    """
    with application(major, tmp_path, source) as app:
        eventually(lambda: answers(app))
        out, err = app.end()
    assert out == "done\n"
    assert "EADDRINUSE" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "name", ["npm", "npm-cli.js", "npx", "yarn.js", "yarn-4.1.0.cjs", "pnpm.cjs", "corepack", "nodemon.js"]
)
def test_a_launcher_leaves_the_port_to_the_application(major: int, tmp_path: Path, name: str) -> None:
    launched = tmp_path / "launched.js"
    launched.write_text("console.log(process.pid); process.stdin.on('end', () => console.log('done')).resume();")
    source = f"""
        console.log('ready');
        require('child_process').spawn(process.execPath, [{str(launched)!r}], {{ stdio: 'inherit' }});
    """
    with application(major, tmp_path, source, name=name) as app:
        child = int(app.line())
        eventually(lambda: answers(app))
        assert listeners(app.port) == [child]
        assert app.end() == ("done\n", "")
