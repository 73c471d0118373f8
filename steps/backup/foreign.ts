import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import type { ForeignBackup } from "../../providers/backup/foreign/contract.ts";
import { TOOLS } from "../../providers/backup/foreign/tools.ts";
import type { Runs } from "../../providers/backup/logical/programs.ts";
import { defineStep } from "../define.ts";
import { runsOn } from "./node-runs.ts";

const TEXT = { type: ["string", "null"] } as const;
const NUMBER = { type: ["number", "null"] } as const;

export default defineStep({
  type: "backup.foreign",
  summary: "List the backups that other tools have made of this cluster",
  docs: `pgBackRest is asked on every node that a provider reaches, and on this machine; the backups are those whose system identifier is the cluster's. They are
only looked at: pgdba neither restores nor removes them. A tool that is there and can't tell is a problem in the output, and no error.`,
  example: `- backup.foreign: {}
`,
  effect: "read",
  idempotent: true,
  uses: ["nodes"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["tools", "backups", "newest_at", "problems"],
    properties: {
      tools: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["tool", "version", "where"],
          properties: {
            tool: { type: "string" },
            version: { type: "string" },
            where: { type: "string" },
          },
        },
      },
      backups: {
        type: "array",
        description: "The newest first",
        items: {
          type: "object",
          additionalProperties: false,
          required: [
            "tool",
            "id",
            "set",
            "type",
            "parent",
            "started_at",
            "finished_at",
            "bytes",
            "stored_bytes",
            "wal_start",
            "wal_end",
            "error",
          ],
          properties: {
            tool: { type: "string" },
            id: { type: "string" },
            set: { type: "string", description: "The stanza" },
            type: { type: "string", enum: ["full", "differential", "incremental"] },
            parent: TEXT,
            started_at: { type: "string" },
            finished_at: { type: "string" },
            bytes: NUMBER,
            stored_bytes: NUMBER,
            wal_start: TEXT,
            wal_end: TEXT,
            error: {
              type: "boolean",
              description: "The tool says that something is wrong with it",
            },
          },
        },
      },
      newest_at: { ...TEXT, description: "When the newest one without an error was finished" },
      problems: { type: "array", items: { type: "string" } },
    },
  },
  async run(ctx) {
    const { identity } = await ctx.target.facts();
    if (identity === null) return { tools: [], backups: [], newest_at: null, problems: [NOBODY] };
    // Side by side: a node that is slow keeps no other waiting.
    const places = await Promise.all(
      (await placesOf(ctx)).map((place) => lookAt(ctx, place, identity)),
    );
    const seen = places.flat();
    // A repository that several places reach is one.
    const backups = new Map(
      seen
        .flatMap(({ backups: found }) => found)
        .map((one) => [`${one.tool} ${one.set} ${one.id}`, one]),
    );
    const sorted = [...backups.values()].toSorted((a, b) =>
      a.finished_at < b.finished_at ? 1 : -1,
    );
    const newest = sorted.find(({ error }) => !error);
    return {
      tools: seen.flatMap(({ tool }) => tool ?? []),
      backups: sorted,
      newest_at: newest?.finished_at ?? null,
      problems: [...new Set(seen.flatMap(({ problems }) => problems))],
    };
  },
});

/** So long one program of a node may take; one that hangs is a problem that is told. */
const NODE_MS = 20_000;
const NOBODY =
  "The server does not tell its system identifier, so nobody knows which backups are its own";

interface AskedPlace {
  where: string;
  run: Runs;
}

interface Seen {
  tool: { tool: string; version: string; where: string } | null;
  backups: (ForeignBackup & { tool: string })[];
  problems: string[];
}

/** What each tool that is there says at one place. */
async function lookAt(
  ctx: StepContext,
  { where, run }: AskedPlace,
  identity: string,
): Promise<Seen[]> {
  const seen: Seen[] = [];
  for (const { name, list } of TOOLS) {
    try {
      const found = await list(run, identity);
      if (found === null) continue;
      seen.push({
        tool: { tool: name, version: found.version, where },
        backups: found.backups.map((one) => ({ tool: name, ...one })),
        problems: found.problems.map((problem) => `${name} ${where}: ${problem}`),
      });
    } catch (error) {
      if (ctx.signal.aborted || !(error instanceof PgdbaError)) throw error;
      seen.push({ tool: null, backups: [], problems: [`${name} ${where}: ${error.message}`] });
    }
  }
  return seen;
}

async function placesOf(ctx: StepContext): Promise<AskedPlace[]> {
  const here = {
    where: "on this machine",
    run: (argv: string[], options?: Parameters<Runs>[1]) => ctx.spawn(argv, options),
  };
  const { capabilities } = await ctx.target.facts();
  if (!capabilities.includes("nodes")) return [here];
  const nodes = await ctx.use("nodes");
  const all = await nodes.list();
  const running = all.filter(
    ({ roles, state }) => roles.includes("postgres") && state.running === "running",
  );
  return [
    ...running.map(({ node }) => ({
      where: `on ${node}`,
      run: runsOn(nodes, node, { timeoutMs: NODE_MS }),
    })),
    here,
  ];
}
