/** How each image is made: the files of `deployments/docker`, which an executable of pgdba holds in itself. */
import etcdFile from "../../../../deployments/docker/Dockerfile.etcd" with { type: "text" };
import monitoringFile from "../../../../deployments/docker/Dockerfile.monitoring" with { type: "text" };
import pgbouncerFile from "../../../../deployments/docker/Dockerfile.pgbouncer" with { type: "text" };
import postgresFile from "../../../../deployments/docker/Dockerfile.postgres" with { type: "text" };
import afterBootstrap from "../../../../deployments/docker/start/after_bootstrap.py" with { type: "text" };
import promoted from "../../../../deployments/docker/start/promoted.sh" with { type: "text" };
import beforeStop from "../../../../deployments/docker/start/before_stop.sh" with { type: "text" };
import healthy from "../../../../deployments/docker/start/healthy.py" with { type: "text" };
import node from "../../../../deployments/docker/start/node.py" with { type: "text" };
import scram from "../../../../deployments/docker/start/scram.py" with { type: "text" };
import startEtcd from "../../../../deployments/docker/start/start_etcd.py" with { type: "text" };
import startMonitoring from "../../../../deployments/docker/start/start_monitoring.py" with { type: "text" };
import startPgbouncer from "../../../../deployments/docker/start/start_pgbouncer.py" with { type: "text" };
import startPostgres from "../../../../deployments/docker/start/start_postgres.py" with { type: "text" };
import packageJson from "../../../../package.json" with { type: "json" };
import { PgdbaError } from "../../../../engine/errors.ts";
import type { Role } from "../../contract.ts";

/** Debian's release that has this PostgreSQL in its own packages. */
const SUITES: Record<number, string> = { 15: "bookworm", 17: "trixie", 18: "forky" };

/** The major versions that there are images of. */
export const PACKAGED: readonly number[] = Object.keys(SUITES).map(Number);

const FILES: Partial<Record<Role, Record<string, string>>> = {
  postgres: {
    Dockerfile: postgresFile,
    "start/node.py": node,
    "start/scram.py": scram,
    "start/start_postgres.py": startPostgres,
    "start/after_bootstrap.py": afterBootstrap,
    "start/before_stop.sh": beforeStop,
    "start/promoted.sh": promoted,
    "start/healthy.py": healthy,
  },
  etcd: {
    Dockerfile: etcdFile,
    "start/node.py": node,
    "start/start_etcd.py": startEtcd,
    "start/healthy.py": healthy,
  },
  pgbouncer: {
    Dockerfile: pgbouncerFile,
    "start/node.py": node,
    "start/start_pgbouncer.py": startPgbouncer,
    "start/healthy.py": healthy,
  },
  monitoring: {
    Dockerfile: monitoringFile,
    "start/node.py": node,
    "start/start_monitoring.py": startMonitoring,
    "start/healthy.py": healthy,
  },
};

/** The exporters of this release have the names that the rules go by, whichever PostgreSQL they look at. */
const MONITORING_SUITE = "trixie";

export interface Recipe {
  /** It changes with all that goes into the image. */
  tag: string;
  base: string;
  arguments: Record<string, string>;
  /** Texts of the build's context, by name. */
  files: Record<string, string>;
}

/** Whether the image of this role has the executable of pgdba in it. */
export const hasPgdba = (role: Role): boolean => role === "pgbouncer";

/** `pgdba` tells apart executables of pgdba, where the image has one. @throws PgdbaError unsupported */
export function recipeOf(role: Role, version: number, pgdba = ""): Recipe {
  const files = FILES[role];
  const suite = role === "monitoring" ? MONITORING_SUITE : SUITES[version];
  if (files === undefined || suite === undefined) {
    const reason =
      files === undefined
        ? `There is no image of pgdba for the role ${role}`
        : `There is no image of pgdba for PostgreSQL ${version}: Debian's releases have ${Object.keys(SUITES).join(", ")}`;
    throw new PgdbaError("unsupported", reason, {
      hint: `Build one and name it as the place's \`images.${role}\`.`,
      nothingDone: true,
    });
  }
  const args = { SUITE: suite, PG_MAJOR: String(version) };
  const hash = new Bun.CryptoHasher("sha256")
    .update(JSON.stringify([args, files, pgdba]))
    .digest("hex")
    .slice(0, 12);
  return {
    tag: `pgdba-${role}:${version}-${packageJson.version}-${hash}`,
    base: `debian:${suite}-slim`,
    arguments: args,
    files,
  };
}
