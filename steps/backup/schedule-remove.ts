import { PgdbaError } from "../../engine/errors.ts";
import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { changeCrontab, changed, entriesIn, readCrontab } from "./schedule/crontab.ts";

export default defineStep({
  type: "backup.schedule-remove",
  summary: "Take a schedule out of the crontab",
  example: `- backup.schedule-remove: {name: create-orders}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
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
    const there = entriesIn(await readCrontab(ctx));
    const found = there.some((one) => one.name === name);
    if (!found && ctx.noted === undefined)
      throw unknown(
        name,
        there.map((one) => one.name),
      );
    ctx.note({ name });
    await changeCrontab(ctx, (text) => changed(text, name, null, null));
    return { name };
  },
  async plan(ctx, { name }): Promise<Json> {
    const there = entriesIn(await readCrontab(ctx)).map((one) => one.name);
    if (!there.includes(name)) throw unknown(name, there);
    return { name };
  },
});

function unknown(name: string, there: string[]): PgdbaError {
  return new PgdbaError("invalid_param", `There is no schedule ${name}`, {
    hint:
      there.length === 0
        ? "This user's crontab has none of pgdba."
        : `There are ${there.join(", ")}.`,
    nothingDone: true,
  });
}
