import { join } from "node:path";
import { PgdbaError } from "../../engine/errors.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import {
  type Parts,
  recordCluster,
  recordedSince,
  takeBackRecord,
} from "../../providers/registry/record.ts";
import { ensureSecret, removeSecrets } from "../../providers/registry/secrets.ts";
import { defineStep } from "../define.ts";
import { milliseconds } from "../sql/session.ts";
import { GRAFANA_SECRET, grafanaFiles } from "./include/grafana.ts";
import { byOf, withNodes } from "./node/beside.ts";
import { entryOf } from "./node/entry.ts";
import { json } from "./node/home-of.ts";
import { PORT } from "./node/places.ts";
import { putFiles } from "./node/put-files.ts";
import { GRAFANA_TARGETS, type Group, grafanaTargets } from "./node/targets.ts";

const POLL_MS = 500;
const ASK_MS = 5_000;

export default defineStep({
  type: "monitor.grafana-run",
  summary:
    "Run a Grafana beside the node that monitors, with data source and dashboards provisioned",
  docs: `A container of an image that the Docker Engine has, in the network of the node. The password of its user \`admin\` is made here, kept in a file of the state folder that only its owner reads,
and given to it as a file, so that no environment and no label has it; Grafana takes it when it starts for the first time. Done again it brings data source, dashboards and image up to
date; what Grafana itself has kept stays. It ends when Grafana says that it is well (\`/api/health\`), and Prometheus on the node is told to ask it for its own metrics.`,
  example: `- monitor.grafana-run: {node: monitor1, image: "grafana/grafana:12.3.0"}
`,
  effect: "change",
  idempotent: true,
  interruptible: true,
  risk: "change",
  locks: "none",
  uses: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "image"],
    properties: {
      node: { type: "string", minLength: 1 },
      image: { type: "string", minLength: 1 },
      beside: {
        type: ["string", "null"],
        description:
          "The URL of Prometheus, where the node is none of the cluster's own; by the node's name without it",
      },
      wait: { type: "string", format: "duration", default: "60s" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["url", "user", "password_file", "image"],
    properties: {
      url: { type: "string" },
      user: { type: "string" },
      password_file: { type: "string", description: "Where its first password stands" },
      image: { type: "string" },
    },
  },
  async run(ctx, { node, image, beside, wait = "60s" }) {
    const { name: cluster, data } = await entryOf(ctx);
    const whose = { env: ctx.env, cluster };
    const { grafanaThere, GRAFANA_FILES, runGrafana } =
      await import("../../providers/nodes/docker/grafana.ts");
    if (ctx.noted === undefined)
      ctx.note({ was: (await grafanaThere(whose)) !== null, parts: secretsIn(data) as Json });
    let password = "";
    const place = await ensureSecret(ctx.run.stateDir, cluster, GRAFANA_SECRET, (value) => {
      ctx.secret(value);
      password = value;
    });
    const parts = { secrets: { [GRAFANA_SECRET]: place } };
    const record = { run: ctx.run.id, parts, isFinished: false };
    await recordCluster(ctx.run.stateDir, cluster, record, () => {});
    const prometheus = (beside as string | null) ?? `http://${node}:${PORT.prometheus}`;
    const files = await grafanaFiles(prometheus, `${GRAFANA_FILES}/dashboards`);
    const { did, url, container, from } = await runGrafana(whose, byOf(ctx), {
      node,
      image,
      files,
      password,
    });
    await healthy(ctx, url, container, milliseconds(wait) ?? 0);
    const put = await watched(ctx, node, Boolean(beside), grafanaTargets(cluster, node, from));
    if (did === "kept" && put.length === 0) ctx.unchanged();
    return { url, user: "admin", password_file: join(ctx.run.stateDir, place.file), image };
  },
  async plan(_ctx, { node, image }): Promise<Json> {
    return { node, image };
  },
  async undo(ctx, { node, beside }) {
    const noted = ctx.noted as { was: boolean; parts: Parts } | undefined;
    if (noted === undefined || noted.was) return ctx.unchanged();
    const { name: cluster, data } = await entryOf(ctx);
    const by = recordedSince(data, "secrets", ctx.run.id);
    if (by !== null) {
      ctx.warn(
        `Run ${by} works with the Grafana that this one has made: it stays. \`pgdba monitor remove --cluster ${cluster}\` takes it away`,
      );
      return ctx.unchanged();
    }
    const { removeGrafana } = await import("../../providers/nodes/docker/grafana.ts");
    // Before it goes: else it would be told as one that is down.
    await watched(ctx, node, Boolean(beside), []).catch((error: unknown) =>
      ctx.warn(`Prometheus on ${node} still asks Grafana: ${(error as Error).message}`),
    );
    await removeGrafana({ env: ctx.env, cluster });
    if (noted.parts.secrets?.[GRAFANA_SECRET] !== undefined) return;
    const record = { run: ctx.run.id, parts: secretsIn(data) };
    await takeBackRecord(ctx.run.stateDir, cluster, record, noted.parts);
    await removeSecrets(ctx.run.stateDir, cluster, [GRAFANA_SECRET]);
  },
});

/** Tells Prometheus on the node whom to ask. Gives the files that were changed. */
const watched = (
  ctx: StepContext,
  node: string,
  isBeside: boolean,
  groups: readonly Group[],
): Promise<string[]> =>
  withNodes(ctx, isBeside, (nodes) =>
    putFiles(nodes, node, new Map([[GRAFANA_TARGETS, json(groups)]])),
  );

/** What the step may change in the entry, as it is. */
const secretsIn = ({ secrets }: Parts): Parts => (secrets === undefined ? {} : { secrets });

/** Waits until it says that it is well. @throws PgdbaError timeout */
async function healthy(
  ctx: StepContext,
  url: string,
  container: string,
  waitMs: number,
): Promise<void> {
  const end = ctx.clock.monotonic() + waitMs;
  for (;;) {
    const said = await healthOf(ctx, url);
    if (said === null) return;
    if (ctx.clock.monotonic() >= end)
      throw new PgdbaError(
        "timeout",
        `Grafana does not answer as a healthy one at ${url}: ${said}`,
        {
          hint: `Look at \`docker logs ${container}\`: is its image one of Grafana?`,
          retryable: true,
        },
      );
    ctx.progress({ text: "waiting for Grafana" });
    await ctx.clock.sleep(POLL_MS, ctx.signal);
  }
}

/** Null when it is well, else what it is. */
async function healthOf(ctx: StepContext, url: string): Promise<string | null> {
  try {
    const answer = await fetch(`${url}/api/health`, {
      signal: AbortSignal.any([ctx.signal, AbortSignal.timeout(ASK_MS)]),
    });
    if (!answer.ok) return `HTTP ${answer.status}`;
    const { database } = (await answer.json()) as { database?: unknown };
    return database === "ok" ? null : `its database is ${String(database)}`;
  } catch (error) {
    ctx.signal.throwIfAborted();
    return (error as Error).message;
  }
}
