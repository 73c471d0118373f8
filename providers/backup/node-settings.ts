import type { ClusterFile } from "../registry/schema.ts";
import type { Place } from "../repository/contract.ts";
import type { ClusterKey } from "../repository/layout.ts";
import type { Source } from "./holdings.ts";
import { readPart } from "./origins.ts";
import { caBeside, keyBeside } from "./settings.ts";
import type { NodeRepository } from "./work.ts";

/** What the `repository.json` beside a data directory holds. */
export function settingsOn(
  repository: NonNullable<ClusterFile["repository"]>,
  {
    key,
    origins,
    segmentBytes,
    data,
  }: { key: ClusterKey; origins: readonly Source[]; segmentBytes: number; data: string },
): NodeRepository {
  return {
    place: placeOn(repository, data),
    write: key,
    read: [key, ...origins.map((one) => readPart(one, segmentBytes))],
  };
}

function placeOn(
  {
    kind,
    location,
    endpoint,
    node_endpoint,
    region,
    cafile,
  }: NonNullable<ClusterFile["repository"]>,
  data: string,
): Place {
  if (kind !== "object_store") return { kind: "directory", path: location };
  const [, bucket = "", prefix = ""] = /^s3:\/\/([^/]+)\/?(.*?)\/?$/.exec(location) ?? [];
  return {
    kind,
    endpoint: node_endpoint ?? endpoint!,
    bucket,
    prefix: prefix === "" ? "" : `${prefix}/`,
    region: region ?? "us-east-1",
    key_file: keyBeside(data),
    ...(cafile === undefined ? {} : { cafile: caBeside(data) }),
  };
}
