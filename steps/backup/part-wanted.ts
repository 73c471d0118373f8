import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import { withSuffix } from "../../providers/backup/logical/names.ts";
import type {} from "../../providers/target/access.ts";
import { defineStep } from "../define.ts";
import { clientOf } from "./client.ts";
import { assertDatabaseFree } from "./scratch-database.ts";
import { assertTableFree, stampOf, tableIn } from "./table-beside.ts";

export default defineStep({
  type: "backup.part-wanted",
  summary:
    "Tell which table or database is to be taken out of a backup, and its new name; refuse before anything is fetched",
  docs: `A new name is the old one with \`_restored_\` and the time at which the run began. Refused is a name that is taken, a database or a schema that is not there to take the table, a
database that nobody names where there are several, and a server for which no pg_dump is found.`,
  example: `- backup.part-wanted: {table: public.orders, database: shop, databases: [shop]}
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres", "primary"],
  uses: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      table: { type: ["string", "null"], minLength: 1 },
      database: { type: ["string", "null"], minLength: 1 },
      name: { type: ["string", "null"], minLength: 1, description: "Its new name" },
      into: { type: ["string", "null"], minLength: 1 },
      databases: {
        type: "array",
        items: { type: "string" },
        description: "Those that there were when the backup was taken",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["database", "table", "name", "into"],
    properties: {
      database: { type: "string" },
      table: { type: ["string", "null"] },
      name: { type: "string" },
      into: { type: "string" },
    },
  },
  async run(ctx, { table, database, name, into, databases = [] }) {
    const of = database ?? onlyOne(databases);
    const wanted =
      table == null
        ? await databaseWanted(ctx, of, { name, into })
        : await tableWanted(ctx, of, table, { name, into });
    // A passfile of this step alone: the programs are looked for again by whoever uses them.
    await (await clientOf(ctx)).close();
    return wanted;
  },
});

interface Wish {
  name?: string | null | undefined;
  into?: string | null | undefined;
}

async function databaseWanted(ctx: StepContext, database: string, { name, into }: Wish) {
  if (into != null)
    throw new PgdbaError("invalid_param", "A whole database is brought into no other one", {
      hint: "Name the new database with --as.",
    });
  const to = name ?? withSuffix(database, `_restored_${stampOf(ctx)}`);
  await assertDatabaseFree(ctx, to);
  return { database, table: null, name: to, into: to };
}

async function tableWanted(ctx: StepContext, database: string, text: string, { name, into }: Wish) {
  const { schema, table } = tableIn(text);
  const to = name ?? withSuffix(table, `_restored_${stampOf(ctx)}`);
  await assertTableFree(ctx, into ?? database, schema, to);
  return { database, table: text, name: to, into: into ?? database };
}

/** @throws PgdbaError invalid_param */
function onlyOne(databases: readonly string[]): string {
  const own = databases.filter((name) => name !== "postgres");
  if (own.length === 1 || databases.length === 1) return own[0] ?? databases[0]!;
  throw new PgdbaError("invalid_param", "The backup has several databases", {
    hint: `Name one with --in-database: ${databases.join(", ")}.`,
  });
}
