import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import planted from "../../providers/nodes/embedded/lab/planted.json";
import type { JsonObject } from "../../engine/types.ts";
import { KILL_AT, KILLED, runIn } from "../support/live.ts";
import { at, cli, place, raw, removePlaces, write } from "./support.ts";

setDefaultTimeout(300_000);
const p = place();
afterAll(async () => {
  await cli(["lab", "down", "--remove"], p);
  removePlaces();
});

test("the first health check of a new lab finds every planted problem", async () => {
  // Started apart: a machine under load may need longer for it than one command may take here.
  expect((await cli(["lab", "up"], p)).exit).toBe(0);
  const { exit, envelope } = await cli(["health", "check", "--cluster", "lab", "--full"], p);
  expect(exit).toBe(0);
  const data = envelope.data as unknown as {
    findings: Finding[];
    errors: JsonObject[];
    partial: JsonObject[];
  };
  // What another finding leads to stands below it.
  const found = new Set(data.findings.flatMap(namesIn));
  const missing = planted.filter(({ check }) => !found.has(check)).map(({ check }) => check);
  // What needs statistics of some days is named as not judged.
  expect(missing).toEqual(
    planted.flatMap(({ check, days }) => (days === undefined ? [] : [check])),
  );
  expect(data.partial.map(({ check }) => String(check))).toEqual(expect.arrayContaining(missing));
  expect(data.errors).toEqual([]);
  const young = JSON.stringify({ "index-unused": { info_days: 0 } });
  const again = ["health", "check", "--cluster", "lab", "--only", "index-unused"];
  const asked = await cli([...again, "--thresholds", young], p);
  const { findings } = asked.envelope.data as unknown as { findings: Finding[] };
  expect(findings.flatMap(namesIn)).toEqual(["index-unused"]);
});

test("README shows what its first command prints", async () => {
  const sample = /```text\n(worst [^]*?)```/.exec(await Bun.file("README.md").text())?.[1] ?? "";
  const first = ["health", "check", "--cluster", "lab", "--format", "table"];
  const { stdout } = await raw(first, p, { env: { COLUMNS: "100" } });
  // Times differ, on another machine a check more or less applies, and a new check needs no edit of README.
  const lines = (text: string) =>
    text
      .split("\n")
      .map((line) =>
        line
          .replace(/ at \d{4}-.* \(/, " at TIME (")
          .replaceAll(/(ok|skipped|checks) \d+/g, "$1 N"),
      )
      .filter((line) => line.trim() !== "" && line.trim() !== "…");
  const printed = lines(stdout);
  expect(lines(sample).filter((line) => !printed.includes(line))).toEqual([]);
  expect(lines(sample).length).toBeGreaterThan(20);
});

test("the lab is a cluster of the registry, started and stopped by runbooks", async () => {
  const data = async (...args: string[]) => (await cli(args, p)).envelope.data as JsonObject;
  const listed = async () => at(await data("cluster", "list"), "clusters") as JsonObject[];
  const status = await data("lab", "status");
  expect(status).toMatchObject({ exists: true, running: true, version: 18 });
  expect(String(status["psql"])).toContain(`-p ${status["port"]} -U postgres`);
  expect(await listed()).toMatchObject([
    { name: "lab", ownership: "managed", provider: "embedded", labels: ["lab"], problem: null },
  ]);
  // By its address it is the same server, and what its entry says holds.
  const labels = join(p.home, "clusters/lab.yaml");
  writeFileSync(labels, readFileSync(labels, "utf8").replace("- lab\n", "- lab\n  - frail\n"));
  write(p.root, {
    "cwd/.pgdba/runbooks/t/labels.yaml":
      "summary: Labels.\nrisk: read\nneeds: [postgres]\nsteps:\n  - id: s\n    set: {labels: target.labels}\noutput: {labels: steps.s.output.labels}\n",
    "cwd/.pgdba/runbooks/t/nodes.yaml": NODES,
    "cwd/.pgdba/runbooks/t/undone.yaml":
      "summary: Fails.\nrisk: change\nsteps:\n  - lab.down: {}\n  - assert: {that: 'false', message: no}\n",
    "cwd/.pgdba/runbooks/t/started.yaml":
      "summary: Fails.\nrisk: change\nsteps:\n  - id: up\n    lab.up: {}\n  - assert: {that: '!steps.up.output.started', message: no}\n",
  });
  const password = readFileSync(join(p.home, "secrets/lab/superuser"), "utf8").trim();
  const byAddress = ["--host", "127.0.0.1", "--port", String(status["port"]), "--user", "postgres"];
  const reached = await cli(["t", "labels", ...byAddress], p, { env: { PGPASSWORD: password } });
  expect(at(reached.envelope, "data", "labels")).toEqual(["lab", "frail"]);
  expect(at(await data("t", "labels", "--cluster", "lab"), "labels")).toEqual(["lab", "frail"]);

  // Its node is stopped and started as that of any cluster; the run that stops it sees it stopped.
  const nodes = await cli(["t", "nodes", "--cluster", "lab", "--yes"], p);
  expect(nodes.envelope.error).toBeNull();
  const node = { node: "lab", roles: ["postgres"], made: true };
  expect(nodes.envelope.data).toMatchObject({
    before: [{ ...node, running: "running", reach: { host: "127.0.0.1", port: status["port"] } }],
    stopped: [{ ...node, running: "stopped" }],
    version: "18\n",
    control: "shut down",
    started: { node: "lab", was: "stopped" },
    products: 1000,
  });

  // What is taken back runs again, as the same server, and its entry keeps what people wrote.
  expect((await cli(["t", "undone"], p)).exit).toBe(5);
  expect(await data("lab", "status")).toMatchObject({ running: true });
  expect(readFileSync(labels, "utf8")).toContain("- frail");
  expect(await data("lab", "up", "--plan")).toMatchObject({ run: { status: "planned" } });
  const up = await cli(["lab", "up"], p);
  expect(at(up.envelope, "data", "run", "steps", 0, "changed")).toBe(false);
  expect(up.stdout + up.stderr).not.toContain(password);

  // Killed when it has acted, and nothing of that is on record: it is told, or taken back, as what it has done.
  const killed = async (what: string) => {
    const dies = { preload: KILL_AT, env: { KILL_AT: `acted ${what}` } };
    const { exit, stderr } = await raw(["lab", what], p, dies);
    expect([what, exit]).toEqual([what, KILLED]);
    return runIn(stderr)!;
  };
  expect((await cli(["resume", await killed("down"), "--give-up"], p)).exit).toBe(130);
  expect(await data("lab", "status")).toMatchObject({ running: true });
  expect(await data("resume", await killed("down"))).toMatchObject({ stopped: true });
  expect((await cli(["resume", await killed("up"), "--give-up"], p)).exit).toBe(130);
  expect(await data("lab", "status")).toMatchObject({ running: false });
  const resumed = await cli(["resume", await killed("up")], p);
  expect(at(resumed.envelope, "data", "run", "steps", 0, "changed")).toBe(true);

  expect(await data("lab", "down")).toMatchObject({ stopped: true, removed: false });
  expect(await data("lab", "down")).toMatchObject({ stopped: false, removed: false });
  expect(await data("lab", "status")).toMatchObject({ exists: true, running: false, psql: null });
  expect(await listed()).toHaveLength(1);
  expect((await cli(["t", "started"], p)).exit).toBe(5);
  expect(await data("lab", "status")).toMatchObject({ exists: true, running: false });
  expect(await data("lab", "down", "--remove")).toMatchObject({ stopped: false, removed: true });
  expect(await data("lab", "status")).toMatchObject({ exists: false, running: false });
  expect(await listed()).toEqual([]);
});

const NODES = `summary: The node of the lab.
risk: disruptive
steps:
  - {id: before, nodes.list: {}}
  - nodes.stop: {node: lab}
  - {id: stopped, nodes.list: {}}
  - id: control
    nodes.exec: {node: lab, argv: [cat, data/PG_VERSION], effect: read}
  - {id: dir, nodes.control: {node: lab}}
  - {id: started, nodes.start: {node: lab}}
  - {id: products, sql.query: {sql: SELECT count(*)::int AS n FROM shop.products}}
output:
  before: steps.before.output.nodes
  stopped: steps.stopped.output.nodes
  version: steps.control.output.stdout
  control: steps.dir.output.state
  started: steps.started.output
  products: steps.products.output.rows[0].n
`;

interface Finding {
  check: string;
  consequences?: Finding[];
}

function namesIn({ check, consequences = [] }: Finding): string[] {
  return [check, ...consequences.flatMap(namesIn)];
}
