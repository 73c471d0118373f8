/** The target of a restore as people name it, of which there is one at most. */
import { PgdbaError } from "../../../engine/errors.ts";
import { parseLsn } from "../../../engine/shared/units.ts";
import { parseInstant } from "../../../providers/backup/instant.ts";
import type { Wanted } from "../../../providers/backup/when.ts";

export interface TargetInput {
  backup_id?: string | null;
  target_time?: string | null;
  target_lsn?: string | null;
  target_name?: string | null;
  target_xid?: number | null;
  immediate?: boolean | null;
  target_timeline?: number | null;
  random?: boolean | null;
}

const text = (description: string) =>
  ({ type: ["string", "null"], minLength: 1, description }) as const;

/** The properties of an input that names a target. */
export const TARGET_INPUT = {
  backup_id: text("The backup to start from; the one that fits without it"),
  target_time: text("All that was committed up to then, with its timezone"),
  target_lsn: text("Up to the record at this position, and with it"),
  target_name: text("Up to this restore point"),
  target_xid: {
    type: ["integer", "null"],
    minimum: 1,
    description: "Up to this transaction, and with it",
  },
  immediate: { type: ["boolean", "null"], description: "The backup as it is, without later WAL" },
  target_timeline: {
    type: ["integer", "null"],
    minimum: 1,
    description: "The timeline to follow; the cluster's own without it",
  },
} as const;

/** @throws PgdbaError invalid_param */
export function wantedBy(input: TargetInput): Wanted {
  const all: Wanted[] = [];
  if (input.target_time != null) all.push({ kind: "time", at: parseInstant(input.target_time) });
  if (input.target_lsn != null) all.push({ kind: "lsn", lsn: parseLsn(input.target_lsn) });
  if (input.target_name != null) all.push({ kind: "name", name: input.target_name });
  if (input.target_xid != null) all.push({ kind: "xid", xid: input.target_xid });
  if (input.immediate === true) all.push({ kind: "immediate" });
  if (all.length > 1) {
    throw new PgdbaError("invalid_param", "A restore has one target, and several were named", {
      hint: "Name one of --target-time, --target-lsn, --target-name, --target-xid and --immediate; without any it is the end of WAL.",
    });
  }
  return all[0] ?? { kind: "latest" };
}
