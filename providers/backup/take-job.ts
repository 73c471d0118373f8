/** `pgdba work take`: a backup of a server, by somebody who reaches it and the repository. */
import { openReplication } from "../postgres/replication/session.ts";
import { openRepository } from "../repository/open.ts";
import type { WorkIo } from "./jobs.ts";
import { type Login, Servers, specOf } from "./login.ts";
import { readSettings } from "./settings.ts";
import { take, type TakeOrder } from "./take.ts";
import type { BackupRecord } from "./record.ts";

export interface TakeJob {
  take: TakeOrder;
  /** The file that says where the repository is. */
  settings: string;
  server: Login;
  /** The same server, as the account that may replicate. */
  replication: Login;
  /** All members of the cluster, for whichever is the primary when the end of the backup is waited for. */
  members: Login[];
}

export async function run(order: TakeJob, io: WorkIo): Promise<BackupRecord> {
  const warn = (warning: string) => io.tell({ warning });
  const specs = order.members.map((login) => specOf(login, io.env, warn));
  const server = specOf(order.server, io.env, warn);
  const servers = new Servers(specs);
  const repository = await openRepository(readSettings(order.settings).place);
  try {
    const replication = await openReplication(specOf(order.replication, io.env, warn));
    try {
      return await take(order.take, {
        repository,
        replication,
        server: (database) =>
          servers.open(database === undefined ? server : { ...server, database }),
        primary: () => servers.primary(),
        tell: everySoOften(io.tell),
        now: () => new Date(),
        signal: io.signal,
      });
    } finally {
      replication.close();
    }
  } finally {
    await servers.close();
    await repository.close();
  }
}

const PAUSE_MS = 500;

/** Counts come with every piece; they are told twice a second. */
export function everySoOften(tell: WorkIo["tell"]): WorkIo["tell"] {
  let last = -Infinity;
  return (told) => {
    const now = performance.now();
    const isCount = told.done !== undefined;
    if (isCount && now - last < PAUSE_MS) return;
    if (isCount) last = now;
    tell(told);
  };
}
