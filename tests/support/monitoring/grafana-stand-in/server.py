"""A stand-in for Grafana: reads its settings and provisioning where Grafana does, and answers some of its API. YAML is given as it is, for the test to parse."""

import base64
import glob
import json
import os
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def setting(name: str, usual: str) -> str:
    """An environment variable, with `$__file{}` expanded, as Grafana's settings are."""
    text = os.environ.get(name, usual)
    found = re.fullmatch(r"\$__file\{(.+)\}", text)
    if found is None:
        return text
    with open(found[1], encoding="utf-8") as file:
        return file.read().strip()


def texts(pattern: str) -> dict[str, str]:
    found = {}
    for path in sorted(glob.glob(pattern)):
        with open(path, encoding="utf-8") as file:
            found[path] = file.read()
    return found


PROVISIONING = setting("GF_PATHS_PROVISIONING", "/etc/grafana/provisioning")
KEPT = f"{setting('GF_PATHS_DATA', '/var/lib/grafana')}/admin"
# As with Grafana's, the setting counts when its database is made, and never again.
if not os.path.exists(KEPT):
    with open(KEPT, "w", encoding="utf-8") as file:
        file.write(setting("GF_SECURITY_ADMIN_PASSWORD", "admin"))
with open(KEPT, encoding="utf-8") as file:
    LOGIN = "Basic " + base64.b64encode(f"admin:{file.read()}".encode()).decode()
SOURCES = texts(f"{PROVISIONING}/datasources/*.yml")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/api/health":
            return self.answer(200, {"database": "ok", "version": "stand-in"})
        if self.headers["authorization"] != LOGIN:
            return self.answer(401, {"message": "Invalid username or password"})
        if self.path != "/stand-in":
            return self.answer(404, {})
        providers = texts(f"{PROVISIONING}/dashboards/*.yml")
        folders = [path for text in providers.values() for path in re.findall(r"^ *path: (.+)$", text, re.M)]
        dashboards = [one for folder in folders for one in texts(f"{folder}/*.json").values()]
        self.answer(200, {"sources": SOURCES, "providers": providers, "dashboards": dashboards})

    def answer(self, status: int, said: dict) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


at = (os.environ.get("GF_SERVER_HTTP_ADDR", ""), int(os.environ.get("GF_SERVER_HTTP_PORT", "3000")))
ThreadingHTTPServer(at, Handler).serve_forever()
