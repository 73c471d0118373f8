import { beforeAll, describe, test } from "bun:test";
import { join } from "node:path";
import { docker, dockerMissing } from "../../../support/docker.ts";
import { nodesContract } from "../contract.ts";

const images = { postgres: "pgdba-test-postgres:17", etcd: "pgdba-test-etcd:17" };
const missing = dockerMissing();
if (missing !== null) describe(`nodes of docker`, () => test.skip(missing, () => {}));
else {
  beforeAll(async () => {
    const context = join(import.meta.dir, "../../../../deployments/docker");
    for (const [kind, tag] of Object.entries(images))
      await docker("build", "-q", "-t", tag, "-f", join(context, `Dockerfile.${kind}`), context);
  }, 600_000);

  await nodesContract({
    provider: "docker",
    version: 17,
    cluster: { images },
    // A primary that is started again is to lead again.
    standby: { tags: { nofailover: true } },
    slower: 4,
  });
}
