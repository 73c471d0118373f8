import { join } from "node:path";
import { toPgdbaError } from "../../engine/errors.ts";
import { readTextIfThere } from "../../engine/shared/read-file.ts";
import { writeWhole } from "../../engine/shared/write-file.ts";
import type { StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { watchedIn } from "./node/home.ts";
import { targetFiles, type Watched } from "./node/targets.ts";
import { entryOf } from "./node/entry.ts";

const EVERY_MS = 5_000;
const ASK_MS = 3_000;
/** Of the servers; the other jobs have targets that do not come and go by themselves. */
const JOBS = ["postgres", "patroni", "node"];

export default defineStep({
  type: "monitor.follow",
  summary:
    "Keep Prometheus's files of targets in step with the members of the cluster, until the run is interrupted",
  docs: `Members that the cluster's entry names are always asked, also while they are down: one that vanishes must not take its alert along. Those that Patroni lists beside
them are added within seconds. One that was removed goes when the entry of the node is brought up to date, which \`monitor.targets\` does.`,
  example: `- monitor.follow: {into: /var/lib/pgdba/monitor/targets}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  interruptible: true,
  needs: ["patroni"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["into"],
    properties: {
      into: { type: "string", minLength: 1, description: "The folder of the files" },
      disks: {
        type: "boolean",
        default: true,
        description: "An exporter beside each server tells of its disks",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    properties: {},
    description: "None: it ends only by being interrupted",
  },
  // What it wrote is right, or is written anew.
  probe: async () => ({ state: "not_done" }),
  async run(ctx, { into, disks = true }) {
    while (!ctx.signal.aborted) {
      await once(ctx, into, disks).catch((error: unknown) => {
        if (!ctx.signal.aborted) ctx.log((error as Error).message, "warn");
      });
      await ctx.clock.sleep(EVERY_MS, ctx.signal).catch(() => {});
    }
    throw toPgdbaError(ctx.signal.reason, "interrupted");
  },
});

/** Writes the files that are other than what is there. @throws PgdbaError when Patroni does not answer, or a file can't be written */
export async function once(ctx: StepContext, into: string, hasDisks = true): Promise<void> {
  const entry = await entryOf(ctx);
  const cluster = entry.name;
  const known = { ...watchedIn(cluster, entry.data), hasDisks };
  const signal = AbortSignal.any([ctx.signal, AbortSignal.timeout(ASK_MS)]);
  const { members } = await (await ctx.use("patroni")).cluster(signal);
  const files = targetFiles(joined(known, members), "");
  for (const job of JOBS) {
    const path = join(into, `${job}.json`);
    const text = `${JSON.stringify(files[job], null, 2)}\n`;
    if (readTextIfThere(path, { maxBytes: 1 << 20 }) !== text) await writeWhole(path, text);
  }
}

/** Those that the entry knows, and those that Patroni lists beside them: at the address and the port that it tells. */
export function joined(
  known: Watched,
  members: readonly { name: string; host: string; port: number; api: string }[],
): Watched {
  const more = members.filter(({ name }) => !known.servers.some((one) => one.name === name));
  return {
    ...known,
    servers: [
      ...known.servers,
      ...more.map(({ name, host, port, api }) => ({
        name,
        host,
        port,
        api: api === "" ? null : Number(new URL(api).port || 443),
      })),
    ].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  };
}
