import { PgdbaError } from "../../engine/errors.ts";
import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import type { Kept } from "./schedule/keeper.ts";
import { allKept } from "./schedule/keepers.ts";

export default defineStep({
  type: "backup.schedule-remove",
  summary: "Take a schedule out of the crontab, or from the node that keeps it",
  example: `- backup.schedule-remove: {name: create-orders}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  uses: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["name"],
    properties: { name: { type: "string", minLength: 1 } },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["name"],
    properties: { name: { type: "string" } },
  },
  async run(ctx, { name }) {
    const there = await allKept(ctx);
    const found = there.filter(({ kept }) => kept.name === name);
    if (found.length === 0 && ctx.noted === undefined) throw unknown(name, there);
    ctx.note({ name });
    for (const { keeper } of found) await keeper.remove(name);
    return { name };
  },
  async plan(ctx, { name }): Promise<Json> {
    const there = await allKept(ctx);
    if (!there.some(({ kept }) => kept.name === name)) throw unknown(name, there);
    return { name };
  },
});

function unknown(name: string, there: { kept: Kept }[]): PgdbaError {
  const names = there.map(({ kept }) => kept.name);
  return new PgdbaError("invalid_param", `There is no schedule ${name}`, {
    hint:
      names.length === 0
        ? "Neither this user's crontab nor a node of the target has one of pgdba."
        : `There are ${names.join(", ")}.`,
    nothingDone: true,
  });
}
