/** A Grafana beside a node that monitors: a real container of a stand-in that is told what to do as Grafana is, and of Grafana itself where an image of it can be had. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { systemClock } from "../../../engine/clock.ts";
import type { JsonObject } from "../../../engine/types.ts";
import { clusterFile } from "../../../providers/registry/folder.ts";
import { readClusterFile } from "../../../providers/registry/read.ts";
import beside from "../../../steps/monitor/beside.ts";
import besideRemove from "../../../steps/monitor/beside-remove.ts";
import image from "../../../steps/monitor/grafana-image.ts";
import grafana from "../../../steps/monitor/grafana-run.ts";
import watchers from "../../../steps/monitor/watchers.ts";
import { DASHBOARDS } from "../../../steps/monitor/include/grafana.ts";
import { fakeContext } from "../../support/context.ts";
import { docker, dockerMissing } from "../../support/docker.ts";

const STAND_IN = join(import.meta.dir, "../../support/monitoring/grafana-stand-in");
const PROMETHEUS = "http://127.0.0.1:19999";
const UIDS = Object.values(DASHBOARDS).map(({ uid }) => String(uid));
const missing = dockerMissing();
const real = process.env["PGDBA_TEST_GRAFANA_IMAGE"];
const noReal = missing ?? (real ? null : "PGDBA_TEST_GRAFANA_IMAGE names no image of Grafana");

interface Told {
  url: string;
  password_file: string;
}

/** An answer of its API, as `admin`. */
async function asked(told: Told, path: string): Promise<any> {
  const password = (await readFile(told.password_file, "utf8")).trim();
  const authorization = `Basic ${btoa(`admin:${password}`)}`;
  return (await fetch(`${told.url}${path}`, { headers: { authorization } })).json();
}

describe.skipIf(missing !== null)(
  `a Grafana beside a node${missing === null ? "" : ` (${missing})`}`,
  () => {
    const cluster = `grafana-${process.pid}`;
    const standIn = `pgdba-test-grafana-stand-in:${process.pid}`;
    let stateDir = "";

    const context = () =>
      fakeContext({
        target: { cluster },
        run: { stateDir },
        env: process.env as Record<string, string>,
        clock: systemClock,
      });
    const entry = async () => (await readClusterFile(cluster, clusterFile(stateDir, cluster)))!;
    const run = async (name: string, ctx = context()) =>
      (await grafana.run(ctx, {
        node: "monitor1",
        image: name,
        beside: PROMETHEUS,
      })) as JsonObject & Told;

    /** Whom Prometheus on the node asks as Grafana. */
    const watched = async () =>
      JSON.parse(
        await docker(
          "exec",
          `${cluster}-monitor1`,
          "cat",
          "/var/lib/pgdba/monitor/targets/grafana.json",
        ),
      );
    const left = async () => [
      await docker("ps", "-aq", "--filter", `label=pgdba.cluster=${cluster}`),
      await docker("volume", "ls", "-q", "--filter", `label=pgdba.cluster=${cluster}`),
    ];

    beforeAll(async () => {
      stateDir = await mkdtemp(join(tmpdir(), "pgdba-grafana-"));
      await mkdir(join(stateDir, "clusters"), { mode: 0o700 });
      const data = { ownership: "connected", postgres: { host: "127.0.0.1", user: "boss" } };
      await writeFile(clusterFile(stateDir, cluster), stringify(data), { mode: 0o600 });
      await beside.run(context(), {});
      const base = await docker("inspect", `${cluster}-monitor1`, "-f", "{{.Config.Image}}");
      await docker("build", "-q", "--build-arg", `BASE=${base}`, "-t", standIn, STAND_IN);
    }, 400_000);
    afterAll(async () => {
      await besideRemove.run(context(), { nodes: ["monitor1"] });
      expect(await left()).toEqual(["", ""]);
      await docker("rmi", "-f", standIn);
      await rm(stateDir, { recursive: true, force: true });
    }, 300_000);

    test("what the stand-in is told is what Grafana reads; its password is in a file alone, and goes with it", async () => {
      expect(await image.run(context(), {})).toEqual({ image: null });
      expect(await image.run(context(), { image: standIn })).toEqual({ image: standIn });
      const told = await run(standIn);
      expect(told).toMatchObject({ user: "admin", image: standIn });
      expect(new URL(told.url).hostname).toBe("127.0.0.1");
      const password = (await readFile(told.password_file, "utf8")).trim();
      expect((await stat(told.password_file)).mode & 0o777).toBe(0o600);
      const seen = await asked(told, "/stand-in");
      const [source] = Object.values(seen.sources as Record<string, string>).map((text) =>
        parse(text),
      );
      expect(source).toMatchObject({
        apiVersion: 1,
        datasources: [{ uid: "pgdba-prometheus", type: "prometheus", url: PROMETHEUS }],
      });
      const uids = (seen.dashboards as string[]).map((text) => JSON.parse(text).uid);
      expect(uids.toSorted()).toEqual(UIDS.toSorted());
      const container = `${cluster}-monitor1-grafana`;
      expect(await docker("inspect", container)).not.toContain(password);
      // Prometheus on the node asks it for its own metrics, where the node reaches it.
      expect(await watched()).toEqual([
        { targets: [new URL(told.url).host], labels: { cluster, instance: "monitor1" } },
      ]);
      // It stays as it is, and is found by the next setup that does not ask for one.
      const again = context();
      expect(await run(standIn, again)).toEqual(told);
      expect(again.recorded.unchanged).toBe(1);
      expect(await image.run(context(), {})).toEqual({ image: standIn });
      // One that was stopped is started; where Prometheus is elsewhere it is told, and keeps its port and what it has stored.
      await docker("stop", "-t", "1", container);
      expect(await run(standIn)).toEqual(told);
      const elsewhere = { node: "monitor1", image: standIn, beside: "http://127.0.0.1:19998" };
      expect(await grafana.run(context(), elsewhere)).toEqual(told);
      expect(JSON.stringify(await asked(told, "/stand-in"))).toContain("http://127.0.0.1:19998");
      // Without its password it is nobody's of this state folder.
      const { data, file } = await entry();
      await writeFile(file, stringify({ ...data, secrets: {} }));
      await expect(image.run(context(), { wanted: true })).rejects.toMatchObject({
        code: "step_refused",
        message: expect.stringContaining("whose password this state folder does not have"),
      });
      await writeFile(file, stringify(data));
    }, 300_000);

    test("where the node's container was removed by hand, what stood beside it and its volumes still go", async () => {
      await run(standIn);
      await docker("rm", "-f", `${cluster}-monitor1`);
      const found = { nodes: [{ node: "monitor1", beside: true, running: false }] };
      expect(await watchers.run(context(), {})).toEqual(found);
      expect(await besideRemove.run(context(), { nodes: ["monitor1"] })).toEqual({
        removed: ["monitor1"],
      });
      expect(await left()).toEqual(["", ""]);
      expect(await watchers.run(context(), {})).toEqual({ nodes: [] });
    }, 300_000);

    test("an image that is none of Grafana's is taken back, with its password", async () => {
      await besideRemove.run(context(), { nodes: ["monitor1"] });
      await beside.run(context(), {});
      await rm(join(stateDir, "secrets"), { recursive: true, force: true });
      const { data, file } = await entry();
      const { secrets: _secrets, recorded_by: _by, ...rest } = data;
      await writeFile(file, stringify(rest));
      const base = await docker("inspect", `${cluster}-monitor1`, "-f", "{{.Config.Image}}");
      const ctx = context();
      const input = { node: "monitor1", image: base, beside: PROMETHEUS, wait: "1s" };
      const told = join(stateDir, "secrets", cluster, "grafana_admin");
      await expect(grafana.run(ctx, input)).rejects.toMatchObject({
        code: "timeout",
        message: expect.stringContaining("does not answer as a healthy one"),
      });
      expect(existsSync(told)).toBe(true);
      // Not from a later run that has found it there, and goes on with it.
      const { data: now } = await entry();
      await writeFile(file, stringify({ ...now, recorded_by: { secrets: "run-later" } }));
      await grafana.undo!(ctx, input, undefined);
      expect(ctx.recorded.warnings).toEqual([expect.stringContaining("Run run-later works with")]);
      expect(existsSync(told)).toBe(true);
      await writeFile(file, stringify(now));
      await grafana.undo!(ctx, input, undefined);
      expect(await docker("ps", "-aq", "--filter", `name=${cluster}-monitor1-grafana`)).toBe("");
      expect(await watched()).toEqual([]);
      expect((await entry()).data).toEqual(rest);
      expect(existsSync(told)).toBe(false);
    }, 300_000);

    test("an image that nobody has is refused, with what serves instead", async () => {
      await expect(image.run(context(), { image: "127.0.0.1:1/own:none" })).rejects.toMatchObject({
        code: "step_refused",
        message: expect.stringContaining("has no image 127.0.0.1:1/own:none, and can't pull it"),
        hint: expect.stringContaining("pgdba monitor files"),
      });
    }, 300_000);

    test.skipIf(noReal !== null)(
      `Grafana itself has the data source and the dashboards${noReal === null ? "" : ` (${noReal})`}`,
      async () => {
        const told = await run(real!);
        expect(await asked(told, "/api/datasources/uid/pgdba-prometheus")).toMatchObject({
          type: "prometheus",
          url: PROMETHEUS,
        });
        const found = (await asked(told, "/api/search?type=dash-db")) as { uid: string }[];
        expect(found.map(({ uid }) => uid).toSorted()).toEqual(UIDS.toSorted());
      },
      180_000,
    );
  },
);
