/** The helpers of stopped nodes. */
import { afterAll, describe, expect, test } from "bun:test";
import { Helpers } from "../../../../providers/nodes/docker/at.ts";
import { openEngine } from "../../../../providers/nodes/docker/engine.ts";
import { ownImage } from "../../../../providers/nodes/docker/images/build.ts";
import { nodeOf } from "../../../../providers/nodes/docker/record.ts";
import { docker, dockerMissing } from "../../../support/docker.ts";

const missing = dockerMissing();

describe.skipIf(missing !== null)(
  `helpers of stopped nodes${missing === null ? "" : ` (${missing})`}`,
  () => {
    const engine = openEngine(process.env);
    const cluster = { engine, name: `helpers-${crypto.randomUUID().slice(0, 8)}` };
    const labelled = (kind: string) => [
      "--filter",
      `label=pgdba.cluster=${cluster.name}`,
      "--filter",
      `label=pgdba.kind=${kind}`,
    ];
    const ids = async (kind: string) =>
      (await docker("ps", "-aq", "--no-trunc", ...labelled(kind))).split("\n").filter(Boolean);

    afterAll(async () => {
      for (const kind of ["helper", "node"])
        for (const id of await ids(kind)) await docker("rm", "-fv", id);
      await docker("network", "rm", `${cluster.name}-net`);
    }, 300_000);

    test("who ask at once get the same, and it goes with the way to the cluster", async () => {
      const image = await ownImage(engine, "etcd", 17, { signal: new AbortController().signal });
      await docker("network", "create", `${cluster.name}-net`);
      const about = { cluster: cluster.name, kind: "node", node: "a", roles: "etcd" };
      const labels = Object.entries(about).flatMap(([key, value]) => [
        "--label",
        `pgdba.${key}=${value}`,
      ]);
      await docker("create", "--name", `${cluster.name}-a`, ...labels, image);
      const helpers = new Helpers();
      const record = await nodeOf(cluster, "a");
      const got = await Promise.all([1, 2, 3].map(() => helpers.of(cluster, record)));
      expect(await ids("helper")).toEqual([got[0]!]);
      expect(got).toEqual([got[0]!, got[0]!, got[0]!]);
      expect(await helpers.of(cluster, record)).toBe(got[0]!);
      await helpers.close();
      for (const ends = performance.now() + 30_000; performance.now() < ends; await Bun.sleep(50))
        if ((await ids("helper")).length === 0) break;
      expect(await ids("helper")).toEqual([]);
    }, 600_000);
  },
);
