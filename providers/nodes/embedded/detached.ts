import { lchown, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { spawnProcess } from "../../../engine/spawn.ts";
import { environmentOf, type Process, processes } from "./processes.ts";
import type { OrdinaryUser } from "./user.ts";

/**
 * Programs that go on without us, each in a folder of its own that tells how far it is:
 *
 * claim.<nonce>/  a folder made by whoever wants it started
 * pid             the program's keeper writes its number into the claim and links it here as its first act. A name is taken once, so that
 *                 of all who were told to start, by whatever crashes and repetitions, one does
 * exit            the exit status, once it has ended; whole when it ends with a line feed
 *
 * Without its claim a keeper ends at once, so that one who finds no `pid` can take the claim away and know that nothing will start.
 */
const LAUNCH = `/bin/sh -c "$1" pgdba-detached "$$" "$@" </dev/null >/dev/null 2>&1 &`;

// After the program it starts no other: one that ends the job would end that one as well.
const KEEPER = `sid=$1 dir=$3 nonce=$4
shift 4
echo "$$ $sid" >"$dir/claim.$nonce/pid" && ln "$dir/claim.$nonce/pid" "$dir/pid" || exit 0
trap : HUP INT TERM
"$@" <"$dir/stdin" >>"$dir/stdout" 2>>"$dir/stderr"
echo "$?" >"$dir/exit"`;

const CLAIM_MS = 10_000;

export interface Keeper {
  pid: number;
  /** All that it started has this session, but what made itself another. */
  session: number;
}

/**
 * Starts the program that `dir` stands for, unless it was started before: the folder is there with its `stdin`, and owned by `user`.
 * In force when this returns.
 * @throws PgdbaError command_failed
 */
export async function startDetached(
  dir: string,
  argv: readonly string[],
  options: { user: OrdinaryUser | null; env: Record<string, string>; cwd: string },
): Promise<void> {
  if ((await keeperOf(dir)) !== null) return;
  await withdraw(dir);
  const nonce = crypto.randomUUID();
  const { uid, gid } = options.user ?? {};
  const user = uid === undefined || gid === undefined ? {} : { user: { uid, gid } };
  const at = {
    ...user,
    baseEnv: {},
    env: { ...options.env, [FOLDER_VARIABLE]: dir },
    cwd: options.cwd,
    signal: new AbortController().signal,
    outlives: true,
  };
  await mkdir(join(dir, `claim.${nonce}`), { mode: 0o700 });
  if (options.user) await lchown(join(dir, `claim.${nonce}`), options.user.uid, options.user.gid);
  const launch = ["/bin/sh", "-c", LAUNCH, "pgdba-launch", KEEPER, dir, nonce, ...argv];
  const { exit_code, stderr } = await spawnProcess(launch, at);
  const deadline = performance.now() + CLAIM_MS;
  while ((await keeperOf(dir)) === null) {
    if (exit_code !== 0 || performance.now() > deadline) {
      throw new PgdbaError("command_failed", `${argv[0]} could not be started`, {
        hint: stderr.trim() || `Look at ${dir}.`,
      });
    }
    await Bun.sleep(5);
  }
}

/** Null when it was not started; what was about to start it is stopped from doing so by `withdraw`. */
export async function keeperOf(dir: string): Promise<Keeper | null> {
  const text = await readFile(join(dir, "pid"), "utf8").catch(() => null);
  if (text === null) return null;
  const [pid = 0, session = 0] = text.split(" ").map(Number);
  return { pid, session };
}

/** From now on nobody starts it who was told to before. Gives whether somebody has. */
export async function withdraw(dir: string): Promise<boolean> {
  for (const name of await readdir(dir).catch(() => [])) {
    if (!name.startsWith("claim.")) continue;
    // Away in one step: nothing can be written into it by its name any more.
    const gone = join(dir, `gone.${name}`);
    await rename(join(dir, name), gone).catch(() => {});
    await rm(gone, { recursive: true, force: true });
  }
  return (await keeperOf(dir)) !== null;
}

/** The exit status that was written down; null while there is none. */
export async function exitOf(dir: string): Promise<number | null> {
  const text = await readFile(join(dir, "exit"), "utf8").catch(() => null);
  return text?.endsWith("\n") ? Number(text) : null;
}

/** In the environment of all that was started this way. */
const FOLDER_VARIABLE = "PGDBA_DETACHED";

/**
 * The processes that are left of it: all of its session while its keeper is there; then those with its folder in their environment,
 * for by then the session's number may be another's.
 */
export async function leftOf(
  dir: string,
): Promise<{ keeper: Process | undefined; others: Process[] }> {
  const known = await keeperOf(dir);
  if (known === null) return { keeper: undefined, others: [] };
  const members = (await processes()).filter(({ session }) => session === known.session);
  const marked = await Promise.all(members.map((one) => isMarked(one, dir)));
  const keeper = members.find(({ pid }, index) => pid === known.pid && marked[index]);
  const others = members.filter((one, index) => one !== keeper && (keeper || marked[index]));
  return { keeper, others };
}

async function isMarked(process: Process, dir: string): Promise<boolean> {
  const environment = await environmentOf(process);
  return environment.split("\0").includes(`${FOLDER_VARIABLE}=${dir}`);
}
