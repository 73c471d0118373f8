/**
 * pgdba is killed at each moment of what it does to a real cluster on Docker: `bun bench/crashes.ts [acts] [requests] [seed]`, such as
 * `trigger,add 10 1`. Moments are the beginning and the end of each step that changes something, and some requests within them, drawn by the
 * seed. Three of four runs are resumed; of the others nobody cares, and the same command is given again. A trial holds when the run is done or
 * taken back whole, when clients are held back no longer than the cap, and when no acknowledged row is lost.
 */
import { ACTS, Crashes } from "../tests/support/crashes.ts";
import { Live } from "../tests/support/live.ts";
import { removePlaces } from "../tests/e2e/support.ts";
import { loadavg } from "node:os";

const wanted =
  (process.argv[2] ?? "all") === "all" ? Object.keys(ACTS) : process.argv[2]!.split(",");
const requests = Number(process.argv[3] ?? 4);
const seed = Number(process.argv[4] ?? 1);
const say = (line: string) => process.stdout.write(`${line}\n`);

/** The same numbers for the same seed (mulberry32). */
function numbers(from: number): () => number {
  let state = from * 0x9e3779b9;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const chance = numbers(seed);

/** All moments of steps, and some of requests. */
function drawn(moments: readonly string[]): string[] {
  const sent = moments.filter((moment) => moment.startsWith("sen"));
  while (sent.length > requests) sent.splice(Math.floor(chance() * sent.length), 1);
  return moments.filter((moment) => !moment.startsWith("sen") || sent.includes(moment));
}

const live = new Live("docker");
const crashes = new Crashes(live);
let trials = 0;
let broken = 0;
const begun = performance.now();
try {
  for (const name of wanted) {
    const act = ACTS[name]!;
    const moments = drawn(await crashes.moments(act));
    say(`${act.runbook}: ${moments.length} moments`);
    for (const moment of moments) {
      trials += 1;
      const resumes = trials % 4 !== 0;
      const from = performance.now();
      const { said, problems } = await crashes
        .trial(act, moment, resumes)
        .catch((error: Error) => ({
          said: [],
          problems: [error.message],
        }));
      const seconds = ((performance.now() - from) / 1000).toFixed(0);
      say(`  ${moment}${resumes ? "" : " (left alone)"}: ${said.join(", ")}; ${seconds} s`);
      for (const problem of problems) say(`    BROKE: ${problem}`);
      if (problems.length === 0) continue;
      broken += 1;
      if (live.entry() !== undefined) await live.destroy();
    }
  }
} finally {
  if (live.entry() !== undefined) await live.destroy();
  await live.close();
  removePlaces();
}
const minutes = ((performance.now() - begun) / 60_000).toFixed(1);
say(`${trials - broken} of ${trials} held, in ${minutes} min; load ${loadavg()[0]!.toFixed(1)}`);
process.exitCode = broken === 0 ? 0 : 1;
