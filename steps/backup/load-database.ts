import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import { loadDump } from "../../providers/backup/logical/load.ts";
import { withSuffix } from "../../providers/backup/logical/names.ts";
import type { TableRows } from "../../providers/backup/logical/rows.ts";
import { commandLine } from "../command-line.ts";
import { defineStep } from "../define.ts";
import { removePassfile } from "../local-programs.ts";
import { clientOf } from "./client.ts";
import { settle } from "./counted-rows.ts";
import { assertNotOlder, dumpOf, toolMajor } from "./logical-part.ts";
import { backupPlace } from "./place.ts";
import { newestMark, recordOf } from "./records.ts";
import {
  admin,
  databaseDone,
  databaseOid,
  makeScratch,
  removeScratch,
  nameScratch,
  takePlace,
} from "./scratch-database.ts";

interface Input {
  id: string;
  database?: string | null;
  to?: string | null;
  replace?: string | null;
  owners?: boolean;
}

export default defineStep({
  type: "backup.load-database",
  summary: "Restore a database from a logical backup, beside the one that there is or in its place",
  docs: `pg_restore fills a new database under a name that nobody knows, and ends at the first error. When all is there, the rows of each table are counted
and compared with those that were read when the backup was verified; then the database gets its name. Without \`to\` that is the old one with \`_restored\`.

With \`replace\`, which must be the database's name, it takes the place of the one that there is: sessions there are ended, and the old one keeps its data under
the name in \`aside\`. Nothing is dropped. What belongs to a database and is in no dump, such as ALTER DATABASE … SET, is not restored, nor are subscriptions.

A dump holds code: functions, defaults, triggers. It is run in the server, by the role that restores, and never on this machine.`,
  example: `- backup.load-database:
    id: 20261128T184500Z-logical-1a2b3c
    database: shop
`,
  effect: "change",
  idempotent: true,
  interruptible: true,
  risk: (input: Input) => (input.replace == null ? "change" : "disruptive"),
  needs: ["postgres", "primary"],
  uses: ["nodes", "repository"],
  locks: "backup",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["id"],
    properties: {
      id: { type: "string", minLength: 1, description: "The logical backup" },
      database: {
        type: ["string", "null"],
        description: "The database in it; the only one without this",
      },
      to: { type: ["string", "null"], minLength: 1, description: "The new database's name" },
      replace: {
        type: ["string", "null"],
        description: "The database's name once more: it takes that one's place",
      },
      owners: {
        type: "boolean",
        default: true,
        description: "With owners and privileges as they were",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["database", "aside", "tables", "rows", "compared"],
    properties: {
      database: { type: "string", description: "Where it is now" },
      aside: {
        type: ["string", "null"],
        description: "The name that the replaced database has now",
      },
      tables: { type: "integer" },
      rows: { type: "number" },
      compared: {
        type: "boolean",
        description: "Whether its rows were known from the time when the backup was verified",
      },
    },
  },
  async run(ctx, input: Input) {
    const place = await backupPlace(ctx);
    const record = await recordOf(place, input.id);
    const part = dumpOf(record, input.database ?? null);
    const pg = await admin(ctx);
    assertNotOlder(record, pg.info.version_num);
    const to = await nameOf(ctx, part.database, input);
    await removeScratch(ctx);
    const client = await clientOf(ctx, toolMajor(record));
    try {
      const locale = record.databases.find(({ name }) => name === part.database)?.locale;
      const noted = await makeScratch(ctx, locale);
      let done = 0;
      const options = [
        // It would draw changes from another server by the slot of the original, and the database could not be dropped.
        "--no-subscriptions",
        ...(input.owners === false ? ["--no-owner", "--no-privileges"] : []),
      ];
      await loadDump(
        client,
        { ...place, id: record.id, part, signal: ctx.signal },
        { database: noted.scratch, options },
        (bytes) =>
          ctx.progress({
            done: (done += bytes),
            total: part.stored_bytes,
            unit: "bytes",
            text: part.database,
          }),
      );
      const known = await knownRows(ctx, input.id, part.database);
      const counted = await settle(ctx, noted.scratch, known);
      const aside =
        input.replace == null ? null : withSuffix(to, `_before_${ctx.run.id.slice(-12)}`);
      const output = { database: to, aside, ...counted, compared: known !== null };
      ctx.note({ ...noted, output, ...(aside === null ? {} : { aside: { name: aside, of: to } }) });
      if (aside === null) await nameScratch(await admin(ctx), noted.scratch, to);
      else await takePlace(ctx, { scratch: noted.scratch, of: to, aside });
      return output;
    } finally {
      await client.close();
    }
  },
  async plan(ctx, input: Input) {
    const record = await recordOf(await backupPlace(ctx), input.id);
    const part = dumpOf(record, input.database ?? null);
    assertNotOlder(record, (await admin(ctx)).info.version_num);
    return { from: part.database, to: await nameOf(ctx, part.database, input), bytes: part.bytes };
  },
  probe: databaseDone,
  async undo(ctx) {
    await removePassfile(ctx);
    if (!(await removeScratch(ctx))) ctx.unchanged();
  },
  async forget(ctx) {
    await removePassfile(ctx);
  },
});

/** The name that it gets. @throws PgdbaError invalid_param | step_refused */
async function nameOf(
  ctx: StepContext,
  database: string,
  { id, to, replace }: Input,
): Promise<string> {
  const pg = await admin(ctx);
  if (replace != null) {
    if (replace !== database || to != null)
      throw new PgdbaError(
        "step_refused",
        to == null
          ? `--replace names ${replace}, and the backup is of ${database}`
          : "--as and --replace contradict each other",
        {
          hint: `To put it in the place of the database: --replace=${database}, and no --as.`,
        },
      );
    if ((await databaseOid(pg, database)) !== null) return database;
    throw new PgdbaError("invalid_param", `There is no database ${database} to replace`, {
      hint: `Restore it beside what there is, with --as ${database}.`,
    });
  }
  const inPlace = ["backup", "load-in-place", id, "--in-database", database, "--replace", database];
  const name = to ?? withSuffix(database, "_restored");
  if ((await databaseOid(pg, name)) === null) return name;
  throw new PgdbaError("invalid_param", `There is a database ${name} already`, {
    hint: `Give another name with --as, or drop that one. To put the restored one in the place of ${database}: ${commandLine(ctx.target, inPlace)}`,
  });
}

/** The rows of each table when the backup was verified; null for one that was not. */
async function knownRows(
  ctx: StepContext,
  id: string,
  database: string,
): Promise<TableRows[] | null> {
  const mark = await newestMark(await backupPlace(ctx), id, "verified");
  const facts = (mark?.facts ?? null) as {
    databases?: { database: string; rows: TableRows[] }[];
  } | null;
  const found = facts?.databases?.find((one) => one.database === database)?.rows ?? null;
  if (found === null)
    ctx.warn(`${id} was not verified: nobody knows how many rows its tables should have`);
  return found;
}
