import { defineStep } from "../define.ts";
import { type Copy, copiesOf, reference } from "./damage/copies.ts";

/** What is written meanwhile differs for a moment: it is looked at again. */
const TRIES = 3;

export default defineStep({
  type: "chaos.compare",
  summary:
    "Compare a table between all nodes, and look for damage in it by every means that there is",
  docs: `On each node every row is read by the table alone and by its index alone, with a digest of all rows, once the standbys have replayed what the leader
had written. Where amcheck is installed, \`verify_heapam\` and \`bt_index_check\` with \`heapallindexed\` are asked, too. \`by\` names the means that found something:

| | |
|---|---|
| \`seqscan\`, \`index read\` | a read ends with an error of damaged data |
| \`checksum\` | such a page has failed its checksum |
| \`verify_heapam\`, \`bt_index_check\` | amcheck says so |
| \`comparison\` | rows differ between nodes, or between a table and its index: the only means where a page is gone whole |
| \`size\` | the file is shorter than on another node |

Of two nodes that differ nobody knows which is right: the one with more rows is taken for it. A table that is written to the whole time can't be compared.
Damage is no failure of this step: look at \`equal\`.`,
  example: `- id: found
  chaos.compare: {table: public.orders}
- assert:
    that: steps.found.output.equal
    message: "the nodes hold different data"
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres", "member"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["table"],
    properties: {
      table: { type: "string", minLength: 1, description: "With its schema" },
      database: { type: "string", minLength: 1 },
      since: { type: ["string", "null"], description: "A moment, from which `seconds` counts" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["equal", "by", "damaged", "rows", "digest", "nodes", "seconds"],
    properties: {
      equal: {
        type: "boolean",
        description: "All nodes hold the same rows, and no means has found anything",
      },
      by: { type: "array", items: { type: "string" }, description: "The means that found it" },
      damaged: {
        type: "array",
        items: { type: "string" },
        description: "The nodes where something was found",
      },
      rows: { type: ["integer", "null"] },
      digest: { type: ["string", "null"], description: "Of all rows, in any order" },
      nodes: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["node", "rows", "index_rows", "bytes", "findings"],
          properties: {
            node: { type: "string" },
            rows: { type: ["integer", "null"], description: "Null when it could not be read" },
            index_rows: { type: ["integer", "null"] },
            bytes: { type: "integer" },
            findings: {
              type: "array",
              items: {
                type: "object",
                additionalProperties: false,
                required: ["by", "said"],
                properties: { by: { type: "string" }, said: { type: "string" } },
              },
            },
          },
        },
      },
      seconds: { type: ["number", "null"], description: "From `since` to the end of it" },
    },
  },
  async run(ctx, { table, database, since }) {
    let copies: Copy[] = [];
    for (let n = 0; n < TRIES; n++) {
      copies = await copiesOf(ctx, table, database);
      if (!copies.some(isMaybeLate)) break;
    }
    const found = copies.filter(({ findings }) => findings.length > 0);
    const right = reference(copies);
    const now = ctx.clock.now().getTime();
    return {
      equal: found.length === 0 && copies.length > 0,
      by: [...new Set(found.flatMap(({ findings }) => findings.map(({ by }) => by)))],
      damaged: found.map(({ node }) => node),
      rows: right?.rows ?? null,
      digest: right?.digest ?? null,
      nodes: copies.map(({ digest: _digest, ...one }) => one),
      seconds: since == null ? null : Math.max(0, (now - Date.parse(since)) / 1000),
    };
  },
});

/** Nothing but a comparison has found it. */
const isMaybeLate = ({ findings }: Copy): boolean =>
  findings.length > 0 && findings.every(({ by }) => by === "comparison" || by === "size");
