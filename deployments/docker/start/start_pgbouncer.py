"""Runs PgBouncer, and beside it the follower that tells it where the primary is.

PgBouncer may not go on for long without a follower, for it would send clients to a primary that leads no more. One that ends is started
again at once, and clients notice nothing; one that stands still is killed after a ttl; where none holds, the container ends, and with it
the way to a server. It ends with PgBouncer, too: whoever keeps containers running starts both anew, with no route.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import urllib.error

from node import SECRETS, become, config, environment, https, private_file, private_folder, say, secret

USER = "postgres"
RUN = "/run/pgbouncer"
HOME = f"{RUN}/home"
# A follower that ended so often within a ttl does not hold.
TRIES = 5
# Transactions that are under way when the container is stopped have this long to end.
STOP_SECONDS = 10
POLL_SECONDS = 0.2

follow = json.loads(config("follow.json"))
ttl = float(follow["ttl"])
scheme = "https" if "certificate" in follow["listen"] else "http"
url = f"{scheme}://127.0.0.1:{follow['listen']['port']}/status"
# Whoever answers here is the follower, by whatever certificate.
opened = https()


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def option(name: str) -> str:
    """A setting of pgbouncer.ini, where the names of its accounts stand."""
    for line in config("pgbouncer.ini").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == name:
            return value.strip()
    raise SystemExit(f"pgdba: pgbouncer.ini has no {name}")


def prepare() -> None:
    admin = secret("pgbouncer_admin")
    users = {option("auth_user"): secret("pgbouncer"), option("admin_users"): admin}
    # Not before it is watched.
    if os.path.exists(f"{SECRETS}/monitor"):
        users[option("stats_users")] = secret("monitor")
    private_folder(RUN, USER)
    # One of the last start would look like that of another PgBouncer.
    for name in os.listdir(RUN):
        if name.startswith(".s.PGSQL."):
            os.unlink(f"{RUN}/{name}")
    private_file(f"{RUN}/userlist.txt", "".join(f"{quoted(u)} {quoted(p)}\n" for u, p in users.items()), USER)
    private_file(f"{RUN}/admin", admin, USER)
    # No client gets anywhere until the follower has found the primary.
    private_file(f"{RUN}/route.ini", "", USER)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def start_follower(env: dict[str, str]) -> subprocess.Popen:
    """Its journal is of use to nobody after it: what it did stands in the container's log."""
    shutil.rmtree(HOME, ignore_errors=True)
    os.makedirs(HOME, mode=0o700)
    argv = ["pgdba", "run", "pgbouncer/follow", "/etc/pgdba/follow.json"]
    return subprocess.Popen(argv, env={**env, "PGDBA_HOME": HOME}, stdin=subprocess.DEVNULL, stdout=sys.stderr)


def answers() -> bool:
    """Any answer will do, also one that asks for the password."""
    try:
        opened(url, timeout=1).close()
    except urllib.error.HTTPError:
        pass
    except OSError:
        return False
    return True


class Stopped(Exception):
    pass


def on_signal(number: int, _frame: object) -> None:
    raise Stopped(signal.Signals(number).name)


def watch(pgbouncer: subprocess.Popen, env: dict[str, str], children: list[subprocess.Popen]) -> int:
    """Returns when the container has to end."""
    follower = start_follower(env)
    children.append(follower)
    heard = time.monotonic()
    ends: list[float] = []
    asked = 0.0
    while True:
        time.sleep(POLL_SECONDS)
        now = time.monotonic()
        if pgbouncer.poll() is not None:
            say(f"PgBouncer ended with {pgbouncer.returncode}, and this container with it")
            return 1
        if follower.poll() is None and now - asked > 1:
            asked = now
            if answers():
                heard = time.monotonic()
            elif now - heard > ttl:
                say(f"the follower has not answered for {ttl:g} s: it is killed")
                follower.kill()
                follower.wait()
        if follower.poll() is None:
            continue
        ends = [end for end in ends if now - end < max(ttl, 10)] + [now]
        if len(ends) >= TRIES:
            say(f"the follower ended {TRIES} times, last with {follower.returncode}: PgBouncer does not go on without it")
            return 1
        say(f"the follower ended with {follower.returncode}: it is started again")
        children.remove(follower)
        follower = start_follower(env)
        children.append(follower)
        heard = now


def end(pgbouncer: subprocess.Popen, others: list[subprocess.Popen], gently: bool) -> None:
    if pgbouncer.poll() is None and gently:
        pgbouncer.send_signal(signal.SIGINT)
        try:
            pgbouncer.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            say(f"transactions went on for {STOP_SECONDS} s: they are cut off")
    for child in [pgbouncer, *others]:
        if child.poll() is None:
            child.kill()
            child.wait()


prepare()
env = environment(USER)
become(USER)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, on_signal)
pgbouncer = subprocess.Popen(["pgbouncer", "/etc/pgdba/pgbouncer.ini"], env=env, stdin=subprocess.DEVNULL)
children: list[subprocess.Popen] = []
code, gently = 1, False
try:
    code = watch(pgbouncer, env, children)
except Stopped as stopped:
    say(f"{stopped}: stopping")
    code, gently = 0, True
finally:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    end(pgbouncer, children, gently)
sys.exit(code)
