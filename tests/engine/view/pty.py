"""Runs a command with stdin and stderr on a pseudo terminal and stdout on a pipe; prints what came out as JSON.
usage: pty.py '{"argv": [...], "send": "text", "signal": "SIGINT", "columns": 80}'; `send` and `signal` wait for the first output."""
import fcntl, json, os, select, signal, struct, subprocess, sys, termios, time

ask = json.loads(sys.argv[1])
master, slave = os.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, ask.get("columns", 80), 0, 0))
process = subprocess.Popen(ask["argv"], stdin=slave, stderr=slave, stdout=subprocess.PIPE, start_new_session=True,
                           preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
os.close(slave)
err, out, told, deadline = b"", b"", False, time.monotonic() + 10
fds = [master, process.stdout.fileno()]
while fds and time.monotonic() < deadline:
    for fd in select.select(fds, [], [], 0.1)[0]:
        try:
            chunk = os.read(fd, 65536)
        except OSError:
            chunk = b""
        if not chunk:
            fds.remove(fd)
        elif fd == master:
            err += chunk
        else:
            out += chunk
    if err and not told:
        told = True
        if "send" in ask:
            time.sleep(0.2)
            os.write(master, ask["send"].encode())
        if "signal" in ask:
            process.send_signal(getattr(signal, ask["signal"]))
if process.poll() is None and time.monotonic() >= deadline:
    process.kill()
print(json.dumps({"stdout": out.decode(), "stderr": err.decode(), "code": process.wait()}))
