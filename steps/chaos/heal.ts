import { PgdbaError } from "../../engine/errors.ts";
import type { Json } from "../../engine/types.ts";
import type { Healed } from "../../providers/nodes/contract.ts";
import { defineStep } from "../define.ts";
import { shownArmed } from "./fault/left.ts";

interface Input {
  id?: string | null;
  run?: string | null;
}

const which = ({ id, run }: Input): { id: string } | { run: string } | undefined =>
  id != null ? { id } : run != null ? { run } : undefined;

export default defineStep({
  type: "chaos.heal",
  summary: "Take faults back now, and verify that they are gone",
  docs: `All that is armed on the cluster, of whichever run, or one of them by its id, or those of one run. It is found by label, without any journal. What
could not be taken back stays armed, and fails the step.`,
  example: `- chaos.heal: {}
`,
  effect: "change",
  idempotent: true,
  // Whoever heals must never wait for the one that breaks.
  locks: "none",
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      id: { type: ["string", "null"], description: "This one alone" },
      run: { type: ["string", "null"], description: "Those of this run alone" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["healed"],
    properties: {
      healed: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["id", "node", "lasted"],
          properties: {
            id: { type: "string" },
            node: { type: "string" },
            lasted: {
              type: ["boolean", "null"],
              description:
                "Whether it was in force until now, by a look at the node; null where nobody can tell, as of a process that somebody starts again",
            },
          },
        },
      },
    },
  },
  async run(ctx, input: Input) {
    const done = await (await ctx.use("nodes")).heal(which(input));
    if (done.length === 0) ctx.unchanged();
    assertHealed(done);
    return { healed: done.map(({ id, node, lasted }) => ({ id, node, lasted })) };
  },
  async plan(ctx, { id, run }: Input): Promise<Json> {
    const armed = await (await ctx.use("nodes")).armed();
    const mine = armed.filter(
      (one) => (id == null || one.id === id) && (run == null || one.labels.run === run),
    );
    return { would_heal: shownArmed(mine) };
  },
});

/** @throws PgdbaError step_failed naming each that is still there */
export function assertHealed(done: readonly Healed[]): void {
  const left = done.filter(({ healed }) => !healed);
  if (left.length === 0) return;
  const told = left.map(({ id, node, why }) => `${id} on ${node}${why ? ` (${why})` : ""}`);
  throw new PgdbaError("step_failed", `Not taken back: ${told.join("; ")}`, {
    hint: "Look at the node, mend what is said there, and give `pgdba chaos heal` again: they stay armed until then.",
  });
}
