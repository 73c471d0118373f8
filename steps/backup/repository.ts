import { PgdbaError } from "../../engine/errors.ts";
import { openRepository } from "../../providers/repository/open.ts";
import { clusterName } from "../../providers/repository/layout.ts";
import { readClusterFile } from "../../providers/registry/read.ts";
import { clusterFile } from "../../providers/registry/folder.ts";
import { CLUSTER_PARTS } from "../../providers/registry/schema.ts";
import { defineStep } from "../define.ts";
import { madePlace } from "./archive/made-place.ts";

const { kind, location, endpoint, node_endpoint, region, cafile, secret } =
  CLUSTER_PARTS.repository.properties;

export default defineStep({
  type: "backup.repository",
  summary: "Make a repository of a place, and the cluster's part in it",
  docs: `The part is that of this life of the cluster: system identifier, major version and cluster id. A cluster that has no cluster id yet, such as one that
was connected, is given one. What the place must keep is tried: that a name is given once. \`repository\`, \`cluster_id\` and \`version\` are for
\`cluster.record\`. A part that is another cluster's is refused.`,
  example: `- backup.repository: {kind: directory, location: /backups}
`,
  effect: "change",
  idempotent: true,
  needs: ["postgres"],
  uses: ["nodes"],
  locks: "backup",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["kind", "location", "system_identifier", "version"],
    properties: {
      kind,
      location,
      endpoint: { ...endpoint, type: ["string", "null"] },
      node_endpoint: { ...node_endpoint, type: ["string", "null"] },
      region: { ...region, type: ["string", "null"] },
      cafile: { ...cafile, type: ["string", "null"] },
      secret: { ...secret, type: ["string", "null"] },
      system_identifier: { type: "string" },
      version: { type: "integer" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["where", "cluster_id", "version", "system_identifier", "repository"],
    properties: {
      where: { type: "string" },
      cluster_id: { type: "string" },
      version: { type: "integer" },
      system_identifier: { type: "string" },
      repository: { type: "object" },
    },
  },
  async run(ctx, { system_identifier, version, ...place }) {
    const { cluster } = ctx.target;
    const entry =
      cluster === null
        ? undefined
        : await readClusterFile(cluster, clusterFile(ctx.run.stateDir, cluster));
    if (entry === undefined || cluster === null)
      throw new PgdbaError("step_refused", "Only a cluster of the registry has a repository", {
        hint: "Name it with --cluster: `pgdba cluster connect` registers one that Patroni runs.",
        nothingDone: true,
      });
    const noted = ctx.noted as { cluster_id: string } | undefined;
    const cluster_id = entry.data.cluster_id ?? noted?.cluster_id ?? crypto.randomUUID();
    ctx.note({ cluster_id });
    const { origins } = entry.data.repository ?? {};
    const given = Object.fromEntries(Object.entries(place).filter(([, value]) => value !== null));
    const repository = { ...given, ...(origins === undefined ? {} : { origins }) };
    const opened = await madePlace(ctx, entry, repository as never, openRepository);
    try {
      const key = { system_identifier, version, cluster_id };
      const text = JSON.stringify({ format: 1, ...key });
      const made = await opened.create(clusterName(key), new TextEncoder().encode(text), {
        signal: ctx.signal,
      });
      if (made === "same" && Bun.deepEquals(entry.data.repository, repository)) ctx.unchanged();
      return { where: opened.where, ...key, repository };
    } finally {
      await opened.close();
    }
  },
});
