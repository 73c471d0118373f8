import type { Json } from "../../engine/types.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { alterSystemValues, readFileEntries } from "../../providers/postgres/settings.ts";
import { defineStep } from "../define.ts";
import { onMembers } from "./archive/members.ts";
import {
  forgetBefore,
  isOfRun,
  keepBefore,
  ownBefore,
  type Values,
} from "./archive/kept-before.ts";

export default defineStep({
  type: "backup.archive",
  summary: "Give every server its settings for archiving, by ALTER SYSTEM",
  docs: `Each member gets them, for any of them may lead one day; where Patroni runs them, use \`config.apply\`. They are read again by the servers;
those that need a restart wait for it. Undo puts back what stood in postgresql.auto.conf, but for what a later run or somebody else has set since; a run that comes after a dead one puts back what stood there before both.`,
  example: `- backup.archive:
    settings: {archive_timeout: 60s}
`,
  effect: "change",
  idempotent: true,
  needs: ["postgres", "superuser"],
  uses: ["member"],
  locks: "config",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["settings"],
    properties: {
      settings: {
        type: "object",
        additionalProperties: { type: ["string", "null"] },
        description: "Values by name; null takes a setting out",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["members", "silent"],
    properties: {
      members: { type: "array", items: { type: "string" } },
      silent: { type: "array", items: { type: "string" } },
    },
  },
  async run(ctx, { settings }) {
    const { done, silent } = await onMembers(ctx, async (session, { name }) => {
      await keepBefore(ctx, name, await written(session, Object.keys(settings)), settings);
      await set(session, settings);
      return name;
    });
    return { members: done, silent };
  },
  async plan(ctx, { settings }): Promise<Json> {
    const names = Object.keys(settings);
    const { done } = await onMembers(ctx, async (session, { name }) => ({
      name,
      now: await written(session, names),
    }));
    return { settings, members: done };
  },
  async undo(ctx) {
    const own = await ownBefore(ctx);
    if (Object.keys(own).length === 0) {
      if (ctx.noted !== undefined)
        ctx.warn("A later run has set the archiving since: its settings stay");
      return ctx.unchanged();
    }
    const { silent } = await onMembers(ctx, async (session, { name }) => {
      const kept = Object.entries(own[name] ?? {});
      const now = await written(
        session,
        kept.map(([setting]) => setting),
      );
      const others = kept.filter(([setting, one]) => !isOfRun(one, now[setting] ?? null));
      if (others.length > 0)
        ctx.warn(
          `Somebody else has set ${others.map(([setting]) => setting).join(", ")} of ${name} since: that stays`,
        );
      const back = kept.filter((one) => !others.includes(one));
      if (back.length > 0)
        await set(
          session,
          Object.fromEntries(back.map(([setting, { before }]) => [setting, before])),
        );
    });
    for (const name of silent)
      if (own[name] !== undefined)
        ctx.warn(
          `${name} does not answer, and keeps the settings for archiving in its postgresql.auto.conf`,
        );
    await forgetBefore(ctx, new Set(silent));
  },
  forget: (ctx) => forgetBefore(ctx),
});

/** What stands in postgresql.auto.conf; null for nothing. */
async function written(session: PgSession, names: readonly string[]): Promise<Values> {
  const found = alterSystemValues(await readFileEntries(session));
  return Object.fromEntries(names.map((name) => [name, found.get(name) ?? null]));
}

async function set(session: PgSession, values: Readonly<Values>): Promise<void> {
  for (const [name, value] of Object.entries(values)) {
    // A name of a setting is a word of letters and _; ALTER SYSTEM takes no bound value.
    if (!/^[a-z_]+$/.test(name)) throw new Error(`${name} is no setting`);
    const sql =
      value === null
        ? `ALTER SYSTEM RESET ${name}`
        : `ALTER SYSTEM SET ${name} = '${value.replaceAll("'", "''")}'`;
    await session.query(sql, [], { alone: true, changes: true });
  }
  await session.query("SELECT pg_reload_conf()", [], { changes: true });
}
