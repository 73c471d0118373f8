import { afterAll, beforeAll, expect, test, setDefaultTimeout } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestServer } from "../support/postgres.ts";
import { clusterFile, sharedServer } from "./server.ts";
import {
  cli,
  eventually,
  filesBelow,
  type Place,
  place,
  removePlaces,
  runbooks,
  runId,
  Running,
  write,
} from "./support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

/** Long, and with what each encoding changes, so that a cut or an encoded form shows. */
const canary = (name: string) => `canary-${name} <&"'/é+${name.repeat(24)}`;
const forms = (secret: string): string[] => {
  const bytes = Buffer.from(secret);
  return [
    secret,
    bytes.toString("latin1"),
    JSON.stringify(secret).slice(1, -1),
    bytes.toString("base64"),
    bytes.toString("hex"),
    encodeURIComponent(secret),
    // The head of it, as a trace or a message that is cut would show.
    secret.slice(0, 14),
  ];
};

/** Fails when any form of a secret stands in any of the texts. */
function expectNowhere(secrets: string[], texts: Iterable<[string, string]>): void {
  const found: string[] = [];
  let searched = 0;
  for (const [name, text] of texts) {
    searched += 1;
    for (const secret of secrets)
      for (const form of forms(secret))
        if (text.includes(form)) found.push(`${name}: ${form.slice(0, 40)}`);
  }
  expect(found).toEqual([]);
  expect(searched).toBeGreaterThan(0);
}

const PARAMS =
  "params: {token: {type: string, secret: true, required: true}, key: {type: string, secret: true}}\n";
const LEAKY = `summary: s
risk: change
${PARAMS}steps:
  - id: made
    exec: {argv: [sh, -c, 'printf %s "$T"; printf %s "$T" | base64 -w0; printf %s "$T" | od -An -tx1 | tr -d " \\n"'], env: {T: "\${params.token}"}}
  - id: reused
    exec: {argv: [sh, -c, 'sleep 0.5; cat'], stdin: "{{params.token}} and {{params.key}}"}
  - id: issued
    exec: {argv: [cat, issued]}
    sensitive: true
  - id: again
    exec: {argv: [sh, -c, 'printf %s "$T" | base64 -w0'], env: {T: "\${steps.issued.output.stdout}"}}
  - id: below
    run: {runbook: t/below, params: {word: "\${steps.issued.output.stdout}", token: "\${params.token}"}}
  - id: listed
    foreach: ["\${params.token}", "\${params.key}"]
    exec: {argv: [cat], stdin: "\${item}"}
output:
  token: params.token
  key: params.key
  made: steps.made.output.stdout
  issued: steps.issued.output
  again: steps.again.output.stdout
`;
const BELOW = `summary: s
risk: change
params: {word: {type: string, required: true}, token: {type: string, secret: true, required: true}}
steps:
  - exec: {argv: [cat], stdin: "\${params.word}", effect: read}
  - set: {a: params.word, b: params.token}
output: {word: params.word}
`;
const fails = (step: string) =>
  `summary: s\nrisk: change\n${PARAMS}steps:\n  - id: issued\n    exec: {argv: [cat, issued]}\n    sensitive: true\n${step}`;
const FAILING = {
  "t/message": fails(
    `  - exec: {argv: [sh, -c, 'echo "no: $T" >&2; exit 3'], env: {T: "\${params.token}"}}\n`,
  ),
  "t/sensitive": fails(`  - exec: {argv: [sh, -c, 'cat late >&2; exit 3']}\n    sensitive: true\n`),
  "t/trace": fails(
    `  - assert: {that: "steps.issued.output.stdout == params.token + 'x' && [params.key] == []", message: "{{params.token}} is not {{steps.issued.output.stdout}}"}\n`,
  ),
  "t/until": fails(
    `  - exec: {argv: [cat, issued], effect: read}\n    sensitive: true\n    until: output.stdout == params.key\n    every: 50ms\n    timeout: 150ms\n`,
  ),
  "t/argv": fails(`  - exec: {argv: [echo, "\${params.token}"]}\n`),
  "t/cel": fails(`  - set: {a: "int(params.token)"}\n`),
};

let server: TestServer;
let p: Place;
const token = canary("token");
const key = canary("key");
const issued = canary("issued");
const late = canary("late");
const password = canary("password");
const all = [token, key, issued, late, password];
let env: Record<string, string>;

beforeAll(async () => {
  server = await sharedServer();
  p = place({
    "home/clusters/orders.yaml": clusterFile(server, "managed"),
    ...runbooks({ "t/leaky": LEAKY, "t/below": BELOW, ...FAILING }),
    "cwd/issued": issued,
    "cwd/late": late,
    "key.secret": `${key}\n`,
  });
  env = { TOKEN: token, CLUSTER_PASSWORD: server.password, PGDBA_PG_PASSWORD: password };
});

const args = (name: string) => [
  "t",
  name,
  "--token",
  "env:TOKEN",
  "--key",
  `file:${join(p.root, "key.secret")}`,
];

/** Command lines of all processes below `pid`. */
function commandLines(pid: number): [string, string][] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch {
      // It has just ended.
    }
  }
  const below = (child: number): boolean =>
    child === pid || (parents.has(child) && below(parents.get(child)!));
  return [...parents.keys()].filter(below).flatMap((child): [string, string][] => {
    try {
      return [[`cmdline ${child}`, readFileSync(`/proc/${child}/cmdline`, "utf8")]];
    } catch {
      return [];
    }
  });
}

test("a secret in params, outputs and their encodings stands in no artifact of a run", async () => {
  const events = join(p.root, "events.ndjson");
  const child = new Running([...args("leaky"), "--events", events], p, { env });
  await child.said("start reused");
  let lines: [string, string][] = [];
  await eventually(() => (lines = commandLines(child.pid)).length > 1, "it has a child");
  // While it runs: the write-ahead log as well.
  const during = filesBelow(p.home);
  expect([...during.keys()].some((file) => file.endsWith("journal.db-wal"))).toBe(true);
  const ran = await child.done();
  expect(ran.exit).toBe(0);
  const id = runId(ran);
  const html = join(p.root, "report.html");
  const shown = await cli(["runs", id], p);
  expect((await cli(["runs", id, "--html", html], p)).exit).toBe(0);
  expectNowhere(all, [
    ...lines,
    ...during,
    ["stdout", ran.stdout],
    ["stderr", ran.stderr],
    ["events", readFileSync(events, "latin1")],
    ["runs", shown.stdout],
    ["html", readFileSync(html, "latin1")],
    ...filesBelow(p.home),
  ]);
  // The search is not blind: what is no secret is there, and the masks are.
  expect(ran.stdout).toContain("********");
  expect(readFileSync(html, "utf8")).toContain("t/leaky");
  {
    const other = new Running([...args("leaky"), "--format", "table"], p, { env });
    const { stdout, stderr, exit } = await other.ended();
    expect(exit).toBe(0);
    expectNowhere(all, [
      ["table", stdout],
      ["stderr", stderr],
    ]);
  }
});

test("a secret stands in no error: messages, traces, hints, debug stacks", async () => {
  for (const name of Object.keys(FAILING)) {
    const events = join(p.root, `${name.slice(2)}.ndjson`);
    const ran = await cli([...args(name.slice(2)), "--events", events], p, {
      env: { ...env, PGDBA_DEBUG: "1" },
    });
    expect({ name, exit: ran.exit }).toEqual({ name, exit: 1 });
    const shown = await cli(["runs", runId(ran)], p);
    expectNowhere(all, [
      [`${name} stdout`, ran.stdout],
      [`${name} stderr`, ran.stderr],
      [`${name} events`, readFileSync(events, "latin1")],
      [`${name} runs`, shown.stdout],
      ...filesBelow(p.home),
    ]);
  }
});

test("a password of the environment or of a cluster is in no artifact, whether it is right or wrong", async () => {
  const query =
    "summary: s\nrisk: change\nneeds: [postgres]\nsteps:\n  - id: one\n    sql.query: {sql: select 1 as n}\n  - exec: {argv: [env]}\noutput: {env: steps.exec_1.output.stdout}\n";
  write(p.root, runbooks({ "t/query": query }));
  // A variable that no parameter names is no secret to anybody.
  const passwords = { CLUSTER_PASSWORD: server.password, PGDBA_PG_PASSWORD: password };
  const address = ["--host", server.host, "--port", String(server.port), "--user", server.user];
  const wrong = await cli(["t", "query", ...address], p, { env: passwords });
  expect(wrong.exit).not.toBe(0);
  const right = await cli(["t", "query", ...address], p, {
    env: { ...passwords, PGDBA_PG_PASSWORD: server.password },
  });
  expect(right.exit).toBe(0);
  const cluster = await cli(["t", "query", "--cluster", "orders"], p, { env: passwords });
  expect(cluster.exit).toBe(0);
  expectNowhere([password], [["wrong", wrong.stdout + wrong.stderr], ...filesBelow(p.home)]);
  expectNowhere(
    [server.password],
    [
      ["right", right.stdout + right.stderr],
      ["cluster", cluster.stdout + cluster.stderr],
      ...filesBelow(p.home),
    ],
  );
});

test("a secret typed as a value is refused without repeating it, wherever it stands on the line", async () => {
  const typed = [
    ["t", "leaky", "--token", token],
    ["t", "leaky", `--token=${token}`],
    ["--token", token, "t", "leaky"],
    ["run", "--token", token, "t/leaky"],
    ["t", "leaky", `--tokn=${token}`],
  ];
  for (const line of typed) {
    const ran = await cli(line, p, { env: { PGDBA_DEBUG: "1" } });
    expect({ line, exit: ran.exit }).toEqual({ line, exit: 2 });
    expectNowhere([token], [["stdout", ran.stdout], ["stderr", ran.stderr], ...filesBelow(p.home)]);
  }
});

test("all secrets that are missing are named at once, before anything starts", async () => {
  const ran = await cli(["t", "leaky", "--token", "env:NOT_SET", "--key", "file:/nowhere/key"], p);
  expect(ran.exit).toBe(2);
  expect(ran.envelope.error?.code).toBe("missing_secret");
  for (const name of ["NOT_SET", "/nowhere/key"])
    expect(ran.envelope.error?.message).toContain(name);
});

test("the state folder is for its owner alone", async () => {
  const mode = (file: string) =>
    (Bun.file(file).stat() as Promise<{ mode: number }>).then((stat) => stat.mode & 0o077);
  const home = join(p.root, "fresh");
  expect(
    (
      await cli(["t", "below", "--word", "w", "--token", "env:TOKEN"], p, {
        env: { ...env, PGDBA_HOME: home },
      })
    ).exit,
  ).toBe(0);
  expect(await mode(home)).toBe(0);
  for (const file of filesBelow(p.home).keys())
    if (file.includes("journal.db"))
      expect({ file, open: await mode(file) }).toEqual({ file, open: 0 });
});

test("a secret that its schema does not allow is refused at the start, and not shown", async () => {
  const p = place(
    runbooks({
      "t/pin":
        "summary: s\nrisk: read\nparams: {pin: {type: string, pattern: '^[0-9]{4}$', secret: true}}\nsteps: [{set: {a: params.pin}}]\n",
    }),
  );
  const ran = await cli(["t", "pin", "--pin", "env:PIN"], p, { env: { PIN: "zq12x" } });
  expect(ran.envelope.error).toMatchObject({
    code: "invalid_param",
    message: "A secret is not valid: `pin` must match the pattern ^[0-9]{4}$",
  });
  expect(ran.stdout + ran.stderr).not.toContain("zq12x");
  const fits = await cli(["t", "pin", "--pin", "env:PIN"], p, { env: { PIN: "1234" } });
  expect(fits.exit).toBe(0);
});
