import type { StepContext } from "../../../engine/types.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { onMember } from "../../sql/session.ts";
import { membersOf } from "../whole/servers.ts";
import { replayed } from "./replayed.ts";
import {
  check,
  failures,
  type Finding,
  type Read,
  readTable,
  type TableFacts,
  tableOf,
} from "./table.ts";

/** A table as one node has it. */
export interface Copy {
  node: string;
  rows: number | null;
  digest: string | null;
  index_rows: number | null;
  bytes: number;
  findings: Finding[];
}

/** The table on each node, at a moment when the standbys have what the leader had. */
export async function copiesOf(ctx: StepContext, name: string, database?: string): Promise<Copy[]> {
  const members = await membersOf(ctx);
  const on = async <T>(node: string, work: (pg: PgSession, table: TableFacts) => Promise<T>) => {
    ctx.progress({ text: `reads ${name} on ${node}` });
    return onMember(
      ctx,
      node,
      async (pg) => {
        await replayed(ctx, node, pg);
        return work(pg, await tableOf(pg, name, ctx.signal));
      },
      database,
    );
  };
  const { signal } = ctx;
  const read: Copy[] = [];
  for (const node of members)
    read.push(
      await on(node, async (pg, table) => {
        const { error, ...seqscan } = await readTable(pg, table, "seqscan", signal);
        const findings: Finding[] = error === null ? [] : [{ by: "seqscan", said: error }];
        return { node, ...seqscan, index_rows: null, bytes: table.bytes, findings };
      }),
    );
  const compared = judged(read);
  for (const copy of compared)
    await on(copy.node, async (pg, table) => {
      const { findings } = copy;
      if (table.index !== null && isHarmless(findings)) {
        const index = await readTable(pg, table, "index read", signal);
        copy.index_rows = index.rows;
        findings.push(...byIndex(copy, index));
      }
      findings.push(...(await check(pg, table, signal)));
      const times = findings.length === 0 || !table.checksums ? 0 : await failures(pg, signal);
      if (times > 0) findings.push({ by: "checksum", said: `${times} failed in this database` });
    });
  return compared;
}

/**
 * Where rows are gone from a page that is there, a primary that reads by an index takes their entries for dead and marks them so, which its standbys
 * are told: such a read would carry the damage further. A file that is too short ends the read with an error before that.
 */
const isHarmless = (findings: readonly Finding[]): boolean =>
  !findings.some(({ by }) => by === "comparison") || findings.some(({ by }) => by === "size");

function byIndex({ rows, digest }: Copy, index: Read): Finding[] {
  if (index.error !== null) return [{ by: "index read", said: index.error }];
  if (digest === null || index.digest === digest) return [];
  const said =
    rows === index.rows
      ? "other rows by its index than by the table"
      : `${rows} rows by the table, ${index.rows} by its index`;
  return [{ by: "comparison", said }];
}

/** What most nodes hold; of two that differ, the one that has more rows. */
export function reference(copies: readonly Copy[]): Copy | undefined {
  const times = ({ digest }: Copy) => copies.filter((one) => one.digest === digest).length;
  return copies
    .filter(({ digest }) => digest !== null)
    .toSorted((a, b) => times(b) - times(a) || b.rows! - a.rows!)[0];
}

/** Adds what only a comparison shows: checks may be blind to rows that are gone. */
function judged(copies: readonly Copy[]): Copy[] {
  const right = reference(copies);
  if (right === undefined) return [...copies];
  const most = Math.max(...copies.map(({ bytes }) => bytes));
  return copies.map((copy) => {
    const findings = [...copy.findings];
    if (copy.digest !== null && copy.digest !== right.digest)
      findings.push({
        by: "comparison",
        said:
          copy.rows === right.rows
            ? `other rows than ${right.node}`
            : `${copy.rows} rows, ${right.rows} on ${right.node}`,
      });
    if (copy.bytes < most)
      findings.push({ by: "size", said: `${copy.bytes} bytes, ${most} elsewhere` });
    return { ...copy, findings };
  });
}
