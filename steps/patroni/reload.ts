import type { Json, StepContext } from "../../engine/types.ts";
import type { PatroniMember } from "../../providers/patroni/members.ts";
import { defineStep } from "../define.ts";
import { memberNamed, nameMeant } from "./named.ts";

export default defineStep({
  type: "patroni.reload",
  summary: "Have Patroni read its own configuration again, on some members or on all",
  docs: `For what stands in a member's own file, such as tags. It is taken in the member's next loop; what is wrong in the file is said only in
Patroni's log there. The dynamic configuration needs no reload.`,
  example: `- patroni.reload: {members: [pg2]}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "config",
  needs: ["patroni"],
  uses: ["member"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      members: {
        type: ["array", "null"],
        items: { type: "string" },
        description: "Only these; by default all",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["reloaded"],
    properties: { reloaded: { type: "array", items: { type: "string" } } },
  },
  async run(ctx, { members }) {
    const client = await ctx.use("patroni");
    const chosen = await choose(ctx, members);
    for (const { api } of chosen) await client.reload(api, ctx.signal);
    return { reloaded: chosen.map(({ name }) => name) };
  },
  async plan(ctx, { members }): Promise<Json> {
    return { reloads: (await choose(ctx, members)).map(({ name }) => name) };
  },
});

async function choose(
  ctx: StepContext,
  names: readonly Json[] | null | undefined,
): Promise<PatroniMember[]> {
  const all = await (await ctx.use("patroni")).members(ctx.signal);
  if (!names) return all;
  const meant = await Promise.all(names.map((name) => nameMeant(ctx, String(name))));
  return meant.map((name) => memberNamed(all, name));
}
