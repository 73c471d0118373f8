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
  const found = debianPostgres();
  if (found !== undefined && existsSync(join(found.lib, "hypopg.so"))) return found;
  const said = `not on this machine: ${found === undefined ? "postgresql" : `postgresql-${found.version}-hypopg`}`;
  if ((process.env["PGDBA_TEST_REQUIRE"] ?? "").split(",").includes("hypopg"))
    throw new Error(`hypopg is required, but ${said}`);
  return said;
}
