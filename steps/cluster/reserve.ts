import { join } from "node:path";
import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import { authorityFile } from "../../providers/registry/authority.ts";
import { clusterFile } from "../../providers/registry/folder.ts";
import { readClusterFile } from "../../providers/registry/read.ts";
import { CLUSTER_PARTS } from "../../providers/registry/schema.ts";
import { assertNoSecrets, secretPath } from "../../providers/registry/secrets.ts";
import {
  assertNameFree,
  releaseCluster,
  type Reservation,
  reserveCluster,
} from "../../providers/registry/write.ts";
import { defineStep } from "../define.ts";
import { namedCluster } from "./entry/name.ts";

export default defineStep({
  type: "cluster.reserve",
  summary: "Register a free name for the cluster that this run makes or takes over",
  docs: `The first step of whatever makes a cluster: the entry is there before anything is made, so that nobody takes the name and what a run
left half made can be found. It is marked \`partial\` with the run's id until \`cluster.record\` says that it is \`finished\`. A name that is
taken is refused, also one that another run left unfinished, whose nodes are still there though the cluster was forgotten, or whose passwords
are still there without an entry.

For each name in \`secrets\` a value is made that nobody can guess, in a file with mode 0600 in the state folder; later steps name the secret. With
\`secrets_from: ORDERS_\` they are taken from the environment instead: \`superuser\` from ORDERS_SUPERUSER_PASSWORD; all that are not set are named
at once, before anything is reserved.
With \`tls\` an authority is made for the cluster: its private key is a secret as well, in a file of the state folder whatever \`secrets_from\` says; its
certificate stands beside it (\`cafile\`), for whoever is to trust the cluster. All parts of the entry are reached by TLS from then on.
Undo takes the entry and its secrets away again if they are still this run's and not finished.`,
  example: `- cluster.reserve:
    provider: docker
    secrets: [superuser, replication]
`,
  effect: "change",
  idempotent: true,
  locks: "none",
  uses: ["nodes"],
  gives: (input: { provider?: string }) => (input.provider === undefined ? [] : ["nodes"]),
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      ownership: { ...CLUSTER_PARTS.ownership, default: "managed" },
      provider: CLUSTER_PARTS.provider,
      labels: CLUSTER_PARTS.labels,
      secrets: {
        type: "array",
        items: { type: "string", pattern: "^[a-z][a-z0-9_-]{0,62}$" },
        description: "Names of secrets to make, such as `superuser`",
      },
      secrets_from: {
        type: ["string", "null"],
        pattern: "^[A-Za-z_][A-Za-z0-9_]*$",
        description:
          "The beginning of the names of the variables that hold the secrets; without it they are made",
      },
      tls: {
        type: ["object", "null"],
        additionalProperties: false,
        required: ["authority"],
        properties: {
          authority: CLUSTER_PARTS.tls.properties.authority,
          names: CLUSTER_PARTS.tls.properties.names,
        },
        description: "All connections of the cluster are to be by TLS",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["name", "file", "cluster_id", "cafile"],
    properties: {
      name: { type: "string" },
      file: { type: "string" },
      cluster_id: {
        type: ["string", "null"],
        description: "Made for a cluster that pgdba makes; it tells it from a copy",
      },
      cafile: {
        type: ["string", "null"],
        description: "The certificate of its authority; null without TLS",
      },
    },
  },
  async run(ctx, input) {
    const name = namedCluster(ctx);
    const { secrets_from: prefix, tls: _, ...rest } = input;
    const tls = tlsIn(input);
    const variables = variablesOf(ctx, input.secrets ?? [], prefix ?? null);
    const { entry, isNew } = await reserveCluster(ctx.run.stateDir, name, {
      ownership: "managed",
      ...rest,
      ...(variables === null ? {} : { variables }),
      tls,
      run: ctx.run.id,
      onSecret: (value) => ctx.secret(value),
    });
    if (input.provider !== undefined) await assertFree(ctx, name);
    if (!isNew) ctx.unchanged();
    const cafile = cafileOf(ctx, name, tls !== undefined);
    return { name, file: entry.file, cluster_id: entry.data.cluster_id ?? null, cafile };
  },
  async plan(ctx, input) {
    const name = namedCluster(ctx);
    const file = clusterFile(ctx.run.stateDir, name);
    const variables = variablesOf(ctx, input.secrets ?? [], input.secrets_from ?? null);
    assertNameFree(name, await readClusterFile(name, file));
    const tls = tlsIn(input);
    const made = [
      ...(variables === null ? (input.secrets ?? []) : []),
      ...(tls === undefined ? [] : [tls.authority]),
    ];
    assertNoSecrets(
      ctx.run.stateDir,
      name,
      made.map((each) => ({ file: secretPath(name, each) })),
    );
    return { name, file, cluster_id: null, cafile: cafileOf(ctx, name, tls !== undefined) };
  },
  async undo(ctx, input) {
    const name = namedCluster(ctx);
    const { partial } = (await readClusterFile(name, clusterFile(ctx.run.stateDir, name))) ?? {};
    // It never came to an entry: there is no cluster whose nodes could be asked for.
    if (partial !== ctx.run.id) return ctx.unchanged();
    if (input.provider !== undefined) await assertNothingLeft(ctx);
    if (!(await releaseCluster(ctx.run.stateDir, name, ctx.run.id))) ctx.unchanged();
  },
});

/** The schema describes it; null says that there is none. */
function tlsIn({ tls }: { tls?: unknown }): Reservation["tls"] {
  return (tls ?? undefined) as Reservation["tls"];
}

function cafileOf({ run }: StepContext, name: string, hasTls: boolean): string | null {
  return hasTls ? join(run.stateDir, authorityFile(name)) : null;
}

/** The variables that hold the secrets, by their names; null without a prefix. @throws PgdbaError missing_secret with all that are not set */
function variablesOf(
  ctx: StepContext,
  secrets: readonly string[],
  prefix: string | null,
): Record<string, string> | null {
  if (prefix === null) return null;
  const variables = secrets.map(
    (name) => [name, `${prefix}${name.toUpperCase().replaceAll("-", "_")}_PASSWORD`] as const,
  );
  const missing = variables.flatMap(([, name]) => ((ctx.env[name] ?? "") === "" ? [name] : []));
  if (missing.length > 0) {
    throw new PgdbaError("missing_secret", `Not set: ${missing.join(", ")}`, {
      hint: "Set them in the environment, or have passwords made and kept in files that only you can read: --generate-secrets.",
      data: { missing },
    });
  }
  for (const [, name] of variables) ctx.secret(ctx.env[name]!);
  return Object.fromEntries(variables);
}

/**
 * A cluster that was forgotten may still have its nodes: to take them for this run's would be to mix two clusters, and to destroy the one
 * by the name of the other. Then the name is not taken. @throws PgdbaError step_refused, or why the nodes can't be asked for
 */
async function assertFree(ctx: StepContext, name: string): Promise<void> {
  try {
    const nodes = await (await ctx.use("nodes")).list();
    const others = nodes.filter(({ labels }) => labels.run !== ctx.run.id);
    if (others.length === 0) return;
    throw new PgdbaError(
      "step_refused",
      `The name ${name} is not free: ${others.map(({ node }) => node).join(", ")} of an earlier cluster is still there`,
      {
        hint: `Choose another name. Or put the entry of that cluster back (it is kept in ${ctx.run.stateDir}/forgotten), and destroy it.`,
      },
    );
  } catch (error) {
    if (await releaseCluster(ctx.run.stateDir, name, ctx.run.id)) ctx.unchanged();
    throw error;
  }
}

/** As long as a node is there, its cluster must be found by name. @throws PgdbaError undo_failed */
async function assertNothingLeft(ctx: StepContext): Promise<void> {
  const left = await (await ctx.use("nodes")).list();
  if (left.length === 0) return;
  const names = left.map(({ node }) => node).join(", ");
  throw new PgdbaError(
    "undo_failed",
    `The entry of ${ctx.target.name} stays, for ${names} is still there`,
    {
      hint: "Remove what is left by the runbook that destroys the cluster; it takes a half-made one too.",
    },
  );
}
