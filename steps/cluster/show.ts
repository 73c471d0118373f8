import { toPgdbaError } from "../../engine/errors.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import { clusterFile, onlyCluster, unknownCluster } from "../../providers/registry/folder.ts";
import {
  type ClusterEntry,
  type PasswordNames,
  readClusterFile,
} from "../../providers/registry/read.ts";
import { CLUSTER_PARTS } from "../../providers/registry/schema.ts";
import { readPassword } from "../../providers/registry/secrets.ts";
import { defineStep } from "../define.ts";
import { clusterName, NAME } from "./entry/name.ts";

const TEXT = { type: ["string", "null"] } as const;
const MAP = { type: ["object", "null"] } as const;

export default defineStep({
  type: "cluster.show",
  summary: "What is registered of one cluster",
  docs: `Reads its file and connects to nothing. Of secrets it tells where they are found and whether they can be read there, never a value. Of
a file that can't be used it says \`problem\` and \`hint\`.`,
  example: `- cluster.show: {name: orders}
`,
  effect: "read",
  idempotent: true,
  input: { type: "object", additionalProperties: false, properties: { name: NAME } },
  output: {
    type: "object",
    additionalProperties: false,
    required: [
      "name",
      "file",
      "ownership",
      "provider",
      "labels",
      "partial",
      "system_identifier",
      "cluster_id",
      "version",
      "postgres",
      "patroni",
      "place",
      "nodes",
      "accounts",
      "repository",
      "monitoring",
      "secrets",
      "problem",
      "hint",
    ],
    properties: {
      name: { type: "string" },
      file: { type: "string" },
      ownership: { ...TEXT, description: CLUSTER_PARTS.ownership.description },
      provider: { ...TEXT, description: CLUSTER_PARTS.provider.description },
      labels: { type: "array", items: { type: "string" } },
      partial: { ...TEXT, description: CLUSTER_PARTS.partial.description },
      system_identifier: TEXT,
      cluster_id: TEXT,
      version: { type: ["integer", "null"], description: CLUSTER_PARTS.version.description },
      postgres: { ...MAP, description: CLUSTER_PARTS.postgres.description },
      patroni: { ...MAP, description: CLUSTER_PARTS.patroni.description },
      dcs: { ...MAP, description: CLUSTER_PARTS.dcs.description },
      tls: { ...MAP, description: CLUSTER_PARTS.tls.description },
      pgbouncer: { ...MAP, description: CLUSTER_PARTS.pgbouncer.description },
      place: { ...MAP, description: CLUSTER_PARTS.place.description },
      nodes: {
        type: "array",
        items: { type: "object" },
        description: CLUSTER_PARTS.nodes.description,
      },
      accounts: { ...MAP, description: CLUSTER_PARTS.accounts.description },
      repository: { ...MAP, description: CLUSTER_PARTS.repository.description },
      monitoring: { ...MAP, description: CLUSTER_PARTS.monitoring.description },
      secrets: {
        type: "array",
        description: "Where each secret is found",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["name", "in", "where", "problem"],
          properties: {
            name: { type: "string" },
            in: { type: "string", enum: ["variable", "file", "file named by a variable"] },
            where: { type: "string", description: "The variable or the file" },
            problem: { ...TEXT, description: "Why it can't be read there now" },
          },
        },
      },
      problem: { ...TEXT, description: "Why its file can't be used" },
      hint: { ...TEXT, description: "What to do about it" },
    },
  },
  async run(ctx, input) {
    const { stateDir } = ctx.run;
    const asked = input.name ?? ctx.target.cluster;
    const name = clusterName(ctx, asked ?? (await onlyCluster(stateDir)));
    const file = clusterFile(stateDir, name);
    try {
      const entry = await readClusterFile(name, file);
      if (entry === undefined) throw await unknownCluster(stateDir, name);
      return shown(ctx, file, entry);
    } catch (thrown) {
      const { code, message, hint = null } = toPgdbaError(thrown);
      if (code !== "invalid_config") throw thrown;
      return { name, file, ...NOTHING, problem: message, hint };
    }
  },
});

const NOTHING = {
  ownership: null,
  provider: null,
  labels: [],
  partial: null,
  system_identifier: null,
  cluster_id: null,
  version: null,
  postgres: null,
  patroni: null,
  dcs: null,
  pgbouncer: null,
  tls: null,
  place: null,
  nodes: [],
  accounts: null,
  repository: null,
  monitoring: null,
  secrets: [],
  problem: null,
  hint: null,
};

function shown(ctx: StepContext, file: string, { name, data, secrets }: ClusterEntry) {
  // Who wrote a part is for whoever takes something back.
  const { recorded_by: _by, ...parts } = data;
  return {
    name,
    file,
    ...NOTHING,
    ...(parts as { [part: string]: Json }),
    secrets: secrets.map(({ name: secret, place }) => secretOf(ctx, file, secret, place)),
  };
}

function secretOf(ctx: StepContext, file: string, name: string, place: PasswordNames) {
  const about = {
    name,
    in: place.variable ? "variable" : place.file ? "file" : "file named by a variable",
    where: place.variable ?? place.file ?? place.fileVariable ?? "",
  };
  try {
    readPassword(place, file, { env: ctx.env, onSecret: (value) => ctx.secret(value) });
    return { ...about, problem: null };
  } catch (thrown) {
    return { ...about, problem: toPgdbaError(thrown).message };
  }
}
