import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PgdbaError } from "../../engine/errors.ts";
import { exclusively } from "../../engine/shared/exclusive.ts";
import { fileError, syncFolder, writeWhole } from "../../engine/shared/write-file.ts";
import type { JsonObject } from "../../engine/types.ts";
import { editYaml } from "./edit-yaml.ts";
import { clusterFile, clustersFolder, LAB } from "./folder.ts";
import { type ClusterEntry, parseCluster, readClusterText } from "./read.ts";
import type { ClusterFile } from "./schema.ts";
import { authorityBeside, ensureAuthority, removeAuthority } from "./authority.ts";
import { assertNoSecrets, ensureSecret, removeSecrets, secretPath } from "./secrets.ts";

/** A writer holds it for milliseconds. */
const WAIT_MS = 30_000;

/** Does the work while nobody else writes to the registry. */
export function locked<T>(stateDir: string, work: () => Promise<T>): Promise<T> {
  const file = join(clustersFolder(stateDir), ".lock");
  return exclusively(file, { what: "the registry of clusters", waitMs: WAIT_MS }, work);
}

type Edited = ClusterFile | undefined;

/**
 * Reads an entry, has it changed, and writes it: in one step for whoever reads, one after the other for all who write, with its
 * comments. `edit` gives the whole entry as it is to be, or undefined to have it removed; what it throws leaves all as it was.
 * @throws PgdbaError identity_mismatch for an entry that would then be another cluster's | invalid_config | io_failed | lock_held
 */
export function changeCluster(
  stateDir: string,
  name: string,
  edit: (before: ClusterEntry | undefined) => Edited | Promise<Edited>,
  /** It takes back what its own run did, the identity included. */
  { takesBack = false } = {},
): Promise<ClusterEntry | undefined> {
  const file = clusterFile(stateDir, name);
  return locked(stateDir, async () => {
    const text = readClusterText(file);
    const before = text === undefined ? undefined : await parseCluster(name, file, text);
    const after = await edit(before);
    if (after === undefined) {
      if (before !== undefined) await removeFile(file);
      return undefined;
    }
    if (before !== undefined && !takesBack) assertSame(before, after);
    if (before !== undefined && Bun.deepEquals(before.data, after)) return before;
    const written = await editYaml(text, after as JsonObject);
    // An entry that can't be read again is never written.
    const entry = await parseCluster(name, file, written);
    await writeWhole(file, written);
    return entry;
  });
}

export async function removeFile(file: string): Promise<void> {
  try {
    await rm(file);
    await syncFolder(dirname(file));
  } catch (cause) {
    throw fileError(file, cause);
  }
}

/** A finished entry stays that of its own cluster: what is known of its identity is added to, and never replaced. */
function assertSame({ name, file, partial, data }: ClusterEntry, after: ClusterFile): void {
  if (partial !== null) return;
  const marks = [
    ["system identifier", data.system_identifier, after.system_identifier],
    ["cluster id", data.cluster_id, after.cluster_id],
    ["Patroni scope", data.patroni?.scope, after.patroni?.scope],
  ] as const;
  for (const [what, before, now] of marks) {
    if (before === undefined || before === now) continue;
    throw new PgdbaError(
      "identity_mismatch",
      `${name} is registered with the ${what} ${before}, and would get ${now ?? "none"}`,
      {
        hint: `Another cluster can't take its place. Choose another name, or forget that one first (pgdba cluster forget --cluster ${name}); its file is ${file}.`,
      },
    );
  }
}

/** The entry that a run registers first when it makes or takes over a cluster. */
export interface Reservation {
  run: string;
  ownership: ClusterFile["ownership"];
  provider?: ClusterFile["provider"];
  labels?: string[];
  /** Names of secrets that are made for it, each with a value that nobody can guess. */
  secrets?: string[];
  /** The variables that hold them; then none is made. */
  variables?: Record<string, string>;
  /** The cluster has an authority of its own, kept as the secret of this name, and certificates for these names beside those of its nodes. */
  tls?: { authority: string; names?: string[] } | undefined;
  onSecret(value: string): void;
}

/**
 * Registers a free name for a run, before anything is made, and makes the secrets. Done again by the same run it is the same.
 * Says whether it was new.
 * @throws PgdbaError step_refused when the name is taken
 */
export async function reserveCluster(
  stateDir: string,
  name: string,
  { run, ownership, provider, labels = [], secrets = [], variables, tls, onSecret }: Reservation,
): Promise<{ entry: ClusterEntry; isNew: boolean }> {
  assertNameFree(name, undefined);
  let isNew = false;
  const places = Object.fromEntries(
    secrets.map((each) => {
      const env = variables?.[each];
      return [each, env === undefined ? { file: secretPath(name, each) } : { env }] as const;
    }),
  );
  if (tls !== undefined) places[tls.authority] = { file: secretPath(name, tls.authority) };
  const entry = await changeCluster(stateDir, name, (before) => {
    if (before?.partial === run) return before.data;
    assertNameFree(name, before);
    assertNoSecrets(stateDir, name, Object.values(places));
    isNew = true;
    return {
      ownership,
      ...(provider === undefined ? {} : { provider }),
      ...(labels.length > 0 ? { labels } : {}),
      partial: run,
      // By this mark pgdba tells a cluster that it made from a copy of it.
      ...(ownership === "managed" ? { cluster_id: crypto.randomUUID() } : {}),
      ...(tls === undefined ? {} : { tls: { cafile: authorityBeside(name), ...tls } }),
      ...(Object.keys(places).length > 0 ? { secrets: places } : {}),
    };
  });
  for (const each of secrets.filter((one) => variables?.[one] === undefined))
    await ensureSecret(stateDir, name, each, onSecret);
  if (tls !== undefined) await ensureAuthority(stateDir, name, tls.authority, onSecret);
  return { entry: entry!, isNew };
}

/** The entry of a cluster that is made. */
export function finished(data: ClusterFile): ClusterFile {
  const { partial: _partial, ...rest } = data;
  return rest;
}

function builtIn(): PgdbaError {
  return new PgdbaError("step_refused", `The name ${LAB} is that of the built-in cluster`, {
    hint: "Choose another name; `pgdba lab up` makes that one.",
  });
}

/** @throws PgdbaError step_refused when a name can't be reserved */
export function assertNameFree(name: string, found: ClusterEntry | undefined): void {
  if (name === LAB) throw builtIn();
  if (found !== undefined) throw nameTaken(found);
}

function nameTaken({ name, partial }: ClusterEntry): PgdbaError {
  return partial === null
    ? new PgdbaError("step_refused", `There is already a cluster named ${name}`, {
        hint: `Choose another name; \`pgdba cluster show ${name}\` shows that one.`,
      })
    : new PgdbaError(
        "step_refused",
        `The name ${name} is reserved by run ${partial}, which did not finish`,
        {
          hint: `Look at it (pgdba runs ${partial}), then go on with it (pgdba resume ${partial}), or free the name with \`pgdba cluster forget --cluster ${name}\`.`,
        },
      );
}

/** Takes a reservation back with the secrets that were made for it, if it is still that run's and not finished. */
export async function releaseCluster(
  stateDir: string,
  name: string,
  run: string,
): Promise<boolean> {
  let released = false;
  await changeCluster(stateDir, name, async (before) => {
    if (before?.partial !== run) return before?.data;
    // The entry goes last: while it is there, this can be done again.
    if (before.data.tls !== undefined) await removeAuthority(stateDir, name);
    await removeSecrets(stateDir, name, Object.keys(before.data.secrets ?? {}));
    released = true;
    return undefined;
  });
  return released;
}
