import { PgdbaError } from "../../engine/errors.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import type { Nodes, PostgresFacts } from "../../providers/nodes/contract.ts";
import { defineStep } from "../define.ts";
import { serverFacts } from "../node-files.ts";
import { onMember, session } from "../sql/session.ts";
import { assertRoom, removeCopy, type Tried, triedOnCopy } from "./damage/crashed.ts";
import { damage, readPiece } from "./damage/files.ts";
import { digestOf, FLIPPED, flipped, type Piece } from "./damage/page.ts";
import { onDisk, replayed } from "./damage/replayed.ts";
import { FAULT, FOR, inject, INJECTED, NODE, type Proof } from "./fault/inject.ts";

/** So many transactions, each of which was acknowledged, and the one that is damaged. */
const COMMITS = 40;
const DAMAGED = 10;
const PAGE = 8192;
/** The checksum of a record; see XLogRecord. */
const CRC_AT = 20;
/** Neither the header of a page is near, nor its end. */
const [FROM, TO] = [64, PAGE - 64];

interface Record {
  lsn: string;
  file: string;
  offset: number;
}

export default defineStep({
  ...FAULT,
  type: "chaos.damage-wal",
  summary: "Stop a standby as by a crash, and damage a record of the WAL that it has yet to replay",
  docs: `${COMMITS} transactions are committed after a checkpoint. On the standby ${FLIPPED} bytes of the record of the ${DAMAGED + 1}th are turned over, or of the next one that lies whole in a page. \`took\`: a server that recovers alone with it, on a copy of the data, lacks the rows of all that came later, or does not start; and
where the node has pg_waldump, that read all of it before and ends there now.

The standby stays down. Its start takes the fault back, by \`chaos.heal\` or at the deadline: it finds the damage as well, and fetches that WAL from the leader again. \`table\` is one that
\`chaos.table\` has made.`,
  example: `- id: own
  chaos.table: {}
- chaos.damage-wal: {node: pg2, table: "\${steps.own.output.table}"}
`,
  hazards: ["fault", "loses"],
  needs: ["nodes", "member", "postgres"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "table"],
    properties: {
      node: { ...NODE, description: "Name of a standby" },
      table: { type: "string", pattern: "^[a-z_]+\\.[a-z_]+$" },
      for: FOR,
    },
  },
  output: {
    ...INJECTED,
    required: [...INJECTED.required, "file", "block", "bytes", "what", "written", "lost", "by"],
    properties: {
      ...INJECTED.properties,
      file: { type: "string", description: "Relative to the data directory" },
      block: { type: "integer" },
      bytes: { type: "integer" },
      what: { type: "string" },
      written: { type: "integer", description: "Rows that were acknowledged before" },
      lost: {
        type: ["integer", "null"],
        description: "Rows that a server lacks which recovers alone; null where it does not start",
      },
      by: { type: "array", items: { type: "string" }, description: "The means that found it" },
    },
  },
  async run(ctx, { node, table, for: lasts }) {
    const nodes = await ctx.use("nodes");
    const server = (await serverFacts(nodes, node)).postgres;
    await onMember(ctx, node, async ({ info }) => assertStandby(node, info.standby));
    await assertRoom(nodes, node, server);
    await onDisk(ctx, node);
    const records = await commits(ctx, table);
    const rows = await onMember(ctx, node, async (pg) => {
      await replayed(ctx, node, pg);
      const asked = await pg.query(`SELECT count(*)::int8 AS rows FROM ${table}`, [], {
        readOnly: true,
        signal: ctx.signal,
      });
      return Number(asked.rows[0]!["rows"]);
    });
    const record = recordOf(records);
    const piece: Piece = {
      file: `pg_wal/${record.file}`,
      number: Math.floor(record.offset / PAGE),
      size: PAGE,
    };
    const what = `the record at ${record.lsn} in ${piece.file} has ${FLIPPED} bytes of its checksum turned over`;
    const place = { server, record, piece, from: records[0]!.lsn, to: records.at(-1)!.lsn };
    let found: Found = { by: [], lost: null };
    const done = await inject(ctx, nodes, {
      kind: "corrupt-wal",
      node,
      lasts,
      inverse: { start: node },
      async act() {
        await nodes.stop(node, "immediate", { role: "postgres" });
        const dump = await damaged(nodes, node, place);
        const { database } = (await session(ctx)).info;
        const order = { server, database, table };
        const tried = await triedOnCopy(nodes, node, order);
        found = foundBy(dump, tried, rows);
        return proofOf(`${what} on ${node}`, dump, { ...found, said: tried.said });
      },
    });
    const { file, number: block } = piece;
    return { ...done, file, block, bytes: FLIPPED, what, written: COMMITS, ...found };
  },
  async plan(_ctx, { node }): Promise<Json> {
    return { node, how: "wal" };
  },
  async undo(ctx, input) {
    await FAULT.undo(ctx);
    const nodes = await ctx.use("nodes");
    const { data } = (await serverFacts(nodes, input.node)).postgres;
    await removeCopy(nodes, input.node, data);
  },
});

function assertStandby(node: string, standby: boolean): void {
  if (standby) return;
  throw new PgdbaError(
    "step_refused",
    `${node} leads, and would start with less than it has acknowledged`,
    {
      hint: "Name a standby: what is shown is the same, and nobody loses anything.",
      nothingDone: true,
    },
  );
}

/** One row each. The record of each begins where the WAL ended before, unless another one's came between, which is as good. */
async function commits(ctx: StepContext, table: string): Promise<Record[]> {
  const records: Record[] = [];
  for (let n = 1; n <= COMMITS; n++) {
    const pg = await session(ctx);
    const { rows } = await pg.ask(
      "SELECT l::text AS lsn, file_name AS file, file_offset AS offset FROM pg_current_wal_insert_lsn() l, pg_walfile_name_offset(l)",
    );
    records.push(rows[0] as unknown as Record);
    await pg.transaction({ readOnly: false, signal: ctx.signal }, (run) =>
      run(`INSERT INTO ${table} SELECT max(id) + 1, 'acknowledged' FROM ${table}`),
    );
  }
  return records;
}

/** One of which the whole header lies in one page. */
function recordOf(records: readonly Record[]): Record {
  const fit = records
    .slice(DAMAGED)
    .find(({ offset }) => offset % PAGE >= FROM && offset % PAGE < TO);
  if (fit !== undefined) return fit;
  throw new PgdbaError("step_failed", "No record lies whole in a page of WAL", {
    hint: "Give the same command again.",
  });
}

interface Place {
  server: PostgresFacts;
  record: Record;
  piece: Piece;
  from: string;
  to: string;
}

interface Found {
  by: ("pg_waldump" | "recovery")[];
  /** Null where the server does not start. */
  lost: number | null;
}

/** By pg_waldump: whether it read all before and does not now; null where the node does not have it. */
type Dump = { before: string | null; after: string | null } | null;

/** Damages the record, with a look before and after it. */
async function damaged(nodes: Nodes, node: string, place: Place): Promise<Dump> {
  const { server, record, piece } = place;
  const { data, bin } = server;
  const { exit_code } = await nodes.exec(node, ["test", "-x", `${bin}/pg_waldump`]);
  const look = () => (exit_code === 0 ? dumped(nodes, node, place) : null);
  const before = await look();
  const page = flipped(await readPiece(nodes, node, data, piece), (record.offset % PAGE) + CRC_AT);
  const mark = { data, piece, cutTo: null, digest: digestOf(page), copy: "", told: "" };
  await damage(nodes, node, mark, page);
  return exit_code === 0 ? { before, after: await look() } : null;
}

/** Why pg_waldump does not read all of it; null when it does. */
async function dumped(
  nodes: Nodes,
  node: string,
  { server: { bin, data }, record, from, to }: Place,
): Promise<string | null> {
  // The first 8 digits of the file's name.
  const timeline = String(Number.parseInt(record.file.slice(0, 8), 16));
  const { exit_code, stderr } = await nodes.exec(
    node,
    [`${bin}/pg_waldump`, "-q", "-p", `${data}/pg_wal`, "-t", timeline, "-s", from, "-e", to],
    { maxBytes: 64 * 1024 },
  );
  return exit_code === 0 ? null : stderr.trim() || `exit code ${exit_code}`;
}

function foundBy(dump: Dump, { rows: left }: Tried, rows: number): Found {
  const lost = left === null ? null : rows - left;
  const dumpSaw = dump !== null && dump.before === null && dump.after !== null;
  return {
    by: [
      ...(dumpSaw ? (["pg_waldump"] as const) : []),
      ...(lost === 0 ? [] : (["recovery"] as const)),
    ],
    lost,
  };
}

function proofOf(what: string, dump: Dump, { by, lost, said }: Found & Pick<Tried, "said">): Proof {
  const dumpSaid =
    dump === null
      ? "the node has no pg_waldump"
      : `pg_waldump ${dump.after === null ? "reads all of it still" : `says: ${dump.after}`}`;
  const recovered =
    lost === null
      ? `a server does not start with it: ${said}`
      : `a server that recovers alone with it lacks ${lost} of ${COMMITS} rows that were acknowledged`;
  return {
    took: by.includes("recovery") && (dump === null || by.includes("pg_waldump")),
    evidence: `${what}: ${dumpSaid}; ${recovered}`,
  };
}
