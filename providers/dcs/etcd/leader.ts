import type { JsonObject } from "../../../engine/types.ts";
import type { DcsSpec, LeaderKey } from "../contract.ts";
import type { EtcdGateway } from "./gateway.ts";
import { base64, type Kept, keysIn, scopePath } from "./keys.ts";

/*
 * Patroni holds the leader key by a lease. It renews the lease, not the key: the key's revision stays, and etcd can't compare the time that
 * a lease has left in a transaction. So a renewal is told by that time, which must have gone down as the clock went on: it is read with
 * the key, and again right before the key is removed; the transaction then compares revision, lease and value. Between the second look
 * and the transaction there are milliseconds in which a renewal would not be seen. Whoever removes the key has proof that its holder is
 * dead or fenced, since when no renewal can be sent; the looks tell that the proof was of the right holder at the right time.
 * etcd gives every lease its whole time again when etcd itself has a new leader: that looks like a renewal, and is taken for one.
 */

/** The process that has read a key: only it can tell the time since. */
const HERE = crypto.randomUUID().slice(0, 8);

interface Seen extends Kept {
  /** The member of etcd that was asked. */
  endpoint: string;
  /** Seconds that are left, whole ones; null without a lease. */
  left: number | null;
  /** Before and after the question, ms on this process's clock. */
  asked: number;
  told: number;
}

export async function readLeader(gateway: EtcdGateway, spec: DcsSpec): Promise<LeaderKey | null> {
  const seen = await look(gateway, spec);
  if (seen === null) return null;
  const { value: holder, modRevision, lease, left, asked } = seen;
  const parts = [modRevision, lease, left ?? "", Math.floor(asked), HERE];
  return { holder, revision: parts.join("/"), ttlSeconds: left };
}

/** See `DcsAccess.removeLeader`. */
export async function removeLeader(
  gateway: EtcdGateway,
  spec: DcsSpec,
  { holder, revision }: LeaderKey,
): Promise<boolean> {
  const [modRevision, lease = "0", left = "", asked = "", where] = revision.split("/");
  // The times of another process say nothing here.
  if (where !== HERE || modRevision === undefined) return false;
  const now = await look(gateway, spec);
  if (now === null || now.value !== holder) return false;
  if (now.modRevision !== modRevision || now.lease !== lease) return false;
  if (now.left !== null) {
    if (left === "") return false;
    const passed = (now.told - Number(asked)) / 1000;
    // Whole seconds are told: what was left may have been almost one more.
    if (now.left + passed >= Number(left) + 1) return false;
  }
  const key = base64(`${scopePath(spec)}leader`);
  const equal = (target: string, value: JsonObject): JsonObject => ({
    key,
    target,
    result: "EQUAL",
    ...value,
  });
  const answer = await gateway.at(now.endpoint, "/kv/txn", {
    compare: [
      equal("MOD", { mod_revision: modRevision }),
      equal("LEASE", { lease }),
      equal("VALUE", { value: base64(holder) }),
    ],
    success: [{ request_delete_range: { key } }],
  });
  return answer["succeeded"] === true;
}

/** The key of this moment, by a majority of etcd, with what is left of its lease. */
async function look(gateway: EtcdGateway, spec: DcsSpec): Promise<Seen | null> {
  const asked = performance.now();
  const key = base64(`${scopePath(spec)}leader`);
  const { endpoint, answer } = await gateway.ask("/kv/range", { key });
  const [kept] = keysIn(answer);
  if (kept === undefined) return null;
  let left: number | null = null;
  if (kept.lease !== "0") {
    const { TTL } = await gateway.at(endpoint, "/lease/timetolive", { ID: kept.lease });
    // An expired lease has -1, and no 0 is written.
    left = Math.max(0, Number(TTL ?? 0));
  }
  return { ...kept, endpoint, left, asked, told: performance.now() };
}
