/** `pgdba work recover`: a server of this machine on a fetched data directory, up to where it is wanted. */
import type { WorkIo } from "./jobs.ts";
import { recover, type Recovered, type RecoverOrder } from "./recover/recover.ts";

export const run = (order: RecoverOrder, io: WorkIo): Promise<Recovered> =>
  recover(order, { tell: io.tell, signal: io.signal });
