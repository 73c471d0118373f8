import { randomInt } from "node:crypto";
import { defineStep } from "../define.ts";

/** As a person types it again. */
const MOST_SEED = 1_000_000;

export default defineStep({
  type: "chaos.draw",
  summary: "Draw what a drill leaves open, by a seed that gives the same again",
  docs: `Without a seed one is drawn, and told: the same seed and the same \`from\` give the same \`one\` and the same \`share\`. A resumed run has what was drawn before.`,
  example: `- id: drawn
  chaos.draw: {seed: 7, from: [pg2, pg3]}
`,
  effect: "read",
  idempotent: true,
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      seed: { type: ["integer", "null"], default: null, description: "Null draws one" },
      from: {
        type: "array",
        items: { type: "string" },
        default: [],
        description: "One of these is drawn, whatever their order",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["seed", "one", "share"],
    properties: {
      seed: { type: "integer" },
      one: { type: ["string", "null"], description: "Null where there is none to draw from" },
      share: { type: "number", description: "From 0 up to 1" },
    },
  },
  async run(_ctx, { seed, from = [] }) {
    const by = seed ?? randomInt(MOST_SEED);
    const all = from.toSorted();
    const one = all[Math.floor(numberOf(by, "one") * all.length)] ?? null;
    return { seed: by, one, share: numberOf(by, "share") };
  },
});

/** From 0 up to 1; each use of a seed has a number of its own. */
function numberOf(seed: number, use: string): number {
  return Number(Bun.hash(`${seed} ${use}`) >> 11n) / 2 ** 53;
}
