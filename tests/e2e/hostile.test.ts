import { afterAll, expect, test, setDefaultTimeout } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { watchPeak } from "../support/peak-memory.ts";
import type { TestServer } from "../support/postgres.ts";
import { clusterFile, sharedServer } from "./server.ts";
import { at, cli, envelopeOf, place, removePlaces, runbooks, write } from "./support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

const HEAD = "summary: s\nrisk: read\n";
const STEP = "steps:\n  - set: {a: 1}\n";
const bomb = Array.from(
  { length: 30 },
  (_, n) =>
    `k${n + 1}: &a${n + 1} [${Array(9)
      .fill(n === 0 ? "x" : `*a${n}`)
      .join(", ")}]`,
).join("\n");

/** Text, and what its refusal must say. */
const TEXTS: Record<string, [text: string, says: RegExp]> = {
  "alias bomb": [`${HEAD}${bomb}\n${STEP}`, /alias|values/],
  "50,000 levels of brackets": [`${HEAD}steps: ${"[".repeat(50_000)}`, /deep|nest/],
  "50,000 levels of maps": [`${HEAD}steps: ${"{a: ".repeat(50_000)}`, /deep|nest/],
  "50,000 levels of lists": [`${HEAD}steps:\n${"- ".repeat(50_000)}x`, /deep|nest/],
  "a scalar of 20 MB": [
    `${HEAD}description: ${"x".repeat(20 * 1024 * 1024)}\n${STEP}`,
    /large|MB|kB|MiB/,
  ],
  "duplicate keys": [`${HEAD}risk: change\n${STEP}`, /risk/],
  "an unknown key": [`${HEAD}stesp: []\n${STEP}`, /stesp/],
  "an unknown key of a step": [`${HEAD}steps:\n  - set: {a: 1}\n    wehn: "true"\n`, /wehn/],
  "wrong types": [`${HEAD}needs: 7\nsteps: {a: 1}\n`, /list|array/],
  "a prototype key": [`${HEAD}__proto__: {polluted: true}\n${STEP}`, /__proto__/],
  "a prototype key of a step": [`${HEAD}steps:\n  - constructor: {a: 1}\n`, /constructor/],
  "a tag that makes objects": [`${HEAD}description: !!js/function "x"\n${STEP}`, /tag|!!js/],
  "two documents": [`${HEAD}${STEP}---\n${HEAD}${STEP}`, /document/],
  "traversal in run": [`${HEAD}steps:\n  - run: ../../etc/passwd\n`, /passwd/],
  "traversal in extends": [`extends: ../../../etc/passwd\n`, /passwd/],
  "a template in SQL": [
    `${HEAD}needs: [postgres]\nsteps:\n  - sql.query: {sql: "select '{{run.id}}'"}\n`,
    /template|static|\{\{/,
  ],
  "a template in a script": [
    `${HEAD}steps:\n  - shell: {script: "echo {{run.id}}"}\n`,
    /template|static|\{\{/,
  ],
  "an expression of 50,000 brackets": [
    `${HEAD}steps:\n  - set: {a: "${"(".repeat(50_000)}1${")".repeat(50_000)}"}\n`,
    /deep|nest|long/,
  ],
};

/** Processor time that hostile input may cost beyond what a good document does, ms. How long it takes by the clock is the machine's. */
const WORK_MS = 1_000;

/** Runs it bounded: the address space beyond what an idle pgdba takes is what hostile input may cost, and processor time. */
async function bounded(args: string[], cwd: string, env: Record<string, string>) {
  const child = Bun.spawn([join(import.meta.dir, "../../engine/pgdba"), ...args], {
    cwd,
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const peak = watchPeak(child);
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const exit = await child.exited;
  return {
    exit,
    // With what its launcher started.
    ms: Number(child.resourceUsage()!.cpuTime.total) / 1_000,
    stderr,
    envelope: envelopeOf(stdout, stderr),
    megabytes: peak.megabytes(),
  };
}

/** The processor time of a run that does nothing, ms. */
async function usualMs(): Promise<number> {
  const p = place(runbooks({ "t/good": `${HEAD}${STEP}` }));
  return (await bounded(["t", "good"], p.cwd, p.env)).ms;
}

test("hostile and wrong documents are refused with file:line:column and a hint, with bounded work and memory", async () => {
  const p = place();
  const usual = await usualMs();
  for (const [what, [text, says]] of Object.entries(TEXTS)) {
    write(p.root, runbooks({ "t/bad": text }));
    const { exit, ms, megabytes, envelope } = await bounded(["t", "bad"], p.cwd, p.env);
    expect({ what, exit, code: envelope.error?.code }).toEqual({
      what,
      exit: 2,
      code: "invalid_runbook",
    });
    expect(envelope.error?.where?.file, what).toEndWith("bad.yaml");
    expect(envelope.error?.where?.line, what).toBeGreaterThan(0);
    expect(envelope.error?.where?.column, what).toBeGreaterThan(0);
    expect(JSON.stringify([envelope.error?.message, envelope.error?.data]), what).toMatch(says);
    expect(envelope.error?.hint, what).toBeTruthy();
    expect({ what, slow: ms > usual + WORK_MS, large: megabytes > 400 }).toEqual({
      what,
      slow: false,
      large: false,
    });
  }
});

test("one hostile document does not hide the others", async () => {
  const p = place(
    runbooks({ "t/bad": TEXTS["50,000 levels of brackets"]![0], "t/good": `${HEAD}${STEP}` }),
  );
  const listed = at((await cli(["list", "t/", "--full"], p)).envelope, "data", "runbooks") as {
    name: string;
    broken?: unknown;
  }[];
  expect(listed.map((one) => [one.name, one.broken !== undefined])).toEqual([
    ["t/bad", true],
    ["t/good", false],
  ]);
  expect((await cli(["t", "good"], p)).exit).toBe(0);
});

test("a runbook's name is no path: nothing outside of its layer is read", async () => {
  const p = place(runbooks({ "t/good": `${HEAD}${STEP}` }));
  write(p.root, { "secret.yaml": `${HEAD}${STEP}`, "outside/t/evil.yaml": `${HEAD}${STEP}` });
  mkdirSync(join(p.root, "extra/t"), { recursive: true });
  writeFileSync(join(p.root, "extra/t/fine.yaml"), `${HEAD}${STEP}`);
  symlinkSync(join(p.root, "outside/t/evil.yaml"), join(p.root, "extra/t/evil.yaml"));
  symlinkSync(join(p.root, "outside"), join(p.root, "extra/out"));
  symlinkSync("/", join(p.root, "extra/root"));
  symlinkSync("..", join(p.root, "extra/t/up"));
  const extra = ["--runbooks", join(p.root, "extra")];
  for (const name of [
    "../../etc/passwd",
    "../../../secret",
    "/etc/passwd",
    "t/../t/good",
    "t/good\0",
    "t/evil",
    "out/t/evil",
    "t/good.yaml",
  ]) {
    const ran = await cli(["run", ...extra, name.replace("\0", "\\0")], p);
    expect({ name, exit: ran.exit, code: ran.envelope.error?.code }).toEqual({
      name,
      exit: 2,
      code: "unknown_runbook",
    });
    expect(ran.envelope.error?.hint, name).toBeTruthy();
  }
  expect((await cli(["t", "fine", ...extra], p)).exit).toBe(0);
});

const NASTY = [
  `'; DROP TABLE x; --`,
  `"`,
  "a\nb\r\n\tc",
  "-oProxyCommand=touch pwned",
  "--help",
  "$(touch pwned) `touch pwned` ${HOME}",
  "{{run.id}} ${params.word}",
  "\\' \\\\ %s %n",
  "é漢\u{1F600}\u202E",
  "; touch pwned",
  " ",
  "*",
];
const ECHO = `summary: s
risk: change
needs: [postgres]
params: {words: {type: array, items: {type: string}, required: true}}
steps:
  - id: program
    foreach: params.words
    exec: {argv: [printf, "%s", "\${item}"], effect: read}
  - id: text
    foreach: params.words
    exec: {argv: [printf, "%s", "{{item}}"], effect: read}
  - id: fed
    foreach: params.words
    exec: {argv: [cat], stdin: "\${item}", effect: read}
  - id: script
    foreach: params.words
    shell: {script: 'printf %s "$word"', env: {word: "\${item}"}, effect: read}
  - id: bound
    foreach: params.words
    sql.query: {sql: "select $1::text as word", values: ["\${item}"]}
output:
  program: steps.program.output.map(o, o.stdout)
  text: steps.text.output.map(o, o.stdout)
  fed: steps.fed.output.map(o, o.stdout)
  script: steps.script.output.map(o, o.stdout)
  bound: steps.bound.output.map(o, o.rows[0].word)
`;

test("quotes, line breaks, options and expressions in a parameter arrive byte for byte, and do nothing", async () => {
  const server: TestServer = await sharedServer();
  const p = place({
    "home/clusters/orders.yaml": clusterFile(server, "managed"),
    ...runbooks({ "t/echo": ECHO }),
  });
  const ran = await cli(
    ["t", "echo", "--cluster", "orders", `--words=${JSON.stringify(NASTY)}`],
    p,
    { env: { CLUSTER_PASSWORD: server.password } },
  );
  expect(ran.envelope.error).toBeNull();
  for (const way of ["program", "text", "fed", "script", "bound"]) {
    expect({ way, words: at(ran.envelope, "data", way) }).toEqual({ way, words: NASTY });
  }
  expect(await Bun.file(join(p.cwd, "pwned")).exists()).toBe(false);
});

test("a NUL byte in a document is refused", async () => {
  const p = place(
    runbooks({
      "t/argv": `${HEAD}steps:\n  - exec: {argv: [printf, "a\\0b"], effect: read}\n`,
      "t/env": `${HEAD}steps:\n  - shell: {script: 'true', env: {x: "a\\0b"}, effect: read}\n`,
    }),
  );
  for (const name of ["argv", "env"]) {
    const ran = await cli(["t", name], p);
    expect(ran.exit).not.toBe(0);
    expect(ran.envelope.error?.message).toMatch(/NUL|control character/);
  }
});

test("expressions made to hang are refused or cut off after bounded work", async () => {
  const long = "a".repeat(50_000);
  const list = "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]";
  const nested = Array.from({ length: 9 }, () => list).reduceRight(
    (inner, each, n) => `${each}.map(v${n}, ${inner})`,
    "1",
  );
  const p = place(
    runbooks({
      "t/regex": `${HEAD}params: {word: {type: string, required: true}}\nsteps:\n  - set: {a: "params.word.matches('^(a+)+b$')"}\n`,
      "t/regex-static": `${HEAD}steps:\n  - set: {a: "'x'.matches('((a{1,1000}){1,1000}){1,1000}')"}\n`,
      "t/nested": `${HEAD}steps:\n  - set: {a: "${nested}"}\n`,
      "t/self": `${HEAD}steps:\n  - run: t/self\n`,
      "t/until": `${HEAD}steps:\n  - set: {a: 1}\n    until: "false"\n    every: 1ms\n    timeout: 200ms\n`,
    }),
  );
  const usual = await usualMs();
  for (const [name, ...args] of [
    ["regex", "--word", `${long}!`],
    ["regex-static"],
    ["nested"],
    ["self"],
    ["until"],
  ]) {
    const { ms, megabytes, exit, envelope } = await bounded(["t", name!, ...args], p.cwd, p.env);
    expect({ name, slow: ms > usual + WORK_MS, large: megabytes > 500 }).toEqual({
      name,
      slow: false,
      large: false,
    });
    if (name === "regex") expect(exit).toBe(0);
    else
      expect({
        name,
        failed: exit === 1 || exit === 2,
        hint: Boolean(envelope.error?.hint),
      }).toEqual({ name, failed: true, hint: true });
  }
});
