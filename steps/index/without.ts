import { defineStep } from "../define.ts";
import { session } from "../sql/session.ts";
import { relationName } from "../../providers/postgres/relation-name.ts";
import { effectOf, foreignKeysServed } from "./advise/without.ts";
import { findIndex } from "./ddl/existing.ts";

export default defineStep({
  type: "index.without",
  summary: "Tell what would become slower without an index, and what depends on it",
  docs: `Looks at constraints, uniqueness, replica identity and the foreign keys that no other index serves, and asks the planner's twin for the
statements of pg_stat_statements on the table that would cost more. Nothing is changed, and nothing is planned on the server.`,
  example: `- index.without: {index: public.orders_customer_idx}
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["index"],
    properties: {
      index: { type: "string", minLength: 1, description: "Its name, as index or schema.index" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["definition", "bound", "foreign_keys", "slower", "known"],
    properties: {
      definition: {
        type: ["string", "null"],
        description: "The statement that builds it again; null where there is no such index",
      },
      bound: { type: ["string", "null"], description: "What depends on it, so that it must stay" },
      foreign_keys: {
        type: "array",
        items: { type: "string" },
        description:
          "Foreign keys that no other index serves: deletes in what they refer to would read all of the table",
      },
      slower: {
        type: "array",
        description: "Statements that would cost more, those that gain most from it first",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["query", "calls", "cost_before", "cost_after"],
          properties: {
            query: { type: "string" },
            calls: { type: "number" },
            cost_before: { type: "number" },
            cost_after: { type: "number" },
          },
        },
      },
      known: {
        type: "boolean",
        description: "False where nobody knows which statements the table gets; warnings say why",
      },
    },
  },
  async run(ctx, input) {
    const { schema, name } = relationName(input.index, "index");
    const pg = await session(ctx);
    const found = await findIndex(pg, schema, name);
    if (found === null)
      return { definition: null, bound: null, foreign_keys: [], slower: [], known: true };
    const bound =
      found.constraint !== null
        ? `the constraint ${found.constraint}`
        : found.replica_identity
          ? "the replica identity of the table"
          : found.parent !== null
            ? `the partitioned index ${found.parent}`
            : found.unique
              ? "uniqueness: without it, rows may be double"
              : null;
    const served = await foreignKeysServed(pg, found);
    const { dearer } = await effectOf(ctx, found, null);
    return {
      definition: found.definition,
      bound,
      foreign_keys: served.map((key) => `${key.name} to ${key.referenced}`),
      slower: dearer ?? [],
      known: dearer !== null,
    };
  },
});
