# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx as an edge without cache rules or compression, and as the application behind it."""

import http.client
import json
import random
from collections.abc import Sequence

from . import files
from .processes import LOOPBACK
from .service import Program, Service

PATHS = ("/api/public/rates", "/api/leads", "/static/app.3f9a1c7e.js", "/static/logo.svg")
RATES = 500  # about 45 kB of JSON
LEADS = 800  # about 145 kB of JSON
FUNCTIONS = 1500  # about 105 kB of JavaScript
TIMEOUT_SECONDS = 5


def contents() -> dict[str, str]:
    """The files of the application, by path."""
    chance = random.Random(42)  # noqa: S311 - the same answers every time, no secret
    rates = [
        {"postcode": f"{chance.randrange(100_000):05d}", "product": "auto", "carrier": "Fabrikam", "cents_per_month": n}
        for n in range(4000, 4000 + RATES)
    ]
    leads = [
        {
            "id": n,
            "name": f"Customer {n}",
            "email": f"customer{n}@example.com",
            "postcode": f"{chance.randrange(100_000):05d}",
            "product": chance.choice(["auto", "home", "life"]),
            "status": chance.choice(["new", "quoted", "won"]),
            "score": chance.randrange(100),
            "created_at": "2025-01-15T09:30:00Z",
        }
        for n in range(1, LEADS + 1)
    ]
    script = "".join(
        f"export function step{n}(form) {{\n  return form.value({chance.randrange(10**6)}) + {n};\n}}\n"
        for n in range(FUNCTIONS)
    )
    circles = "".join(f'<circle cx="{n}" cy="{chance.randrange(60)}" r="2"/>' for n in range(0, 240, 4))
    return {
        "/api/public/rates.json": json.dumps({"rates": rates}),
        "/api/leads.json": json.dumps({"leads": leads}),
        "/static/app.3f9a1c7e.js": script,
        "/static/logo.svg": f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 60">{circles}</svg>\n',
    }


class Edge(Service):
    name = "edge"
    needs = (Program("nginx", "nginx"),)

    @property
    def ports(self) -> Sequence[int]:
        return (self.port, self.state.ports["upstream"])

    def make(self) -> None:
        root = self.folder / "application"
        for folder in (root, root / "api", root / "api/public", root / "static"):
            files.make_folder(folder, self.account)
        for path, text in contents().items():
            self.write(f"application{path}", text)
        upstream = f"{LOOPBACK}:{self.state.ports['upstream']}"
        values = {"folder": self.folder, "edge": self.endpoint, "upstream": upstream}
        self.write("nginx.conf", files.render("nginx.conf.j2", **values))

    def launch(self) -> None:
        log = self.folder / "error.log"  # given here too, else nginx opens the system's log before it reads its file
        self.run("nginx", "-p", self.folder, "-e", log, "-c", self.folder / "nginx.conf")

    def answers(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/static/logo.svg")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def host_variables(self) -> dict[str, object]:
        return {"edge_url": f"http://{self.endpoint}"}
