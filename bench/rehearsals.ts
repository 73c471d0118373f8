/**
 * Rehearsals that are killed, interrupted, or meet servers that die, stand still, restart or are moved by somebody else:
 * `bun bench/rehearsals.ts [trials] [first seed]`. Each seed is one trial, and gives the same one again.
 */
import { removePlaces } from "../tests/e2e/support.ts";
import { trialOf } from "../tests/support/drill/plan.ts";
import { Drill } from "../tests/support/drill/trial.ts";
import { Rehearsed } from "../tests/support/rehearsed.ts";

const [trials = 100, first = 1] = process.argv.slice(2).map(Number);
const say = (line: string) => process.stdout.write(`${line}\n`);

let cluster: Rehearsed | undefined;
let held = 0;
const begun = performance.now();
try {
  for (let seed = first; seed < first + trials; seed++) {
    const trial = trialOf(seed);
    const isNew = cluster === undefined;
    cluster ??= new Rehearsed();
    if (trial.runbook === "create") {
      if (!isNew) await cluster.destroy();
    } else if (cluster.entry() === undefined) await cluster.create();
    else if (cluster.writable()[0] !== "pg1") await cluster.run("move", "pg1");
    const at = performance.now();
    const { problems, ends } = await new Drill(cluster, trial).run();
    const seconds = ((performance.now() - at) / 1000).toFixed(1);
    const { runbook, act, step, delayMs, victim } = trial;
    say(
      `${problems.length === 0 ? "held" : "BROKE"} seed ${seed}: ${runbook}, ${act}${act.includes("server") ? ` (pg${victim + 1})` : ""} at step ${step} + ${delayMs} ms, ${seconds} s; ${ends.join(" | ")}`,
    );
    if (problems.length === 0) held += 1;
    else {
      for (const problem of problems) say(`    ${problem}`);
      // The next trial begins with a cluster that nothing has happened to.
      const nodes = await cluster.nodes();
      for (const { node } of await nodes.list()) await nodes.thaw(node).catch(() => {});
      await nodes.deprovision().catch(() => []);
      await cluster.close();
      cluster = undefined;
    }
  }
} finally {
  if (cluster?.entry()) await cluster.destroy();
  await cluster?.close();
  removePlaces();
}
const minutes = ((performance.now() - begun) / 60_000).toFixed(1);
say(`${held} of ${trials} held, in ${minutes} min`);
process.exitCode = held === trials ? 0 : 1;
