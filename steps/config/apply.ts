import type { Json, StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import {
  apply,
  inForce,
  prepare,
  type Prepared,
  restore,
  toWrite,
  warnOfOverrides,
} from "./place/apply.ts";
import { markTakenBack, mayGoOn, ofOthers, ownBefore } from "./place/before.ts";
import { type Confirmed } from "./place/place.ts";
import { openPlace } from "./place/open.ts";
import { cutOff } from "./place/kept-wal.ts";
import { orderOfStandbys } from "./place/standbys.ts";

const VALUE = { type: ["string", "number", "boolean", "null"] } as const;

export default defineStep({
  type: "config.apply",
  summary: "Change settings of the server, all of them or none",
  docs: `Every name and value is checked against \`pg_settings\` first (type, unit, range, choices, context): one bad one, and nothing is
touched. On a bare server ALTER SYSTEM sets them and a reload brings them into force; on a cluster that Patroni runs (the cluster's
file names its REST API) they go into the dynamic configuration, and every member is waited for. The step succeeds when the servers
really have the values, or need only a restart for them (\`awaiting_restart\`; \`patroni.restart\` does that). When one fails, all are put back.

What was there before is in the output, and in the state folder before anything changes: undo, \`pgdba resume\` and
\`pgdba config rollback --run ID\` restore it, also after a crash; undo leaves what others have set since, also to the same value.

- A standby must not have less than its primary of max_connections and its like: where standbys follow the server, a warning says who
  takes the new value first.
- Where slots or standbys hold more WAL now than max_slot_wal_keep_size, idle_replication_slot_timeout or wal_keep_size let them, a warning
  says who would be cut off.
- A value of null takes a setting out again.
- A value of ALTER ROLE or ALTER DATABASE wins over the server's in the sessions of that role or database. Those are left as they are, and
  are in \`overrides\` with the statement that takes each out.
- \`settings\` may also be the output of \`config.tune\`; \`file\` is YAML, JSON, or lines of postgresql.conf.
- Libraries to preload must be installed, and the role must be able to see that: with another one no session begins. A new session is
  opened at the end, and when it can't be, all is put back.`,
  example: `- config.apply:
    settings: {work_mem: 64MB, random_page_cost: 1.1}
`,
  effect: "change",
  idempotent: true,
  needs: ["postgres"],
  locks: "config",
  uses: ["patroni", "member"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      settings: {
        type: ["object", "null"],
        description: "Values by name; null takes a setting out",
      },
      file: {
        type: ["string", "null"],
        description: "A file of settings, relative to the working directory",
      },
      takes_back: {
        type: ["string", "null"],
        description:
          "The run that the old settings come from: it is marked, and can no longer be resumed",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["place", "changes", "awaiting_restart", "overrides", "members"],
    properties: {
      place: { type: "string", enum: ["alter_system", "patroni"] },
      changes: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["name", "current", "wanted", "before", "action", "takes_effect"],
          properties: {
            name: { type: "string" },
            current: {
              type: ["string", "null"],
              description: "The value that a new session got before",
            },
            wanted: { type: ["string", "null"] },
            before: {
              type: "object",
              description:
                "The value in postgresql.auto.conf, or in Patroni's dynamic configuration",
              additionalProperties: false,
              required: ["set", "value"],
              properties: { set: { type: "boolean" }, value: VALUE },
            },
            action: { type: "string", enum: ["set", "reset", "none"] },
            takes_effect: { type: "string", enum: ["reload", "new_session", "restart", "never"] },
          },
        },
      },
      awaiting_restart: {
        type: "array",
        items: { type: "string" },
        description: "Settings whose new value waits for a restart",
      },
      overrides: {
        type: "array",
        description:
          "Values of ALTER ROLE and ALTER DATABASE that win over the new ones, each with the statement that takes it out",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["name", "database", "role", "value", "reset"],
          properties: {
            name: { type: "string" },
            database: { type: ["string", "null"] },
            role: { type: ["string", "null"] },
            value: { type: "string" },
            reset: { type: "string" },
          },
        },
      },
      members: {
        type: "array",
        description: "Patroni's members",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["name", "role", "pending_restart"],
          properties: {
            name: { type: "string" },
            role: { type: "string" },
            pending_restart: { type: "boolean" },
          },
        },
      },
    },
  },
  async run(ctx, input) {
    const prepared = await prepare(ctx, input);
    await warnOfOthers(ctx, prepared);
    const confirmed = await apply(ctx, prepared);
    warnOfOverrides(ctx, prepared);
    if (input.takes_back) await markTakenBack(ctx, input.takes_back);
    for (const name of confirmed.awaiting_restart) ctx.log(`${name} waits for a restart`);
    return report(prepared, confirmed);
  },
  async plan(ctx, input): Promise<Json> {
    const prepared = await prepare(ctx, input);
    await prepared.place.mayWrite(toWrite(prepared));
    warnOfOverrides(ctx, prepared);
    await warnOfOthers(ctx, prepared);
    const awaiting = prepared.changes.filter(
      (change) => change.takes_effect === "restart" && change.action !== "none",
    );
    return report(prepared, {
      awaiting_restart: awaiting.map((change) => change.name),
      members: [],
    });
  },
  async probe(ctx: StepContext, input) {
    const prepared = await prepare(ctx, input);
    await mayGoOn(ctx, prepared.place);
    const done =
      toWrite(prepared).size === 0 ? await inForce(prepared.place, prepared.values) : undefined;
    // What was there before is on disk once anything may have been written.
    if (done === undefined)
      return { state: "not_done", partly: (await ownBefore(ctx)) !== undefined };
    if (input.takes_back) await markTakenBack(ctx, input.takes_back);
    return { state: "done", output: report(prepared, done) };
  },
  async undo(ctx) {
    const kept = await ownBefore(ctx);
    // The old values are on disk before anything is written.
    if (kept === undefined) return ctx.unchanged();
    const place = await openPlace(ctx);
    const others = ofOthers(place, kept);
    if (others.length > 0)
      ctx.warn(
        `${others.join(", ")} ${others.length === 1 ? "stays as it is" : "stay as they are"}: others have set ${others.length === 1 ? "it" : "them"} since`,
      );
    if (others.length === Object.keys(kept.before).length) return ctx.unchanged();
    await restore(place, kept, others);
  },
  takeBack: "config rollback --run",
});

function report({ place, changes, overrides }: Prepared, confirmed: Confirmed): Json {
  return {
    place: place.kind,
    changes: changes.map((change) => ({ ...change, before: { ...change.before } })),
    awaiting_restart: confirmed.awaiting_restart,
    overrides: overrides.map((one) => ({ ...one })),
    members: confirmed.members.map((member) => ({ ...member })),
  };
}

/** What the new values mean for standbys and for readers of WAL. */
async function warnOfOthers(ctx: StepContext, prepared: Prepared): Promise<void> {
  const wanted = toWrite(prepared);
  for (const said of await orderOfStandbys(ctx, prepared.place, wanted)) ctx.warn(said);
  for (const said of await cutOff(ctx, prepared.place, wanted)) ctx.warn(said);
}
