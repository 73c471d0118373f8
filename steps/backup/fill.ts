import { isDeepStrictEqual } from "node:util";
import type { Json, StepContext } from "../../engine/types.ts";
import { historyFile, parseHistoryFile } from "../../providers/backup/segments.ts";
import { type Histories, parseHistory } from "../../providers/backup/timelines.ts";
import { defineStep } from "../define.ts";
import { hostsOf } from "./archive/hosts.ts";
import { checksumOf, type KeptWal, pushFrom, walOn } from "./archive/pg-wal.ts";
import { GAP, gapRows } from "./archive/shape.ts";
import { archiveState } from "./archive/state.ts";

export default defineStep({
  type: "backup.fill",
  summary: "Bring what is missing in the archive from any server that still has it",
  docs: `Each missing segment and history file that lies in the pg_wal of a server whose host is reached, of one that is down too, is pushed by the pgdba beside
its data. Nothing is ever overwritten: an object is made once. Of a segment only those count that the server has finished. Where two servers have begun a
timeline of the same number, only those count whose history is that of the cluster; where servers differ in a file, it is not brought.
\`gone\` is on no server that was reached.`,
  example: `- backup.fill: {}
`,
  effect: "change",
  idempotent: true,
  needs: ["repository"],
  uses: ["nodes", "postgres", "member", "superuser"],
  locks: "backup",
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["filled", "gone", "failed", "gaps", "histories", "silent"],
    properties: {
      filled: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["file", "node"],
          properties: { file: { type: "string" }, node: { type: "string" } },
        },
      },
      gone: { type: "array", items: { type: "string" } },
      failed: {
        type: "array",
        description: "A server has it, and it did not get into the repository",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["file", "node", "why"],
          properties: {
            file: { type: "string" },
            node: { type: "string" },
            why: { type: "string" },
          },
        },
      },
      gaps: { type: "array", items: GAP, description: "Those that are left" },
      histories: {
        type: "array",
        items: { type: "string" },
        description: "Missing ones that are left",
      },
      silent: {
        type: "array",
        items: { type: "string" },
        description: "Servers whose hosts do not answer: they may have what is gone elsewhere",
      },
    },
  },
  async run(ctx) {
    const { wanted, silent } = await found(ctx);
    const filled: { file: string; node: string }[] = [];
    const failed: { file: string; node: string; why: string }[] = [];
    for (const [done, { file, owners }] of wanted.entries()) {
      ctx.signal.throwIfAborted();
      ctx.progress({ done, total: wanted.length, unit: "files", text: file });
      let why = await differenceOf(owners, file);
      for (const owner of why === null ? owners : []) {
        why = await pushFrom(owner, file);
        if (why !== null) continue;
        filled.push({ file, node: owner.host.name });
        break;
      }
      if (why !== null) failed.push({ file, node: owners.at(-1)!.host.name, why });
    }
    if (filled.length === 0) ctx.unchanged();
    const { missing } = await archiveState(ctx);
    return {
      filled,
      gone: wanted.flatMap(({ file, owners }) => (owners.length === 0 ? [file] : [])),
      failed,
      gaps: gapRows(missing),
      histories: missing.histories,
      silent,
    };
  },
  async plan(ctx): Promise<Json> {
    const { wanted, silent } = await found(ctx);
    const would = wanted.map(({ file, owners }) => ({ file, node: owners[0]?.host.name ?? null }));
    return { would, silent };
  },
});

/** The files that are missing, and the servers that may be asked for them. */
async function found(ctx: StepContext): Promise<{
  wanted: { file: string; owners: KeptWal[] }[];
  silent: string[];
}> {
  const { missing } = await archiveState(ctx);
  const files = [...missing.histories, ...missing.segments];
  if (files.length === 0) return { wanted: [], silent: [] };
  const { hosts, silent } = await hostsOf(ctx);
  const kept: KeptWal[] = [];
  for (const host of hosts) kept.push(await walOn(host));
  return {
    wanted: files.map((file) => ({
      file,
      owners: kept.filter((one) => has(one, file) && isSameLife(one, file, missing.known)),
    })),
    silent,
  };
}

const has = ({ files, finished }: KeptWal, file: string) =>
  files.has(file) && (parseHistoryFile(file) !== null || finished.has(file));

/** A server that has begun the file's timeline elsewhere has lived another life: its WAL has the same names. */
function isSameLife({ histories }: KeptWal, file: string, known: Histories): boolean {
  const timeline = Number.parseInt(file.slice(0, 8), 16);
  const ours = known.get(timeline);
  const text = histories.get(historyFile(timeline));
  if (ours === undefined || text === undefined) return true;
  try {
    return isDeepStrictEqual(parseHistory(timeline, text), ours);
  } catch {
    return false;
  }
}

/** Null when all have the same; else in words. */
async function differenceOf(owners: readonly KeptWal[], file: string): Promise<string | null> {
  if (owners.length < 2) return null;
  const sums = new Set<string>();
  for (const owner of owners) sums.add(await checksumOf(owner, file));
  if (sums.size === 1) return null;
  const names = owners.map(({ host }) => host.name).join(" and ");
  return `${names} have different contents under this name, and nobody knows which is the cluster's`;
}
