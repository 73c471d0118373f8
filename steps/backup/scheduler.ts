import { join } from "node:path";
import { toPgdbaError } from "../../engine/errors.ts";
import { defineStep } from "../define.ts";
import { ownProgram } from "./schedule/entry.ts";
import { Scheduler } from "./schedule/scheduler.ts";

export default defineStep({
  type: "backup.scheduler",
  summary: "Go by the schedules of the state folder, until the run is interrupted",
  docs: `Runs on a node that is there for it. Each schedule is a file of \`schedules/\`; what it ran last, what that said and what was missed stands beside it.
Commands are done one after the other, also those of different schedules: one that waits begins late. A time that passes while the run before is still at
work, or that has passed for a minute when the scheduler comes back, is missed: it is put down and told, and not made up for, as cron does.`,
  example: `- backup.scheduler: {}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  interruptible: true,
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    properties: {},
    description: "None: it ends only by being interrupted",
  },
  // What was at work when it died has died with it.
  probe: async () => ({ state: "not_done" }),
  async run(ctx) {
    const { signal } = ctx;
    await new Scheduler({
      folder: join(ctx.run.stateDir, "schedules"),
      program: ownProgram(),
      now: () => ctx.clock.now(),
      signal,
      spawn: (argv, options) => ctx.spawn(argv, options),
      log: (message, level) => ctx.log(message, level),
    }).run();
    throw toPgdbaError(signal.reason, "interrupted");
  },
});
