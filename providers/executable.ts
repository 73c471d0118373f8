/** The executable of pgdba that goes into images and beside the data of servers: it must fit their processor, whatever pgdba itself runs on. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { geteuid } from "node:process";
import { PgdbaError } from "../engine/errors.ts";
import { spawnProcess } from "../engine/spawn.ts";
import type { By } from "./nodes/contract.ts";

/** As Docker and as bun name a processor. */
const ARCHITECTURES: Record<string, string> = { amd64: "x64", arm64: "arm64" };
const FOLDERS = ["engine", "steps", "providers", "runbooks", "templates", "deployments"];
/** So many executables, of this version or others, are kept. */
const KEPT = 3;
/** The file of the program that runs. */
const OWN = "/proc/self/exe";

type Env = Readonly<Record<string, string | undefined>>;

/** bun's name for a processor as the Engine names it. @throws PgdbaError unsupported */
export function architectureOf(engine: string): string {
  const found = ARCHITECTURES[engine];
  if (found !== undefined) return found;
  throw new PgdbaError(
    "unsupported",
    `The program can't be compiled for a Docker Engine on ${engine}`,
    {
      hint: "Use an Engine on amd64 or arm64, or name an image of your own as the place's `images.pgbouncer`.",
      nothingDone: true,
    },
  );
}

/** Changes when the executable would be another one. */
export async function identityOf(arch: string): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256").update(arch);
  if (Bun.isStandaloneExecutable) {
    for await (const chunk of Bun.file(OWN).stream()) hash.update(chunk);
    return hash.digest("hex");
  }
  const root = sources();
  const names = [
    ...new Bun.Glob(`{${FOLDERS.join(",")}}/**/*.{ts,sql,py,yaml,hbs,json}`).scanSync(root),
  ];
  for (const name of [...names.toSorted(), "package.json"]) {
    // Editors read it; pgdba does not.
    if (name === "runbooks/schema.json") continue;
    hash.update(`${name}\0`).update(await Bun.file(join(root, name)).bytes());
  }
  return hash.digest("hex");
}

/**
 * Hands its file to `use`, made for that while it lasts where this program is not it.
 * @throws PgdbaError command_failed: it can't be compiled | unsupported: this is an executable for other machines
 */
export async function withExecutable<T>(
  arch: string,
  { env, by }: { env: Env; by: Pick<By, "signal" | "progress"> },
  use: (file: string) => Promise<T>,
): Promise<T> {
  if (Bun.isStandaloneExecutable) {
    if (machineOf(await Bun.file(OWN).slice(0, 20).bytes()) === arch) return use(OWN);
    throw new PgdbaError(
      "unsupported",
      `This executable of pgdba can't make the one for linux-${arch}`,
      {
        hint: "Run pgdba from its package (`npm ci`), or name an image of your own as the place's `images.pgbouncer`.",
        nothingDone: true,
      },
    );
  }
  const cache = await cacheIn(env);
  const kept = cache === null ? null : join(cache, `pgdba-${arch}-${await identityOf(arch)}`);
  if (kept !== null && (await touched(kept))) return use(kept);
  const folder = await mkdtemp(join(cache ?? tmpdir(), "compile-"));
  try {
    const file = join(folder, "pgdba");
    by.progress?.({ text: `compiling pgdba for linux-${arch}` });
    await compile(file, arch, env, by.signal);
    if (kept === null) return await use(file);
    await rename(file, kept);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  await forgetOthers(cache!, kept);
  return use(kept);
}

/** Where executables are kept for the next time: they are the same for all clusters of this user. Null where he has no folder for such things. */
async function cacheIn({ XDG_CACHE_HOME, HOME }: Env): Promise<string | null> {
  const above = XDG_CACHE_HOME || (HOME ? join(HOME, ".cache") : "");
  if (!isAbsolute(above)) return null;
  const folder = join(above, "pgdba");
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const { mode, uid } = await stat(folder);
    // What somebody else could write there, servers would run.
    return (mode & 0o022) === 0 && uid === geteuid?.() ? folder : null;
  } catch {
    return null;
  }
}

/** Whether the file is there; it counts as used now. */
async function touched(file: string): Promise<boolean> {
  const now = new Date();
  return utimes(file, now, now).then(
    () => true,
    () => false,
  );
}

/** Leaves the one and the latest others, which another pgdba may be about to use. */
async function forgetOthers(folder: string, one: string): Promise<void> {
  const found: { path: string; at: number }[] = [];
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const info = await stat(path).catch(() => null);
    if (info !== null && name.startsWith("pgdba-") && path !== one)
      found.push({ path, at: info.mtimeMs });
  }
  for (const { path } of found.toSorted((a, b) => b.at - a.at).slice(KEPT - 1))
    await rm(path, { force: true });
}

async function compile(file: string, arch: string, env: Env, signal: AbortSignal): Promise<void> {
  const launcher = join(sources(), "engine/pgdba");
  const argv = ["sh", launcher, "--build", "--compile", file, "--target", `linux-${arch}`];
  const { exit_code, stderr } = await spawnProcess(argv, { baseEnv: env, signal });
  if (exit_code === 0) return;
  throw new PgdbaError(
    "command_failed",
    `The program can't be compiled for linux-${arch}: ${stderr.trim()}`,
    {
      hint: "Correct what it says and run again, or name an image of your own as the place's `images.pgbouncer`.",
      nothingDone: true,
    },
  );
}

/** The folder that the sources lie in; a bundle lies beside them. */
function sources(): string {
  for (let folder = import.meta.dir; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "engine/build.ts"))) return folder;
    if (folder === dirname(folder))
      throw new PgdbaError("unsupported", "pgdba's own sources are not beside it", {
        hint: "Install it whole (`npm ci`), or name an image of your own as the place's `images.pgbouncer`.",
        nothingDone: true,
      });
  }
}

/** The processor that an ELF file is for. */
function machineOf(head: Uint8Array): string | undefined {
  return { 62: "x64", 183: "arm64" }[(head[18] ?? 0) | ((head[19] ?? 0) << 8)];
}
