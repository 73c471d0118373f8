"""Starts Patroni. The configuration names accounts; their passwords are put beside it here, in a folder that only postgres may read."""

import json
import os
import shutil
import subprocess

import yaml

from node import DATA, become, config, environment, private_file, private_folder, secret
from scram import verifier

USER = "postgres"
RUN = "/run/patroni"
# A volume of its own for WAL, where the node has one.
WAL = "/var/lib/pgdba-wal"
# The volume for backups, which all servers share.
BACKUPS = "/var/lib/pgdba-backups"

# Where the configuration names an account, and the secret that is its password.
PASSWORDS = {
    ("restapi", "authentication"): "patroni",
    ("etcd3",): "etcd",
    ("postgresql", "authentication", "superuser"): "superuser",
    ("postgresql", "authentication", "replication"): "replication",
    ("postgresql", "authentication", "rewind"): "rewind",
}


def passwords(patroni: dict) -> dict:
    """The passwords of the accounts that the configuration names, in its own shape."""
    found: dict = {}
    for path, name in PASSWORDS.items():
        part = patroni
        for key in path:
            part = part.get(key) or {}
        if "username" not in part:
            continue
        place = found
        for key in path:
            place = place.setdefault(key, {})
        place["password"] = secret(name)
    return found


def bootstrap() -> dict:
    """The roles and the database that are made with the cluster. Of a password only its verifier is handed on."""
    wish = json.loads(config("bootstrap.json"))
    roles = [(wish[account], account) for account in ("pgbouncer", "owner") if wish.get(account)]
    return {**wish, "verifiers": {user: verifier(secret(account)) for user, account in roles}}


# Tells whoever monitors the cluster of this node's disks, as they are seen from inside; only the cluster's own network reaches it.
EXPORTER = [
    "prometheus-node-exporter",
    "--collector.disable-defaults",
    *(f"--collector.{name}" for name in ("cpu", "diskstats", "filesystem", "loadavg", "meminfo", "uname", "vmstat")),
    "--web.listen-address=:9100",
    "--log.level=error",
]
# It ends with Patroni, whose child it is, as all of the container does.
AGAIN = 'while :; do "$@"; sleep 5; done'


def tell_of_disks(env: dict[str, str]) -> None:
    if shutil.which(EXPORTER[0]) is not None:
        subprocess.Popen(["sh", "-c", AGAIN, "sh", *EXPORTER], env=env, stdin=subprocess.DEVNULL)


text = config("patroni.yml")
private_folder(DATA, USER)
for folder in (WAL, BACKUPS):
    if os.path.isdir(folder):
        private_folder(folder, USER)
private_folder(RUN, USER)
private_file(f"{RUN}/10-patroni.yml", text, USER)
private_file(f"{RUN}/20-secrets.yml", json.dumps(passwords(yaml.safe_load(text))), USER)
private_file(f"{RUN}/bootstrap.json", json.dumps(bootstrap()), USER)
env = environment(USER)
become(USER)
tell_of_disks(env)
os.execvpe("patroni", ["patroni", RUN], env)
