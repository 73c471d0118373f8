import type { Json } from "../../engine/types.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { beforeActing } from "../before-acting.ts";
import { defineStep } from "../define.ts";
import { session } from "../sql/session.ts";
import { accountsOf, refuseOwn } from "./own.ts";
import { type Ask, type Found, find, isPublic, type Wanted } from "./revoke/look.ts";
import {
  explained,
  readBack,
  refuseOwnLost,
  refuseUngranted,
  refuseUntold,
  untold,
} from "./revoke/judge.ts";
import { wantedOf } from "./revoke/wanted.ts";
import { answerOf } from "./revoke/answer.ts";
import { givingBack, granting, revoking } from "./revoke/statements.ts";
import { forgetDone, keepDone, readDone } from "./revoke/way-back.ts";

const NAMES = { type: "array", items: { type: "string", minLength: 1 } } as const;
const LISTS = { type: "array", items: { type: "object" } } as const;
const PATH = "SET LOCAL search_path TO pg_catalog";

export default defineStep({
  type: "role.revoke",
  summary:
    "Take rights from a role or from PUBLIC, and give them first to those who are to keep them",
  docs: `Rights on tables with views, sequences and functions of a schema, on the schema, on the database of the connection, and with \`makers\` the default privileges for
what these roles make later. First it is found out who has a right by this grant alone, with no grant of its own, no membership and nothing from PUBLIC beside it. Those who
log in, own a view over it, or own SECURITY DEFINER functions live on it: without \`keep\` or \`others_lose\` the step is refused as long as there is one.
\`keep\` are granted themselves what they would lose; \`*\` are all those roles. Of what extensions have made PUBLIC loses only what is named.

All of it is one transaction, which is read back before it is committed. Who gave a right is the one who takes it, as PostgreSQL asks for. What an owner has on its own things stays.
When the run fails later all rights are given back as they were.`,
  example: `- role.revoke: {from: PUBLIC, schema: billing, on: [tables], keep: [app]}
`,
  effect: "change",
  oneAct: true,
  idempotent: true,
  needs: ["postgres", "primary"],
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["from"],
    properties: {
      from: { type: "string", minLength: 1, description: "A role, or PUBLIC" },
      schema: { type: ["string", "null"] },
      on: {
        type: "array",
        items: { enum: ["tables", "sequences", "functions", "schema", "database", "future"] },
        description:
          "Of what; those that are named, and without names tables and sequences where there is a schema. future alone is only the default privileges",
      },
      tables: { ...NAMES, description: "Only these, by name alone" },
      sequences: { ...NAMES, description: "Only these, by name alone" },
      functions: { ...NAMES, description: "Only these, as f or f(integer,text)" },
      rights: { ...NAMES, description: "Only these, such as SELECT; all without it" },
      makers: { ...NAMES, description: "Roles whose default privileges are meant as well" },
      keep: {
        ...NAMES,
        description: "Roles that keep what they have only by this; * for all that would lose it",
      },
      others_lose: { type: "boolean", description: "All that are not in keep may lose it" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["revoked", "granted", "future", "loses", "still"],
    properties: {
      revoked: {
        ...LISTS,
        description: "What was taken, by kind and rights: count, and the first names",
      },
      granted: { ...LISTS, description: "What was given to those who keep it" },
      future: { ...LISTS, description: "Default privileges that were taken" },
      loses: { ...LISTS, description: "Who had it by this grant alone, and has it no more" },
      still: { ...LISTS, description: "What the role may all the same, and through what" },
    },
  },
  async run(ctx, input) {
    const accounts = await accountsOf(ctx);
    const wanted = wantedOf(input, [...accounts.keys()]);
    const found = await beforeActing(ctx, async () => {
      if (!isPublic(input.from))
        await refuseOwn(
          ctx,
          input.from,
          "taking rights from it",
          "Leave it what it has: pgdba role rights shows that.",
        );
      const judged = await look(await session(ctx), wanted);
      refuseOwnLost(judged, accounts);
      if (input.others_lose !== true) refuseUntold(judged, wanted);
      return judged;
    });
    const earlier = readDone(ctx);
    const nothing = found.taken.length === 0 && found.later.length === 0;
    // An earlier attempt may have committed it: what that took is what there is to give back.
    if (nothing) {
      if (earlier === undefined) ctx.unchanged();
      return answerOf({ ...found, ...earlier });
    }
    await keepDone(ctx, found);
    await (
      await session(ctx)
    ).transaction({ readOnly: false, lockTimeoutMs: 5000, signal: ctx.signal }, async (run) => {
      await run(PATH);
      for (const sql of granting(found)) await run(sql);
      await refuseUngranted(run as Ask, wanted, found);
      for (const sql of revoking(found, wanted.from)) await run(sql).catch(explained);
      await readBack(run as Ask, wanted);
    });
    return answerOf(found);
  },
  async plan(ctx, input) {
    const wanted = wantedOf(input, [...(await accountsOf(ctx)).keys()]);
    const found = await look(await session(ctx), wanted);
    const told = input.others_lose === true || found.lost.length === 0;
    const sql = [...granting(found), ...revoking(found, wanted.from)];
    return {
      ...answerOf(found),
      refused: told ? null : untold(found, wanted).message,
      sql: sql.slice(0, 50),
      sql_left_out: Math.max(0, sql.length - 50),
    } as unknown as Json;
  },
  async undo(ctx, input) {
    const done = readDone(ctx);
    if (done === undefined) return ctx.unchanged();
    const wanted = wantedOf(input);
    await (
      await session(ctx)
    ).transaction({ readOnly: false, lockTimeoutMs: 5000 }, async (run) => {
      await run(PATH);
      for (const sql of givingBack(done, wanted.from)) await run(sql);
    });
    await forgetDone(ctx);
  },
  forget: forgetDone,
});

/** Names are written with their schemas, whatever the session's search_path is. */
function look(pg: PgSession, wanted: Wanted): Promise<Found> {
  return pg.transaction({ readOnly: true, jit: false }, async (run) => {
    await run(PATH);
    return find(run as Ask, wanted);
  });
}
