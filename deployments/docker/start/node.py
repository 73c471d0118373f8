"""What the start scripts of all images share: secrets, private files, and the change to an ordinary user."""

import os
import pwd
import ssl
import stat
import sys
import urllib.request
from typing import NoReturn

CONFIG = "/etc/pgdba"
SECRETS = "/run/secrets"
DATA = "/var/lib/pgdba"


def say(text: str) -> None:
    print(f"pgdba: {text}", file=sys.stderr, flush=True)


def fail(text: str) -> NoReturn:
    """Ends the container with a reason. A restart policy may try again, so a person must be able to read it in the log."""
    say(text)
    sys.exit(78)


def config(name: str) -> str:
    """The text of a file of the node's configuration."""
    try:
        with open(f"{CONFIG}/{name}", encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        fail(f"{CONFIG}/{name} can't be read ({error.strerror}): put the node's configuration there before it starts")


def secret(name: str) -> str:
    """The value of a secret. Only a newline at its end is no part of it."""
    path = f"{SECRETS}/{name}"
    try:
        with open(path, encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            value = file.read()
    except OSError as error:
        fail(f"the secret {name} can't be read from {path} ({error.strerror}): put it there in a file of mode 0600")
    if mode & 0o077:
        say(f"{path} has mode {mode:04o}: others than its owner may read it; `chmod 600` the file that is mounted there")
    value = value.removesuffix("\n").removesuffix("\r")
    if value == "" or "\0" in value or "\n" in value:
        fail(f"the secret {name} in {path} must be one line that is not empty")
    return value


def https(*authorities: str):
    """Opens URLs; those of https, where the certificate is one of these authorities'. Without any, whose it is does not count."""
    context = ssl.create_default_context() if authorities else ssl._create_unverified_context()
    for path in authorities:
        context.load_verify_locations(path)
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context)).open


def private_folder(path: str, user: str) -> None:
    account = pwd.getpwnam(user)
    os.makedirs(path, mode=0o700, exist_ok=True)
    os.chown(path, account.pw_uid, account.pw_gid)
    os.chmod(path, 0o700)


def private_file(path: str, text: str, user: str) -> None:
    """A file that only `user` may read; whoever reads it sees the old text or the new one, whole."""
    account = pwd.getpwnam(user)
    draft = f"{path}.new"
    if os.path.lexists(draft):
        os.unlink(draft)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8") as file:
        os.fchown(file.fileno(), account.pw_uid, account.pw_gid)
        file.write(text)
    os.replace(draft, path)


def become(user: str) -> None:
    """From here on this process has no more rights than `user`."""
    account = pwd.getpwnam(user)
    os.initgroups(user, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    os.umask(0o077)
    os.chdir("/")


def environment(user: str) -> dict[str, str]:
    """The environment of a service: what the image says. Nothing that was given to the container may change what it reads."""
    kept = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}
    return {**kept, "HOME": pwd.getpwnam(user).pw_dir, "USER": user, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
