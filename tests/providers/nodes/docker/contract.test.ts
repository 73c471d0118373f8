import { beforeAll, describe, test } from "bun:test";
import Docker from "dockerode";
import { ownImage } from "../../../../providers/nodes/docker/images/build.ts";
import { dockerMissing } from "../../../support/docker.ts";
import { nodesContract } from "../contract.ts";

const missing = dockerMissing();
if (missing !== null) describe(`nodes of docker`, () => test.skip(missing, () => {}));
else {
  // By itself it would be built within the time of the first case.
  beforeAll(async () => {
    const at = { docker: new Docker(), env: process.env };
    const by = { signal: new AbortController().signal };
    for (const role of ["postgres", "etcd"] as const) await ownImage(at, role, 17, by);
  }, 600_000);

  await nodesContract({
    provider: "docker",
    version: 17,
    // Of a size, so that they can be filled.
    cluster: { data_size: "1g", wal_size: "512m" },
    // A primary that is started again is to lead again.
    standby: { tags: { nofailover: true } },
    slower: 4,
  });
}
