"""Programs that go on by themselves, each in a folder of its own below the node's folder of jobs. One question, as JSON, on stdin.

job.json  what it is        stdin, stdout, stderr  what it reads and writes
pid       its keeper: number, start and boot       exit  the status, once it has ended
"""

import fcntl
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time

POLL = 0.02


def stat_of(pid: int) -> list[str] | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def boot() -> str:
    """Other for each start of the container and of the machine: a process number means nothing beyond it."""
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        return f"{file.read().strip()}/{(stat_of(1) or ['0'] * 20)[19]}"


def text_of(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None


def write_whole(path: str, text: str) -> None:
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)


def record_of(folder: str) -> dict | None:
    text = text_of(f"{folder}/job.json")
    return json.loads(text) if text else None


def keeper_of(folder: str) -> list[str] | None:
    text = text_of(f"{folder}/pid")
    return text.split(" ") if text else None


def left_of(folder: str) -> tuple[int | None, list[int]]:
    """The keeper, when it is there, and the other processes that are left of the job."""
    keeper = keeper_of(folder)
    if keeper is None or keeper[2] != boot():
        return None, []
    number = int(keeper[0])
    now = stat_of(number)
    if now is not None and now[19] != keeper[1]:
        return None, []
    there = number if now is not None and now[0] != "Z" else None
    others = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == number:
            continue
        fields = stat_of(int(name))
        if fields is not None and int(fields[3]) == number and fields[0] != "Z":
            others.append(int(name))
    return there, others


def state_of(folder: str) -> dict | None:
    record = record_of(folder)
    if record is None or keeper_of(folder) is None:
        return None
    # Asked in this order: one that ends in between has ended, and has written how.
    keeper, others = left_of(folder)
    code = text_of(f"{folder}/exit")
    size = lambda name: os.path.getsize(f"{folder}/{name}") if os.path.exists(f"{folder}/{name}") else 0
    return {
        "name": record["name"],
        "labels": record["labels"],
        "digest": record["digest"],
        "program": record["argv"][0],
        "running": keeper is not None or bool(others),
        "code": None if code is None else int(code),
        "written": {"stdout": size("stdout"), "stderr": size("stderr")},
    }


class locked:
    """One at a time works on a job's folder; a keeper holds the lock until it has said who it is."""

    def __init__(self, folder: str):
        self.path = f"{folder}.lock"

    def __enter__(self):
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        self.file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.file, fcntl.LOCK_EX)
        return self.file

    def __exit__(self, *_):
        os.close(self.file)


def keep(folder: str, ask: dict, lock: int, tell: int) -> None:
    """The keeper: starts the program, and writes down how it ended."""
    os.setsid()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    account = pwd.getpwnam(ask["user"]) if not ask["user"].isdigit() else pwd.getpwuid(int(ask["user"]))
    os.initgroups(account.pw_name, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    streams = [open(f"{folder}/{name}", mode) for name, mode in (("stdin", "rb"), ("stdout", "ab"), ("stderr", "ab"))]
    write_whole(f"{folder}/pid", f"{os.getpid()} {stat_of(os.getpid())[19]} {boot()}")
    try:
        env = {**os.environ, **ask["env"]}
        child = subprocess.Popen(
            ask["argv"], stdin=streams[0], stdout=streams[1], stderr=streams[2], cwd=ask["cwd"], env=env, close_fds=True
        )
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        missing = error.filename == ask["cwd"] and error.filename != ask["argv"][0]
        os.write(tell, json.dumps({"cwd" if missing else "program": error.strerror}).encode())
        os._exit(1)
    os.write(tell, b"{}")
    os.close(tell)
    os.close(lock)
    code = child.wait()
    write_whole(f"{folder}/exit", str(code if code >= 0 else 128 - code))
    os._exit(0)


def start(folder: str, ask: dict) -> dict:
    with locked(folder) as lock:
        before = state_of(folder)
        if before is not None:
            if before["digest"] != ask["digest"]:
                return {"taken": before["program"]}
            return {"state": before}
        # A job that was never started has no right to the name.
        shutil.rmtree(folder, ignore_errors=True)
        draft = f"{folder}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        os.mkdir(draft, 0o700)
        with os.fdopen(os.open(f"{draft}/stdin", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(ask["stdin"])
        record = {name: ask[name] for name in ("name", "labels", "argv", "digest")}
        write_whole(f"{draft}/job.json", json.dumps(record))
        account = pwd.getpwnam(ask["user"]) if not ask["user"].isdigit() else pwd.getpwuid(int(ask["user"]))
        for name in ("", "/stdin", "/job.json"):
            os.chown(f"{draft}{name}", account.pw_uid, account.pw_gid)
        # Its keeper passes through the folder of all jobs.
        os.chmod(os.path.dirname(folder), 0o711)
        os.rename(draft, folder)
        heard, tell = os.pipe()
        if os.fork() == 0:
            os.close(heard)
            try:
                keep(folder, ask, lock, tell)
            finally:
                os._exit(1)
        os.close(tell)
        told = b""
        while part := os.read(heard, 4096):
            told += part
        error = json.loads(told) if told else {"program": "it was killed at its start"}
        return {"error": error} if error else {"state": state_of(folder)}


def stop(folder: str, grace: float) -> dict | None:
    with locked(folder):
        send(left_of(folder)[1], signal.SIGTERM)
        deadline = time.monotonic() + grace
        while left_of(folder)[1] and time.monotonic() < deadline:
            # A stopped process would not hear the signal.
            send(left_of(folder)[1], signal.SIGCONT)
            time.sleep(POLL)
        while left_of(folder)[1]:
            send(left_of(folder)[1], signal.SIGKILL)
            time.sleep(POLL)
        deadline = time.monotonic() + 2
        while left_of(folder)[0] and time.monotonic() < deadline:
            time.sleep(0.005)
        keeper = left_of(folder)[0]
        if keeper:
            send([keeper], signal.SIGKILL)
        return state_of(folder)


def send(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            pass


def forget(folder: str) -> dict:
    with locked(folder):
        state = state_of(folder)
        if state and state["running"]:
            return {"running": True}
        shutil.rmtree(folder, ignore_errors=True)
        return {}


def find(folder: str) -> dict | None:
    with locked(folder):
        return state_of(folder)


def every(base: str) -> list[dict]:
    names = os.listdir(base) if os.path.isdir(base) else []
    states = [state_of(f"{base}/{name}") for name in sorted(names) if "." not in name]
    return [state for state in states if state]


def follow(folder: str, offsets: dict) -> None:
    """Both streams from there on, until it has ended."""
    files = [(1, f"{folder}/stdout", offsets["stdout"]), (2, f"{folder}/stderr", offsets["stderr"])]
    while True:
        state = state_of(folder)
        # All that it wrote before it ended is there when it is read.
        over = state is None or not state["running"]
        for index, (number, path, offset) in enumerate(files):
            try:
                with open(path, "rb") as file:
                    file.seek(offset)
                    while part := file.read(1 << 16):
                        rest = part
                        while rest:
                            rest = rest[os.write(number, rest) :]
                        offset += len(part)
            except OSError:
                pass
            files[index] = (number, path, offset)
        if over:
            return
        time.sleep(POLL)


if __name__ == "__main__":
    ask = json.load(sys.stdin)
    verb = ask["verb"]
    if verb == "follow":
        follow(ask["folder"], ask["from"])
        sys.exit(0)
    if verb == "start":
        answer = start(ask["folder"], ask)
    elif verb == "find":
        answer = find(ask["folder"])
    elif verb == "list":
        answer = every(ask["base"])
    elif verb == "stop":
        answer = stop(ask["folder"], ask["grace"])
    else:
        answer = forget(ask["folder"])
    print(json.dumps(answer))
