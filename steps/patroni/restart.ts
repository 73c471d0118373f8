import type { Json, JsonObject } from "../../engine/types.ts";
import { isLeader, type PatroniMember } from "../../providers/patroni/members.ts";
import { defineStep } from "../define.ts";
import {
  choose,
  open,
  restartedSince,
  restartOne,
  startTimes,
  waitUntilBack,
} from "./restart/restart.ts";
import { pending, waiting } from "./restart/waiting.ts";

export default defineStep({
  type: "patroni.restart",
  summary: "Restart PostgreSQL member by member, standbys first",
  docs: `Restarts the members that wait for one, through Patroni, each only when the one before is back: running, and a standby streaming from
the leader. The leader comes last. Where a standby must not have less than the primary (\`max_connections\` made smaller), Patroni keeps
it waiting until the leader has restarted; it is then restarted once more. A member that says it waits, though each setting is back where it was, is left alone.

The connections of a member end with its restart; writing stops while the leader restarts, usually for a second or two. Sessions that a
pooler holds open for clients are cut too.`,
  example: `- patroni.restart: {timeout: 2m}
`,
  effect: "change",
  // The note tells which members have restarted since it began.
  idempotent: true,
  risk: "disruptive",
  needs: ["postgres", "patroni", "member"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      members: {
        type: ["array", "null"],
        items: { type: "string" },
        description: "Only these; by default all",
      },
      only_pending: {
        type: "boolean",
        default: true,
        description: "Only members that wait for a restart",
      },
      timeout: {
        type: "string",
        format: "duration",
        default: "5m",
        description: "For each member",
      },
      leader: {
        type: "boolean",
        default: true,
        description:
          "False leaves the leader as it is, for a step that comes later; the output's `leader` says that it is to be restarted",
      },
      stream: {
        type: "boolean",
        default: true,
        description:
          "Of the leader: it is back when its standbys stream from it; with false as soon as it runs, so that clients need not wait for those",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["restarted", "pending_restart", "leader"],
    properties: {
      restarted: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["name", "role", "seconds"],
          properties: {
            name: { type: "string" },
            role: { type: "string" },
            seconds: { type: "number", description: "Until it was back and streaming" },
          },
        },
      },
      pending_restart: {
        type: "array",
        items: { type: "string" },
        description: "Members that still wait for one",
      },
      leader: {
        type: ["string", "null"],
        description: "The leader, where it was to be restarted and was left as it is",
      },
    },
  },
  async run(ctx, input) {
    const world = await open(ctx, input);
    const restarted: JsonObject[] = [];
    const restartAll = async (members: PatroniMember[]): Promise<void> => {
      for (const member of members) {
        const seconds = await restartOne(world, member);
        restarted.push({ name: member.name, role: member.role, seconds });
      }
    };
    const noted = ctx.noted as JsonObject | undefined;
    // By an earlier process, or an earlier attempt: those wait for no restart any more, and need not be back yet.
    const done = noted === undefined ? [] : await restartedSince(world, noted);
    for (const member of done) {
      const seconds = await waitUntilBack(world, member, String(noted![member.name]));
      restarted.push({ name: member.name, role: member.role, seconds });
    }
    const chosen = await choose(world, input);
    const left = input.leader === false ? chosen.find(isLeader) : undefined;
    const todo = chosen.filter(
      (member) => member !== left && done.every(({ name }) => name !== member.name),
    );
    if (noted === undefined) ctx.note(await startTimes(world, todo));
    await restartAll(todo);
    // The members that had to wait for the leader.
    const again = chosen.filter((member) => !isLeader(member));
    if (left === undefined && chosen.some(isLeader)) await restartAll(await pending(world, again));
    if (restarted.length === 0) ctx.unchanged();
    const still = await pending(world, await world.client.members(ctx.signal));
    return {
      restarted,
      pending_restart: still.map((member) => member.name),
      leader: left?.name ?? null,
    };
  },
  async plan(ctx, input): Promise<Json> {
    const world = await open(ctx, input);
    // A change that an earlier step would make is not pending yet, so a plan shows all members.
    const chosen = await choose(world, { ...input, only_pending: false });
    const now = await waiting(world, chosen);
    return {
      only_pending: input.only_pending !== false,
      order: chosen.map((member) => {
        const waits = now.find((one) => one.member === member);
        return {
          name: member.name,
          role: member.role,
          pending_restart: waits !== undefined,
          settings: waits?.settings ?? [],
        };
      }),
    };
  },
});
