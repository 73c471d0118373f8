/**
 * Runbooks that mend a server are killed with SIGKILL at the beginning and the end of each step that changes something, and at some statements
 * within them: `bun bench/mending-crashes.ts [acts] [statements] [seed] [servers] [every]`, such as `sequence/widen,role/password 6 1 13,18 2`:
 * with 2 for the last one, of two versions each takes every second moment. After each
 * kill the run is resumed, or the same command is given again, or the run is given up, in turn. A trial holds when the run is told as dead, and
 * the server then is as after a run that nobody disturbed, or as before it, with nothing of pgdba left on it.
 */
import { loadavg } from "node:os";
import { removePlaces } from "../tests/e2e/support.ts";
import { ACTS, belongs, drawn, openScene, type Place } from "../tests/support/mending/drill.ts";
import { clean, trial, WAYS } from "../tests/support/mending/trial.ts";

const [acts = "all", statements = "4", seed = "1", versions = "13,18,debian", every = "1"] =
  process.argv.slice(2);
const names = Object.keys(ACTS).filter(
  (name) => acts === "all" || acts.split(",").some((word) => name.startsWith(word)),
);
const say = (line: string) => process.stdout.write(`${line}\n`);
const begun = performance.now();
let trials = 0;
let held = 0;

async function on(version: Place, nth: number): Promise<void> {
  const here = names.filter((name) => belongs(ACTS[name]!, version));
  if (here.length === 0) return;
  const scene = await openScene(
    version,
    here.map((name) => ACTS[name]!),
  );
  try {
    let turn = Number(seed);
    for (const name of here) {
      const act = ACTS[name]!;
      const from = performance.now();
      const known = await clean(scene, name, act).catch((error: Error) => {
        say(`BROKE ${version} ${name}: a clean run: ${error.message}`);
      });
      if (known === undefined) {
        trials += 1;
        continue;
      }
      const moments = drawn(known.moments, Number(statements), Number(seed)).filter(
        (_, n) => n % Number(every) === nth % Number(every),
      );
      let well = 0;
      for (const moment of moments) {
        const way = WAYS[turn++ % WAYS.length]!;
        trials += 1;
        const { said, problems } = await trial(scene, name, act, known, moment, way).catch(
          (error: Error) => ({ said: [], problems: [error.stack ?? error.message] }),
        );
        if (problems.length === 0) well += 1;
        say(
          `${problems.length === 0 ? "held" : "BROKE"} ${version} ${name}: ${moment}, ${way}: ${said.join(", ")}`,
        );
        for (const problem of problems) say(`    ${problem}`);
      }
      held += well;
      const seconds = ((performance.now() - from) / 1000).toFixed(0);
      say(
        `= ${version} ${name}: ${well} of ${moments.length}, ${known.moments.length} moments, ${seconds} s`,
      );
    }
  } finally {
    await scene.stop();
  }
}

await Promise.all(
  versions
    .split(",")
    .map((version, nth) => on(version === "debian" ? version : (Number(version) as Place), nth)),
);
removePlaces();
const minutes = ((performance.now() - begun) / 60_000).toFixed(1);
say(`${held} of ${trials} held, in ${minutes} min; load ${loadavg()[0]!.toFixed(1)}`);
process.exitCode = held === trials ? 0 : 1;
