import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { PgdbaError } from "../engine/errors.ts";
import { readTextIfThere } from "../engine/shared/read-file.ts";
import { parseYaml } from "../engine/shared/yaml.ts";
import {
  assertPart,
  hostOf,
  isWhole,
  PARTS,
  portOf,
  secretFromFile,
  sslModeOf,
} from "./environment.ts";
import type { PatroniSpec } from "./patroni/client.ts";
import type { ConnectionSpec } from "./postgres/connect.ts";
import type { TargetSource } from "./postgres/target.ts";
import type { TargetOptions } from "./targets.ts";

/** The built-in cluster. */
const LAB = "lab";

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;
const KEYS = ["ownership", "labels", "system_identifier", "postgres", "patroni"];
const PATRONI_KEYS = ["endpoints", "user", "password_env", "password_file_env", "cafile"];
const POSTGRES_KEYS = [
  "host",
  "port",
  "user",
  "database",
  "sslmode",
  "sslrootcert",
  "password_env",
  "password_file_env",
];
/** A registry entry is a page; anything longer is not one. */
const MAX_BYTES = 64 * 1024;

/**
 * What the registry holds under `name`, in `<stateDir>/clusters/<name>.yaml`; `lab` is built in and started if need be.
 * @throws PgdbaError no_target | invalid_param | invalid_config | missing_secret
 */
export async function clusterSource(name: string, options: TargetOptions): Promise<TargetSource> {
  assertPart("--cluster", name);
  if (!NAME.test(name)) {
    throw new PgdbaError("invalid_param", `Not a cluster name: ${JSON.stringify(name)}`, {
      hint: "A name is letters, digits, - and _, at most 63, and begins with a letter or digit.",
    });
  }
  if (name === LAB) return labSource(options);
  const file = join(options.stateDir, "clusters", `${name}.yaml`);
  const text = readTextIfThere(file, {
    maxBytes: MAX_BYTES,
    code: "invalid_config",
    hint: "A cluster's file is a page of YAML; mend it, or move it away.",
  });
  if (text === undefined) throw await unknownCluster(name, options);
  return parseCluster(name, file, text, options);
}

async function labSource(options: TargetOptions): Promise<TargetSource> {
  const { labUp } = await import("./lab/lab.ts");
  const lab = await labUp({ stateDir: options.stateDir, log: options.log ?? (() => {}) });
  const password = lab.connection.password?.();
  if (password !== undefined) options.onSecret(password);
  return {
    name: LAB,
    cluster: LAB,
    labels: [LAB],
    ownership: "managed",
    expectedIdentity: null,
    spec: lab.connection,
  };
}

/** The names that `--cluster` takes. */
export async function clusterNames(stateDir: string): Promise<string[]> {
  const files = await readdir(join(stateDir, "clusters")).catch(() => []);
  return [
    LAB,
    ...files.filter((file) => file.endsWith(".yaml")).map((file) => file.slice(0, -5)),
  ].toSorted();
}

async function unknownCluster(name: string, options: TargetOptions): Promise<PgdbaError> {
  const known = await clusterNames(options.stateDir);
  const near = options.suggest?.(name, known);
  return new PgdbaError("no_target", `There is no cluster named ${name}`, {
    hint:
      near === undefined
        ? `Known clusters: ${known.slice(0, 20).join(", ")}.`
        : `Did you mean ${near}?`,
  });
}

async function parseCluster(
  name: string,
  file: string,
  text: string,
  options: TargetOptions,
): Promise<TargetSource> {
  const bad = (message: string, hint: string): PgdbaError =>
    new PgdbaError("invalid_config", `${file}: ${message}`, { hint });
  const data = await parseYaml(text, file, { code: "invalid_config" });
  const record = (value: unknown, where: string, keys: string[]): Record<string, unknown> => {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw bad(`${where} is not a mapping`, `It has ${keys.join(", ")}.`);
    for (const key of Object.keys(value)) {
      if (keys.includes(key)) continue;
      const near = options.suggest?.(key, keys);
      throw bad(
        `${where} has no key ${key}`,
        near === undefined ? `Its keys are ${keys.join(", ")}.` : `Did you mean ${near}?`,
      );
    }
    return value as Record<string, unknown>;
  };
  const string = (from: Record<string, unknown>, key: string): string | undefined => {
    const value = from[key];
    if (value === undefined || typeof value === "string") return value;
    throw bad(`${key} is not text`, "Put it in quotes.");
  };
  const cluster = record(data, "the cluster", KEYS);
  const server = record(cluster.postgres, "postgres", POSTGRES_KEYS);
  const { ownership } = cluster;
  if (ownership !== "managed" && ownership !== "connected")
    throw bad("ownership is missing or unknown", "Use managed or connected.");
  const labels = cluster.labels ?? [];
  if (!Array.isArray(labels) || !labels.every((label) => typeof label === "string"))
    throw bad("labels is not a list of text", "labels: [production]");
  const host = string(server, "host");
  const user = string(server, "user");
  if (host === undefined || user === undefined)
    throw bad("postgres lacks host or user", "Both are needed.");
  const database = string(server, "database") ?? "postgres";
  for (const [key, text] of Object.entries({ host, user, database }))
    if (isWhole(text)) throw bad(`postgres.${key} holds a URI or a connection string`, PARTS);
  const spec: ConnectionSpec = {
    host: hostOf(host),
    port: portOf(String(server.port ?? 5432)),
    user,
    database,
    sslmode: sslModeOf(string(server, "sslmode") ?? "prefer", `${file}: sslmode`),
    sslrootcert: string(server, "sslrootcert"),
    application_name: "pgdba",
  };
  const password = clusterPassword(
    string(server, "password_env"),
    string(server, "password_file_env"),
    file,
    options,
  );
  if (password !== undefined) spec.password = () => password;
  const expectedIdentity = string(cluster, "system_identifier") ?? null;
  const source: TargetSource = { name, cluster: name, labels, ownership, expectedIdentity, spec };
  if (cluster.patroni === undefined) return source;

  const rest = record(cluster.patroni, "patroni", PATRONI_KEYS);
  const { endpoints } = rest;
  const url = /^https?:\/\/[^\s/@]+\/?$/;
  if (
    !Array.isArray(endpoints) ||
    endpoints.length === 0 ||
    !endpoints.every((one) => typeof one === "string" && url.test(one))
  )
    throw bad(
      "patroni.endpoints is not a list of URLs of Patroni's REST API",
      "endpoints: [http://db1:8008, http://db2:8008]",
    );
  const patroni: PatroniSpec = {
    endpoints: endpoints.map((one: string) => one.replace(/\/$/, "")),
    user: string(rest, "user"),
    password: clusterPassword(
      string(rest, "password_env"),
      string(rest, "password_file_env"),
      file,
      options,
    ),
    cafile: string(rest, "cafile"),
  };
  return { ...source, patroni };
}

/** The registry holds names of variables, never a password. @throws PgdbaError missing_secret with all names that are not set */
function clusterPassword(
  variable: string | undefined,
  fileVariable: string | undefined,
  file: string,
  options: TargetOptions,
) {
  const missing = [variable, fileVariable].filter(
    (name) => name !== undefined && (options.env[name] ?? "") === "",
  );
  if (missing.length > 0) {
    throw new PgdbaError("missing_secret", `Not set: ${missing.join(", ")}`, {
      hint: `${file} takes the password from there; set it in the environment.`,
      data: { missing: missing.filter((name) => name !== undefined) },
    });
  }
  const password =
    variable !== undefined
      ? options.env[variable]
      : fileVariable !== undefined
        ? secretFromFile(fileVariable, options.env)
        : undefined;
  if (password !== undefined) options.onSecret(password);
  return password;
}
