# SPDX-License-Identifier: GPL-3.0-or-later
"""PgBouncer with stock settings in front of the sandbox's PostgreSQL."""

from . import files
from .postgres import DATABASE, can_query
from .processes import LOOPBACK
from .service import Program, Service
from .state import APP, MIGRATE, POOL_ADMIN


class PgBouncer(Service):
    name = "pgbouncer"
    needs = (Program("pgbouncer", "pgbouncer"),)

    def make(self) -> None:
        users = (APP, MIGRATE, POOL_ADMIN)
        userlist = "".join(f'"{user}" "{self.state.password(user)}"\n' for user in users)
        self.write("userlist.txt", userlist)
        values = {"database": DATABASE, "admin": POOL_ADMIN, "host": LOOPBACK, "port": self.port}
        server = self.state.ports["postgres"]
        self.write("pgbouncer.ini", files.render("pgbouncer.ini.j2", folder=self.folder, server=server, **values))

    def launch(self) -> None:
        self.run("pgbouncer", "-d", self.folder / "pgbouncer.ini")

    def answers(self) -> bool:
        # A pooler whose server is down holds a query for minutes before it refuses it.
        return can_query(self.state, "postgres") and can_query(self.state, "pgbouncer")

    def _restart_command(self) -> list[str]:
        """Stop and start, as the user that the service runs as: it has no unit here."""
        switch = ["env", "-C", "/", "runuser", "-u", self.account.name, "--"] if self.account.switch else []
        script = (
            'pid=$(cat "$1") && kill "$pid" && while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done; exec "$2" -q -d "$3"'
        )
        files = (self.folder / "pgbouncer.pid", self.program("pgbouncer"), self.folder / "pgbouncer.ini")
        return [*switch, "sh", "-c", script, "restart", *map(str, files)]

    def host_variables(self) -> dict[str, object]:
        return {
            "pgbouncer_connection": {
                "host": LOOPBACK,
                "port": self.port,
                "user": POOL_ADMIN,
                "dbname": "pgbouncer",
                "passfile": str(self.state.passfile),
            },
            "pgbouncer_restart_command": self._restart_command(),
        }
