/** `pgdba work fetch`: a backup out of the repository into a data directory of this machine. */
import { openRepository } from "../repository/open.ts";
import { type Fetched, fetchBackup, type FetchOrder } from "./fetch.ts";
import type { WorkIo } from "./jobs.ts";
import { readSettings } from "./settings.ts";
import { everySoOften } from "./every-so-often.ts";

export interface FetchJob {
  fetch: FetchOrder;
  /** The file that says where the repository is. */
  settings: string;
}

export async function run(order: FetchJob, io: WorkIo): Promise<Fetched> {
  const repository = await openRepository(readSettings(order.settings).place);
  try {
    const tell = everySoOften(io.tell);
    return await fetchBackup(order.fetch, { repository, tell, signal: io.signal });
  } finally {
    await repository.close();
  }
}
