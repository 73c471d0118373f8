import { dirname, resolve } from "node:path";
import { PgdbaError } from "../../engine/errors.ts";
import { readTextIfThere } from "../../engine/shared/read-file.ts";
import { parseYaml } from "../../engine/shared/yaml.ts";
import type { Json, JsonObject } from "../../engine/types.ts";
import { hostOf, isWhole, PARTS, portOf, sslModeOf } from "../target/environment.ts";
import type { PatroniSpec } from "../patroni/requests.ts";
import type { ConnectionSpec } from "../postgres/connect.ts";
import { CLUSTER_SCHEMA } from "./schema.ts";

/** A cluster of the registry, as its file says; no variable was looked at. */
export interface ClusterEntry {
  name: string;
  file: string;
  ownership: "managed" | "connected";
  labels: string[];
  identity: string | null;
  spec: ConnectionSpec;
  password: PasswordNames;
  patroni: (Omit<PatroniSpec, "password"> & { passwordNames: PasswordNames }) | null;
}

/** The registry holds names of variables, never a password. */
export interface PasswordNames {
  variable: string | undefined;
  fileVariable: string | undefined;
}

/** A registry entry is a page; anything longer is not one. */
const MAX_BYTES = 64 * 1024;

/** What stands in `file`, or undefined when there is none. @throws PgdbaError invalid_config | invalid_param */
export async function readClusterFile(
  name: string,
  file: string,
): Promise<ClusterEntry | undefined> {
  const text = readTextIfThere(file, {
    maxBytes: MAX_BYTES,
    code: "invalid_config",
    hint: "A cluster's file is a page of YAML; mend it, or move it away.",
  });
  if (text === undefined) return undefined;
  const bad = (message: string, hint: string): PgdbaError =>
    new PgdbaError("invalid_config", `${file}: ${message}`, { hint });
  const data = (await parseYaml(text, file, { code: "invalid_config" })) as Json;
  refuseWhole(data, bad);
  const { validate } = await import("../../engine/shared/validate.ts");
  const problems = validate(CLUSTER_SCHEMA, data, "the cluster");
  if (problems.length > 0) {
    // A value may be a password in the wrong place, so none is repeated.
    const said = problems.map(({ message }) => message.replace(/, got [^]*$/, ""));
    throw bad(said.join("; "), problems.find(({ hint }) => hint)?.hint ?? HINT);
  }
  const { ownership, labels = [], system_identifier, postgres, patroni } = data as unknown as Entry;
  /** Beside the cluster's file, where it does not depend on where one stands. */
  const fileOf = (path: string | undefined): string | undefined =>
    path === undefined ? undefined : resolve(dirname(file), path);
  return {
    name,
    file,
    ownership,
    labels,
    identity: system_identifier ?? null,
    spec: {
      host: hostOf(postgres.host),
      port: portOf(String(postgres.port ?? 5432)),
      user: postgres.user,
      database: postgres.database ?? "postgres",
      sslmode: sslModeOf(postgres.sslmode ?? "prefer", `${file}: sslmode`),
      sslrootcert: fileOf(postgres.sslrootcert),
      application_name: "pgdba",
    },
    password: passwordOf(postgres),
    patroni: patroni
      ? {
          endpoints: patroni.endpoints.map((one) => one.replace(/\/$/, "")),
          user: patroni.user,
          cafile: fileOf(patroni.cafile),
          passwordNames: passwordOf(patroni),
        }
      : null,
  };
}

const HINT = "`pgdba schema cluster` prints what a cluster's file may hold.";

/** What `CLUSTER_SCHEMA` describes. */
interface Entry {
  ownership: ClusterEntry["ownership"];
  labels?: string[];
  system_identifier?: string;
  postgres: Passwords & {
    host: string;
    port?: number | string;
    user: string;
    database?: string;
    sslmode?: string;
    sslrootcert?: string;
  };
  patroni?: Passwords & { endpoints: string[]; user?: string; cafile?: string };
}

interface Passwords {
  password_env?: string;
  password_file_env?: string;
}

function passwordOf({ password_env, password_file_env }: Passwords): PasswordNames {
  return { variable: password_env, fileVariable: password_file_env };
}

/** A whole URI or connection string as one part of a connection is said as such: it may hold a password. */
function refuseWhole(data: Json, bad: (message: string, hint: string) => PgdbaError): void {
  const server = isMapping(data) ? data["postgres"] : undefined;
  if (!isMapping(server)) return;
  for (const key of ["host", "user", "database"]) {
    const part = server[key];
    if (typeof part === "string" && isWhole(part))
      throw bad(`postgres.${key} holds a URI or a connection string`, PARTS);
  }
}

function isMapping(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
