import { PgdbaError } from "../../engine/errors.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import type { Nodes } from "../../providers/nodes/contract.ts";
import { defineStep } from "../define.ts";
import { serverFacts } from "../node-files.ts";
import { onMember } from "../sql/session.ts";
import { onDisk, replayed } from "./damage/replayed.ts";
import { damage, isDamaged, keepCopy, lookAt, type Mark, putBack } from "./damage/files.ts";
import { choose, type Chosen, HOWS } from "./damage/choose.ts";
import { restarted } from "./damage/restarted.ts";
import { type Read, readTable, type TableFacts, tableOf } from "./damage/table.ts";
import { FAULT, FOR, inject, INJECTED, NODE, type Proof, wordOf } from "./fault/inject.ts";
import { assertHealed } from "./heal.ts";

interface Note {
  id: string;
  mark?: Mark;
}

export default defineStep({
  ...FAULT,
  type: "chaos.damage",
  summary: "Damage the file of a table or of its index on one node on purpose",
  docs: `\`how\`:

| | what is done to the file | who sees it |
|---|---|---|
| \`heap\` | four bytes in a page of the table are turned over | every read, checksums, amcheck |
| \`index\` | the same in a leaf of its index | reads by the index, \`heapallindexed\` |
| \`misdirected\` | a page holds what another one should | every read, checksums, amcheck |
| \`zero\` | a page is zeroed | nobody: rows are gone, and only a comparison tells |
| \`truncate\` | the last quarter of the file is cut off | reads by the index; else only a comparison |

After a checkpoint the file is changed on disk, and PostgreSQL is killed and starts again, so that nothing of it is left in memory. \`took\`: the damage is on disk, and a
read sees it. No healer can repair data: what is armed tells, at the deadline and whenever it is asked, whether the damage is there still, with what to do. What was there before is kept
beside it, and written back when the step is undone.`,
  example: `- id: damaged
  chaos.damage: {node: pg2, how: zero, table: public.orders}
- chaos.compare: {table: public.orders, since: "\${steps.damaged.output.began}"}
`,
  hazards: ["fault", "loses"],
  needs: ["nodes", "member", "postgres"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "how", "table"],
    properties: {
      node: NODE,
      how: { enum: HOWS },
      table: { type: "string", minLength: 1, description: "With its schema" },
      database: { type: "string", minLength: 1 },
      for: FOR,
    },
  },
  output: {
    ...INJECTED,
    required: [...INJECTED.required, "file", "block", "bytes", "what"],
    properties: {
      ...INJECTED.properties,
      file: { type: "string", description: "Relative to the data directory" },
      block: { type: "integer", description: "The first that is damaged" },
      bytes: { type: "integer", description: "How many are others now, or are gone" },
      what: { type: "string", description: "All of it in words" },
    },
  },
  async run(ctx, { node, how, table, database, for: lasts }) {
    const nodes = await ctx.use("nodes");
    const { data } = (await serverFacts(nodes, node)).postgres;
    const look: Look = (by) => read(ctx, node, { name: table, database, by });
    const before = await both(look);
    assertSound(before);
    await onDisk(ctx, node);
    const chosen = await choose(nodes, node, { data, how, table: before.table });
    const mark: Mark = {
      data,
      piece: chosen.piece,
      cutTo: chosen.cutTo,
      digest: chosen.digest,
      copy: `${data}/pgdba-damaged-${wordOf(ctx)}`,
      told: advice(ctx, node, how, chosen.what),
    };
    const done = await inject(ctx, nodes, {
      kind: `corrupt-${how}`,
      node,
      lasts,
      inverse: lookAt(node, mark),
      async act(until) {
        ctx.note({ id: until.id, mark } as unknown as Json);
        await keepCopy(nodes, node, mark);
        await damage(nodes, node, mark, chosen.page);
        await restarted(ctx, nodes, node);
        return proof(ctx, nodes, { node, mark, chosen, before, look });
      },
    });
    const { file, block, bytes, what } = chosen;
    return { ...done, file, block, bytes, what };
  },
  async plan(ctx, { node, how, table, database }): Promise<Json> {
    const facts = await onMember(ctx, node, (pg) => tableOf(pg, table, ctx.signal), database);
    return { node, how, file: how === "index" ? (facts.index?.file ?? null) : facts.file };
  },
  /** What was there before is written back, unless it was repaired otherwise. */
  async undo(ctx) {
    const note = ctx.noted as unknown as Note | undefined;
    if (note === undefined) return void ctx.unchanged();
    const nodes = await ctx.use("nodes");
    const armed = (await nodes.armed()).find(({ id }) => id === note.id);
    if (armed === undefined) return void ctx.unchanged();
    if (note.mark !== undefined && (await isDamaged(nodes, armed.node, note.mark))) {
      await putBack(nodes, armed.node, note.mark);
      await restarted(ctx, nodes, armed.node);
      ctx.warn(
        `What was damaged on ${armed.node} is written back. Where clients have read the table by an index meanwhile, make its indexes anew: REINDEX TABLE CONCURRENTLY.`,
      );
    }
    assertHealed(await nodes.heal({ id: note.id }));
  },
});

interface Before {
  table: TableFacts;
  seqscan: Read;
  index: Read | null;
}
type Look = (by: "seqscan" | "index read") => Promise<{ table: TableFacts; read: Read }>;

const read = (
  ctx: StepContext,
  node: string,
  { name, database, by }: { name: string; database: string | undefined; by: Parameters<Look>[0] },
): ReturnType<Look> =>
  onMember(
    ctx,
    node,
    async (pg) => {
      await replayed(ctx, node, pg);
      const table = await tableOf(pg, name, ctx.signal);
      return { table, read: await readTable(pg, table, by, ctx.signal) };
    },
    database,
  );

async function both(look: Look): Promise<Before> {
  const { table, read: seqscan } = await look("seqscan");
  const index = table.index === null ? null : (await look("index read")).read;
  return { table, seqscan, index };
}

function advice({ run, target }: StepContext, node: string, how: string, what: string): string {
  const repair =
    how === "index"
      ? "make the index anew (REINDEX INDEX CONCURRENTLY)"
      : `make ${node} anew from another node (replica reinit ${node}; hand its role over first where it leads), or, where no node is sound, take the table out of a backup (backup restore --table)`;
  return `${what} on ${node}, on purpose; no healer can repair that. pgdba resume ${run.id} does where that run can be resumed; else ${repair}. Then: pgdba chaos heal --all --cluster ${target.name}`;
}

/** On disk it is as it was damaged, and the server gives another answer than before. By the index only where that harms nothing; see `chaos.compare`. */
async function proof(
  ctx: StepContext,
  nodes: Nodes,
  {
    node,
    mark,
    chosen,
    before,
    look,
  }: { node: string; mark: Mark; chosen: Chosen; before: Before; look: Look },
): Promise<Proof> {
  if (!(await isDamaged(nodes, node, mark)))
    return { took: false, evidence: `${chosen.what} was written over again: it was in use` };
  const seen = differing("a read of the table", before.seqscan, (await look("seqscan")).read);
  if (seen === null && before.index !== null) {
    const byIndex = differing("a read by its index", before.index, (await look("index read")).read);
    if (byIndex !== null) return { took: true, evidence: `${chosen.what} on ${node}: ${byIndex}` };
  }
  ctx.signal.throwIfAborted();
  return seen !== null
    ? { took: true, evidence: `${chosen.what} on ${node}: ${seen}` }
    : { took: null, evidence: `${chosen.what} on ${node}, and no read sees it` };
}

function assertSound({ table, seqscan, index }: Before): void {
  const error = seqscan.error ?? index?.error;
  if (error == null) return;
  throw new PgdbaError("step_refused", `${table.name} is damaged already: ${error}`, {
    hint: "Repair that first: `chaos.compare` shows on which nodes it is.",
    nothingDone: true,
  });
}

function differing(what: string, before: Read, after: Read): string | null {
  if (after.error !== null) return `${what} says: ${after.error}`;
  if (after.rows !== before.rows)
    return `${what} gives ${after.rows} rows, and gave ${before.rows}`;
  return after.digest === before.digest ? null : `${what} gives other rows than before`;
}
