import { clusterFile } from "../../providers/registry/folder.ts";
import { type Parts, recordCluster, takeBackRecord } from "../../providers/registry/record.ts";
import { CLUSTER_PARTS } from "../../providers/registry/schema.ts";
import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { ownCluster } from "./entry/name.ts";

const { ownership: _ownership, partial: _partial, recorded_by: _by, ...REST } = CLUSTER_PARTS;
const { system_identifier, dcs, pgbouncer, accounts, nodes, monitoring } = REST;
const { address, reach } = nodes.items.properties;
const orNull = <T extends object>(schema: T) => ({ ...schema, type: ["string", "null"] }) as const;
/** A runbook says by null that there is none. */
const PARTS = {
  ...REST,
  system_identifier: orNull(system_identifier),
  dcs: { ...dcs, type: ["object", "null"] },
  pgbouncer: { ...pgbouncer, type: ["object", "null"] },
  monitoring: {
    ...monitoring,
    properties: {
      prometheus: orNull(monitoring.properties.prometheus),
      grafana: orNull(monitoring.properties.grafana),
      alertmanager: orNull(monitoring.properties.alertmanager),
    },
  },
  // As the steps that list nodes give them: one without a server has no address of one.
  nodes: {
    ...nodes,
    items: {
      ...nodes.items,
      properties: {
        ...nodes.items.properties,
        address: { ...address, type: ["object", "null"] },
        reach: { ...reach, type: ["object", "null"] },
      },
    },
  },
  accounts: {
    ...accounts,
    additionalProperties: { ...accounts.additionalProperties, type: ["object", "null"] },
  },
} as const;

/** The parts as the registry has them: nothing in them is null. */
function partsOf(input: object): Parts {
  return JSON.parse(JSON.stringify(input), (_key, value: unknown) => value ?? undefined) as Parts;
}

/** Whoever makes a cluster with that account connects by it. */
const namesSuperuser = (accounts: unknown): boolean =>
  typeof accounts === "object" && accounts !== null && "superuser" in accounts;

export default defineStep({
  type: "cluster.record",
  summary: "Write what is known of a cluster into the registry",
  docs: `Each part that is given takes the place of what the entry had; \`secrets\` are added. Comments in the file stay. The identity of a
cluster that is finished (system identifier, cluster id, Patroni scope) is added to and never replaced: another cluster's is refused.
\`finished\` ends the reservation of \`cluster.reserve\`. Undo puts back what was there, but for parts that somebody else has changed since, or that another run has recorded as they are.`,
  example: `- cluster.record:
    system_identifier: "7396112233445566778"
    postgres: {host: db1, user: postgres, password_secret: superuser}
    nodes:
      - {name: pg1, roles: [postgres], address: {host: db1, port: 5432}}
    finished: true
`,
  effect: "change",
  idempotent: true,
  locks: "none",
  gives: (input: {
    [
      part in "postgres" | "accounts" | "patroni" | "dcs" | "pgbouncer" | "nodes" | "repository"
    ]?: unknown;
  }) => [
    ...(input.postgres === undefined ? [] : ["postgres", "primary"]),
    ...(input.postgres === undefined || !namesSuperuser(input.accounts) ? [] : ["superuser"]),
    ...(input.nodes === undefined ? [] : ["member"]),
    ...(["patroni", "dcs", "pgbouncer", "repository"] as const).filter(
      (part) => input[part] !== undefined,
    ),
  ],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      ...PARTS,
      finished: {
        type: "boolean",
        default: false,
        description: "The cluster is made: it is no longer marked as this run's",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["name", "file"],
    properties: { name: { type: "string" }, file: { type: "string" } },
  },
  async run(ctx, input) {
    const { finished: isFinished = false, ...parts } = input;
    const name = ownCluster(ctx);
    const { entry, changed } = await recordCluster(
      ctx.run.stateDir,
      name,
      { run: ctx.run.id, parts: partsOf(parts), isFinished },
      // An attempt that is made again finds what the last one left; the first knows what was there.
      (before) => ctx.noted === undefined && ctx.note(before as Json),
    );
    if (!changed) ctx.unchanged();
    return { name, file: entry.file };
  },
  async plan(ctx) {
    const name = ownCluster(ctx);
    return { name, file: clusterFile(ctx.run.stateDir, name) };
  },
  async undo(ctx, input) {
    const { finished: _finished, ...parts } = input;
    if (ctx.noted === undefined) return ctx.unchanged();
    const record = { run: ctx.run.id, parts: partsOf(parts) };
    await takeBackRecord(ctx.run.stateDir, ownCluster(ctx), record, ctx.noted as Parts);
  },
});
