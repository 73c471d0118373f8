/**
 * Ends what this process has started when it ends itself, also by `kill -9`: a shell that learns of each process group on its standard
 * input, and finds there that nobody writes any more. It has a session of its own, so that no terminal and no signal to us reaches it.
 * All are stopped at once; then those that have left their group are found by their parents, and all are asked to end, and killed a
 * second later. One that has left its group and is nobody's child any more is not found.
 */
const SCRIPT = `trap '' HUP INT TERM
pids=' '
while read -r op pid; do case $op in
+) pids="$pids$pid " ;;
-) case $pids in *" $pid "*) pids="\${pids%%" $pid "*} \${pids#*" $pid "}" ;; esac ;;
esac; done
[ -n "\${pids%%" "*}\${pids# }" ] || exit 0
exec 2>/dev/null
all=
signal() {
  for pid in $pids; do kill -s "$1" -- "-$pid"; done
  for pid in $all; do kill -s "$1" -- "$pid"; done
}
signal STOP
list() {
  if [ -r /proc/self/stat ]; then
    for file in /proc/[0-9]*/stat; do
      { read -r line <"$file"; } || continue
      pid=\${line%% *}
      set -- \${line##*) }
      echo "$pid $2 $3"
    done
  else
    ps -A -o pid= -o ppid= -o pgid=
  fi
}
table=$(list)
all=$pids
more=1
while [ -n "$more" ]; do
  more=
  while read -r pid parent group; do
    case $all in *" $pid "*) continue ;; esac
    case $all in *" $parent "* | *" $group "*) all="$all$pid " more=1 ;; esac
  done <<END
$table
END
done
alive() {
  for pid in $all; do kill -0 "$pid" && return 0; done
  return 1
}
signal TERM
signal CONT
n=0
while alive && [ $n -lt 10 ]; do sleep 0.1; n=$((n + 1)); done
signal KILL`;

const ENV = { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", LC_ALL: "C" };

type Shell = Bun.Subprocess<"pipe", "ignore", "ignore">;
let shell: Shell | undefined;
/** Leaders of the process groups that it must know of. */
const kept = new Set<number>();

/** Has the shell there before the first program is. */
export function beReady(): void {
  if (!shell) start();
}

/** From now on the group ends with this process. */
export function keep(group: number): void {
  kept.add(group);
  tell("+", group);
}

/** The group has ended, or may go on without us. */
export function release(group: number): void {
  kept.delete(group);
  tell("-", group);
}

function start(): void {
  try {
    const started: Shell = Bun.spawn(["/bin/sh", "-c", SCRIPT, "pgdba-keeper"], {
      cwd: "/",
      env: ENV,
      stdin: "pipe",
      stdout: "ignore",
      stderr: "ignore",
      detached: true,
    });
    started.unref();
    shell = started;
    // A keeper that was killed is replaced when the next program is started.
    void started.exited.then(() => {
      if (shell === started) shell = undefined;
    });
    for (const group of kept) tell("+", group);
  } catch {
    // Without a shell, programs end with us as far as our own signals reach.
  }
}

function tell(what: "+" | "-", group: number): void {
  try {
    // Flushed at once: the kill may come with the next instruction.
    void shell?.stdin.write(`${what} ${group}\n`);
    void shell?.stdin.flush();
  } catch {
    shell = undefined;
  }
}
