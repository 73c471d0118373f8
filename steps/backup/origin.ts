import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import { findPart } from "../../providers/backup/parts.ts";
import type { ClusterEntry } from "../../providers/registry/read.ts";
import type { ClusterFile } from "../../providers/registry/schema.ts";
import { CLUSTER_PARTS } from "../../providers/registry/schema.ts";
import { defineStep } from "../define.ts";
import { openOrigin, type Origin, ORIGIN, originEntry, placeIn } from "./restore/origin.ts";

const { location, endpoint, cafile } = CLUSTER_PARTS.repository.properties;
const orNull = <T extends { type: "string" }>(schema: T) =>
  ({ ...schema, type: ["string", "null"] }) as const;

export default defineStep({
  type: "backup.origin",
  summary: "Find the cluster whose backups a new one is to be made from",
  docs: `One of the registry, whatever has become of its servers: its entry names the repository and its part in it. Or the repository alone, of a cluster that
is gone: \`part\` says which part, where several hold backups. Nothing but the repository is asked, and nothing is written there.`,
  example: `- backup.origin: {cluster: orders}
`,
  effect: "read",
  idempotent: true,
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      cluster: { type: ["string", "null"] },
      location: orNull(location),
      part: { type: ["string", "null"], minLength: 1 },
      endpoint: orNull(endpoint),
      node_endpoint: orNull(endpoint),
      region: { type: ["string", "null"], minLength: 1 },
      cafile: orNull(cafile),
      key_env: { type: ["string", "null"] },
    },
  },
  output: { ...ORIGIN, type: "object" },
  async run(ctx, input) {
    const { cluster = null, location: at = null, part = null } = input;
    if (cluster !== null && at === null && part === null) return ofEntry(ctx, cluster);
    const entry = cluster === null ? null : await originEntry(ctx, cluster);
    const named = at === null ? entry && placeIn(entry) : placeFrom({ ...input, location: at });
    if (named == null) throw nowhere(cluster);
    const place = {
      cluster: at === null ? cluster : null,
      repository: named,
      key_env: input.key_env ?? null,
    };
    const repository = await openOrigin(ctx, place);
    const found = await findPart(repository, part, { signal: ctx.signal });
    return {
      ...place,
      system_identifier: found.system_identifier,
      version: found.version,
      cluster_id: found.cluster_id,
      origins: found.origins ?? [],
      superuser: null,
      provider: null,
      etcd: 0,
      poolers: 0,
    } satisfies Origin as object;
  },
});

async function ofEntry(ctx: StepContext, cluster: string) {
  const entry = await originEntry(ctx, cluster);
  const place = placeIn(entry);
  const { system_identifier, version, cluster_id, accounts, postgres, repository } = entry.data;
  if (place === null) throw nowhere(cluster);
  if (!system_identifier || !version || !cluster_id)
    throw new PgdbaError(
      "step_refused",
      `The entry of ${cluster} does not say which part of ${place.location} is its own`,
      {
        hint: "Name it with --part; without the right one all parts are told.",
        nothingDone: true,
      },
    );
  return {
    cluster,
    repository: place,
    system_identifier,
    version,
    cluster_id,
    origins: repository?.origins ?? [],
    key_env: null,
    superuser: accounts?.["superuser"]?.user ?? postgres?.user ?? null,
    provider: entry.data.provider ?? null,
    etcd: count(entry, "etcd"),
    poolers: count(entry, "pgbouncer"),
  } satisfies Origin as object;
}

const count = ({ data }: ClusterEntry, role: "etcd" | "pgbouncer") =>
  (data.nodes ?? []).filter(({ roles }) => (roles as readonly string[] | undefined)?.includes(role))
    .length;

function placeFrom(input: {
  location: string;
  endpoint?: string | null;
  node_endpoint?: string | null;
  region?: string | null;
  cafile?: string | null;
}): NonNullable<ClusterFile["repository"]> {
  const { location: at, endpoint: url, node_endpoint, region: of, cafile: ca } = input;
  if (!at.startsWith("s3://")) return { kind: "directory", location: at };
  return {
    kind: "object_store",
    location: at,
    ...(url == null ? {} : { endpoint: url }),
    ...(node_endpoint == null ? {} : { node_endpoint }),
    ...(of == null ? {} : { region: of }),
    ...(ca == null ? {} : { cafile: ca }),
  } as NonNullable<ClusterFile["repository"]>;
}

function nowhere(cluster: string | null): PgdbaError {
  return new PgdbaError(
    "step_refused",
    cluster === null
      ? "It is not said where the backups are"
      : `The entry of ${cluster} names no repository`,
    {
      hint: "Name the cluster with --cluster, or the repository with --repository, such as /backups or s3://backups/orders.",
      nothingDone: true,
    },
  );
}
