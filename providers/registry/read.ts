import { dirname, join, resolve } from "node:path";
import { PgdbaError } from "../../engine/errors.ts";
import { readTextIfThere } from "../../engine/shared/read-file.ts";
import { parseYaml } from "../../engine/shared/yaml.ts";
import type { Json } from "../../engine/types.ts";
import type { DcsSpec } from "../dcs/contract.ts";
import type { PgbouncerSpec } from "../pgbouncer/contract.ts";
import type { PatroniSpec } from "../patroni/requests.ts";
import type { ConnectionSpec } from "../postgres/connect.ts";
import { CLUSTER_SCHEMA, type ClusterFile } from "./schema.ts";

/** A cluster of the registry, as its file says; no variable was looked at. */
export interface ClusterEntry {
  name: string;
  file: string;
  /** The file, word by word. */
  data: ClusterFile;
  ownership: ClusterFile["ownership"];
  labels: string[];
  identity: string | null;
  /** The run that makes it, or left it half made. */
  partial: string | null;
  /** Null when it is not finished and has no server yet. */
  spec: ConnectionSpec | null;
  password: PasswordNames;
  patroni: (Omit<PatroniSpec, "password"> & { passwordNames: PasswordNames }) | null;
  dcs: (Omit<DcsSpec, "password"> & { passwordNames: PasswordNames }) | null;
  pgbouncer: (Omit<PgbouncerSpec, "password"> & { passwordNames: PasswordNames }) | null;
  /** All secrets that the file names, also those beside a connection. */
  secrets: { name: string; place: PasswordNames }[];
}

/** The place where a password is found; the registry holds none. */
export interface PasswordNames {
  variable?: string | undefined;
  /** A variable that names a file. */
  fileVariable?: string | undefined;
  /** A file with mode 0600 in the state folder. */
  file?: string | undefined;
}

/** A registry entry is a page; anything longer is not one. */
const MAX_BYTES = 64 * 1024;
const HINT = "`pgdba schema cluster` prints what a cluster's file may hold.";

/** The text of `file`, or undefined when there is none. @throws PgdbaError invalid_config */
export function readClusterText(file: string): string | undefined {
  return readTextIfThere(file, {
    maxBytes: MAX_BYTES,
    code: "invalid_config",
    hint: "A cluster's file is a page of YAML; mend it, or move it away.",
  });
}

/** The entry in `file`, or undefined when there is none. @throws PgdbaError invalid_config */
export async function readClusterFile(
  name: string,
  file: string,
): Promise<ClusterEntry | undefined> {
  const text = readClusterText(file);
  return text === undefined ? undefined : parseCluster(name, file, text);
}

/** @throws PgdbaError invalid_config, without repeating a value: it may be a password in the wrong place */
export async function parseCluster(
  name: string,
  file: string,
  text: string,
): Promise<ClusterEntry> {
  const parsed = (await parseYaml(text, file, { code: "invalid_config" })) as Json;
  const { validate } = await import("../../engine/shared/validate.ts");
  const problems = validate(CLUSTER_SCHEMA, parsed, "the cluster");
  const bad = (message: string, hint = HINT): PgdbaError =>
    new PgdbaError("invalid_config", `${file}: ${message}`, { hint });
  if (problems.length > 0) {
    const said = problems.map(({ message }) => message.replace(/, got [^]*$/, ""));
    throw bad(said.join("; "), hintFor(problems));
  }
  const data = parsed as ClusterFile;
  const twice = data.nodes?.find(({ name: one }, at) =>
    data.nodes?.slice(0, at).some((other) => other.name === one),
  );
  if (twice) throw bad(`two nodes are called ${twice.name}`, "Give each node a name of its own.");
  return entryOf(name, file, data, bad);
}

/** A key that is no typing error may come from a newer pgdba. It is not ignored: it may be what protects the cluster. */
function hintFor(problems: readonly { rule: string; hint?: string }[]): string {
  const hint = problems.find((one) => one.hint)?.hint ?? HINT;
  const isUnknown = problems.some(({ rule }) => rule === "unknown-key");
  return isUnknown
    ? `${hint} Where a newer pgdba has written it, run that one, or use another state folder (PGDBA_HOME).`
    : hint;
}

function entryOf(
  name: string,
  file: string,
  data: ClusterFile,
  bad: (message: string, hint: string) => PgdbaError,
): ClusterEntry {
  const { postgres, patroni, dcs, pgbouncer, tls } = data;
  /** Beside the cluster's file, where it does not depend on where one stands. */
  const fileOf = (path: string | undefined): string | undefined =>
    path === undefined ? undefined : resolve(dirname(file), path);
  const secrets = new Map<string, PasswordNames>();
  for (const [key, place] of Object.entries(data.secrets ?? {}))
    secrets.set(
      key,
      "env" in place ? { variable: place.env } : { file: secretFile(file, place.file) },
    );
  const secretOf = (secret: string | undefined): PasswordNames => {
    const place = secret === undefined ? {} : secrets.get(secret);
    if (place !== undefined) return place;
    throw bad(
      "a secret is named that does not stand under `secrets`",
      "Add it there: where its value is found, `{env: VARIABLE}` or `{file: FILE}`.",
    );
  };
  const passwordOf = (one: Passwords): PasswordNames => ({
    ...secretOf(one.password_secret),
    ...besides(one),
  });
  secretOf(data.repository?.secret);
  secretOf(tls?.authority);
  const sslmode = tls === undefined ? "prefer" : "verify-full";
  for (const account of Object.values(data.accounts ?? {})) secretOf(account.password);
  return {
    name,
    file,
    data,
    ownership: data.ownership,
    labels: data.labels ?? [],
    identity: data.system_identifier ?? null,
    partial: data.partial ?? null,
    spec: postgres
      ? {
          host: postgres.host,
          port: Number(postgres.port ?? 5432),
          user: postgres.user,
          database: postgres.database ?? "postgres",
          sslmode: postgres.sslmode ?? sslmode,
          sslrootcert: fileOf(postgres.sslrootcert ?? tls?.cafile),
          application_name: "pgdba",
        }
      : null,
    password: postgres ? passwordOf(postgres) : {},
    patroni: patroni
      ? {
          endpoints: patroni.endpoints.map((one) => one.replace(/\/$/, "")),
          user: patroni.user,
          cafile: fileOf(patroni.cafile ?? tls?.cafile),
          members: { ...membersOf(data), ...patroni.members },
          passwordNames: passwordOf(patroni),
        }
      : null,
    dcs: dcs
      ? {
          kind: dcs.kind,
          endpoints: dcs.endpoints.map((one) => one.replace(/\/$/, "")),
          scope: patroni?.scope ?? name,
          namespace: patroni?.namespace ?? "service",
          user: dcs.user,
          cafile: fileOf(dcs.cafile ?? tls?.cafile),
          passwordNames: passwordOf(dcs),
        }
      : null,
    pgbouncer: pgbouncer
      ? {
          user: pgbouncer.user ?? "pgbouncer",
          sslmode: pgbouncer.sslmode ?? sslmode,
          cafile: fileOf(pgbouncer.cafile ?? tls?.cafile),
          instances: pgbouncer.instances.map((one) => ({ ...one, port: Number(one.port ?? 6432) })),
          passwordNames: passwordOf(pgbouncer),
        }
      : null,
    secrets: [
      ...[...secrets].map(([key, place]) => ({ name: key, place })),
      ...(["postgres", "patroni", "dcs", "pgbouncer"] as const).flatMap((part) => {
        const place = besides(data[part] ?? {});
        return Object.keys(place).length === 0 ? [] : [{ name: part, place }];
      }),
    ],
  };
}

/** The REST API of each node that has one, by the node's name, which is that of its member. */
function membersOf({ nodes = [], patroni }: ClusterFile): Record<string, string> {
  const scheme = patroni?.endpoints[0]?.startsWith("https:") ? "https" : "http";
  return Object.fromEntries(
    nodes.flatMap(({ name, endpoints }) => {
      const at = endpoints?.patroni?.reach;
      return at === undefined ? [] : [[name, `${scheme}://${at.host}:${at.port}`]];
    }),
  );
}

interface Passwords {
  password_env?: string;
  password_file_env?: string;
  password_secret?: string;
}

/** Without those under `secrets`. */
function besides({ password_env, password_file_env }: Passwords): PasswordNames {
  return {
    ...(password_env === undefined ? {} : { variable: password_env }),
    ...(password_file_env === undefined ? {} : { fileVariable: password_file_env }),
  };
}

/** Files of secrets are named from the state folder, in which `clusters/` stands. */
function secretFile(clusterFile: string, path: string): string {
  return join(dirname(dirname(clusterFile)), path);
}
