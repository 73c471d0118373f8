import { mkdir, rm, rmdir } from "node:fs/promises";
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { PgdbaError } from "../../engine/errors.ts";
import { errnoOf, readText, readTextIfThere } from "../../engine/shared/read-file.ts";
import { writeWhole } from "../../engine/shared/write-file.ts";
import type { PasswordNames } from "./read.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Secrets and password files are a few lines. */
export const MAX_SECRET_BYTES = 1024 * 1024;

/** The content of the file that `variable` names, without its last line break. @throws PgdbaError missing_secret */
export function secretFromFile(variable: string, env: Env): string {
  const text = readText(env[variable] ?? "", {
    maxBytes: MAX_SECRET_BYTES,
    code: "missing_secret",
    hint: `${variable} must name a regular file that holds the password.`,
  }).replace(/\r?\n$/, "");
  if (text !== "") return text;
  throw new PgdbaError("missing_secret", `The file that ${variable} names is empty`, {
    hint: "Put the password in it.",
  });
}

/**
 * The password that `names` lead to; undefined when they name none. `onSecret` is told of it.
 * @throws PgdbaError missing_secret with all names that are not set
 */
export function readPassword(
  { variable, fileVariable, file }: PasswordNames,
  clusterFile: string,
  { env, onSecret }: { env: Env; onSecret(value: string): void },
): string | undefined {
  const named = [variable, fileVariable].filter((name) => name !== undefined);
  const missing = named.filter((name) => (env[name] ?? "") === "");
  if (missing.length > 0) {
    throw new PgdbaError("missing_secret", `Not set: ${missing.join(", ")}`, {
      hint: `${clusterFile} takes the password from there; set it in the environment.`,
      data: { missing },
    });
  }
  const password =
    variable !== undefined
      ? env[variable]
      : fileVariable !== undefined
        ? secretFromFile(fileVariable, env)
        : file !== undefined
          ? readSecretFile(file)
          : undefined;
  if (password !== undefined) onSecret(password);
  return password;
}

/** The secret in a file that nobody else may read. @throws PgdbaError missing_secret */
function readSecretFile(file: string): string {
  const text = readText(file, {
    maxBytes: MAX_SECRET_BYTES,
    code: "missing_secret",
    hint: "The cluster's entry names this file under `secrets`; put the password in it, with mode 0600.",
  }).replace(/\r?\n$/, "");
  if ((statSync(file).mode & 0o077) !== 0) {
    throw new PgdbaError("missing_secret", `${file} is not used, because others may read it`, {
      hint: `Make it private (chmod 600 ${file}), and change the password if others could read it.`,
    });
  }
  if (text !== "") return text;
  throw new PgdbaError("missing_secret", `${file} is empty`, { hint: "Put the password in it." });
}

const NAME = /^[a-z][a-z0-9_-]{0,62}$/;

/** The folder of a cluster's secrets, relative to the state folder. */
export function secretsFolder(cluster: string): string {
  return join("secrets", cluster);
}

/** The path of a secret, relative to the state folder, as an entry names it. @throws PgdbaError invalid_param */
export function secretPath(cluster: string, name: string): string {
  if (NAME.test(name)) return join(secretsFolder(cluster), name);
  throw new PgdbaError("invalid_param", "This is not the name of a secret", {
    hint: "A name is lower-case letters, digits, - and _, and begins with a letter, such as superuser.",
  });
}

/**
 * Writes a secret of a cluster to a file that only its owner can read, and has it on disk. Gives what its entry holds under `secrets`.
 * @throws PgdbaError io_failed | invalid_param
 */
export async function writeSecret(
  stateDir: string,
  cluster: string,
  name: string,
  value: string,
): Promise<{ file: string }> {
  const path = secretPath(cluster, name);
  const file = join(stateDir, path);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeWhole(file, `${value}\n`);
  return { file: path };
}

/**
 * The same with a value that nobody can guess. What is already there stays: a run that was cut off may have given it to a server.
 * `onSecret` is told of the value before it is written.
 */
export async function ensureSecret(
  stateDir: string,
  cluster: string,
  name: string,
  onSecret: (value: string) => void,
  make: () => string = generateSecret,
): Promise<{ file: string }> {
  const path = secretPath(cluster, name);
  const before = readTextIfThere(join(stateDir, path), { maxBytes: MAX_SECRET_BYTES });
  if (before !== undefined && before.trim() !== "") {
    onSecret(before.replace(/\r?\n$/, ""));
    return { file: path };
  }
  const value = make();
  onSecret(value);
  return writeSecret(stateDir, cluster, name, value);
}

/** 192 bits, in letters, digits, - and _. */
function generateSecret(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(24))).toString("base64url");
}

/** Removes the files of these secrets, and their folder when nothing else is in it. */
export async function removeSecrets(
  stateDir: string,
  cluster: string,
  names: readonly string[],
): Promise<void> {
  for (const name of names.filter((one) => NAME.test(one)))
    await rm(join(stateDir, secretPath(cluster, name)), { force: true });
  await rmdir(join(stateDir, secretsFolder(cluster))).catch((error: unknown) => {
    if (!["ENOENT", "ENOTEMPTY", "EEXIST"].includes(errnoOf(error) ?? "")) throw error;
  });
}

/**
 * Files of secrets without an entry are those of a cluster whose entry was lost: it may run, and they may be all that opens it. They are not
 * taken for the new one's, and so are not removed with it. @throws PgdbaError step_refused
 */
export function assertNoSecrets(
  stateDir: string,
  name: string,
  places: readonly ({ file: string } | { env: string })[],
): void {
  const there = places.flatMap((place) =>
    "file" in place && existsSync(join(stateDir, place.file)) ? [place.file] : [],
  );
  if (there.length === 0) return;
  throw new PgdbaError(
    "step_refused",
    `The name ${name} is not free: passwords of an earlier cluster are still there (${there.join(", ")})`,
    {
      hint: `Choose another name. Or put the entry of that cluster back as ${join(stateDir, "clusters", `${name}.yaml`)}; or move these files out of ${stateDir} when that cluster is gone.`,
      nothingDone: true,
    },
  );
}
