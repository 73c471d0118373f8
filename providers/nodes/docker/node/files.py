"""Files and folders of a node. The question is the first line of the input, as JSON; the content comes behind it.

A folder travels as lines of JSON, each for one entry, that of a file with its bytes behind it.
"""

import errno
import grp
import json
import os
import pwd
import shutil
import signal
import stat
import sys

PART = 1 << 18
source = sys.stdin.buffer
out = sys.stdout.buffer


def fail(error: OSError | str, path: str) -> None:
    told = {"path": path, "errno": errno.errorcode.get(error.errno, "")} if isinstance(error, OSError) else {"path": path, "what": error}
    print(json.dumps(told), file=sys.stderr)
    sys.exit(1)


def sync_folder(path: str) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def owner_of(text: str) -> tuple[int, int]:
    name, _, group = text.partition(":")
    try:
        account = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
        return account.pw_uid, grp.getgrnam(group).gr_gid if group else account.pw_gid
    except KeyError:
        print(json.dumps({"account": text}), file=sys.stderr)
        sys.exit(1)


def beside(path: str, what: str) -> str:
    """Always the same name, so that one who comes after a crash finds and removes it."""
    return os.path.join(os.path.dirname(path), f".pgdba-{os.path.basename(path)}.{what}")


def remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def copy(target, size: int | None) -> None:
    left = size
    while left is None or left > 0:
        part = source.read1(PART if left is None else min(left, PART))
        if not part:
            if left is None:
                return
            raise OSError(errno.EPIPE, "the content ended early")
        target.write(part)
        left = None if left is None else left - len(part)


def put_file(path: str, ask: dict, size: int | None = None) -> None:
    uid, gid = ask["ids"]
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        copy(file, size)
        os.fchown(file.fileno(), uid, gid)
        os.fchmod(file.fileno(), ask["mode"])
        file.flush()
        os.fsync(file.fileno())


def put_tree(path: str, ask: dict) -> None:
    uid, gid = ask["ids"]
    folders = []
    while line := source.readline():
        entry = json.loads(line)
        at = os.path.join(path, entry["path"]) if entry["path"] else path
        if entry["type"] == "folder":
            os.mkdir(at, 0o700)
            folders.append(at)
        elif entry["type"] == "link":
            os.symlink(entry["to"], at)
            os.lchown(at, uid, gid)
        else:
            put_file(at, ask, entry["size"])
    # The innermost first: a folder that may not be written any more has its content by then.
    for at in reversed(folders):
        os.chown(at, uid, gid)
        os.chmod(at, ask["folderMode"])
        sync_folder(at)


def put(ask: dict) -> None:
    path = ask["path"]
    ask["ids"] = owner_of(ask["owner"])
    draft, aside = beside(path, "new"), beside(path, "old")
    try:
        tree = ask["what"] == "tree"
        if os.path.lexists(path):
            if tree and not ask["replace"]:
                fail("it is there already", path)
            if not tree and not stat.S_ISREG(os.lstat(path).st_mode):
                fail("it is not a file", path)
        remove(draft)
        (put_tree if tree else put_file)(draft, ask)
        if tree and os.path.lexists(path):
            remove(aside)
            os.rename(path, aside)
        os.rename(draft, path)
        sync_folder(os.path.dirname(path))
        if tree:
            remove(aside)
    except OSError as error:
        fail(error, path)
    finally:
        if os.path.isdir(os.path.dirname(path)):
            remove(draft)
            if not os.path.lexists(path) and os.path.lexists(aside):
                os.rename(aside, path)


def send_file(path: str) -> None:
    with open(path, "rb") as file:
        while part := file.read(PART):
            out.write(part)


def send_tree(path: str, below: str = "") -> None:
    at = os.path.join(path, below) if below else path
    found = os.lstat(at)
    entry = {"path": below, "mode": stat.S_IMODE(found.st_mode), "uid": found.st_uid, "gid": found.st_gid}

    def say(**more) -> None:
        out.write(json.dumps({**entry, **more}).encode() + b"\n")

    if stat.S_ISDIR(found.st_mode):
        say(type="folder")
        for name in sorted(os.listdir(at)):
            send_tree(path, f"{below}/{name}" if below else name)
    elif stat.S_ISLNK(found.st_mode):
        say(type="link", to=os.readlink(at))
    elif stat.S_ISREG(found.st_mode):
        with open(at, "rb") as file:
            left = os.fstat(file.fileno()).st_size
            say(type="file", size=left)
            while left > 0:
                part = file.read(min(left, PART))
                if not part:
                    raise OSError(errno.EIO, "it became shorter")
                out.write(part)
                left -= len(part)
    else:
        fail("it is neither file, folder nor link: it can't be copied", at)


def get(ask: dict) -> None:
    path = ask["path"]
    try:
        found = os.lstat(path)
        folder = stat.S_ISDIR(found.st_mode)
        if ask["what"] == "file" and not stat.S_ISREG(os.stat(path).st_mode):
            fail("it is not a file", path)
        if ask["what"] == "any":
            out.write(json.dumps({"folder": folder, "mode": stat.S_IMODE(found.st_mode)}).encode() + b"\n")
        send_tree(path) if folder else send_file(path)
        out.flush()
    except OSError as error:
        fail(error, path)


# Told to end, it takes its draft away.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
ask = json.loads(source.readline())
(put if ask["verb"] == "put" else get)(ask)
