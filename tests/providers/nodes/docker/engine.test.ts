/** The power of life and death over nodes, by an Engine that is late, that is cut off, that hangs, and that others use as well. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import type { Nodes, NodeEvent } from "../../../../providers/nodes/contract.ts";
import provider from "../../../../providers/nodes/docker/provider.ts";
import { anyImage, docker, dockerMissing } from "../../../support/docker.ts";
import { EngineProxy } from "../../../support/engine-proxy.ts";
import { failure } from "../contract/helpers.ts";

const missing = dockerMissing();

describe.skipIf(missing !== null)(
  `an Engine that is not as it should be${missing === null ? "" : ` (${missing})`}`,
  () => {
    const cluster = `engine-${crypto.randomUUID().slice(0, 8)}`;
    const network = `${cluster}-net`;
    const proxy = new EngineProxy();
    const name = (node: string) => `${cluster}-${node}`;
    const stop = new AbortController();
    let nodes: Nodes;
    let seen: string[] = [];
    let watch: AbortController;
    let watching: Promise<void>;

    const until = async (holds: () => boolean | Promise<boolean>, ms = 30_000): Promise<void> => {
      const deadline = performance.now() + ms;
      while (!(await holds())) {
        if (performance.now() > deadline) throw new Error(`it stayed: ${seen.join(", ")}`);
        await Bun.sleep(20);
      }
    };
    const told = (what: string) => until(() => seen.includes(what));
    const make = (node: string, image: string) => {
      const labels = { cluster, kind: "node", node, roles: "postgres", run: "r", path: "p" };
      const words = Object.entries(labels).flatMap(([key, value]) => [
        "--label",
        `pgdba.${key}=${value}`,
      ]);
      const argv = ["--restart", "unless-stopped", "--network", network, "--entrypoint", "sleep"];
      return docker("run", "-d", "--init", "--name", name(node), ...argv, ...words, image, "1d");
    };

    beforeAll(async () => {
      await proxy.begin();
      const image = await anyImage();
      await docker("network", "create", "--label", `pgdba.cluster=${cluster}`, network);
      await Promise.all(["a", "b"].map((node) => make(node, image)));
      const opened = await provider.open({
        cluster,
        stateDir: "/nonexistent",
        env: { ...process.env, ...proxy.env },
        place: {},
        secret: async () => "",
      });
      nodes = opened.nodes({ run: "r", path: "p", signal: stop.signal });
    }, 300_000);
    afterAll(async () => {
      proxy.end();
      await docker("rm", "-f", name("a"), name("b")).catch(() => {});
      await docker("network", "rm", network).catch(() => {});
    }, 300_000);

    /** Ready once it has told of something that was done for it. */
    beforeEach(async () => {
      proxy.mode = "up";
      proxy.eventsLateMs = 0;
      seen = [];
      watch = new AbortController();
      const note = ({ node, running }: NodeEvent) => seen.push(`${node} ${running}`);
      watching = nodes.watch(note, watch.signal);
      await until(async () => {
        await docker("pause", name("b"));
        await docker("unpause", name("b"));
        return seen.includes("b running");
      });
      seen = [];
    }, 300_000);
    afterEach(async () => {
      watch.abort();
      await watching;
      proxy.mode = "up";
      await docker("network", "connect", network, name("a")).catch(() => {});
      await docker("update", "--restart", "unless-stopped", name("a"));
      await docker("start", name("a"));
    }, 300_000);

    test("of a death whose event is late, whoever asks knows at once", async () => {
      proxy.eventsLateMs = 3_000;
      await docker("kill", name("a"));
      expect(await nodes.death("a")).toMatchObject({ proven: true });
      expect(seen).toEqual([]);
      await told("a failed");
    }, 300_000);

    test("what a late event tells is over: a node that somebody has started again meanwhile is not dead", async () => {
      proxy.eventsLateMs = 3_000;
      await docker("kill", name("a"));
      await docker("start", name("a"));
      await told("a failed");
      expect(await nodes.death("a")).toEqual({
        proven: false,
        why: expect.stringContaining("runs"),
      });
      await told("a starting");
    }, 300_000);

    test("a node that was fenced and is started by somebody else is not dead; fenced again, it is", async () => {
      expect(await nodes.fence("a")).toMatchObject({ proven: true });
      await docker("start", name("a"));
      expect(await nodes.death("a")).toMatchObject({ proven: false });
      expect(await nodes.fence("a")).toMatchObject({ proven: true });
      expect(await nodes.death("a")).toMatchObject({ proven: true });
    }, 300_000);

    test("a node whose network is cut, and one that stands still, are not dead", async () => {
      await docker("network", "disconnect", "-f", network, name("a"));
      expect(await nodes.death("a")).toMatchObject({ proven: false });
      await docker("pause", name("a"));
      await told("a frozen");
      expect(await nodes.death("a")).toMatchObject({ proven: false });
      await docker("unpause", name("a"));
    }, 300_000);

    test("what happens while the line of events is cut is told when it is there again", async () => {
      // It was known as one that runs, and has been another in between.
      await docker("kill", name("a"));
      await told("a failed");
      await docker("start", name("a"));
      await told("a starting");
      seen = [];
      proxy.mode = "down";
      proxy.cut();
      await docker("kill", name("a"));
      expect(await nodes.death("a")).toMatchObject({ proven: false });
      expect((await nodes.state("a")).running).toBe("unknown");
      proxy.mode = "up";
      await told("a failed");
      await docker("start", name("a"));
      await told("a starting");
    }, 300_000);

    test("one that came up, and died while nobody was told, is told as dead", async () => {
      await docker("kill", name("a"));
      await told("a failed");
      // The line is made anew while it is down.
      proxy.cut();
      await until(async () => {
        await docker("pause", name("b"));
        await docker("unpause", name("b"));
        return seen.includes("b running");
      });
      await docker("start", name("a"));
      await told("a starting");
      seen = [];
      proxy.mode = "down";
      proxy.cut();
      await docker("kill", name("a"));
      proxy.mode = "up";
      await told("a failed");
    }, 300_000);

    test("an Engine that takes questions and answers none proves nothing, and holds nobody up", async () => {
      proxy.mode = "hangs";
      proxy.cut();
      const began = performance.now();
      const [death, state, listed] = await Promise.all([
        nodes.death("a"),
        nodes.state("a"),
        failure(nodes.list()),
      ]);
      expect(death).toMatchObject({ proven: false });
      expect(state).toMatchObject({ running: "unknown" });
      expect(listed).toMatchObject({ code: "connection_failed" });
      expect(performance.now() - began).toBeLessThan(25_000);
      // Whoever watches is asking it again by now, and may still go.
      const left = performance.now();
      watch.abort();
      await watching;
      expect(performance.now() - left).toBeLessThan(3_000);
    }, 300_000);
  },
);
