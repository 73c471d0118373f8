import { defineStep } from "../define.ts";
import { session } from "../sql/session.ts";
import { ON_TABLE } from "./relation/shape.ts";
import { assertRoomFor } from "./repack/look.ts";
import { quoteName } from "../../providers/planner/twin/names.ts";

const SIZES = `SELECT coalesce(sum(pg_total_relation_size(c.oid)) FILTER (WHERE c.reltablespace = 0), 0)::float8 AS here,
  coalesce(sum(pg_total_relation_size(c.oid)) FILTER (WHERE c.reltablespace <> 0), 0)::float8 AS elsewhere
  FROM unnest($1::text[], $2::text[]) w(schema, name) JOIN pg_namespace n ON n.nspname = w.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name`;

interface Input {
  tables: { schema: string; table: string }[];
}

export default defineStep({
  type: "maintenance.room",
  summary:
    "See whether the server's disk has room for a second copy of tables, before they are rewritten",
  docs: `Refused where it has not: a disk that gets full stops the server. Where the disk can't be seen, as of a server whose node no provider reaches or a
table in a tablespace, it is a warning with the room that is needed. Several tables are those that are rewritten in one transaction, or beside one another: none of the
old copies goes before all of the new ones are there.`,
  example: `- maintenance.room: {tables: [{schema: public, table: orders}]}
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
  uses: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["tables"],
    properties: {
      tables: {
        type: "array",
        description: "Each by itself: a partitioned table has nothing in it",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["schema", "table"],
          properties: ON_TABLE,
        },
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["bytes", "free_bytes"],
    properties: {
      bytes: { type: "number", description: "With their indexes and TOAST tables" },
      free_bytes: {
        type: ["number", "null"],
        description: "On its disk; null where that can't be seen",
      },
    },
  },
  async run(ctx, { tables }: Input) {
    const pg = await session(ctx);
    const of = [tables.map(({ schema }) => schema), tables.map(({ table }) => table)];
    const [row] = (await pg.query(SIZES, of)).rows;
    const here = Number(row?.["here"] ?? 0);
    const elsewhere = Number(row?.["elsewhere"] ?? 0);
    const [first] = tables;
    const name =
      tables.length === 1 ? quoteName(first!.schema, first!.table) : `${tables.length} tables`;
    if (elsewhere > 0) await assertRoomFor(ctx, { name, bytes: elsewhere, elsewhere: true });
    const free =
      here === 0 ? null : await assertRoomFor(ctx, { name, bytes: here, elsewhere: false });
    return { bytes: here + elsewhere, free_bytes: free };
  },
});
