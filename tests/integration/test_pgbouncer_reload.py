# SPDX-License-Identifier: GPL-3.0-or-later
"""A RELOAD under load loses no transaction."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from retune.sandbox.processes import find_program
from tests.integration.conftest import Services
from tests.integration.test_pgbouncer_config import config, run

RELOADS = 20
TRANSACTION = """begin;
insert into counted (client) values (:client_id);
select count(*) from counted where client = :client_id;
commit;
"""


def test_reloads_under_load_lose_no_transaction(untuned: Services, tmp_path: Path) -> None:
    run(untuned, settings={"pool_mode": "transaction", "default_pool_size": 5})
    untuned.sql("create table counted (client int); grant all on counted to leads_app")
    script = tmp_path / "transaction.pgbench"
    script.write_text(TRANSACTION, encoding="utf-8")
    where = untuned.pgbouncer
    command = [
        find_program("pgbench") or "pgbench", "--no-vacuum", "--client=20", "--time=12", f"--file={script}",
        f"--host={where['host']}", f"--port={where['port']}", "--username=leads_app", "leadgen",
    ]  # fmt: skip
    environment = {**os.environ, "PGPASSFILE": str(where["passfile"])}
    try:
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as load:
            untuned.wait_for("select count(*) > 100 from counted")
            for number in range(RELOADS):
                size = 5 + number % 2
                done = run(untuned, settings={"pool_mode": "transaction", "default_pool_size": size + 1})
                assert done["changed"]
                assert config(untuned, "default_pool_size") == str(size + 1)
            assert load.poll() is None, "the load has to outlast the reloads"
            said, _ = load.communicate(timeout=60)
        assert load.returncode == 0, said
        assert re.search(r"number of failed transactions: 0 ", said), said
        processed = re.search(r"transactions actually processed: (\d+)", said)
        assert processed, said
        assert untuned.sql("select count(*) from counted") == [(int(processed[1]),)]
    finally:
        untuned.sql("drop table counted")
