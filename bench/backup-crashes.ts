/**
 * pgdba, or its work beside the data, is killed in the middle of what it does with backups: `bun bench/backup-crashes.ts [acts] [between] [seed] [most]`,
 * such as `full,restore 4 1`. Moments are the beginning and the end of each step that changes something, `between` more within the run, and as many
 * within each job on the node, drawn by the seed; at most `most` of them all. Every third run is given up, the others are resumed. A trial holds when nothing half-made is
 * listed, the data from before is there, the server takes writes and archives, and no scratch is left.
 */
import { loadavg } from "node:os";
import { BACKUP_ACTS } from "../tests/support/backup-acts.ts";
import { BackupCrashes, type Disturbance } from "../tests/support/backup-crashes.ts";
import { Crashed } from "../tests/support/crashed-cluster.ts";
import { openBinaries } from "../providers/nodes/embedded/binaries.ts";

const wanted =
  (process.argv[2] ?? "all") === "all" ? Object.keys(BACKUP_ACTS) : process.argv[2]!.split(",");
const between = Number(process.argv[3] ?? 3);
let seed = Number(process.argv[4] ?? 1);
const say = (line: string) => process.stdout.write(`${line}\n`);
const most = Number(process.argv[5] ?? Infinity);
/** The same numbers for the same seed. */
const chance = () => (seed = (seed * 48271) % 2147483647) / 2147483647;

const NEWEST = 18;
/** The newest of which this machine may have pg_dump. */
const WITH_CLIENTS = 15;

let trials = 0;
let broken = 0;
const begun = performance.now();
for (const version of [NEWEST, WITH_CLIENTS]) {
  const acts = wanted.filter((name) => (name === "logical") === (version === WITH_CLIENTS));
  if (acts.length === 0) continue;
  await openBinaries(version);
  const it = new Crashed(version);
  const crashes = new BackupCrashes(it);
  try {
    await it.begin();
    for (const name of acts) {
      const act = BACKUP_ACTS[name]!;
      const { moments, ms } = await crashes.moments(act);
      const all: Disturbance[] = moments.map((moment) => ({ kind: "moment", moment }));
      for (let at = 0; at < between; at++) {
        all.push({ kind: "after", ms: Math.round(ms * chance()) });
        for (const job of act.jobs ?? [])
          all.push({ kind: "work", job, ms: Math.round(chance() * 400) });
      }
      // In no order: a run that is cut short has tried all phases.
      for (let at = all.length - 1; at > 0; at--) {
        const other = Math.floor(chance() * (at + 1));
        [all[at], all[other]] = [all[other]!, all[at]!];
      }
      say(`${name}: ${Math.min(most, all.length)} of ${all.length} moments`);
      for (const how of all.slice(0, most)) {
        trials += 1;
        const givesUp = trials % 3 === 0;
        const from = performance.now();
        const { said, problems } = await crashes
          .trial(act, how, givesUp)
          .catch((error: Error) => ({ said: [], problems: [error.message] }));
        const what =
          how.kind === "moment"
            ? how.moment
            : how.kind === "after"
              ? `after ${how.ms} ms`
              : `its ${how.job}, ${how.ms} ms after it began`;
        say(`  ${what}: ${said.join("; ")}; ${((performance.now() - from) / 1000).toFixed(0)} s`);
        for (const problem of problems) say(`    BROKE: ${problem}`);
        if (problems.length > 0) broken += 1;
      }
    }
  } finally {
    await it.end();
  }
}
const minutes = ((performance.now() - begun) / 60_000).toFixed(1);
say(`${trials - broken} of ${trials} held, in ${minutes} min; load ${loadavg()[0]!.toFixed(1)}`);
process.exitCode = broken === 0 ? 0 : 1;
