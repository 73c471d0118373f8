import REWRITTEN from "./sql/widening-rewritten.sql" with { type: "text" };
import { parseBytes } from "../../engine/shared/units.ts";
import { defineStep } from "../define.ts";
import { session } from "../sql/session.ts";
import { unfit } from "./widening/batches.ts";
import {
  askOf,
  type Column,
  columnName,
  findWidening,
  isNarrow,
  narrowNames,
  shown,
} from "./widening/find.ts";
import { WANTED } from "./widening/input.ts";
import { alterStatements } from "./widening/statements.ts";
import { viewName, viewsOf } from "./widening/views.ts";

/** Rewritten with its indexes in a second or two, for as long as nobody gets at the tables. */
const ALTER_BELOW = "64MB";
const NAMES = { type: "array", items: { type: "string" } } as const;

export default defineStep({
  type: "sequence.widening",
  summary:
    "Tell what has to become bigint together with a sequence or a column, and how it can be done",
  docs: `Follows foreign keys: a column that references a widened one has to hold its values, and so do those that reference that. Of a
partitioned table the root stands for its partitions. \`blockers\` is what PostgreSQL changes no type under, such as a materialized view; these have to be
dropped before and made again after. Plain views are no such: \`sequence.widen\` and \`sequence.swap\` make them again themselves.

\`method\` is \`alter\` where all the tables together are no larger than \`alter_below\`: each is rewritten under a lock that nobody gets past.
Larger ones are filled in \`batches\` beside the old column (\`sequence.fill\`, \`sequence.swap\`), where nothing is in \`unfit\`. \`none\`: all is bigint.`,
  example: `- sequence.widening: {sequence: public.orders_id_seq}
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      ...WANTED,
      alter_below: {
        type: ["string", "null"],
        format: "bytes",
        description: `Size of all tables up to which they are rewritten at once; by default ${ALTER_BELOW}`,
      },
      method: {
        type: "string",
        enum: ["auto", "alter", "batches"],
        default: "auto",
        description: "`auto` goes by the size",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: [
      "method",
      "columns",
      "sequences",
      "tables",
      "bytes",
      "rows",
      "blockers",
      "views",
      "unfit",
      "not_owned",
      "published",
      "statements",
    ],
    properties: {
      method: { type: "string", enum: ["none", "alter", "batches"] },
      columns: {
        type: "array",
        description: "The columns that have to be widened, the first one first",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["column", "type", "rows", "bytes"],
          properties: {
            column: { type: "string" },
            type: { type: "string" },
            rows: {
              type: "number",
              description: "Of its table: an estimate, as it was last analysed or vacuumed",
            },
            bytes: { type: "number", description: "Of its table with indexes" },
          },
        },
      },
      sequences: { ...NAMES, description: "The sequences that have to be widened" },
      tables: {
        type: "array",
        description: "What would be rewritten, partitions and tables that inherit included",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["schema", "table"],
          properties: { schema: { type: "string" }, table: { type: "string" } },
        },
      },
      bytes: { type: "number", description: "Of all the tables that would be rewritten" },
      rows: { type: "number", description: "Of all these tables: an estimate" },
      blockers: { ...NAMES, description: "What PostgreSQL changes no type under" },
      views: {
        ...NAMES,
        description: "Plain views that are dropped and made again in one transaction with it",
      },
      unfit: { ...NAMES, description: "Why it can't be done in batches" },
      not_owned: {
        ...NAMES,
        description: "Tables and sequences of others, which this user may not change",
      },
      published: { ...NAMES, description: "Tables whose subscribers have to be widened first" },
      statements: { ...NAMES, description: "What the rewrite at once consists of" },
    },
  },
  async run(ctx, input) {
    const pg = await session(ctx);
    const found = await findWidening(pg, input);
    const narrow = found.columns.filter(isNarrow);
    const own = new Map(narrow.map((column) => [column.relid, column]));
    const rows = [...own.values()].reduce((total, column) => total + column.rows, 0);
    const rewritten = (await pg.ask(REWRITTEN, [[...own.keys()]])).rows as unknown as Rewritten[];
    const bytes = rewritten.reduce((total, table) => total + table.bytes, 0);
    const statements = alterStatements(found);
    const why = narrow.length === 0 ? [] : await unfit(askOf(pg), found);
    const views = narrow.length === 0 ? [] : await viewsOf(askOf(pg), narrow);
    const limit = parseBytes(input.alter_below ?? ALTER_BELOW);
    const wanted = input.method ?? "auto";
    const large = wanted === "batches" || (wanted === "auto" && bytes > limit);
    const of = (columns: typeof narrow): string[] => [
      ...new Set(columns.map((one) => shown(one.schema, one.table))),
    ];
    return {
      method: statements.length === 0 ? "none" : large && narrow.length > 0 ? "batches" : "alter",
      columns: narrow.map((column) => ({
        column: columnName(column),
        type: column.type,
        rows: column.rows,
        bytes: column.bytes,
      })),
      sequences: narrowNames(found).sequences,
      tables: rewritten.map(({ schema, table }) => ({ schema, table })),
      bytes,
      rows,
      blockers: [
        ...new Set([
          ...narrow.flatMap(({ blockers }) => blockers),
          ...views.flatMap(({ refused }) => refused ?? []),
        ]),
      ],
      views: views.filter(({ refused }) => refused === null).map(viewName),
      unfit: why,
      not_owned: [
        ...of(narrow.filter(({ owned }) => !owned)),
        ...found.sequences
          .filter(({ wide, owned }) => !wide && !owned)
          .map(({ schema, name }) => shown(schema, name)),
      ],
      published: of(narrow.filter(({ published }) => published)),
      statements,
    };
  },
});

type Rewritten = Pick<Column, "schema" | "table" | "bytes">;
