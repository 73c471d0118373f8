import { PgdbaError } from "../../engine/errors.ts";
import { partText } from "../../providers/backup/parts.ts";
import { openRepository } from "../../providers/repository/open.ts";
import { clusterName } from "../../providers/repository/layout.ts";
import { readClusterFile } from "../../providers/registry/read.ts";
import { clusterFile } from "../../providers/registry/folder.ts";
import { type ClusterFile, CLUSTER_PARTS } from "../../providers/registry/schema.ts";
import { defineStep } from "../define.ts";
import { keptKey, REPOSITORY_KEY as NAME } from "./archive/kept-key.ts";
import { madePlace } from "./archive/made-place.ts";

const { kind, location, endpoint, node_endpoint, region, cafile, slot } =
  CLUSTER_PARTS.repository.properties;

type Repository = NonNullable<ClusterFile["repository"]>;

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
  uses: ["nodes", "member"],
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
      slot: { ...slot, type: ["string", "null"] },
      key_env: {
        type: ["string", "null"],
        pattern: "^[A-Za-z_][A-Za-z0-9_]*$",
        description:
          "The variable that holds the key to an object store: its id, a colon, and the key. It is kept in a file of the state folder",
      },
      system_identifier: { type: "string" },
      version: { type: "integer" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["where", "cluster_id", "version", "system_identifier", "repository", "secrets"],
    properties: {
      where: { type: "string" },
      cluster_id: { type: "string" },
      version: { type: "integer" },
      system_identifier: { type: "string" },
      repository: { type: "object" },
      secrets: { type: "object" },
    },
  },
  async run(ctx, { system_identifier, version, key_env, ...place }) {
    const { cluster } = ctx.target;
    const entry =
      cluster === null
        ? undefined
        : await readClusterFile(cluster, clusterFile(ctx.run.stateDir, cluster));
    if (entry === undefined || cluster === null)
      throw new PgdbaError("step_refused", "Only a cluster of the registry has a repository", {
        hint: "Name it with --cluster: `pgdba cluster connect --name NAME --patroni-url http://HOST:8008` registers one that Patroni runs, `pgdba cluster connect --name NAME --pg-host HOST` a server alone.",
        nothingDone: true,
      });
    const noted = ctx.noted as { cluster_id: string } | undefined;
    const cluster_id = entry.data.cluster_id ?? noted?.cluster_id ?? crypto.randomUUID();
    ctx.note({ cluster_id });
    const given = Object.fromEntries(
      Object.entries(place).filter(([, value]) => value !== null),
    ) as Partial<Repository>;
    const { origins, slot: streams, secret: before } = entry.data.repository ?? {};
    const secrets = await keptKey(ctx, cluster, key_env);
    const secret = secrets === undefined ? before : NAME;
    const repository = {
      ...(streams === undefined ? {} : { slot: streams }),
      ...(given as Repository),
      ...(given.kind === "object_store" && secret !== undefined ? { secret } : {}),
      ...(origins === undefined ? {} : { origins }),
    };
    const named = secrets === undefined ? [] : [{ name: NAME, place: secrets }];
    const withKey = { ...entry, secrets: [...named, ...entry.secrets] };
    const opened = await madePlace(ctx, withKey, repository, openRepository);
    try {
      const key = { system_identifier, version, cluster_id };
      const made = await opened.create(clusterName(key), partText(key, origins ?? []), {
        signal: ctx.signal,
      });
      if (made === "same" && Bun.deepEquals(entry.data.repository, repository)) ctx.unchanged();
      return {
        where: opened.where,
        ...key,
        repository,
        secrets: secrets === undefined ? {} : { [NAME]: secrets },
      };
    } finally {
      await opened.close();
    }
  },
});
