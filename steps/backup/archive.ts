import type { Json } from "../../engine/types.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { alterSystemValues, readFileEntries } from "../../providers/postgres/settings.ts";
import { defineStep } from "../define.ts";
import { onMembers } from "./archive/members.ts";
import { isSetSince, repositoryBy } from "./archive/set-since.ts";

interface Before {
  /** By member. */
  values: Record<string, Record<string, string | null>>;
  by: string | null;
}

export default defineStep({
  type: "backup.archive",
  summary: "Give every server its settings for archiving, by ALTER SYSTEM",
  docs: `Each member gets them, for any of them may lead one day; where Patroni runs them, use \`config.apply\`. They are read again by the servers;
those that need a restart wait for it. Undo puts back what stood in postgresql.auto.conf.`,
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
    const names = Object.keys(settings);
    const before = (ctx.noted ?? {
      values: {},
      by: await repositoryBy(ctx),
    }) as unknown as Before;
    const { done, silent } = await onMembers(ctx, async (session, { name }) => {
      before.values[name] ??= await written(session, names);
      ctx.note(before as never);
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
    const before = ctx.noted as unknown as Before | undefined;
    if (before === undefined || (await isSetSince(ctx, before.by))) return ctx.unchanged();
    const { values } = before;
    const { silent } = await onMembers(ctx, async (session, { name }) => {
      if (values[name] !== undefined) await set(session, values[name]);
    });
    for (const name of silent)
      if (values[name] !== undefined)
        ctx.warn(
          `${name} does not answer, and keeps the settings for archiving in its postgresql.auto.conf`,
        );
  },
});

/** What stands in postgresql.auto.conf; null for nothing. */
async function written(
  session: PgSession,
  names: readonly string[],
): Promise<Record<string, string | null>> {
  const found = alterSystemValues(await readFileEntries(session));
  return Object.fromEntries(names.map((name) => [name, found.get(name) ?? null]));
}

async function set(
  session: PgSession,
  values: Readonly<Record<string, string | null>>,
): Promise<void> {
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
