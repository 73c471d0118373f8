/** `pgdba work verify`: reads back a backup where the repository is near. */
import { openRepository } from "../repository/open.ts";
import type { ClusterKey } from "../repository/layout.ts";
import type { WorkIo } from "./jobs.ts";
import { readSettings } from "./settings.ts";
import { everySoOften } from "./take-job.ts";
import { type Verified, verify } from "./verify.ts";

export interface VerifyJob {
  settings: string;
  key: ClusterKey;
  id: string;
}

export async function run(order: VerifyJob, io: WorkIo): Promise<Verified> {
  const repository = await openRepository(readSettings(order.settings).place);
  try {
    const world = { repository, tell: everySoOften(io.tell), signal: io.signal };
    return await verify(order.key, order.id, world);
  } finally {
    await repository.close();
  }
}
