import { toPgdbaError } from "../../../../engine/errors.ts";
import { identityOf } from "../../../postgres/identity.ts";
import { openSession } from "../../../postgres/session.ts";
import { LAB } from "../../../registry/folder.ts";
import type { ClusterEntry } from "../../../registry/read.ts";
import type { ClusterFile } from "../../../registry/schema.ts";
import { changeCluster } from "../../../registry/write.ts";
import { HOST, type LabRecord, specOf, writeRecord } from "./record.ts";

interface Place {
  stateDir: string;
  dir: string;
  log?(message: string): void;
}

/** Writes the lab, which runs, into the registry. A file of that name that is not the lab's stays as it is. */
export async function registerLab(place: Place, record: LabRecord): Promise<void> {
  if (record.identity === undefined) {
    const session = await openSession(specOf(place.dir, record));
    const identity = await identityOf(session).finally(() => session.close());
    if (identity !== null) record.identity = identity;
    await writeRecord(place.dir, record);
  }
  await changed(place, (before) =>
    before === undefined || isOfLab(before) ? entryOf(record, before?.data) : undefined,
  );
}

export async function unregisterLab(place: Place): Promise<void> {
  await changed(place, (before) => (before !== undefined && isOfLab(before) ? null : undefined));
}

/** Undefined leaves the entry as it is, null removes it. */
async function changed(
  { stateDir, log }: Place,
  edit: (before: ClusterEntry | undefined) => ClusterFile | null | undefined,
): Promise<void> {
  try {
    await changeCluster(
      stateDir,
      LAB,
      (before) => {
        const after = edit(before);
        if (after === undefined && before !== undefined)
          log?.(`${before.file} is not the lab's, and stays as it is`);
        return after === null ? undefined : (after ?? before?.data);
      },
      // A lab that was removed and made again is another server.
      { takesBack: true },
    );
  } catch (error) {
    const { code, message } = toPgdbaError(error);
    if (code !== "invalid_config") throw error;
    log?.(`The lab is not registered: ${message}`);
  }
}

function isOfLab({ data }: ClusterEntry): boolean {
  return data.provider === "embedded" && data.ownership === "managed";
}

function entryOf({ version, port, base, identity }: LabRecord, before?: ClusterFile): ClusterFile {
  return {
    ownership: "managed",
    provider: "embedded",
    labels: [...new Set([LAB, ...(before?.labels ?? [])])],
    ...(identity ? { system_identifier: identity } : {}),
    version,
    postgres: {
      host: HOST,
      port,
      user: "postgres",
      database: "postgres",
      sslmode: "disable",
      password_secret: "superuser",
    },
    nodes: [
      { name: LAB, roles: ["postgres"], address: { host: HOST, port }, place: { folder: base } },
    ],
    secrets: { superuser: { file: "lab/password" } },
  };
}
