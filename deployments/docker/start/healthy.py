"""The health check of the images: whether the service of this container does its work. It is no word on who is primary."""

import json
import socket
import sys
import urllib.error
import urllib.request


def get(url: str, data: bytes | None = None) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=3) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def postgres() -> bool:
    """Patroni's own readiness: the leader, or a standby whose server takes connections."""
    import ssl

    import yaml

    with open("/etc/pgdba/patroni.yml", encoding="utf-8") as file:
        tls = "certfile" in yaml.safe_load(file)["restapi"]
    scheme = "https" if tls else "http"
    # The certificate names the node; this is a question of the node to itself.
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=ssl._create_unverified_context()))
    with opener.open(f"{scheme}://127.0.0.1:8008/readiness", timeout=3) as reply:
        return reply.status == 200


def etcd() -> bool:
    """Healthy with the others, and closed to whoever has no password."""
    status, body = get("http://127.0.0.1:2379/health")
    if status != 200 or json.loads(body)["health"] != "true":
        return False
    return get("http://127.0.0.1:2379/v3/kv/range", json.dumps({"key": "AA=="}).encode())[0] != 200


def pgbouncer() -> bool:
    """It takes connections, and whoever follows the primary is there."""
    for port in (6432, 6433):
        socket.create_connection(("127.0.0.1", port), timeout=3).close()
    return True


try:
    healthy = {"postgres": postgres, "etcd": etcd, "pgbouncer": pgbouncer}[sys.argv[1]]()
except Exception as error:
    print(f"{type(error).__name__}: {error}")
    sys.exit(1)
sys.exit(0 if healthy else 1)
