"""The health check of the images: whether the service of this container does its work. It is no word on who is primary."""

import json
import os
import socket
import sys
import urllib.error
import urllib.request

from node import config, https

# These are questions of the node to itself: whose certificate it is does not count.
opened = https()


def get(url: str, data: bytes | None = None) -> tuple[int, bytes]:
    try:
        with opened(urllib.request.Request(url, data), timeout=3) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def postgres() -> bool:
    """Patroni's own readiness: the leader, or a standby whose server takes connections."""
    import yaml

    tls = "certfile" in yaml.safe_load(config("patroni.yml"))["restapi"]
    with opened(f"{'https' if tls else 'http'}://127.0.0.1:8008/readiness", timeout=3) as reply:
        return reply.status == 200


def etcd() -> bool:
    """Healthy with the others, and closed to whoever has no password."""
    import yaml

    tls = "client-transport-security" in yaml.safe_load(config("etcd.yml"))
    url = f"{'https' if tls else 'http'}://127.0.0.1:2379"
    status, body = get(f"{url}/health")
    if status != 200 or json.loads(body)["health"] != "true":
        return False
    return get(f"{url}/v3/kv/range", json.dumps({"key": "AA=="}).encode())[0] != 200


def pgbouncer() -> bool:
    """It takes connections, and whoever follows the primary is there."""
    for port in (6432, 6433):
        socket.create_connection(("127.0.0.1", port), timeout=3).close()
    return True


def monitoring() -> bool:
    """Until pgdba has said what is to run, that is nothing."""
    if not os.path.exists("/var/lib/pgdba/monitor/services.json"):
        return True
    return all(get(f"http://127.0.0.1:{port}/-/ready")[0] == 200 for port in (9090, 9093))


try:
    healthy = {"postgres": postgres, "etcd": etcd, "pgbouncer": pgbouncer, "monitoring": monitoring}[sys.argv[1]]()
except Exception as error:
    print(f"{type(error).__name__}: {error}")
    sys.exit(1)
sys.exit(0 if healthy else 1)
