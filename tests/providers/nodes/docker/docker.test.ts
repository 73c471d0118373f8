import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Docker from "dockerode";
import { openEngine } from "../../../../providers/nodes/docker/engine.ts";
import { assertReached } from "../../../../providers/nodes/docker/make.ts";
import { ownImage } from "../../../../providers/nodes/docker/images/build.ts";
import provider from "../../../../providers/nodes/docker/provider.ts";
import { docker, dockerMissing } from "../../../support/docker.ts";
import { EngineProxy } from "../../../support/engine-proxy.ts";
import { drive } from "../contract/driven.ts";
import { failure } from "../contract/helpers.ts";
import { PART, World } from "../contract/world.ts";

setDefaultTimeout(300_000);
const place = {
  provider: "docker",
  version: 17,
  standby: { tags: { nofailover: true } },
  slower: 4,
};
const missing = dockerMissing();

describe.if(missing === null)(
  `containers of nodes${missing === null ? "" : ` [${missing}]`}`,
  () => {
    const world = new World(place, provider.roles);
    const container = (node: string) => `${world.name}-${node}`;
    const inspect = async (format: string, node: string) =>
      docker("inspect", "-f", format, container(node));
    const isUp = () =>
      world.until(
        async () => (await world.nodes().state("a")).running,
        (running) => running === "running",
      );

    beforeAll(async () => {
      const at = { docker: new Docker(), env: process.env };
      const by = { signal: new AbortController().signal };
      for (const role of ["postgres", "etcd"] as const) await ownImage(at, role, 17, by);
      await world.begin();
      await world.nodes().provision(world.spec(["a"]));
    }, 600_000);
    afterAll(() => world.end());

    test("a secret stands in files alone that only its account reads, in no argument, variable or label", async () => {
      const all = await docker("ps", "-aq", "--filter", `label=pgdba.cluster=${world.name}`);
      const seen = await docker("inspect", ...all.split("\n"));
      expect(seen).toContain(container("a"));
      expect(seen).not.toContain(PART);
      const files = await docker(
        "exec",
        container("a"),
        "sh",
        "-c",
        "stat -c '%a %U' /run/secrets/*",
      );
      expect(new Set(files.split("\n"))).toEqual(new Set(["600 root", "600 postgres"]));
      const configured = await docker("exec", container("a"), "sh", "-c", "cat /etc/pgdba/*");
      expect(configured).toContain(`scope: "${world.name}"`);
      expect(configured).not.toContain(PART);
      expect(await docker("logs", container("a"))).not.toContain(PART);
    });

    test("a power cut of whoever dies before the node does ends with him: the network is there again", async () => {
      const image = await inspect("{{.Config.Image}}", "a");
      const at = ["--network", `container:${container("a")}`, "--cap-add", "NET_ADMIN"];
      const rules = () =>
        docker("run", "--rm", "--user", "0", ...at, "--entrypoint", "iptables", image, "-S");
      expect(await rules()).not.toContain("DROP");
      const proxy = new EngineProxy();
      await proxy.begin();
      try {
        const opened = await provider.open({
          cluster: world.name,
          stateDir: "/nonexistent",
          env: { ...process.env, ...proxy.env },
          place: {},
          secret: async () => "",
        });
        const signal = new AbortController().signal;
        const nodes = opened.nodes({ run: "r", path: "p", signal });
        proxy.keeps = "/kill";
        const cut = failure(nodes.kill("a", "power"));
        await world.until(
          async () => proxy.kept,
          (kept) => kept > 0,
        );
        expect(await rules()).toContain("-A OUTPUT -j DROP");
        // As of whoever is killed, all lines are closed.
        proxy.mode = "down";
        proxy.cut();
        expect(await cut).toBeInstanceOf(Error);
        await world.until(rules, (said) => !said.includes("DROP"));
      } finally {
        proxy.end();
      }
      await isUp();
    });

    test("one that the Engine is about to start again is not dead; fenced it is, until it is started", async () => {
      const nodes = world.nodes();
      const policy = () => inspect("{{.HostConfig.RestartPolicy.Name}}", "a");
      expect(await policy()).toBe("unless-stopped");
      // The container ends with its Patroni, and the Engine starts it.
      const seen: string[] = [];
      const stop = new AbortController();
      const watching = nodes.watch(({ running }) => {
        seen.push(running);
      }, stop.signal);
      await docker("exec", "-u", "0", container("a"), "pkill", "-KILL", "-x", "patroni");
      await world.until(
        async () => seen.includes("failed"),
        (yes) => yes,
      );
      const death = await nodes.death("a");
      expect(death).toMatchObject({ proven: false });
      await isUp();
      expect(Number(await inspect("{{.RestartCount}}", "a"))).toBeGreaterThan(0);
      stop.abort();
      await watching;
      // Killed by hand it stays down, whatever its policy.
      await docker("kill", container("a"));
      expect(await nodes.death("a")).toMatchObject({ proven: true });
      expect(await nodes.fence("a")).toMatchObject({ proven: true });
      expect(await policy()).toBe("no");
      await nodes.start("a");
      expect(await policy()).toBe("unless-stopped");
      await isUp();
      await world.leads("a");
    });

    test("files and facts of a node that is stopped are those of its volume", async () => {
      const nodes = world.nodes();
      await nodes.stop("a", "fast");
      await nodes.put("a", "/var/lib/pgdba/left", { content: "for later" });
      expect((await nodes.facts("a")).disks.map(({ of }) => of)).toEqual([
        "data",
        "wal",
        "backup",
        "system",
      ]);
      expect((await nodes.exec("a", ["cat", "left"])).stdout).toBe("for later");
      // Its jobs run beside the stopped server, on the same volume.
      await nodes.jobs.start("a", "run-1/late", ["sh", "-c", "printf ' on' >> left"]);
      const end = await nodes.jobs.follow("a", "run-1/late");
      expect(end.exit_code).toBe(0);
      await nodes.start("a");
      expect((await nodes.exec("a", ["cat", "left"])).stdout).toBe("for later on");
      await world.leads("a");
    });

    test("what a killed process has begun beside a stopped server goes on, and nothing is started beside it, also when it gives no answer", async () => {
      const nodes = world.nodes();
      await nodes.stop("a", "fast");
      const waits = "until test -e go; do sleep 0.1; done; printf over > left";
      const args = ["a", "run-1/alone", ["sh", "-c", waits]];
      const other = drive(world, { run: "run-1", verb: "jobs.start", args, stay: true });
      await other.said("done");
      await other.kill();
      const labels = { cluster: world.name, kind: "helper", node: "a" };
      const filter = Object.entries(labels).flatMap(([key, value]) => [
        "--filter",
        `label=pgdba.${key}=${value}`,
      ]);
      const helpers = (await docker("ps", "-q", ...filter)).split("\n");
      await docker("pause", ...helpers);
      expect(await failure(nodes.start("a"))).toMatchObject({
        code: "step_refused",
        message: "Something is at work on the data of a",
      });
      await docker("unpause", ...helpers);
      const hasty = await world.another({ signal: AbortSignal.timeout(2_000) });
      await expect(hasty.start("a")).rejects.toThrow();
      expect((await nodes.state("a")).running).toBe("stopped");
      await nodes.put("a", "/var/lib/pgdba/go", { content: "" });
      expect((await nodes.jobs.follow("a", "run-1/alone")).exit_code).toBe(0);
      expect((await nodes.exec("a", ["cat", "left"])).stdout).toBe("over");
      await nodes.start("a");
      await world.leads("a");
    });

    test("a server that a paused Patroni leaves down is told, and not waited for", async () => {
      const nodes = world.nodes();
      const patroni = async (verb: string) =>
        docker("exec", container("a"), "patronictl", "-c", "/run/patroni", verb);
      await patroni("pause");
      await nodes.stop("a", "fast");
      const error = await failure(nodes.start("a", { timeoutMs: 100_000 }));
      expect(error).toMatchObject({ code: "step_refused" });
      expect(error.message).toContain("paused");
      // Its Patroni is up, so that the pause can be ended.
      await patroni("resume");
      await nodes.start("a");
      await world.leads("a");
    });

    test("a node keeps its address, whoever comes into its network while it is down", async () => {
      const nodes = world.nodes();
      const ip = (of: string) =>
        docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", of);
      const before = await ip(container("a"));
      await nodes.stop("a", "fast");
      const image = await inspect("{{.Config.Image}}", "a");
      const beside = ["--network", `${world.name}-net`, "--entrypoint", "sleep", image, "60"];
      const other = await docker("run", "-d", "--rm", ...beside);
      try {
        await nodes.start("a");
        expect(await ip(container("a"))).toBe(before);
      } finally {
        await docker("kill", other);
      }
      await world.leads("a");
    });

    test("of many who want the lease at once one has it", async () => {
      const others = await Promise.all([world.another(), world.another(), world.another()]);
      const all = await Promise.all(others.map((nodes, at) => nodes.lease(`run ${at}`)));
      const held = all.filter((one) => !("heldBy" in one));
      expect(held.length).toBe(1);
      for (const one of held) if (!("heldBy" in one)) await one.release();
    });

    test("a renewed node has the limits of the spec, keeps those that the next one does not name, and its address", async () => {
      const spec = world.spec(["a"]);
      const nodes = world.nodes();
      const differs = async () =>
        (await nodes.compare(spec)).find(({ node }) => node === "a")!.differs;
      expect(await differs()).toEqual([]);
      spec.place = { backups: "other" };
      expect(await differs()).toEqual(["volume for backups other instead of pgdba-backups"]);
      delete spec.place;
      const ip = () => inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "a");
      const before = await ip();
      spec.nodes[0]!.place = { memory: "512m", cpus: 0.5 };
      expect(await differs()).toEqual(["memory 512m instead of none", "cpus 0.5 instead of none"]);
      await nodes.renew("a", spec);
      expect(await differs()).toEqual([]);
      expect(await nodes.facts("a")).toMatchObject({ memoryBytes: 512 << 20, cpus: 0.5 });
      await world.leads("a");
      // An image that differs by a label alone; the same name may be another image later.
      const image = `${world.name}:own`;
      const base = await inspect("{{.Config.Image}}", "a");
      const build = async (label: string) => {
        await Bun.write(
          join(world.stateDir, "Dockerfile"),
          `FROM ${base}\nLABEL pgdba.test=${label}\n`,
        );
        await docker("build", "-q", "-t", image, world.stateDir);
      };
      delete spec.nodes[0]!.place;
      spec.place = { images: { postgres: image } };
      expect(await differs()).toEqual([
        `image ${image}, which is not there yet, instead of ${base}`,
      ]);
      await build("1");
      try {
        expect(await differs()).toEqual([`image ${image} instead of ${base}`]);
        await nodes.renew("a", spec);
        expect(await differs()).toEqual([]);
        expect(await inspect("{{.Config.Image}}", "a")).toBe(image);
        expect(await nodes.facts("a")).toMatchObject({ memoryBytes: 512 << 20, cpus: 0.5 });
        await world.leads("a");
        await build("2");
        expect(await differs()).toEqual([`image ${image}, which was made anew since`]);
        // What is left where the process died when the old container was gone: the next renewal goes on from there.
        await docker("rename", container("a"), `${container("a")}.renew`);
        await docker("kill", `${container("a")}.renew`);
        await nodes.renew("a", spec);
        await nodes.start("a");
        expect(await differs()).toEqual([]);
        await world.leads("a");
      } finally {
        spec.place = {};
        await nodes.renew("a", spec);
        await docker("rmi", "-f", image);
      }
      await world.leads("a");
      expect(await ip()).toBe(before);
    });

    test("a provision whose engine was killed is finished by the next, and its node has its data", async () => {
      const name = `${world.name}-half`;
      const half = await world.another({ run: "run-2" }, { cluster: name });
      const spec = world.spec(["a"], { patroni: { ...world.spec([]).patroni!, scope: name } });
      const other = drive(world, { cluster: name, run: "run-1", verb: "provision", args: [spec] });
      await other.said("progress making a");
      await other.kill();
      const before = await half.list();
      expect(before.find(({ node }) => node === "a")?.made ?? false).toBe(false);
      await half.provision(spec);
      const info = (await half.list()).find(({ node }) => node === "a");
      expect(info).toMatchObject({ made: true, state: { running: "running" } });
      // Its neighbour by name is another cluster.
      expect((await world.list()).map(({ node }) => node)).toEqual(["a"]);
      await half.deprovision();
      expect(await half.list()).toEqual([]);
      const left = ["ps -aq", "volume ls -q", "network ls -q"].map((what) =>
        docker(...what.split(" "), "--filter", `label=pgdba.cluster=${name}`),
      );
      expect(await Promise.all(left)).toEqual(["", "", ""]);
      await isUp();
    });

    test("a run that goes on waits for a node that it had started, and does not break off its bootstrap", async () => {
      const name = `${world.name}-goes-on`;
      const same = await world.another({ run: "run-1" }, { cluster: name });
      const spec = world.spec(["a"], { patroni: { ...world.spec([]).patroni!, scope: name } });
      const other = drive(world, { cluster: name, run: "run-1", verb: "provision", args: [spec] });
      const started = () => docker("ps", "-q", "--no-trunc", "--filter", `name=^${name}-a.new$`);
      let id = "";
      while (id === "") id = await started();
      await other.kill();
      await same.provision(spec);
      expect(await docker("inspect", "-f", "{{.Id}} {{.Name}}", `${name}-a`)).toBe(
        `${id} /${name}-a`,
      );
      expect((await same.list()).find(({ node }) => node === "a")).toMatchObject({ made: true });
      await same.deprovision();
      expect(await same.list()).toEqual([]);
    });

    test("a helper whose process was killed before it took it away keeps no volume from being removed", async () => {
      const name = `${world.name}-kept`;
      const nodes = await world.another({}, { cluster: name });
      const own = ["--label", `pgdba.cluster=${name}`];
      const volume = `${name}-a-disk`;
      await docker("volume", "create", ...own, "--label", "pgdba.node=a", volume);
      const image = await inspect("{{.Config.Image}}", "a");
      const mount = ["-v", `${volume}:/disk`, "--entrypoint", "true"];
      await docker("run", ...own, "--label", "pgdba.kind=helper", ...mount, image);
      try {
        await nodes.deprovision({ nodes: ["a"] });
        expect(await docker("volume", "ls", "-q", "--filter", `name=${name}`)).toBe("");
      } finally {
        const left = await docker("ps", "-aq", "--filter", `label=pgdba.cluster=${name}`);
        if (left !== "") await docker("rm", "-f", ...left.split("\n"));
        await docker("volume", "rm", "-f", volume);
      }
    });

    test("what is not of this cluster is neither taken nor removed, whatever its name, nor a repository of backups", async () => {
      const name = `${world.name}-not`;
      const volume = `${name}-a-data`;
      const backups = `${name}-backups`;
      const spec = world.spec(["a"], { patroni: { ...world.spec([]).patroni!, scope: name } });
      const nodes = await world.another({}, { cluster: name });
      const labels = [`pgdba.cluster=${name}`, "pgdba.repository=main"];
      await docker("volume", "create", volume);
      await docker("volume", "create", ...labels.flatMap((one) => ["--label", one]), backups);
      try {
        const refused = await failure(nodes.provision(spec));
        expect(refused).toMatchObject({ code: "step_refused" });
        expect(refused.message).toContain(volume);
        await nodes.deprovision();
        expect(await nodes.list()).toEqual([]);
        const left = await docker("volume", "ls", "-q", "--filter", `name=${name}`);
        expect(left.split("\n").toSorted()).toEqual([volume, backups].toSorted());
      } finally {
        await docker("volume", "rm", volume, backups);
      }
    });
  },
);

test("an Engine that does not answer is told, with what to do; nothing is proven by it", async () => {
  const world = new World(place, provider.roles);
  const env = { DOCKER_HOST: "unix:///nonexistent/docker.sock" };
  const nodes = await world.another({}, { env });
  for (const work of [
    () => nodes.list(),
    () => nodes.plan(world.spec(["a"])),
    () => nodes.stop("a", "fast"),
  ]) {
    const error = await failure(work());
    expect(error).toMatchObject({ code: "connection_failed" });
    expect(error.message).toContain("/nonexistent/docker.sock");
    expect(error.hint).toContain("DOCKER_HOST");
  }
  expect(await nodes.state("a")).toMatchObject({ running: "unknown", services: [] });
  expect(await nodes.death("a")).toMatchObject({ proven: false });
});

test("the Engine is that of DOCKER_HOST, of the chosen context, or of this machine", () => {
  const home = join(process.env["TMPDIR"] ?? "/tmp", `pgdba-docker-${crypto.randomUUID()}`);
  const id = new Bun.CryptoHasher("sha256").update("far").digest("hex");
  const folder = join(home, ".docker/contexts/meta", id);
  mkdirSync(folder, { recursive: true });
  const meta = { Name: "far", Endpoints: { docker: { Host: "tcp://far:2375" } } };
  writeFileSync(join(folder, "meta.json"), JSON.stringify(meta));
  writeFileSync(join(home, ".docker/config.json"), JSON.stringify({ currentContext: "far" }));
  const where = (env: Record<string, string>) => openEngine(env).where;
  expect(where({})).toBe("the socket /var/run/docker.sock");
  expect(where({ DOCKER_HOST: "unix:///a/b.sock" })).toBe("the socket /a/b.sock");
  expect(where({ DOCKER_HOST: "tcp://h:2375", HOME: home })).toBe("h:2375");
  expect(where({ HOME: home })).toBe("far:2375");
  expect(where({ HOME: home, DOCKER_CONTEXT: "default" })).toContain("socket");
  for (const env of [{ DOCKER_HOST: "ssh://h" }, { HOME: home, DOCKER_CONTEXT: "gone" }])
    expect(() => openEngine(env)).toThrow(expect.objectContaining({ code: "invalid_config" }));
});

test("nodes on another machine's Engine need an address by which they are reached; before that, none is made", async () => {
  const at = (host: string) => openEngine({ DOCKER_HOST: `tcp://${host}:2376` }).machine;
  expect([at("localhost"), at("127.0.0.1"), at("[::1]")]).toEqual([null, null, null]);
  expect([at("db1"), at("10.0.0.5")]).toEqual(["db1", "10.0.0.5"]);
  expect(openEngine({ DOCKER_HOST: "unix:///a/b.sock" }).machine).toBeNull();
  const engine = { machine: "db1" };
  expect(() => assertReached(engine, {})).toThrow(
    expect.objectContaining({
      code: "step_refused",
      nothingDone: true,
      hint: expect.stringContaining('{"address": "db1"}'),
    }),
  );
  expect(() => assertReached(engine, { address: "127.0.0.1" })).toThrow("can't reach them");
  expect(() => assertReached(engine, { address: "10.0.0.5" })).not.toThrow();
  expect(() => assertReached({ machine: null }, {})).not.toThrow();
});
