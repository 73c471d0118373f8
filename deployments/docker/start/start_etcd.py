"""Starts etcd, and sees that nobody reads or writes it without a password. Done again, by any member, it changes nothing."""

import base64
import json
import os
import signal
import time
import urllib.error
import urllib.request

import yaml

from node import DATA, become, config, environment, https, private_folder, say, secret

USER = "etcd"
# gRPC's codes, by which the gateway tells what was wrong.
INVALID_ARGUMENT, FAILED_PRECONDITION = 3, 9
READWRITE = 2


class Refused(Exception):
    def __init__(self, path: str, code: int, message: str):
        super().__init__(f"{path}: {message}")
        self.code = code


def call(path: str, body: dict, token: str | None = None) -> dict:
    """etcd's gateway: a password goes in a request's body, never on a command line."""
    headers = {"Content-Type": "application/json", **({"Authorization": token} if token else {})}
    request = urllib.request.Request(f"{url}/v3/{path}", json.dumps(body).encode(), headers)
    try:
        with opened(request, timeout=5) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        told = json.loads(error.read() or b"{}")
        raise Refused(path, told.get("code", 0), told.get("message", error.reason)) from None


def token_of(user: str, password: str) -> str:
    return call("auth/authenticate", {"name": user, "password": password})["token"]


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def account(user: str, password: str, role: str, token: str | None) -> None:
    """Makes a user with its role, or gives the one that is there this password."""
    users = call("auth/user/list", {}, token).get("users", [])
    roles = call("auth/role/list", {}, token).get("roles", [])
    call("auth/user/changepw" if user in users else "auth/user/add", {"name": user, "password": password}, token)
    if role not in roles:
        call("auth/role/add", {"name": role}, token)
    if role not in call("auth/user/get", {"name": user}, token).get("roles", []):
        call("auth/user/grant", {"user": user, "role": role}, token)


def limit(role: str, prefix: str, token: str | None) -> None:
    """The role may read and write below the prefix, and nowhere else."""
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    perm = {"permType": READWRITE, "key": b64(prefix), "range_end": b64(end)}
    call("auth/role/grant", {"name": role, "perm": perm}, token)


def protect(root: str, users: dict[str, str], prefix: str) -> None:
    """Asks for passwords from now on. @raises Refused, OSError: not yet, try again"""
    try:
        token = token_of("root", root)
    except Refused as refused:
        if refused.code != FAILED_PRECONDITION:
            raise
        token = None
    for user, password in users.items():
        try:
            if token:
                token_of(user, password)
                continue
        except Refused as refused:
            if refused.code != INVALID_ARGUMENT:
                raise
        account(user, password, user, token)
        limit(user, prefix, token)
    if token is None:
        account("root", root, "root", None)
        call("auth/enable", {})
        say("etcd asks for passwords from now on")


def guard(etcd: int, root: str, users: dict[str, str], prefix: str) -> None:
    """Goes on until passwords are asked for. An etcd that stays open to everybody is ended."""
    told = time.monotonic()
    while True:
        try:
            return protect(root, users, prefix)
        except (Refused, OSError, ValueError, KeyError) as error:
            if isinstance(error, Refused) and error.code == INVALID_ARGUMENT:
                return say(f"the password of etcd's root is not the one in /run/secrets/etcd_root: {error}")
            if time.monotonic() - told > 15:
                told = time.monotonic()
                say(f"etcd can't be given its passwords yet: {error}")
            if os.getppid() != etcd:
                return None
        except BaseException:
            os.kill(etcd, signal.SIGKILL)
            raise
        time.sleep(0.2)


text = config("etcd.yml")
settings = yaml.safe_load(text)
url = f"{'https' if 'client-transport-security' in settings else 'http'}://127.0.0.1:2379"
opened = https(*(part["trusted-ca-file"] for key, part in settings.items() if key == "peer-transport-security"))
accounts = json.loads(config("accounts.json"))
root = secret("etcd_root")
users = {user: secret(account) for user, account in accounts["users"].items()}
private_folder(DATA, USER)
private_folder(settings["data-dir"], USER)
env = environment(USER)
become(USER)
etcd = os.getpid()
if os.fork() == 0:
    guard(etcd, root, users, accounts["prefix"])
    os._exit(0)
os.execvpe("etcd", ["etcd", "--config-file", "/etc/pgdba/etcd.yml"], env)
