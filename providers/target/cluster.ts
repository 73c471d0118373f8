import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import { type ClusterEntry, type PasswordNames, readClusterFile } from "../registry/read.ts";
import { assertPart, secretFromFile } from "./environment.ts";
import type { TargetSource } from "./postgres.ts";
import type { TargetOptions } from "./options.ts";

/** The built-in cluster. */
const LAB = "lab";

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;
const ENDING = ".yaml";

/**
 * What the registry holds under `name`, in `<stateDir>/clusters/<name>.yaml`; `lab` is built in and started if need be.
 * @throws PgdbaError no_target | invalid_param | invalid_config | missing_secret
 */
export async function clusterSource(name: string, options: TargetOptions): Promise<TargetSource> {
  assertPart("--cluster", name);
  if (!NAME.test(name)) {
    throw new PgdbaError("invalid_param", "What --cluster gives is no name of a cluster", {
      hint: "A name is letters, digits, - and _, at most 63, and begins with a letter or digit.",
    });
  }
  if (name === LAB) return labSource(options);
  const file = join(folderOf(options.stateDir), name + ENDING);
  const entry = await readClusterFile(name, file);
  if (entry === undefined) throw await unknownCluster(name, options);
  return sourceOf(entry, options);
}

/** @throws PgdbaError missing_secret */
export function sourceOf(entry: ClusterEntry, options: TargetOptions): TargetSource {
  const { name, file, labels, ownership, identity, patroni } = entry;
  const spec = { ...entry.spec };
  const password = passwordOf(entry.password, file, options);
  if (password !== undefined) spec.password = () => password;
  const source: TargetSource = {
    name,
    cluster: name,
    labels,
    ownership,
    expectedIdentity: identity,
    spec,
  };
  if (patroni === null) return source;
  const { passwordNames, ...rest } = patroni;
  return {
    ...source,
    patroni: { ...rest, password: passwordOf(passwordNames, file, options) },
  };
}

/** All that stands in the registry, and the files that nobody can read. */
export async function readRegistry(
  stateDir: string,
): Promise<{ entries: ClusterEntry[]; unread: string[] }> {
  const folder = folderOf(stateDir);
  const entries: ClusterEntry[] = [];
  const unread: string[] = [];
  let names: string[] = [];
  try {
    names = (await readdir(folder)).filter((name) => name.endsWith(ENDING));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT")
      unread.push(`${folder}: ${(error as NodeJS.ErrnoException).code}`);
  }
  for (const name of names.toSorted()) {
    try {
      const entry = await readClusterFile(name.slice(0, -ENDING.length), join(folder, name));
      if (entry) entries.push(entry);
    } catch (error) {
      unread.push(toPgdbaError(error).message);
    }
  }
  return { entries, unread };
}

async function labSource(options: TargetOptions): Promise<TargetSource> {
  const { labUp } = await import("../lab/lab.ts");
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
  const files = await readdir(folderOf(stateDir)).catch(() => []);
  return [
    LAB,
    ...files.filter((file) => file.endsWith(ENDING)).map((file) => file.slice(0, -ENDING.length)),
  ].toSorted();
}

function folderOf(stateDir: string): string {
  return join(stateDir, "clusters");
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

/** @throws PgdbaError missing_secret with all names that are not set */
function passwordOf(
  { variable, fileVariable }: PasswordNames,
  file: string,
  options: TargetOptions,
): string | undefined {
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
