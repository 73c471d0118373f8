import { PgdbaError } from "../../engine/errors.ts";
import type { AccessFor } from "../../engine/types.ts";
import type { DcsAccess } from "../dcs/contract.ts";
import { DCS_READS, openDcs } from "../dcs/open.ts";
import { onlyReads } from "./only-reads.ts";
import type { TargetSource } from "./source.ts";

/** See `Access.dcs`. */
export async function dcsAccess({ name, dcs }: TargetSource, on: AccessFor): Promise<DcsAccess> {
  if (dcs === undefined) {
    throw new PgdbaError("capability_missing", `The entry of ${name} names no store of Patroni`, {
      hint: "Name it in the cluster's file: `dcs: {kind: etcd3, endpoints: [http://host:2379]}`.",
    });
  }
  const access = await openDcs(dcs, on.signal);
  return on.effect === "read" ? onlyReads(access, DCS_READS, "dcs") : access;
}
