import { afterAll, beforeAll, expect, test, setDefaultTimeout } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { clientOf, startServer, type TestServer } from "../support/postgres.ts";
import { clusterFile, sharedServer } from "./server.ts";
import {
  at,
  cli,
  type Env,
  type Place,
  place,
  removePlaces,
  runId,
  runbooks,
  Running,
  statuses,
  stepTypes,
  write,
} from "./support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

const act = (risk: string) =>
  `summary: s\nrisk: ${risk}\nsteps:\n  - exec: {argv: [touch, acted]}\n`;
const NAMES = {
  "team/look":
    "summary: s\nrisk: read\nneeds: [postgres]\nsteps:\n  - id: one\n    sql.query: {sql: select 1 as n}\noutput: {n: steps.one.output.rows}\n",
  "team/change": act("change"),
  "team/failover": act("disruptive"),
  "team/wipe": act("destructive"),
  "team/wrapper": "summary: s\nrisk: disruptive\nsteps:\n  - run: team/failover\n",
  "team/understated": "summary: s\nrisk: read\nsteps:\n  - run: team/failover\n",
  "team/hidden": "summary: s\nrisk: change\nsteps:\n  - run: chaos/kill\n",
  "chaos/kill": `hazards: [fault]\n${act("change")}`,
  "team/mild": "extends: chaos/kill\nsummary: not what it looks like\n",
  "team/milder": "extends: team/mild\n",
  "team/mildest": "summary: s\nrisk: change\nsteps:\n  - block:\n      - run: team/milder\n",
  "team/scrap": "extends: cluster/destroy\n",
  "team/quick": "extends: team/failover\n",
  "cluster/destroy": `hazards: [destroys, loses]\n${act("destructive")}`,
  "team/patroni": "summary: s\nrisk: read\nneeds: [patroni]\nsteps:\n  - set: {a: 1}\n",
};
const BACKUP = {
  "team/backup":
    "summary: s\nrisk: read\ngives: [verified_backup]\nsteps:\n  - set: {ok: 'true'}\noutput: {verified: steps.set_1.output.ok}\n",
};

let server: TestServer;
/** What is said of one server holds for it by every name, so that each of these clusters has a server of its own. */
let others: Record<string, string>;
let p: Place;
let env: Env;
beforeAll(async () => {
  const [shared, prod, theirs] = await Promise.all([sharedServer(), startServer(), startServer()]);
  server = shared;
  const file = (name: string, ...about: Parameters<typeof clusterFile>) =>
    clusterFile(...about).replace("CLUSTER_PASSWORD", `${name}_PASSWORD`);
  others = {
    "home/clusters/prod.yaml": file("PROD", prod, "managed", "labels: [production]\n"),
    "home/clusters/theirs.yaml": file("THEIRS", theirs, "connected"),
  };
  p = place({
    "home/clusters/orders.yaml": clusterFile(server, "managed"),
    ...others,
    "home/clusters/other.yaml": clusterFile(
      server,
      "managed",
      'system_identifier: "7000000000000000000"\n',
    ),
    ...runbooks({ ...NAMES, ...BACKUP }),
  });
  env = {
    CLUSTER_PASSWORD: server.password,
    PROD_PASSWORD: prod.password,
    THEIRS_PASSWORD: theirs.password,
  };
});

/** Runs it, and checks exit, code and gate, that the hint says `hint`, and that it acted exactly when it was allowed. */
async function judged(
  args: string[],
  exit: number,
  expected: { code?: string; gate?: string; hint?: string } = {},
  more: Env = {},
) {
  const acted = join(p.cwd, "acted");
  rmSync(acted, { force: true });
  const ran = await cli(args, p, { env: { ...env, ...more } });
  const { error } = ran.envelope;
  const seen = {
    args: args.join(" "),
    exit: ran.exit,
    code: error?.code as string | undefined,
    gate: at(error, "data", "gate"),
  };
  expect(seen).toEqual({ args: args.join(" "), exit, code: expected.code, gate: expected.gate });
  expect(error?.hint ?? "").toContain(expected.hint ?? "");
  const acts = !args[1]!.match(/^(look|patroni)$/) && !args.includes("--plan");
  expect({ args, acted: existsSync(acted) }).toEqual({ args, acted: acts && exit === 0 });
  return ran;
}

const ON = (cluster: string) => ["--cluster", cluster];

test("read and change run; disruptive asks for --yes by name, wherever it stands", async () => {
  await judged(["team", "look", ...ON("orders")], 0);
  await judged(["team", "change", ...ON("orders")], 0);
  const asked = { code: "approval_needed", gate: "disruptive", hint: "--yes" };
  await judged(["team", "failover", ...ON("orders")], 4, asked);
  // The risk of what it calls counts: a runbook can't say less.
  const understated = await judged(["team", "understated", ...ON("orders"), "--yes"], 2, {
    code: "invalid_runbook",
  });
  expect(understated.envelope.error?.message).toContain("disruptive");
  await judged(["team", "wrapper", ...ON("orders")], 4, asked);
  await judged(["team", "failover", ...ON("orders"), "--yes"], 0);
  await judged(["team", "wrapper", ...ON("orders"), "--yes"], 0);
  await judged(["team", "failover", ...ON("orders"), "--plan"], 0);
});

test("destructive needs its cluster's name, and a verified backup first", async () => {
  const asked = { code: "approval_needed", gate: "destructive", hint: "--confirm=orders" };
  await judged(["team", "wipe", ...ON("orders")], 4, asked);
  await judged(["team", "wipe", ...ON("orders"), "--yes"], 4, asked);
  await judged(["team", "wipe", ...ON("orders"), "--confirm=prod"], 4, asked);
  const done = await judged(["team", "wipe", ...ON("orders"), "--confirm=orders"], 0);
  expect(Object.keys(statuses(done))).toContain("backup_before/set_1");
  const refused = { code: "gate_refused", gate: "target", hint: "--cluster" };
  await judged(
    [
      "team",
      "wipe",
      "--host",
      server.host,
      "--port",
      String(server.port),
      "--user",
      server.user,
      "--confirm=x",
    ],
    3,
    refused,
    {
      PGDBA_PG_PASSWORD: server.password,
    },
  );
});

test("without a verified backup nothing is destroyed", async () => {
  const unverified = place({
    "home/clusters/orders.yaml": clusterFile(server, "managed"),
    ...runbooks({
      ...NAMES,
      "team/backup": BACKUP["team/backup"].replace("'true'", "'false'"),
    }),
  });
  const ran = await cli(["team", "wipe", ...ON("orders"), "--confirm=orders"], unverified, { env });
  expect(ran.exit).toBe(3);
  expect(ran.envelope.error?.code).toBe("gate_refused");
  expect(existsSync(join(unverified.cwd, "acted"))).toBe(false);
});

test("chaos needs both flags; production refuses chaos and destruction whatever the flags", async () => {
  const chaos = (hint: string) => ({ code: "gate_refused", gate: "fault", hint });
  const sure = "--i-know-what-i-am-doing";
  await judged(["chaos", "kill", ...ON("orders")], 3, chaos(sure));
  await judged(
    [
      "chaos",
      "kill",
      sure,
      "--host",
      server.host,
      "--port",
      String(server.port),
      "--user",
      server.user,
    ],
    3,
    chaos("--cluster"),
    {
      PGDBA_PG_PASSWORD: server.password,
    },
  );
  await judged(["chaos", "kill", ...ON("orders"), sure], 0);
  await judged(["team", "hidden", ...ON("orders"), "--yes"], 3, chaos(sure));
  const production = { code: "gate_refused", gate: "production", hint: "No flag" };
  await judged(["chaos", "kill", ...ON("prod"), sure, "--yes", "--confirm=prod"], 3, production);
  await judged(["team", "wipe", ...ON("prod"), "--confirm=prod"], 3, production);
  await judged(["team", "hidden", ...ON("prod"), sure], 3, production);
  await judged(["team", "failover", ...ON("prod"), "--yes"], 0);
});

test("a runbook is judged as what it extends, by whatever name, in whatever layer, called or resumed", async () => {
  const sure = "--i-know-what-i-am-doing";
  const chaos = { code: "gate_refused", gate: "fault", hint: sure };
  const production = { code: "gate_refused", gate: "production", hint: "No flag" };
  await judged(["team", "milder", ...ON("prod"), sure, "--yes"], 3, production);
  for (const name of ["mild", "mildest"]) {
    const refused = await judged(["team", name, ...ON("orders"), "--yes"], 3, chaos);
    const by = name === "mild" ? "" : ", by `team/milder`,";
    expect(refused.envelope.error?.message).toStartWith(`team/${name}${by} breaks things`);
  }
  await judged(["team", "mildest", ...ON("orders"), sure], 0);
  await judged(["team", "scrap", ...ON("theirs"), "--confirm=theirs"], 3, {
    code: "gate_refused",
    gate: "connected",
    hint: "file",
  });
  await judged(["team", "scrap", ...ON("orders"), "--confirm=orders"], 0);
  // What replaces it by name does not say so.
  const layer = join(p.root, "layer");
  write(layer, { "team/mild.yaml": act("change") });
  await judged(["team", "milder", ...ON("orders"), "--runbooks", layer], 3, chaos);

  write(p.root, {
    "etc/policy.yaml": "rules:\n  - match: {runbook: team/failover}\n    action: refuse\n",
  });
  try {
    const refused = { code: "policy_refused", gate: "policy", hint: "policy.yaml" };
    await judged(["team", "quick", ...ON("orders"), "--yes"], 3, refused);
    write(p.root, {
      "etc/policy.yaml": "rules: []\n",
      ...runbooks({
        "team/late":
          "extends: team/failover\nsteps:\n  - id: hold\n    exec: {argv: [sleep, '30']}\n",
      }),
    });
    const running = new Running(["team", "late", ...ON("orders"), "--yes"], p, { env });
    await running.said("start hold");
    running.signal("SIGKILL");
    const id = /run (\S+)/.exec(running.stderr)![1]!;
    await running.ended();
    write(p.root, {
      "etc/policy.yaml": "rules:\n  - match: {runbook: team/failover}\n    action: refuse\n",
    });
    const resumed = await cli(["resume", id], p, { env });
    expect(resumed.envelope.error?.code).toBe("policy_refused");
  } finally {
    rmSync(join(p.root, "etc/policy.yaml"));
  }
});

test("a connected cluster is never destroyed, one that is another server never touched, a missing capability is named", async () => {
  await judged(["cluster", "destroy", ...ON("theirs"), "--confirm=theirs"], 3, {
    code: "gate_refused",
    gate: "connected",
    hint: "file",
  });
  await judged(["cluster", "destroy", ...ON("orders"), "--confirm=orders"], 0);
  for (const runbook of ["look", "change"]) {
    await judged(["team", runbook, ...ON("other")], 3, {
      code: "identity_mismatch",
      gate: "identity",
      hint: "cluster's file",
    });
  }
  await judged(["team", "patroni", ...ON("orders")], 3, {
    code: "capability_missing",
    gate: "capabilities",
    hint: "postgres",
  });
});

test("a team's own step type is judged by what it declares, wherever it is called, and counts as disruptive when it says nothing", async () => {
  const type = (more: string) => `effect: "change", ${more} async run() { return {} }`;
  const q = place({
    "home/clusters/orders.yaml": clusterFile(server, "managed"),
    ...others,
    "etc/policy.yaml":
      "rules:\n  - match: {step: 'team.ma*', caller: agent}\n    action: refuse\n    reason: no marks\n",
    ...stepTypes({
      "team.kill": type('risk: "disruptive", hazards: ["fault"], locks: "roles",'),
      "team.gone": type('risk: "destructive", hazards: ["destroys", "loses"],'),
      "team.mark": type(""),
    }),
    ...runbooks({
      ...BACKUP,
      "team/drill": "summary: s\nrisk: disruptive\nsteps:\n  - {id: kill, team.kill: {}}\n",
      "team/outer": "summary: s\nrisk: disruptive\nsteps:\n  - run: team/drill\n",
      "team/gone": "summary: s\nrisk: destructive\nsteps:\n  - {id: gone, team.gone: {}}\n",
      "team/low": "summary: s\nrisk: change\nsteps:\n  - {id: mark, team.mark: {}}\n",
      "team/mark": "summary: s\nrisk: disruptive\nsteps:\n  - {id: mark, team.mark: {}}\n",
      // Says nothing of needs: its step does.
      "team/ask": "summary: s\nrisk: read\nsteps:\n  - {id: ask, sql.query: {sql: select 1}}\n",
    }),
  });
  const sure = "--i-know-what-i-am-doing";
  const run = async (name: string, flags: string[], more: Env = {}) => {
    const ran = await cli(["team", name, ...flags], q, { env: { ...env, ...more } });
    return { ...ran, said: ran.envelope.error?.message ?? "" };
  };
  for (const command of [
    ["show", "team/outer"],
    ["list", "team/outer", "--full"],
  ]) {
    const { data } = (await cli(command, q)).envelope;
    const shown = at(data, "runbooks", 0) ?? data;
    expect(shown).toMatchObject({ risk: "disruptive", hazards: ["fault"], locks: ["roles"] });
  }
  for (const name of ["drill", "outer"]) {
    const refused = await run(name, [...ON("orders"), "--yes"]);
    expect(refused.exit).toBe(3);
    for (const part of ["step `kill`", sure]) expect(refused.said).toContain(part);
    expect((await run(name, [...ON("prod"), "--yes", sure])).said).toContain("production");
    const ran = await run(name, [...ON("orders"), "--yes", sure]);
    expect(at(ran.envelope, "data", "run")).toMatchObject({ hazards: ["fault"] });
  }
  expect((await run("gone", [...ON("theirs"), "--confirm=theirs"])).said).toContain(
    "not made by pgdba",
  );
  const gone = await run("gone", [...ON("orders"), "--confirm=orders"]);
  expect(Object.keys(statuses(gone))).toEqual(["backup_before/set_1", "gone"]);
  const without = await run("gone", [
    ...ON("orders"),
    "--confirm=orders",
    "--without-backup=orders",
  ]);
  expect(Object.keys(statuses(without))).toEqual(["gone"]);
  expect(at(without.envelope, "data", "run", "without_backup")).toBe(true);
  expect((await run("low", ON("orders"))).said).toContain("step `mark` is disruptive");
  const ann = { PGDBA_CALLER: "ann" };
  expect((await run("mark", [...ON("orders"), "--yes"], ann)).exit).toBe(0);
  const marked = await run("mark", [...ON("orders"), "--yes"], { PGDBA_CALLER: "agent" });
  expect(marked.exit).toBe(3);
  expect(marked.said).toContain("no marks");
  const ask = await run("ask", []);
  expect(ask.envelope.error?.code).toBe("capability_missing");
  expect(ask.said).toContain("postgres (for step `ask`)");
  expect((await run("ask", ON("orders"))).exit).toBe(0);
});

test("labels and ownership are the server's, by whichever name or address it is reached", async () => {
  const client = await clientOf(server);
  const { rows } = await client.query(
    "SELECT system_identifier::text AS id FROM pg_control_system()",
  );
  await client.end();
  const known = (labels: string) => `labels: [${labels}]\nsystem_identifier: "${rows[0].id}"\n`;
  const q = place({
    "home/clusters/prod.yaml": clusterFile(server, "connected", known("Production")),
    "home/clusters/alias.yaml": clusterFile({ ...server, host: "localhost" }, "managed"),
    "etc/policy.yaml":
      "rules:\n  - match: {label: production, risk: [disruptive]}\n    action: refuse\n  - match: {cluster: prod, runbook: team/change}\n    action: confirm\n",
    ...runbooks({ ...NAMES, ...BACKUP }),
  });
  const before = p;
  p = q;
  try {
    const sure = "--i-know-what-i-am-doing";
    const bare = [
      "--host",
      server.host,
      "--port",
      String(server.port),
      "--user",
      server.user,
      "--database",
      "postgres",
    ];
    const socket = ["--host", server.socketDir, ...bare.slice(2)];
    const password = { PGPASSWORD: server.password };
    const production = { code: "gate_refused", gate: "production", hint: "No flag" };
    await judged(["chaos", "kill", ...ON("alias"), sure], 3, production);
    await judged(["team", "wipe", ...ON("alias"), "--confirm=alias"], 3, production);
    const refused = await judged(
      ["team", "failover", ...bare, "--yes"],
      3,
      { code: "policy_refused", gate: "policy" },
      password,
    );
    expect(refused.envelope.error?.message).toContain("known as alias, prod");
    await judged(
      ["team", "failover", ...socket, "--yes"],
      3,
      { code: "policy_refused", gate: "policy" },
      password,
    );
    await judged(["team", "change", ...ON("alias")], 4, {
      code: "approval_needed",
      gate: "policy",
    });
    write(q.root, { "home/clusters/prod.yaml": clusterFile(server, "connected", known("")) });
    await judged(["cluster", "destroy", ...ON("alias"), "--confirm=alias"], 3, {
      code: "gate_refused",
      gate: "connected",
    });
    // Which server that one is, nobody can tell.
    write(q.root, { "home/clusters/zz.yaml": "ownership: [\n", "etc/policy.yaml": "rules: []\n" });
    await judged(["team", "change", ...ON("alias")], 3, {
      code: "gate_refused",
      gate: "registry",
      hint: "Mend",
    });
    const read = await judged(["team", "look", ...ON("alias")], 0);
    expect(String(at(read.envelope, "data", "run", "warnings"))).toContain("zz.yaml");
  } finally {
    p = before;
  }
});

test("a server that does not tell who it is has the labels of all that it may be, and that is said", async () => {
  const client = await clientOf(server);
  const { rows } = await client.query(
    "SELECT system_identifier::text AS id FROM pg_control_system()",
  );
  await client.query(
    "CREATE ROLE lowly LOGIN PASSWORD 'low'; REVOKE EXECUTE ON FUNCTION pg_control_system() FROM public",
  );
  const before = p;
  p = place({
    "home/clusters/prod.yaml": clusterFile(
      server,
      "managed",
      `labels: [production]\nsystem_identifier: "${rows[0].id}"\n`,
    ),
    "home/clusters/alias.yaml": clusterFile({ ...server, user: "lowly" }, "managed").replace(
      "CLUSTER_PASSWORD",
      "LOWLY",
    ),
    ...runbooks({ ...NAMES, ...BACKUP }),
  });
  try {
    const low = { LOWLY: "low" };
    await judged(
      ["chaos", "kill", ...ON("alias"), "--i-know-what-i-am-doing"],
      3,
      { code: "gate_refused", gate: "production", hint: "No flag" },
      low,
    );
    const read = await judged(["team", "look", ...ON("alias")], 0, {}, low);
    expect(String(at(read.envelope, "data", "run", "warnings"))).toContain("it may be prod");
  } finally {
    p = before;
    await client.query("GRANT EXECUTE ON FUNCTION pg_control_system() TO public");
    await client.query("DROP ROLE lowly");
    await client.end();
  }
});

test("a policy narrows by caller, label, risk and runbook; one that can't be read allows nothing", async () => {
  const policy = (rules: string) => write(p.root, { "etc/policy.yaml": rules });
  const refused = (hint = "policy.yaml") => ({ code: "policy_refused", gate: "policy", hint });
  try {
    policy(
      "rules:\n  - match: {caller: agent, risk: [change, disruptive]}\n    action: refuse\n    reason: agents only read\n",
    );
    const ran = await judged(["team", "change", ...ON("orders"), "--yes"], 3, refused(), {
      PGDBA_CALLER: "agent",
    });
    expect(ran.envelope.error?.message).toContain("agents only read");
    await judged(["team", "look", ...ON("orders")], 0, {}, { PGDBA_CALLER: "agent" });
    const said = await judged(
      ["team", "change", ...ON("orders")],
      0,
      {},
      { PGDBA_CALLER: "human" },
    );
    // Nobody knows who it is, and a variable that anybody may set proves nothing.
    for (const unknown of [{}, { CI: "true" }, { PGDBA_CALLER: "" }] as Env[])
      await judged(["team", "change", ...ON("orders")], 3, refused("PGDBA_CALLER"), unknown);
    await judged(
      ["team", "change", ...ON("orders")],
      2,
      { code: "invalid_config", hint: "letters" },
      {
        PGDBA_CALLER: "agent ",
      },
    );
    // What was said is on record.
    expect(at(said.envelope, "data", "run", "caller")).toBe("human");
    const kept = await cli(["runs", runId(said)], p);
    expect(at(kept.envelope, "data", "caller")).toBe("human (PGDBA_CALLER)");
    policy(
      "rules:\n  - match: {label: production, risk: [change]}\n    action: confirm\n  - match: {runbook: 'team/fail*'}\n    action: refuse\n",
    );
    await judged(["team", "change", ...ON("prod")], 4, {
      code: "approval_needed",
      gate: "policy",
      hint: "--confirm=prod",
    });
    await judged(["team", "change", ...ON("prod"), "--confirm=prod"], 0);
    await judged(["team", "change", ...ON("orders")], 0);
    await judged(["team", "failover", ...ON("orders"), "--yes"], 3, refused());
    // It can't widen: with a rule that confirms, chaos still needs its flags.
    policy("rules:\n  - match: {runbook: '*'}\n    action: confirm\n");
    await judged(["chaos", "kill", ...ON("orders"), "--confirm=orders"], 3, {
      code: "gate_refused",
      gate: "fault",
      hint: "--i-know",
    });
    await judged(["team", "wipe", ...ON("orders")], 4, {
      code: "approval_needed",
      gate: "policy",
      hint: "--confirm=orders",
    });
    for (const broken of [
      "rules: [",
      "rules:\n  - match: {}\n    action: refuse\n",
      "rules:\n  - match: {riks: [read]}\n    action: refuse\n",
      "",
    ]) {
      policy(broken);
      const stopped = await cli(["team", "look", ...ON("orders")], p, { env });
      expect({ broken, exit: stopped.exit }).toEqual({ broken, exit: 2 });
      expect(stopped.envelope.error?.message).toContain("policy.yaml");
    }
    rmSync(join(p.root, "etc/policy.yaml"));
    write(p.root, { "etc/policy.yaml/x": "" });
    expect((await cli(["team", "look", ...ON("orders")], p, { env })).exit).not.toBe(0);
  } finally {
    rmSync(join(p.root, "etc/policy.yaml"), { recursive: true, force: true });
  }
});

/** A run on a real terminal, typing `answer` once it asks. */
async function typed(
  args: string[],
  answer: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  rmSync(join(p.cwd, "acted"), { force: true });
  const script = join(import.meta.dir, "../engine/view/pty.py");
  const argv = [join(import.meta.dir, "../../engine/pgdba"), ...args];
  const python = Bun.spawn(["python3", script, JSON.stringify({ argv, send: answer })], {
    cwd: p.cwd,
    env: { ...p.env, ...env, TERM: "xterm" },
    stderr: "inherit",
  });
  return JSON.parse(await new Response(python.stdout).text()) as {
    code: number;
    stdout: string;
    stderr: string;
  };
}

test("on a terminal the confirmation is typed: y for disruptive, the cluster's name for destructive, nothing else", async () => {
  const acted = () => existsSync(join(p.cwd, "acted"));
  const no = await typed(["team", "wipe", ...ON("orders")], "y\n");
  expect([no.code, acted()]).toEqual([4, false]);
  expect(no.stderr).toContain("orders");
  expect(JSON.parse(no.stdout).error.code).toBe("approval_needed");
  const yes = await typed(["team", "wipe", ...ON("orders")], "orders\n");
  expect([yes.code, acted()]).toEqual([0, true]);
  expect(JSON.parse(yes.stdout).success).toBe(true);
  expect((await typed(["team", "failover", ...ON("orders")], "\n")).code).toBe(4);
  expect((await typed(["team", "failover", ...ON("orders")], "y\n")).code).toBe(0);
  const interrupted = await typed(["team", "failover", ...ON("orders")], "\x03");
  expect([interrupted.code, acted()]).toEqual([130, false]);
  expect((await typed(["team", "failover", ...ON("orders"), "--no-input"], "y\n")).code).toBe(4);
});

test("the remaining exit codes: 1 failed, 5 failed and undone, 6 the undo failed too", async () => {
  const files = (undo: string) =>
    `summary: s\nrisk: change\nsteps:\n  - exec: {argv: [touch, made]}\n    undo:\n      - exec: {argv: ${undo}}\n  - assert: {that: 1 == 2, message: no}\n`;
  const q = place(
    runbooks({
      "t/fails": "summary: s\nrisk: read\nsteps:\n  - assert: {that: 1 == 2, message: no}\n",
      "t/undone": files("[rm, made]"),
      "t/stuck": files("['false']"),
    }),
  );
  const exits = { fails: 1, undone: 5, stuck: 6 } as const;
  for (const [name, exit] of Object.entries(exits)) {
    const ran = await cli(["t", name], q);
    expect({ name, exit: ran.exit, code: ran.envelope.error?.code }).toEqual({
      name,
      exit,
      code: "assertion_failed",
    });
  }
  const runs = at((await cli(["runs"], q)).envelope, "data", "runs") as {
    runbook: string;
    status: string;
    exit: number;
  }[];
  expect(runs.map(({ runbook, status, exit }) => [runbook, status, exit])).toEqual([
    ["t/stuck", "needs_operator", 6],
    ["t/undone", "undone", 5],
    ["t/fails", "failed", 1],
  ]);
});

test("a cluster with a part of its connection beside it is refused, and a run without a target says so", async () => {
  const both = await cli(["team", "look", "--cluster", "orders", "--port", "5433"], p, { env });
  expect(both.exit).toBe(2);
  expect(at(both.envelope, "error", "code")).toBe("usage");
  const none = await cli(["team", "look"], p);
  expect(none.exit).toBe(3);
  expect(at(none.envelope, "error", "message")).toContain("none is named");
});
