import { labDown, labStatus, labUp } from "../../providers/nodes/embedded/lab/lab.ts";
import { defineStep } from "../define.ts";

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
    const did = await labDown({ stateDir: ctx.run.stateDir, remove });
    if (!did.stopped && !did.removed) ctx.unchanged();
    return did;
  },
  async plan(ctx, { remove = false }) {
    const { exists, running } = await labStatus({ stateDir: ctx.run.stateDir });
    return { stopped: running, removed: exists && remove };
  },
  async undo(ctx, _input, output) {
    if (output?.removed === true)
      ctx.warn("The lab was removed, and is not made again: pgdba lab up makes a new one");
    const { exists, running } = await labStatus({ stateDir: ctx.run.stateDir });
    if (output?.removed === true || output?.stopped === false || !exists || running)
      return ctx.unchanged();
    await labUp({ stateDir: ctx.run.stateDir, log: (message) => ctx.log(message) });
  },
});
