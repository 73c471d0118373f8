import { join, resolve } from "node:path";
import { readText, readTextIfThere } from "../../../../engine/shared/read-file.ts";
import { writeWhole } from "../../../../engine/shared/write-file.ts";
import type { ConnectionSpec } from "../../../postgres/connect.ts";

/** The record in `lab.json` in the folder of the lab. */
export interface LabRecord {
  version: number;
  port: number;
  /** Holds `data`, the log and the socket; owned by the user the server runs as. */
  base: string;
  seeded: boolean;
  /** The system identifier; one that an older pgdba made has it once it is registered. */
  identity?: string;
}

export const HOST = "127.0.0.1";
/** Its record and its password are some bytes. */
const MAX_BYTES = 64 * 1024;

export function labDir({ stateDir }: { stateDir: string }): string {
  return join(resolve(stateDir), "lab");
}

/** The file with the superuser's password. */
export function passwordFile(dir: string): string {
  return join(dir, "password");
}

export function specOf(dir: string, record: LabRecord): ConnectionSpec {
  const password = readText(passwordFile(dir), { maxBytes: MAX_BYTES });
  return {
    host: HOST,
    port: record.port,
    user: "postgres",
    database: "postgres",
    password: () => password,
    sslmode: "disable",
    application_name: "pgdba",
  };
}

export function readRecord(dir: string): LabRecord | null {
  const text = readTextIfThere(join(dir, "lab.json"), { maxBytes: MAX_BYTES });
  if (text === undefined) return null;
  try {
    return JSON.parse(text) as LabRecord;
  } catch {
    // With a file that is no JSON there is no lab that could be used.
    return null;
  }
}

export async function writeRecord(dir: string, record: LabRecord): Promise<void> {
  await writeWhole(join(dir, "lab.json"), `${JSON.stringify(record, null, 2)}\n`);
}

/** The command that opens psql on the lab; the password is read where it is kept. */
export function psqlCommand(stateDir: string, port: number): string {
  const file = passwordFile(labDir({ stateDir })).replaceAll("'", `'\\''`);
  return `PGPASSWORD="$(cat '${file}')" psql -h ${HOST} -p ${port} -U postgres -d postgres`;
}
