import { existsSync } from "node:fs";
import { lstat, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { geteuid, pid as ownPid } from "node:process";
import {
  type Binaries,
  BUNDLED_VERSION,
  openBinaries,
  spareDirs,
} from "../../nodes/embedded/binaries.ts";
import { initdb, isAlive, postmaster, runAs, SERVER_ENV } from "../../nodes/embedded/server.ts";
import { type OrdinaryUser, ordinaryUser, reachableDir } from "../../nodes/embedded/user.ts";
import type { Catalogue } from "./catalogue.ts";
import { type Locale, localeOf } from "./locale.ts";
import { freeBytes, memoryPlace, type Place } from "./memory.ts";
import { DATABASE, launch, makeDir, OWNER, SUPERUSER, type TwinServer } from "./server.ts";
import { procStat } from "../../../engine/shared/proc-stat.ts";

export interface TwinServerOptions {
  stateDir: string;
  log?(message: string): void;
  /** The major version to plan as; the server's own without it, where this machine has it. */
  version?: number;
  /** The folder for the data when an ordinary user can't enter the state folder; see `spareDirs`. */
  spares?: string[];
}

/** 150018 is of 15. */
export function majorOf({ version_num }: Pick<Catalogue, "version_num">): number {
  return Math.floor(version_num / 10_000);
}

/**
 * An empty database of the server's version, or of the bundled one where this machine has no other, that lives as long as this process, with the order of text of the server that is cloned.
 * What earlier processes left behind when they were killed is removed first. `lacks` names the locale if this machine has it not.
 * @throws PgdbaError unsupported | io_failed | command_failed | timeout
 */
export async function startTwinServer(
  options: TwinServerOptions,
  from: Pick<Catalogue, "locale" | "relation_count" | "version_num">,
): Promise<{ server: TwinServer; lacks: string | null }> {
  const user = ordinaryUser();
  const spares = options.spares ?? spareDirs();
  const wanted = options.version ?? majorOf(from);
  const binaries = await openBinaries(wanted, user, spares).catch((error: unknown) => {
    if (wanted === BUNDLED_VERSION) throw error;
    return openBinaries(BUNDLED_VERSION, user, spares);
  });
  const root = await twinRoot(options.stateDir, user, spares);
  const disk: Place = { dir: root, prefix: "" };
  const memory = await memoryPlace(root);
  for (const place of [disk, memory]) if (place !== null) await sweep(place, binaries, user);
  const locale = localeOf(from, binaries.version);
  const template = await templateIn(root, binaries, user, locale, options);
  const need = MEMORY_SPARE * (MEMORY_BASE + from.relation_count * MEMORY_EACH);
  const isRoomy = memory !== null && (await freeBytes(memory.dir)) > need;
  const base = await newBase(isRoomy ? memory : disk);
  await makeDir(base, user);
  try {
    await runAs(user, ["cp", "-R", template, join(base, "data")]);
    const server = await launch(base, binaries, user);
    return { server, lacks: existsSync(join(template, FALLBACK)) ? locale.name : null };
  } catch (error) {
    await rm(base, { recursive: true, force: true });
    throw error;
  }
}

/** Bytes of an empty database with its WAL, and of what a table or an index adds: a few pages of tree, rows of the catalogues. */
const MEMORY_BASE = 64 * 1024 * 1024;
const MEMORY_EACH = 48 * 1024;
/** A twin takes no more of the free memory than its part. */
const MEMORY_SPARE = 4;

/** The folder of the templates, and of twins that do not fit into memory: below the state folder, or where the server's account can go. */
async function twinRoot(
  stateDir: string,
  user: OrdinaryUser | null,
  spares: string[],
): Promise<string> {
  const wanted = join(resolve(stateDir), "twin");
  const key = new Bun.CryptoHasher("sha256").update(wanted).digest("hex").slice(0, 12);
  return reachableDir(wanted, user, `twin-${key}`, spares);
}

/** A directory from whose name a later process can tell that this one is gone. */
async function newBase({ dir, prefix }: Place): Promise<string> {
  const own = `run-${ownPid}-${await processStart(ownPid)}-${crypto.randomUUID().slice(0, 8)}`;
  return join(dir, `${prefix}${own}`);
}

/** Says in a template that its database has the fallback's locale. */
const FALLBACK = "pgdba_fallback";

/**
 * A data directory with one empty database of the locale, without anybody's data; made once per build of the server and locale.
 * Without PostgreSQL's own databases it has a quarter of the files, and copying them is most of what opening a twin takes.
 */
async function templateIn(
  root: string,
  binaries: Binaries,
  user: OrdinaryUser | null,
  locale: Locale,
  options: TwinServerOptions,
): Promise<string> {
  const built = Math.round((await stat(binaries.postgres)).mtimeMs);
  const key = new Bun.CryptoHasher("sha256").update(locale.wanted).digest("hex").slice(0, 12);
  const template = join(root, `template-${binaries.version}-${built}-${key}`);
  if (existsSync(template)) return template;
  options.log?.("preparing the planner's twin for the first time");
  const base = await newBase({ dir: root, prefix: "" });
  await makeDir(base, user);
  try {
    const dataDir = join(base, "data");
    await initdb({
      binaries,
      user,
      dataDir,
      superuser: SUPERUSER,
      password: crypto.randomUUID(),
      // A checksum would tell the metapages that we write from those the server wrote.
      args: ["--wal-segsize=1", ...(binaries.version >= 18 ? ["--no-data-checksums"] : [])],
    });
    const server = await launch(base, binaries, user);
    try {
      const fallback = await makeDatabase(server, locale);
      if (fallback) await writeFile(join(dataDir, FALLBACK), "");
      await runAs(user, [binaries.pg_ctl, "stop", "-s", "-w", "-m", "fast", "-D", dataDir]);
      // The rename is atomic: the directory is never seen half made. Another process may have been faster.
      await rename(dataDir, template).catch((error: NodeJS.ErrnoException) => {
        if (!existsSync(template)) throw error;
      });
    } finally {
      await server.close();
    }
  } finally {
    await rm(base, { recursive: true, force: true });
  }
  return template;
}

/** Makes the database and drops all others. Gives whether it has the fallback's locale. */
async function makeDatabase(server: TwinServer, locale: Locale): Promise<boolean> {
  const first = await server.connect(SUPERUSER, "postgres");
  await first.query(`CREATE ROLE ${OWNER} LOGIN`);
  const create = (which: string): Promise<unknown> =>
    first.query(
      `CREATE DATABASE ${DATABASE} OWNER ${OWNER} TEMPLATE template0 ENCODING 'UTF8' ${which}`,
    );
  const fallback = await create(locale.wanted).then(
    () => false,
    () => true,
  );
  if (fallback) await create(locale.fallback);
  await first.end();
  const client = await server.connect(SUPERUSER, DATABASE);
  for (const name of ["template0", "template1"])
    await client.query(`ALTER DATABASE ${name} IS_TEMPLATE false`);
  for (const name of ["template0", "template1", "postgres"])
    await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
  await client.end();
  return fallback;
}

/** Removes the twins of processes that are gone, ending a server that outlived its keeper. */
async function sweep(place: Place, binaries: Binaries, user: OrdinaryUser | null): Promise<void> {
  for (const name of await readdir(place.dir)) {
    if (!name.startsWith(place.prefix)) continue;
    const [, pid, start] = /^run-(\d+)-(\w+)-/.exec(name.slice(place.prefix.length)) ?? [];
    if (pid === undefined) continue;
    const owner = Number(pid);
    if (isAlive(owner) && (await processStart(owner)) === start) continue;
    const base = join(place.dir, name);
    // In memory anybody may make a directory of such a name.
    const info = await lstat(base).catch(() => null);
    if (info === null || !info.isDirectory() || info.uid !== (user?.uid ?? geteuid?.())) continue;
    const found = await postmaster(join(base, "data"));
    if (found !== null && isAlive(found.pid)) {
      await runAs(user, [
        binaries.pg_ctl,
        "stop",
        "-s",
        "-m",
        "immediate",
        "-D",
        join(base, "data"),
      ]).catch(() => {});
    }
    await rm(base, { recursive: true, force: true });
  }
}

/** When a process began, in a form that only tells it from another with the same id. */
async function processStart(pid: number): Promise<string> {
  const stat = procStat(await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""));
  if (stat !== undefined) return stat.started;
  const ps = Bun.spawnSync(["ps", "-o", "lstart=", "-p", String(pid)], {
    cwd: "/",
    env: SERVER_ENV,
  });
  return ps.stdout.toString().replaceAll(/\W/g, "") || "0";
}
