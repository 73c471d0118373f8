/**
 * Retention over random lives of clusters, each judged by the checker of the tests. `npm run bench:retention -- 1000000 1`: how many, and the
 * first seed. Ends with 1 at the first fault, and names the seed.
 */
import { retain } from "../steps/backup/retention/retain.ts";
import { faultsOf } from "../tests/steps/backup/retention/checker.ts";
import { lifeOf } from "../tests/steps/backup/retention/random.ts";

const [lives = 1_000_000, first = 1] = Bun.argv.slice(2).map(Number);
const spent = { made: 0, decided: 0, checked: 0 };
const count = { backups: 0, removed: 0, segments: 0, wal: 0, refused: 0 };
let last = performance.now();

function lap(part: keyof typeof spent): void {
  const now = performance.now();
  spent[part] += now - last;
  last = now;
}

for (let seed = first; seed < first + lives; seed++) {
  const life = lifeOf(seed);
  lap("made");
  const result = retain(life.holdings, life.policy, {
    now: life.now,
    moreThanHalf: seed % 4 > 0,
  });
  lap("decided");
  const faults = faultsOf(life, result);
  lap("checked");
  if (faults.length > 0) {
    console.error(`life ${seed}: ${faults.join("; ")}`);
    process.exit(1);
  }
  count.backups += life.holdings.backups.length;
  count.segments += life.holdings.segments.length;
  count.removed += result.remove.length;
  count.wal += result.wal.length;
  if (result.refused.length > 0) count.refused++;
}

const seconds = (ms: number) => (ms / 1000).toFixed(1);
console.log(
  `${lives} lives from seed ${first}: ${count.removed} of ${count.backups} backups and ${count.wal} of ${count.segments} segments removed, ` +
    `${count.refused} lives with a refusal, no fault`,
);
console.log(
  `made in ${seconds(spent.made)} s, decided in ${seconds(spent.decided)} s (${((spent.decided * 1000) / lives).toFixed(1)} µs each), checked in ${seconds(spent.checked)} s`,
);
