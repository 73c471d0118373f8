import type { Json } from "../../engine/types.ts";
import type { ClusterEntry } from "../../providers/registry/read.ts";
import { readPassword } from "../../providers/registry/secrets.ts";
import type { StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { isNeededSince, MONITOR_ACCOUNT, monitorPassword } from "./account.ts";
import { byOf, NODE, openingOf, portsOf, withBeside } from "./node/beside.ts";
import { PORT } from "./node/places.ts";
import { entryOf } from "./node/entry.ts";

/** So many PgBouncers can have an exporter. */
const POOLERS = 8;

export default defineStep({
  type: "monitor.beside",
  summary: "Make a node that watches a cluster which pgdba did not make, or a server alone",
  docs: `A container of this machine's Docker Engine, in the network of the machine itself: it reaches the servers as this machine does, and has no power over them. Its programs
listen on the loopback, on ports that it keeps. One that is there is left as it is, and started where it does not run. \`monitor.install\` tells it what to do.`,
  example: `- monitor.beside: {}
`,
  effect: "change",
  idempotent: true,
  interruptible: true,
  risk: "change",
  locks: "none",
  needs: ["postgres"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node", "made", "prometheus", "alertmanager"],
    properties: {
      node: { type: "string" },
      made: { type: "boolean", description: "It was not there" },
      prometheus: { type: "string", description: "Its URL" },
      alertmanager: { type: "string", description: "Its URL" },
    },
  },
  async run(ctx) {
    const entry = await entryOf(ctx);
    if (ctx.noted === undefined)
      ctx.note({ was: await isThere(ctx), uses: entry.data.monitoring !== undefined });
    const { was } = ctx.noted as unknown as Noted;
    const poolers = Array.from({ length: POOLERS }, (_, at) => PORT.pgbouncer + at);
    const ports = [...Object.values(PORT).filter((port) => port !== PORT.pgbouncer), ...poolers];
    const wish = { node: NODE, secrets: secretsOf(ctx, entry), ports };
    // Only here: the client of the Docker Engine is slow to load, and whoever lists the steps loads them all.
    const { makeBeside } = await import("../../providers/nodes/docker/beside.ts");
    const made = await makeBeside(openingOf(ctx), byOf(ctx), wish);
    if (!made) ctx.unchanged();
    const at = await withBeside(ctx, (nodes) => portsOf(nodes, NODE));
    const url = (port: number): string => `http://127.0.0.1:${port}`;
    return {
      node: NODE,
      made: !was,
      prometheus: url(at.prometheus),
      alertmanager: url(at.alertmanager),
    };
  },
  async plan(ctx): Promise<Json> {
    return { node: NODE, made: !(await isThere(ctx)) };
  },
  async undo(ctx) {
    const { was, uses } = (ctx.noted ?? { was: true, uses: true }) as unknown as Noted;
    if (was || isNeededSince(ctx, uses, (await entryOf(ctx)).data)) return ctx.unchanged();
    await withBeside(ctx, (nodes) => nodes.deprovision({ nodes: [NODE] }));
  },
});

interface Noted {
  was: boolean;
  /** The entry named programs that watch the cluster. */
  uses: boolean;
}

function isThere(ctx: StepContext): Promise<boolean> {
  return withBeside(ctx, async (nodes) =>
    (await nodes.list()).some(({ node, made }) => node === NODE && made),
  );
}

/** What its programs log in by. @throws PgdbaError missing_secret */
function secretsOf(ctx: StepContext, entry: ClusterEntry): Record<string, string> {
  const monitor = monitorPassword(ctx, entry);
  const pooler = readPassword(entry.pgbouncer?.passwordNames ?? {}, entry.file, {
    env: ctx.env,
    onSecret: (value) => ctx.secret(value),
  });
  return {
    ...(monitor === undefined ? {} : { [MONITOR_ACCOUNT]: monitor }),
    ...(pooler === undefined ? {} : { pgbouncer_admin: pooler }),
  };
}
