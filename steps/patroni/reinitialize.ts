import { PgdbaError } from "../../engine/errors.ts";
import { parseDuration } from "../../engine/shared/units.ts";
import type { Json, ProbeResult } from "../../engine/types.ts";
import { isLeader } from "../../providers/patroni/members.ts";
import { defineStep } from "../define.ts";
import { MEMBER } from "./schema.ts";
import { memberNamed, nameMeant } from "./named.ts";
import { type Begun, follow, look } from "./reinitialize/follow.ts";

/** How long a request that may have been made is waited for until it shows, and how often it is looked at. */
const BEGINS_MS = 5000;
const LOOK_MS = 250;

export default defineStep({
  type: "patroni.reinitialize",
  summary: "Make a standby anew from a fresh copy, and wait until it streams",
  docs: `Removes the data of the standby and copies those of the leader, or of a standby that is tagged \`clonefrom\`. The leader is refused. It goes on by itself
once it has begun: a resumed run waits for the same copy. While it lasts the cluster has one standby less, and the copy reads the whole
database from the server that it is taken from.`,
  example: `- patroni.reinitialize: {member: pg2, timeout: 6h}
`,
  effect: "change",
  idempotent: false,
  risk: "disruptive",
  locks: "roles",
  job: true,
  needs: ["patroni"],
  uses: ["member"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["member"],
    properties: {
      member: MEMBER,
      force: {
        type: "boolean",
        default: false,
        description: "End what Patroni is doing there, such as a copy that hangs",
      },
      from_leader: {
        type: "boolean",
        default: false,
        description: "Copy from the leader only (Patroni 4.1)",
      },
      timeout: { type: "string", format: "duration", default: "12h" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["member", "leader", "seconds"],
    properties: {
      member: { type: "string" },
      leader: { type: "string", description: "The one that it streams from" },
      seconds: { type: "number", description: "Until it streamed; of this process" },
    },
  },
  async run(ctx, { member: asked, force = false, from_leader = false, timeout = "12h" }) {
    const name = await nameMeant(ctx, asked);
    const client = await ctx.use("patroni");
    const ends = ctx.clock.monotonic() + parseDuration(timeout);
    if (ctx.attached !== undefined) return follow(ctx, name, ctx.noted as never, ends);
    const { members } = await client.cluster(ctx.signal);
    const member = memberNamed(members, name);
    if (isLeader(member))
      throw new PgdbaError(
        "step_refused",
        `${name} leads the cluster, so that it is not made anew`,
        {
          hint: "Hand the role over first: pgdba failover trigger.",
          nothingDone: true,
        },
      );
    const before = await client.status(member.api, ctx.signal);
    const begun: Begun = { started: before.postmaster_start_time };
    ctx.note({ ...begun });
    await client.reinitialize(member.api, { force, from_leader }, ctx.signal);
    return follow(ctx, name, begun, ends);
  },
  async plan(ctx, { member: asked }): Promise<Json> {
    const name = await nameMeant(ctx, asked);
    const { members, leader } = await (await ctx.use("patroni")).cluster(ctx.signal);
    const { role, state } = memberNamed(members, name);
    return { member: name, role, state, leader };
  },
  async probe(ctx, { member: asked }): Promise<ProbeResult> {
    const name = await nameMeant(ctx, asked);
    const begun = ctx.noted as unknown as Begun | undefined;
    if (begun === undefined) return { state: "not_done" };
    let now = await look(ctx, name, begun);
    // Patroni answers before it stops the server, and refuses a second request meanwhile.
    const ends = ctx.clock.monotonic() + BEGINS_MS;
    while (!now.done && !now.begun && now.state !== null && ctx.clock.monotonic() < ends) {
      await ctx.clock.sleep(LOOK_MS, ctx.signal);
      now = await look(ctx, name, begun);
    }
    if (now.done)
      return { state: "done", output: { member: name, leader: now.leader, seconds: 0 } };
    if (now.state === null)
      return { state: "unknown", reason: `${name}'s Patroni does not answer` };
    return now.begun ? { state: "running" } : { state: "not_done" };
  },
});
