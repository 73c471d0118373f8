import { defineStep } from "../define.ts";
import { backupPlace } from "./place.ts";
import { mark, newestMark, recordOf } from "./records.ts";
import type { StepContext } from "../../engine/types.ts";

interface Input {
  id: string;
  pinned: boolean;
}

export default defineStep({
  type: "backup.pin",
  summary: "Keep a backup whatever a policy says, or leave it to the policy again",
  docs: `What it builds on and the WAL between its start and its end stay with it. WAL after its end goes by the policy: a pinned backup can be restored
as it is, for as long as it is pinned, and not brought forward.`,
  example: `- backup.pin: {id: 20261128T184500Z-full-1a2b3c, pinned: true}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  uses: ["repository", "postgres"],
  locks: "backup",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["id", "pinned"],
    properties: { id: { type: "string", minLength: 1 }, pinned: { type: "boolean" } },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["id", "pinned", "was"],
    properties: { id: { type: "string" }, pinned: { type: "boolean" }, was: { type: "boolean" } },
  },
  async run(ctx, { id, pinned }: Input) {
    const was = await isPinnedNow(ctx, id);
    if (ctx.noted === undefined) ctx.note({ was });
    if (was === pinned) ctx.unchanged();
    else await say(ctx, id, pinned);
    return { id, pinned, was };
  },
  async plan(ctx, { id, pinned }: Input) {
    return { id, pinned, was: await isPinnedNow(ctx, id) };
  },
  async undo(ctx, { id }: Input) {
    const { was } = (ctx.noted ?? {}) as { was?: boolean };
    if (was === undefined || (await isPinnedNow(ctx, id)) === was) return ctx.unchanged();
    await say(ctx, id, was);
  },
});

/** The time in the names of marks has whole seconds: of two that contradict each other in one, nobody could tell the later. */
async function say(ctx: StepContext, id: string, pinned: boolean): Promise<void> {
  const place = await backupPlace(ctx);
  const before = await newestMark(place, id, pinned ? "unpinned" : "pinned");
  const since = before === null ? Infinity : ctx.clock.now().getTime() - Date.parse(before.at);
  if (since < 1_000) await ctx.clock.sleep(1_000 - since + 1, ctx.signal);
  await mark(ctx, place, { backup: id, kind: pinned ? "pinned" : "unpinned", facts: {} });
}

async function isPinnedNow(ctx: StepContext, id: string): Promise<boolean> {
  const place = await backupPlace(ctx);
  await recordOf(place, id);
  const [pinned, unpinned] = [
    await newestMark(place, id, "pinned"),
    await newestMark(place, id, "unpinned"),
  ];
  return pinned !== null && pinned.at > (unpinned?.at ?? "");
}
