import { lchown, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { readTextIfThere } from "../../../engine/shared/read-file.ts";
import { writeWhole } from "../../../engine/shared/write-file.ts";
import type { Armed, By, Deadline, Healed, Inverse } from "../contract.ts";
import { healsAgainFor } from "../heals-again.ts";
import { exitOf, leftOf, startDetached } from "./detached.ts";
import { execOn, nodeEnv } from "./exec.ts";
import { baseOf, type Home, nodeOf, readRecord } from "./home.ts";
import { endJob } from "./jobs.ts";
import { binariesOf, startNode, stateOf } from "./life.ts";
import { NODE_VARIABLE, processesOf } from "./processes.ts";

const MAX_MS = 15 * 60_000;
const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/;
const MAX_RECORD = 1024 * 1024;

/** What fails at that moment is tried again: nobody else would. */
const WAIT = `sleep "$1"
ends=$(($(date +%s) + $2))
shift 2
until "$@"; do
  code=$?
  [ "$(date +%s)" -lt "$ends" ] || exit "$code"
  sleep 1
done`;

/** The processes of the node are those of that moment. */
const THAW = `for p in /proc/[0-9]*; do
  if [ "$p/cwd" -ef "$2" ]; then kill -s CONT "\${p#/proc/}"; fi
done 2>/dev/null
for p in $(grep -slazxF -e "${NODE_VARIABLE}=$1" /proc/[0-9]*/environ); do
  p=\${p%/environ}
  kill -s CONT "\${p#/proc/}" 2>/dev/null
done
exit 0`;

/** A server lives when its first process works in the data; its number alone may be another's, or one that has ended and was not asked for yet. */
const START = `p=$(head -n 1 "$2/postmaster.pid" 2>/dev/null)
if [ -n "$p" ] && [ "/proc/$p/cwd" -ef "$2" ]; then exit 0; fi
rm -f "$2/postmaster.pid"
exec "$1" start --silent -w -D "$2" -l "$3"`;

interface ArmedRecord extends Omit<Armed, "state" | "why"> {
  /** If two have one id, the later one counts. */
  at: number;
}

const folderOf = (base: string): string => join(base, ".armed");

/** Each healer is a program of its own in a folder of its own; see detached.ts. It is no process of the node that it heals. */
export async function arm(
  home: Home,
  by: By,
  inverse: Inverse,
  { id, afterMs }: Deadline,
): Promise<Armed> {
  if (!ID.test(id) || !(afterMs > 0 && afterMs <= MAX_MS)) {
    throw new PgdbaError("invalid_param", `Nothing can be armed as ${id} for ${afterMs} ms`, {
      hint: "An id is letters, digits, `-`, `_` and `.`; a deadline at most 15 minutes away.",
      nothingDone: true,
    });
  }
  const node = nodeNamed(inverse);
  const { record, at } = await nodeOf(home, node);
  const base = dirname(at.dir);
  const before = await foldersOf(base, id);
  const dir = join(folderOf(base), `${id}~${crypto.randomUUID()}`);
  const ends = Date.now() + afterMs;
  const armed: ArmedRecord = {
    id,
    node,
    labels: { run: by.run, path: by.path },
    inverse,
    deadline: new Date(ends).toISOString(),
    at: Date.now(),
  };
  const { argv, env } = await programOf(home, inverse);
  await makeFolder(home, dir, armed);
  const { [NODE_VARIABLE]: _, ...own } = await nodeEnv(home, record, at);
  const left = Math.max(0, ends - Date.now()) / 1000;
  const again = String(healsAgainFor(inverse));
  await startDetached(dir, ["/bin/sh", "-c", WAIT, "heal", String(left), again, ...argv], {
    user: home.user,
    env: { ...own, ...env },
    cwd: "/",
  });
  // Only now: there was a healer at every moment.
  for (const old of before) await forgetFolder(old);
  const { at: _at, ...made } = (await stateOfFolder(dir))!;
  return made;
}

export async function armedOf(home: Home): Promise<Armed[]> {
  const base = baseOf(home);
  if (base === undefined) return [];
  const all = await Promise.all((await foldersOf(base)).map(stateOfFolder));
  const latest = new Map<string, Armed & { at: number }>();
  for (const one of all) {
    if (one !== null && !((latest.get(one.id)?.at ?? 0) > one.at)) latest.set(one.id, one);
  }
  return [...latest.values()].map(({ at: _at, ...one }) => one);
}

export async function disarm(home: Home, id: string): Promise<void> {
  const base = baseOf(home);
  if (base === undefined) return;
  for (const dir of await foldersOf(base, id)) await forgetFolder(dir);
}

export async function heal(
  home: Home,
  by: By,
  which?: { id: string } | { run: string },
): Promise<Healed[]> {
  const wanted = (await armedOf(home)).filter(
    (one) =>
      which === undefined || ("id" in which ? one.id === which.id : one.labels.run === which.run),
  );
  const healed: Healed[] = [];
  for (const one of wanted) {
    const over = one.state === "healed";
    const lasted = over ? false : await isInForce(home, by, one).catch(() => null);
    const why = over ? undefined : await takeBack(home, by, one);
    if (why === undefined) await disarm(home, one.id);
    const { id, node } = one;
    const said = { id, node, lasted };
    healed.push(why === undefined ? { ...said, healed: true } : { ...said, healed: false, why });
  }
  return healed;
}

/** Null where nobody can tell: a server that runs may have been killed and started again. */
async function isInForce(home: Home, by: By, { node, inverse }: Armed): Promise<boolean | null> {
  const { record, at } = await nodeOf(home, node);
  if ("thaw" in inverse) return (await stateOf(record, at)).running === "frozen";
  if ("start" in inverse) return (await postmasterRuns(record, at)) ? null : true;
  if (inverse.still === undefined) return null;
  const { exit_code } = await execOn({ home, record, at, by }, inverse.still, {
    env: inverse.env ?? {},
  });
  return exit_code === 0;
}

async function postmasterRuns(...[record, at]: Parameters<typeof stateOf>): Promise<boolean> {
  return (await stateOf(record, at)).services.some(({ pid }) => pid !== undefined);
}

/** All that is armed on a node that is being removed. */
export async function disarmNode(home: Home, node: string): Promise<void> {
  for (const one of await armedOf(home)) if (one.node === node) await disarm(home, one.id);
}

/** Why it is not taken back; undefined when it is. */
async function takeBack(home: Home, by: By, { node, inverse }: Armed): Promise<string | undefined> {
  const base = baseOf(home);
  // With the node the fault has gone.
  if (base === undefined || readRecord(base, node) === undefined) return undefined;
  const { record, at } = await nodeOf(home, node);
  if ("start" in inverse) {
    await startNode({ home, record, at, signal: by.signal });
    const { running, why } = await stateOf(record, at);
    return running === "running" ? undefined : `it is ${running}${why ? `: ${why}` : ""}`;
  }
  const { argv, env } = await programOf(home, inverse);
  const { exit_code, signal, stderr } = await execOn({ home, record, at, by }, argv, { env });
  if (exit_code !== 0) return `${argv[0]} ended with ${exit_code ?? signal}: ${stderr.slice(-500)}`;
  if ("thaw" in inverse) {
    const still = (await processesOf(at)).filter(({ state }) => state === "T");
    return still.length === 0 ? undefined : `${still.length} processes still stand still`;
  }
  return undefined;
}

const nodeNamed = (inverse: Inverse): string =>
  "thaw" in inverse ? inverse.thaw : "start" in inverse ? inverse.start : inverse.on;

async function programOf(
  home: Home,
  inverse: Inverse,
): Promise<{ argv: string[]; env: Record<string, string> }> {
  const { record, at } = await nodeOf(home, nodeNamed(inverse));
  if ("thaw" in inverse) return { argv: ["/bin/sh", "-c", THAW, "thaw", at.dir, at.data], env: {} };
  if ("start" in inverse) {
    const { pg_ctl } = await binariesOf(home, record);
    return { argv: ["/bin/sh", "-c", START, "start", pg_ctl, at.data, at.log], env: {} };
  }
  return { argv: [...inverse.argv], env: inverse.env ?? {} };
}

async function makeFolder(home: Home, dir: string, record: ArmedRecord): Promise<void> {
  const draft = join(dirname(dir), `.${crypto.randomUUID()}`);
  const owner = home.user ?? undefined;
  await mkdir(dirname(dir), { recursive: true, mode: 0o700 });
  if (owner) await lchown(dirname(dir), owner.uid, owner.gid);
  await mkdir(draft, { mode: 0o700 });
  await writeWhole(join(draft, "stdin"), "", { owner });
  await writeWhole(join(draft, "armed.json"), JSON.stringify(record), { owner });
  if (owner) await lchown(draft, owner.uid, owner.gid);
  await rename(draft, dir);
}

async function foldersOf(base: string, id?: string): Promise<string[]> {
  const names = await readdir(folderOf(base)).catch(() => []);
  return names
    .filter((name) => (id === undefined ? /^[^.].*~/.test(name) : name.startsWith(`${id}~`)))
    .map((name) => join(folderOf(base), name));
}

async function forgetFolder(dir: string): Promise<void> {
  await endJob(dir, 0, "a healer");
  await rm(dir, { recursive: true, force: true });
}

async function stateOfFolder(dir: string): Promise<(Armed & { at: number }) | null> {
  const text = readTextIfThere(join(dir, "armed.json"), { maxBytes: MAX_RECORD });
  if (text === undefined) return null;
  const record = JSON.parse(text) as ArmedRecord;
  const { keeper, others } = await leftOf(dir);
  const exit = await exitOf(dir);
  if (exit === 0) return { ...record, state: "healed" };
  if (exit !== null) {
    const said = await readFile(join(dir, "stderr"), "utf8").catch(() => "");
    return { ...record, state: "failed", why: said.trim().slice(-500) || `exit code ${exit}` };
  }
  if (keeper !== undefined || others.length > 0) return { ...record, state: "armed" };
  return { ...record, state: "lost", why: "its healer is not there any more" };
}
