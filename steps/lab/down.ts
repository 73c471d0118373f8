import { labDown, labStatus, labUp } from "../../providers/nodes/embedded/lab/lab.ts";
import { defineStep } from "../define.ts";

interface Before {
  exists: boolean;
  running: boolean;
}

export default defineStep({
  type: "lab.down",
  summary: "Stop the lab, or remove it with its data",
  docs: `With \`remove\` its data, its password and its entry in the registry go as well; \`lab.up\` makes a new one. Undo starts one that was
stopped; one that was removed stays so.`,
  example: `- lab.down: {remove: true}
`,
  effect: "change",
  idempotent: true,
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      remove: { type: "boolean", default: false, description: "Delete it, with its data" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["stopped", "removed"],
    properties: {
      stopped: { type: "boolean", description: "False when it did not run" },
      removed: { type: "boolean" },
    },
  },
  async run(ctx, { remove = false }) {
    const { stateDir } = ctx.run;
    const earlier = ctx.noted as Before | undefined;
    if (earlier === undefined) {
      const { exists, running } = await labStatus({ stateDir });
      ctx.note({ exists, running });
    }
    const did = await labDown({ stateDir, remove });
    // As the first attempt found it: a later one finds what that has done.
    const stopped = did.stopped || earlier?.running === true;
    const removed = did.removed || (remove && earlier?.exists === true);
    if (!stopped && !removed) ctx.unchanged();
    return { stopped, removed };
  },
  async plan(ctx, { remove = false }) {
    const { exists, running } = await labStatus({ stateDir: ctx.run.stateDir });
    return { stopped: running, removed: exists && remove };
  },
  async undo(ctx) {
    const before = ctx.noted as Before | undefined;
    const { exists, running } = await labStatus({ stateDir: ctx.run.stateDir });
    if (before?.exists === true && !exists)
      ctx.warn("The lab was removed, and is not made again: pgdba lab up makes a new one");
    if (before?.running !== true || !exists || running) return ctx.unchanged();
    await labUp({ stateDir: ctx.run.stateDir, log: (message) => ctx.log(message) });
  },
});
