"""Runs what monitors the cluster, and starts again what ends.

The programs and their configuration stand in the volume, where pgdba puts them: `monitor/services.json` says what is to run, and is read again when
it changes. Passwords are no part of it: they are put beside it here, in memory, for the account that the programs run as.
"""

import json
import os
import signal
import subprocess
import sys
import time

from node import DATA, SECRETS, become, environment, private_file, private_folder, say, secret

USER = "postgres"
RUN = "/run/monitoring"
SERVICES = f"{DATA}/monitor/services.json"
POLL_SECONDS = 0.5
# A program that ends at once is not started more often than this.
AGAIN_SECONDS = 3
STOP_SECONDS = 10


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(":", "\\:")


def passwords() -> dict[str, str]:
    return {name: secret(name) for name in ("monitor", "pgbouncer_admin") if os.path.exists(f"{SECRETS}/{name}")}


def write_secrets(wanted: dict) -> None:
    """What the exporters log in by: a file of libpq's, and that of the exporter of PostgreSQL, which takes no other."""
    lines = [f"*:*:*:{escaped(user)}:{escaped(known[name])}\n" for name, user in wanted["accounts"].items() if name in known]
    private_file(f"{RUN}/pgpass", "".join(lines), USER)
    private_file(f"{RUN}/monitor", known["monitor"], USER)
    login = {"username": wanted["accounts"]["monitor"], "password": known["monitor"]}
    module = {"type": "userpass", "userpass": login, "options": wanted["options"]}
    private_file(f"{RUN}/postgres_exporter.yml", json.dumps({"auth_modules": {"pgdba": module}}), USER)


class Stopped(Exception):
    pass


def on_signal(number: int, _frame: object) -> None:
    raise Stopped(signal.Signals(number).name)


def read() -> tuple[float, dict] | None:
    """Null until pgdba has put it there."""
    try:
        with open(SERVICES, encoding="utf-8") as file:
            return os.fstat(file.fileno()).st_mtime_ns, json.load(file)
    except FileNotFoundError:
        return None


def end(child: subprocess.Popen) -> None:
    if child.poll() is None:
        child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def watch(children: dict[str, tuple[dict, subprocess.Popen]]) -> None:
    """Runs until it is stopped."""
    seen: float | None = None
    wanted: dict[str, dict] = {}
    begun: dict[str, float] = {}
    while True:
        found = read()
        if found is not None and found[0] != seen:
            seen, told = found
            write_secrets(told)
            wanted = {one["name"]: one for one in told["services"]}
            for name in [name for name, (one, _) in children.items() if wanted.get(name) != one]:
                end(children.pop(name)[1])
                begun.pop(name, None)
        for name, one in wanted.items():
            if name in children and children[name][1].poll() is None:
                continue
            if time.monotonic() - begun.get(name, float("-inf")) < AGAIN_SECONDS:
                continue
            if name in children:
                say(f"{name} ended with {children[name][1].returncode}: it is started again")
            begun[name] = time.monotonic()
            try:
                child = subprocess.Popen(one["argv"], env={**env, **one["env"]}, stdin=subprocess.DEVNULL, stdout=sys.stderr)
            except OSError as error:
                say(f"{name} does not start: {error.strerror}")
                continue
            children[name] = (one, child)
        time.sleep(POLL_SECONDS)


private_folder(DATA, USER)
private_folder(RUN, USER)
known = passwords()
env = environment(USER)
become(USER)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, on_signal)
# What is started inherits it: pgdba tells programs by it to read their files again, and one that is just starting must not die of that.
signal.signal(signal.SIGHUP, signal.SIG_IGN)
running: dict[str, tuple[dict, subprocess.Popen]] = {}
try:
    watch(running)
except Stopped as stopped:
    say(f"{stopped}: stopping")
finally:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    for _, one in running.values():
        if one.poll() is None:
            one.terminate()
    for _, one in running.values():
        end(one)
