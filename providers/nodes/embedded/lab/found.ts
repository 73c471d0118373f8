import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { ConnectionSpec } from "../../../postgres/connect.ts";
import { PgdbaError } from "../../../../engine/errors.ts";
import { clusterFile, LAB } from "../../../registry/folder.ts";
import { type ClusterEntry, readClusterFile } from "../../../registry/read.ts";
import { readPassword } from "../../../registry/secrets.ts";
import { baseOf, homeOf, type NodeRecord, type Place, placeOf, readRecord } from "../home.ts";

export interface LabOptions {
  stateDir: string;
  /** The run that makes it; nobody's without it. */
  run?: string;
  log?(message: string): void;
  /** Ends the making of it. */
  signal?: AbortSignal;
  onSecret?(value: string): void;
  /** Told what this call is about to do, while nobody else makes, starts or ends it. */
  begins?(what: Begun): void;
}

/** `made` is the cluster id of the new one. */
export type Begun = { made: string } | { started: true };

/** The lab as it stands in the registry and at its provider. */
export interface Found {
  entry: ClusterEntry;
  record: NodeRecord;
  at: Place;
}

/** The entry of that name. @throws PgdbaError invalid_config */
export function readEntry(stateDir: string): Promise<ClusterEntry | undefined> {
  return readClusterFile(LAB, clusterFile(stateDir, LAB));
}

/** False for the entry of another cluster that has this name: then it is the one that `--cluster lab` means. */
export function isOfLab({ data }: ClusterEntry): boolean {
  return data.provider === "embedded" && data.ownership === "managed";
}

/** @throws PgdbaError step_refused for the entry of another cluster */
export function assertOfLab(entry: ClusterEntry | undefined): void {
  if (entry === undefined || isOfLab(entry)) return;
  throw new PgdbaError("step_refused", `Another cluster is registered with the name ${LAB}`, {
    hint: `Rename ${entry.file}; the lab that comes with pgdba needs this name.`,
    nothingDone: true,
  });
}

/** The record of the lab that an earlier pgdba made, which was no cluster of the provider. */
export function oldRecord(stateDir: string): string {
  return join(resolve(stateDir), "lab", "lab.json");
}

/**
 * The lab that was made and filled to the end, running or not; undefined beside that of an earlier pgdba, whose entry it would be.
 * @throws PgdbaError invalid_config
 */
export async function findLab({ stateDir }: LabOptions): Promise<Found | undefined> {
  if (existsSync(oldRecord(stateDir))) return undefined;
  const entry = await readEntry(stateDir);
  if (entry === undefined || !isOfLab(entry) || entry.partial !== null) return undefined;
  const base = baseOf(homeOf(stateDir, LAB));
  const record = base === undefined ? undefined : readRecord(base, LAB);
  if (base === undefined || record?.made !== true) return undefined;
  return { entry, record, at: placeOf(base, LAB) };
}

/** @throws PgdbaError missing_secret, once its password is asked for */
export function connectionOf({ spec, password, file }: ClusterEntry): ConnectionSpec {
  const value = () => readPassword(password, file, { env: {}, onSecret() {} }) ?? "";
  return { ...spec!, password: value };
}
