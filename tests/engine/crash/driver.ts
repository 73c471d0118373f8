/**
 * Runs or resumes a drill in a process of its own that kills itself with SIGKILL at the nth failpoint: before and after every
 * journal write, and before and after every act. Usage: driver.ts '<json job>'; prints {failpoints, exit, status, error}.
 */
import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  writeSync,
} from "node:fs";
import { Journal } from "../../../engine/journal/journal.ts";
import { Secrets } from "../../../engine/secrets.ts";
import type { Drill } from "./generate.ts";
import { type Answers, withFailpoints, worldOf } from "./world.ts";

interface DriverJob {
  stateDir: string;
  effects: string;
  drill: Drill;
  killAt: number;
  assume: Answers;
}

const job = JSON.parse(process.argv[2]!) as DriverJob;
let failpoints = 0;
function failpoint(): void {
  failpoints += 1;
  if (failpoints === job.killAt) process.kill(process.pid, "SIGKILL");
}

const world = await worldOf(job.drill, {
  add(line) {
    failpoint();
    const fd = openSync(job.effects, "a");
    writeSync(fd, `${line}\n`);
    fsyncSync(fd);
    closeSync(fd);
    failpoint();
  },
  lines: () => (existsSync(job.effects) ? readFileSync(job.effects, "utf8").split("\n") : []),
});
const journal = withFailpoints(new Journal(job.stateDir, new Secrets()), failpoint);
const { stateDir, assume } = job;
const resume = journal.runs(1).length > 0;
// A target with a name is locked, so that the fence of the lock is in play.
const target = { cluster: "drill", ownership: "managed" } as const;
const { exit, status, envelope } = await world.run({ journal, stateDir, target, resume, assume });
appendFileSync(1, JSON.stringify({ failpoints, exit, status, error: envelope.error }));
