/** The PostgreSQL of Debian's packages, for what does not come from npm: Patroni's tools, extensions. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Binaries } from "../../providers/nodes/embedded/binaries.ts";
import type { Version } from "./postgres.ts";

const ROOT = "/usr/lib/postgresql";

interface Debian {
  version: Version;
  bin: string;
  lib: string;
}

/** The newest one with all that a cluster needs, or undefined. */
export function debianPostgres(): Debian | undefined {
  return (existsSync(ROOT) ? readdirSync(ROOT) : [])
    .map((version): Debian => ({
      version: Number(version) as Version,
      bin: join(ROOT, version, "bin"),
      lib: join(ROOT, version, "lib"),
    }))
    .toSorted((a, b) => b.version - a.version)
    .find(({ bin }) => existsSync(join(bin, "pg_basebackup")) && existsSync(join(bin, "initdb")));
}

export function binariesOf({ version, bin }: Debian): Binaries {
  return {
    version,
    initdb: join(bin, "initdb"),
    pg_ctl: join(bin, "pg_ctl"),
    postgres: join(bin, "postgres"),
  };
}

/** One with the extension hypopg, or why there is none. @throws Error when PGDBA_TEST_REQUIRE says that there must be */
export function debianWithHypopg(): Debian | string {
  return debianWith("hypopg", "hypopg", ({ lib }) => existsSync(join(lib, "hypopg.so")));
}

/** One with pg_repack, extension and program; likewise. */
export function debianWithRepack(): Debian | string {
  return debianWith(
    "pg_repack",
    "repack",
    ({ lib, bin }) => existsSync(join(lib, "pg_repack.so")) && existsSync(join(bin, "pg_repack")),
  );
}

/** @throws Error when PGDBA_TEST_REQUIRE says that there must be one */
function debianWith(
  required: string,
  suffix: string,
  has: (debian: Debian) => boolean,
): Debian | string {
  const found = debianPostgres();
  if (found !== undefined && has(found)) return found;
  const said = `not on this machine: ${found === undefined ? "postgresql" : `postgresql-${found.version}-${suffix}`}`;
  if ((process.env["PGDBA_TEST_REQUIRE"] ?? "").split(",").includes(required))
    throw new Error(`${required} is required, but ${said}`);
  return said;
}
