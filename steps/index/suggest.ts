import { parseBytes, parseDuration } from "../../engine/shared/units.ts";
import type { Planner } from "../../providers/planner/twin/twin.ts";
import { defineStep } from "../define.ts";
import { advise } from "./advise/advise.ts";
import { Deadline } from "./advise/deadline.ts";
import { readInput, type WorkloadInput } from "./advise/input.ts";
import { aroundLocks } from "./advise/locks.ts";
import { openOnServer, openTwin, study } from "./advise/open.ts";
import { SUGGEST_INPUT, SUGGEST_OUTPUT, TIME_BUDGET } from "./advise/suggest-schema.ts";

export default defineStep({
  type: "index.suggest",
  summary:
    "Suggest a small set of indexes for a workload, each proved by the planner's cost on a twin of the server",
  docs: `Reads the workload from pg_stat_statements (or takes it as given), parses it with PostgreSQL's own grammar, and tries indexes on the
*planner's twin*: a clone of the tables, statistics and planner settings without their data, in a PostgreSQL of the server's version on
this machine (18 where there is no other). The server itself is asked for its catalogues only, and needs no extension. With \`prove: hypopg\` the server's own planner is asked, on a
session of its own, with the indexes that its extension hypopg pretends; nothing is written there either.

Costs are the planner's units, a statement's times its calls; what keeping an index costs is counted by the rows the workload writes. An
index is suggested only when the plan of a statement uses it and the workload gets cheaper by \`min_improvement\`. Without \`budget\` and
\`max_indexes\` the set ends where its \`curve\` gets flat: where one more saves less than a hundredth of the whole, a tenth of what those
before it saved on the average, and a twentieth of what is left, or less than its room is worth (an index as large as all tables: two
hundredths). With them it holds the best that they allow. A constant makes a partial index only where it lasts: where all statements of its shape have
the same, of a column with few values.

A B-tree refuses a row whose entry is larger than a third of a page. No column is carried along (\`INCLUDE\`) unless its type or a CHECK
proves that it fits; as a key it may do without, when its known values are short, and then \`notes\` say so. Where they are not, equality
is served by a hash index, which has no such limit.

Looking for indexes ends after \`time_budget\`: \`search\` says which statements were not looked at, the dearest are looked at first. Of statements that differ in
their constants alone a sample stands for all. Indexes that become
useless are named, each proved by planning the workload without it. pg_stat_statements keeps \`$1\` where constants stood: where their
types can't be told from the text, usual ones are tried. Statements on a table that somebody has locked are left out. What could not be planned is in \`unproven\`, what the twin lacks in
\`limits\`: extended statistics, tables whose statistics the role may not read, a planner of another version. Where a value lies at the
end of a histogram the real planner looks into an index for the least or greatest one; the twin has no data and keeps to the histogram.`,
  example: `- index.suggest:
    budget: 2GB
    max_indexes: 5
`,
  effect: "read",
  rollsBack: true,
  idempotent: true,
  needs: ["postgres"],
  input: SUGGEST_INPUT,
  output: SUGGEST_OUTPUT,
  async run(ctx, input) {
    const given = input as unknown as Input;
    const { asked, isWanted } = readInput(given);
    const deadline = new Deadline(ctx.clock, parseDuration(given.time_budget ?? TIME_BUDGET));
    return aroundLocks(ctx, async () => {
      const found = await study<Planner>(
        ctx,
        asked,
        given.prove === "hypopg" ? openOnServer : openTwin,
      );
      try {
        return await advise(ctx, found, {
          budget: given.budget == null ? null : parseBytes(given.budget),
          maxIndexes: given.max_indexes ?? null,
          percent: given.min_improvement ?? 1,
          deadline,
          isWanted,
        });
      } finally {
        await found.planner.close();
      }
    });
  },
});

// By hand: nullable lists are too much for inference from the schema.
interface Input extends WorkloadInput {
  prove?: "twin" | "hypopg" | null;
  budget?: string | null;
  max_indexes?: number | null;
  min_improvement?: number | null;
  time_budget?: string | null;
}
