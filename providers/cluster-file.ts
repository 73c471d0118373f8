import { dirname, resolve } from "node:path";
import { PgdbaError } from "../engine/errors.ts";
import { readTextIfThere } from "../engine/shared/read-file.ts";
import { parseYaml } from "../engine/shared/yaml.ts";
import { hostOf, isWhole, PARTS, portOf, sslModeOf } from "./environment.ts";
import type { PatroniSpec } from "./patroni/client.ts";
import type { ConnectionSpec } from "./postgres/connect.ts";

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

type Suggest = ((word: string, candidates: Iterable<string>) => string | undefined) | undefined;

/** What stands in `file`, or undefined when there is none. @throws PgdbaError invalid_config | invalid_param */
export async function readClusterFile(
  name: string,
  file: string,
  suggest?: Suggest,
): Promise<ClusterEntry | undefined> {
  const text = readTextIfThere(file, {
    maxBytes: MAX_BYTES,
    code: "invalid_config",
    hint: "A cluster's file is a page of YAML; mend it, or move it away.",
  });
  if (text === undefined) return undefined;
  const bad = (message: string, hint: string): PgdbaError =>
    new PgdbaError("invalid_config", `${file}: ${message}`, { hint });
  const data = await parseYaml(text, file, { code: "invalid_config" });
  const record = (value: unknown, where: string, keys: string[]): Record<string, unknown> => {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw bad(`${where} is not a mapping`, `It has ${keys.join(", ")}.`);
    for (const key of Object.keys(value)) {
      if (keys.includes(key)) continue;
      const near = suggest?.(key, keys);
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
  /** Beside the cluster's file, where it does not depend on where one stands. */
  const fileOf = (from: Record<string, unknown>, key: string): string | undefined => {
    const path = string(from, key);
    return path === undefined ? undefined : resolve(dirname(file), path);
  };
  const passwordOf = (from: Record<string, unknown>): PasswordNames => ({
    variable: string(from, "password_env"),
    fileVariable: string(from, "password_file_env"),
  });

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
  for (const [key, part] of Object.entries({ host, user, database }))
    if (isWhole(part)) throw bad(`postgres.${key} holds a URI or a connection string`, PARTS);
  const entry: ClusterEntry = {
    name,
    file,
    ownership,
    labels,
    identity: string(cluster, "system_identifier") ?? null,
    spec: {
      host: hostOf(host),
      port: portOf(String(server.port ?? 5432)),
      user,
      database,
      sslmode: sslModeOf(string(server, "sslmode") ?? "prefer", `${file}: sslmode`),
      sslrootcert: fileOf(server, "sslrootcert"),
      application_name: "pgdba",
    },
    password: passwordOf(server),
    patroni: null,
  };
  if (cluster.patroni === undefined) return entry;

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
  entry.patroni = {
    endpoints: endpoints.map((one: string) => one.replace(/\/$/, "")),
    user: string(rest, "user"),
    cafile: fileOf(rest, "cafile"),
    passwordNames: passwordOf(rest),
  };
  return entry;
}
