import { realpathSync } from "node:fs";
import { join } from "node:path";
import { PgdbaError } from "../../engine/errors.ts";
import { readText } from "../../engine/shared/read-file.ts";
import type { ClusterKey } from "../repository/layout.ts";
import type { Left, NodeRepository } from "./work.ts";

/**
 * The folder beside a data directory that holds what its server needs for the repository: `repository.json`, the key to an object store, and where
 * it was put there, the program. A copy of the data directory has none: it can't write where the original does.
 */
export const besideData = (data: string): string => `${data}.pgdba`;
export const settingsFile = (data: string): string => join(besideData(data), "repository.json");
export const programBeside = (data: string): string => join(besideData(data), "pgdba");
export const keyBeside = (data: string): string => join(besideData(data), "repository.key");
export const caBeside = (data: string): string => join(besideData(data), "repository.ca");
/** The same for the data directory that a server names, which may be a link. */
export const settingsHere = (cwd: string): string => settingsFile(realpathSync(cwd));

const HINT =
  "`pgdba backup setup` writes it. A server that was made from a copy has none, and must not archive where the original does.";

/** @throws PgdbaError invalid_config */
export function readSettings(file: string): NodeRepository {
  const text = readText(file, { maxBytes: 64 * 1024, code: "invalid_config", hint: HINT });
  let parsed: Partial<NodeRepository>;
  try {
    parsed = JSON.parse(text) as Partial<NodeRepository>;
  } catch (cause) {
    throw bad(file, cause);
  }
  const { place, write, read } = parsed;
  const isRead = Array.isArray(read) && read.every((one) => isKey(one) && isLeft(one.until));
  if (place?.kind === undefined || !isKey(write) || !isRead) throw bad(file);
  return { place, write, read };
}

function isKey(key: Partial<ClusterKey> | undefined): key is ClusterKey {
  return (
    /^\d{1,20}$/.test(key?.system_identifier ?? "") &&
    Number.isInteger(key?.version) &&
    /^[A-Za-z0-9][A-Za-z0-9-]{0,62}$/.test(key?.cluster_id ?? "")
  );
}

const isLeft = (until: Left | undefined) =>
  until === undefined || (Number.isInteger(until.timeline) && /^[0-9A-F]{24}$/.test(until.file));

function bad(file: string, cause?: unknown): PgdbaError {
  return new PgdbaError("invalid_config", `${file} does not say where the repository is`, {
    hint: HINT,
    cause,
  });
}
