/** What moves the primary is SQL and programs of the node: the verbs of the contract are enough for it. */
import { afterAll, expect, test } from "bun:test";
import { debianPostgres } from "../../../support/debian.ts";
import { collector } from "../contract/helpers.ts";
import { PART, World } from "../contract/world.ts";

const debian = debianPostgres();
const missing = debian === undefined ? "not on this machine: postgresql with pg_rewind" : null;
if (missing !== null && (process.env["PGDBA_TEST_REQUIRE"] ?? "").split(",").includes("postgres"))
  throw new Error(missing);

if (debian === undefined)
  test.skip(`a primary that was left behind rejoins [${missing}]`, () => {});
else {
  const world = new World({
    provider: "embedded",
    version: debian.version,
    cluster: { bin: debian.bin },
  });
  await world.begin({ open: true });
  afterAll(() => world.end());
  const spec = world.spec(["a", "b"]);

  test("a standby is promoted, and the primary that was left behind rejoins by a rewind", async () => {
    const nodes = world.nodes();
    await nodes.provision(spec);
    await world.replicates("a", "b");
    const run = async (node: string, argv: string[]) => {
      const { exit_code, stdout, stderr } = await nodes.exec(node, argv);
      if (exit_code !== 0) throw new Error(`${argv[0]}: ${stdout}${stderr}`);
    };
    await run("b", ["pg_ctl", "promote", "-w"]);
    // Both are primaries now, and each writes what the other does not have.
    await world.sql("a", "CREATE TABLE lost ()");
    await world.sql("b", "CREATE TABLE won ()");
    // With both down it is still known which one went on: the later timeline's.
    await nodes.kill("b", "node");
    await nodes.stop("a", "fast");
    const plan = await nodes.plan(spec);
    expect(plan.map(({ node, act }) => [node, act])).toEqual([
      ["b", "start"],
      ["a", "keep"],
    ]);
    expect(plan[1]!.what).toContain("has to be rejoined");
    await nodes.provision(spec);
    expect((await nodes.state("a")).running).toBe("stopped");

    const address = (await nodes.list()).find(({ node }) => node === "b")!.address!;
    const { data, passfile } = (await nodes.facts("a")).postgres!;
    await world.sql("b", "CHECKPOINT");
    await world.sql("b", "SELECT pg_create_physical_replication_slot('pgdba_a', true)");
    const source = `host=${address.host} port=${address.port} user=rewinder dbname=postgres`;
    const name = "run-1/rewind";
    const argv = ["pg_rewind", "-D", data, "--source-server", source];
    await nodes.jobs.start("a", name, argv);
    const { sink: onStderr, text } = collector();
    const rewound = await nodes.jobs.follow("a", name, { onStderr });
    expect([rewound.exit_code, text()]).toEqual([0, expect.stringContaining("Done!")]);
    const conninfo = `host=${address.host} port=${address.port} user=replicator passfile=${passfile} application_name=a`;
    const lines = `primary_conninfo = '${conninfo}'\nprimary_slot_name = 'pgdba_a'\n`;
    await nodes.put("a", `${data}/postgresql.auto.conf`, { content: lines });
    await nodes.put("a", `${data}/standby.signal`, { content: "" });
    await nodes.start("a");
    await world.replicates("b", "a");
    expect(await world.sql("a", "SELECT to_regclass('lost'), to_regclass('won')")).toEqual([
      [null, "won"],
    ]);
    // The rewind brought the other's settings; what is of this node alone is its own.
    expect(await world.sql("a", "SHOW cluster_name")).toEqual([["a"]]);
    const followed = await world.sql("a", "SELECT received_tli FROM pg_stat_wal_receiver");
    expect(followed).toEqual([[2]]);
  }, 300_000);

  test("a standby is made from whichever node is the primary now", async () => {
    const nodes = world.nodes();
    const changes = await nodes.provision(world.spec(["a", "b", "c"]));
    expect(changes.at(-1)).toEqual({ node: "c", act: "make", what: "standby of b" });
    await world.replicates("b", "c");
  }, 300_000);

  test("of two primaries none is chosen", async () => {
    const nodes = world.nodes();
    await nodes.exec("c", ["pg_ctl", "promote", "-w"]);
    const error = await nodes.plan(world.spec(["a", "b", "c"])).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "step_refused" });
    expect(String(error)).toContain("b, c");
    await nodes.deprovision({ nodes: ["c"] });
    await nodes.plan(world.spec(["a", "b"]));
  });
}

test("a standby whose data was taken away is made anew; where nobody has data, nothing is made", async () => {
  const world = new World({ provider: "embedded", version: 18 });
  await world.begin();
  try {
    const nodes = world.nodes();
    const spec = world.spec(["a", "b"]);
    await nodes.provision(spec);
    const [first, data] = [await nodes.facts("a"), await nodes.facts("b")].map(
      (facts) => facts.postgres!.data,
    ) as [string, string];
    await nodes.stop("b", "fast");
    await nodes.exec("b", ["mv", data, `${data}.aside`]);
    expect((await nodes.plan(spec)).map(({ node, act }) => [node, act])).toEqual([
      ["a", "keep"],
      ["b", "make"],
    ]);
    await world.nodes({ run: "run-2" }).provision(spec);
    await world.replicates("a", "b");
    expect((await nodes.list()).map(({ labels }) => labels.run)).toEqual(["run-1", "run-1"]);
    expect((await nodes.exec("b", ["cat", `${data}.aside/PG_VERSION`])).stdout).toBe("18\n");

    for (const node of ["b", "a"]) await nodes.stop(node, "fast");
    for (const path of [first, data]) await nodes.exec("a", ["mv", path, `${path}.gone`]);
    const error = await nodes.provision(spec).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "step_refused", nothingDone: true });
    for (const path of [first, data]) await nodes.exec("a", ["mv", `${path}.gone`, path]);
    await nodes.provision(spec);
    await world.replicates("a", "b");

    // A shell that stands in the data directory is no process of the node.
    const shell = Bun.spawn(["sleep", "300"], { cwd: data });
    await nodes.kill("b", "node");
    expect([(await nodes.state("b")).running, shell.exitCode, shell.signalCode]).toEqual([
      "failed",
      null,
      null,
    ]);
    shell.kill();
  } finally {
    await world.end();
  }
}, 300_000);

test("a PostgreSQL of before 15 is made and copied as well; of its passwords nothing is in a log, a setting or a command line", async () => {
  const old = new World({ provider: "embedded", version: 13 });
  await old.begin();
  try {
    const spec = old.spec(["a", "b"]);
    const settings = { ...spec.settings, log_statement: "all", log_connections: "on" };
    await old.nodes().provision({ ...spec, settings });
    await old.replicates("a", "b");
    const [[version]] = (await old.sql("b", "SHOW server_version")) as [[string]];
    expect(version).toStartWith("13.");
    const nodes = old.nodes();
    expect((await nodes.logs("a")).text).toContain('CREATE ROLE "replicator"');
    // The part of each password that no escaping changes.
    const home = (await nodes.exec("a", ["pwd"])).stdout.trim();
    const argv = ["grep", "-rlF", "-e", PART, `${home}/../a`, `${home}/../b`];
    const found = (await nodes.exec("a", argv)).stdout.trim().split("\n").toSorted();
    expect(found.map((path) => path.replace(`${home}/../`, ""))).toEqual([
      "a/passfile",
      "b/passfile",
    ]);
    expect((await nodes.exec("a", ["stat", "-c", "%a", `${home}/passfile`])).stdout).toBe("600\n");
    const lines = (await nodes.exec("a", ["ps", "-eo", "args"])).stdout.split("\n");
    expect(lines.filter((line) => line.includes(PART) && !line.startsWith("grep"))).toEqual([]);
  } finally {
    await old.end();
  }
}, 300_000);
