/** What the repository of a cluster holds, as samples. */
import type { StepContext } from "../../../engine/types.ts";
import catalogue from "../../backup/catalogue.ts";
import gaps from "../../backup/gaps.ts";
import type { Sample } from "./exposition.ts";

interface Catalogue {
  backups: {
    type: string;
    status: string;
    finished_at: string;
    seconds: number;
    stored_bytes: number;
    drilled_at: string | null;
    restorable_from: string | null;
    restorable_until: string | null;
  }[];
  unfinished: unknown[];
  drill: { at: string; passed: boolean } | null;
}

interface Gaps {
  gaps: { between_backups: boolean }[];
  histories: string[];
  missing: number;
  waiting: number;
  archiver: object | null;
  receiver: object | null;
  wal_age_seconds: number | null;
}

/** A newest backup that failed its drill is none to restore from. */
const UNFIT = new Set(["damaged", "broken", "drill_failed"]);
const TYPES = ["full", "incremental", "logical"];

export async function backupSamples(ctx: StepContext): Promise<Sample[]> {
  const listed = (await catalogue.run(ctx, { last: null })) as unknown as Catalogue;
  return samplesOf(listed, (await gaps.run(ctx, {})) as unknown as Gaps);
}

export function samplesOf(listed: Catalogue, archive: Gaps): Sample[] {
  // The newest first.
  const good = listed.backups.filter(({ status }) => !UNFIT.has(status));
  const drilled = listed.backups.flatMap(({ drilled_at }) => drilled_at ?? []).toSorted();
  const until = good
    .flatMap(({ restorable_until }) => restorable_until ?? [])
    .toSorted()
    .at(-1);
  // From those before it WAL comes less far: there is a hole between, or they lead to another timeline.
  const from = good.findLast((one) => one.restorable_until === until)?.restorable_from;
  const at = (name: string, time: string | null | undefined): Sample[] =>
    time == null ? [] : [{ name, value: Date.parse(time) / 1000 }];
  return [
    ...TYPES.flatMap((type): Sample[] => {
      const own = good.filter((one) => one.type === type);
      const [newest] = own;
      const labels = { type };
      const count = { name: "pgdba_backups", labels, value: own.length };
      if (newest === undefined) return [count];
      return [
        count,
        {
          name: "pgdba_backup_last_success_timestamp_seconds",
          labels,
          value: Date.parse(newest.finished_at) / 1000,
        },
        { name: "pgdba_backup_last_duration_seconds", labels, value: newest.seconds },
        { name: "pgdba_backup_last_size_bytes", labels, value: newest.stored_bytes },
      ];
    }),
    { name: "pgdba_backups_unfinished", value: listed.unfinished.length },
    ...at("pgdba_restore_drill_last_success_timestamp_seconds", drilled.at(-1)),
    ...(listed.drill === null
      ? []
      : [{ name: "pgdba_restore_drill_last_passed", value: Number(listed.drill.passed) }]),
    ...(until === undefined ? [] : at("pgdba_restorable_from_timestamp_seconds", from)),
    ...at("pgdba_restorable_until_timestamp_seconds", until),
    {
      name: "pgdba_archive_gaps",
      // As health/check judges them: no moment is lost by a hole that a later backup has bridged.
      value: archive.gaps.filter((gap) => !gap.between_backups).length + archive.histories.length,
    },
    { name: "pgdba_archive_missing_segments", value: archive.missing },
    // While no server takes writes nobody knows what is still to come.
    ...(archive.archiver === null && archive.receiver === null
      ? []
      : [{ name: "pgdba_archive_waiting_segments", value: archive.waiting }]),
    ...(archive.wal_age_seconds === null
      ? []
      : [{ name: "pgdba_archive_wal_age_seconds", value: archive.wal_age_seconds }]),
  ];
}
