import { createHmac, randomBytes } from "node:crypto";
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { PgdbaError } from "../errors.ts";
import { errnoOf, readIfThere } from "../shared/read-file.ts";
import type { Json } from "../types.ts";
import { canonical } from "./canonical.ts";
import { guarded } from "./database.ts";

const BYTES = 32;
const keys = new Map<string, Buffer>();

/**
 * A digest of `value` that does not depend on the order of its keys. It is keyed, so that a short secret can't be found by trying: the key stands
 * in the state folder, for its owner alone, and not in the journal.
 * @throws PgdbaError journal_failed when the key can't be had
 */
export function keyedDigest(stateDir: string, value: Json): string {
  const key = guarded(() => keyIn(stateDir));
  return createHmac("sha256", key).update(canonical(value)).digest("base64url");
}

/** The key of a state folder, made when there is none. With a new one no digest fits any more, and people are asked. */
function keyIn(stateDir: string): Buffer {
  const file = join(stateDir, "journal.key");
  const known = keys.get(file);
  if (known) return known;
  const key = read(file) ?? made(stateDir, file);
  keys.set(file, key);
  return key;
}

function read(file: string): Buffer | undefined {
  const key = readIfThere(file, { maxBytes: BYTES, code: "journal_failed", hint: HINT });
  if (key === undefined || key.length === BYTES) return key;
  throw new PgdbaError("journal_failed", `${file} is no key of a journal`, { hint: HINT });
}

const HINT = "Move it away, and a new one is made. Resumed runs then ask more questions.";

/** It comes into being whole, and two engines that begin at once have the same one. */
function made(stateDir: string, file: string): Buffer {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}`;
  rmSync(draft, { force: true });
  const fd = openSync(draft, "wx", 0o600);
  try {
    writeSync(fd, randomBytes(BYTES));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  try {
    linkSync(draft, file);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  return read(file)!;
}
