import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Diagnostic } from "../../engine/types.ts";
import { cli, place, type Ran, removePlaces, runbooks, write } from "./support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

const OUTPUT = `output: {type: "object"}, async run() { return {}; }`;
const step = (type: string, members: string) =>
  `export default { type: "${type}", summary: "s", example: "", effect: "read", idempotent: true, ${members} };\n`;
const uses = (type: string) => `summary: s\nrisk: read\nsteps:\n  - ${type}: {a: x}\n`;

function found({ envelope }: Ran): Diagnostic[] {
  const data = (envelope.error?.data ?? envelope.data) as { diagnostics?: unknown };
  return (data?.diagnostics ?? []) as Diagnostic[];
}

test("a step type that is there but switched off is called that, with the line that allows it", async () => {
  const p = place({
    ...runbooks({ "team/greet": uses("team.greet") }),
    "cwd/.pgdba/steps/team.greet.ts": step("team.greet", `input: {type: "object"}, ${OUTPUT}`),
  });
  const hint = expect.stringContaining(`\`user_steps: true\` into ${join(p.home, "config.yaml")}`);
  const message = expect.stringContaining(
    ".pgdba/steps/team.greet.ts, but step types of your own are",
  );
  const lint = await cli(["lint", "team/greet"], p);
  expect(found(lint)).toEqual([expect.objectContaining({ rule: "type-off", message, hint })]);
  const run = await cli(["team", "greet"], p);
  expect([run.exit, run.envelope.error]).toEqual([2, expect.objectContaining({ message, hint })]);
  const help = await cli(["help", "team.greet"], p);
  expect(help.envelope.error).toEqual(expect.objectContaining({ message, hint }));
  const steps = (await cli(["help", "steps"], p)).envelope.data;
  expect(steps).toEqual(
    expect.objectContaining({
      off: {
        types: [{ type: "team.greet", file: join(p.cwd, ".pgdba/steps/team.greet.ts") }],
        hint,
      },
    }),
  );
  write(p.root, { "home/config.yaml": "user_steps: true\n" });
  expect((await cli(["team", "greet"], p)).exit).toBe(0);
});

test("a step type's broken schema is a lint error that names the file and the place in it", async () => {
  const broken: Record<string, [members: string, said: string]> = {
    "t.type": [
      `input: {type: "object", properties: {a: {type: "strng"}}}`,
      "input.properties.a.type: `type` must be one of",
    ],
    "t.required": [
      `input: {type: "object", properties: {a: {required: true}}}`,
      "input.properties.a.required: `required` must be a list",
    ],
    "t.pattern": [
      `input: {type: "object", properties: {a: {pattern: "["}}}`,
      "input.properties.a.pattern: this is no pattern",
    ],
    "t.format": [
      `input: {type: "object", properties: {a: {format: "nonsense"}}}`,
      "input.properties.a.format: there is no format `nonsense`",
    ],
    "t.keyword": [`input: {type: "object", propertys: {}}`, "unknown key `propertys`"],
    "t.ref": [`input: {type: "object", $ref: "#/nowhere"}`, "`input` is no JSON Schema"],
    "t.output": [
      `input: {type: "object"}, output: {type: "objekt"}, run: () => ({})`,
      "output.type: `type` must be one of",
    ],
    "t.document": [
      `input: {type: "object"}, document: {kind: "k", variables: () => ({}), schema: {type: 1}}`,
      "document.schema.type: `type` must be",
    ],
    "t.effect": [
      `input: {type: "object"}, get effect() { return "raed"; }`,
      "`effect` must be read, change",
    ],
  };
  const names = Object.keys(broken);
  const p = place({
    "home/config.yaml": "user_steps: true\n",
    ...runbooks(
      Object.fromEntries(names.slice(0, 4).map((name) => [`t/${name.slice(2)}`, uses(name)])),
    ),
    ...Object.fromEntries(
      Object.entries(broken).map(([type, [members]]) => [
        `cwd/.pgdba/steps/${type}.ts`,
        step(type, members.includes("output") ? members : `${OUTPUT}, ${members}`),
      ]),
    ),
    // What is right stays right: look-around, formats that are for readers, keywords of draft-07.
    "cwd/.pgdba/steps/t.good.ts": step(
      "t.good",
      `${OUTPUT}, input: {type: "object", patternProperties: {a: {}}, properties: {b: {pattern: "^(?!x)", format: "uuid"}}}`,
    ),
  });
  const ran = await cli(["lint"], p);
  expect([ran.exit, ran.envelope.error?.code]).toEqual([2, "invalid_runbook"]);
  for (const [type, [, said]] of Object.entries(broken)) {
    const file = join(p.cwd, ".pgdba/steps", `${type}.ts`);
    const own = found(ran).filter(({ where }) => where.file === file);
    expect(own).toEqual([
      expect.objectContaining({ severity: "error", message: expect.stringContaining(said) }),
    ]);
  }
  const inRunbooks = found(ran).filter(({ where }) => where.file.endsWith(".yaml"));
  expect(
    inRunbooks.map(({ rule, message }) => [rule, message.includes(".pgdba/steps/t.")]),
  ).toEqual(names.slice(0, 4).map(() => ["broken-type", true]));
  expect(ran.stderr).not.toContain("t.good");
  const run = await cli(["t", "pattern"], p);
  expect([run.exit, run.envelope.error?.code]).toEqual([2, "invalid_runbook"]);
});

test("a step file that can't be loaded is a warning while no runbook uses it, and hides nothing else", async () => {
  const p = place({
    "home/config.yaml": "user_steps: true\n",
    ...runbooks({ "t/fine": "summary: s\nrisk: read\nsteps:\n  - set: {a: 1}\n" }),
    "cwd/.pgdba/steps/t.syntax.ts": "export default {\n",
    "cwd/.pgdba/steps/t.nothing.ts": "export const x = 1;\n",
    "cwd/.pgdba/steps/t.throws.ts": "throw new Error('no luck');\n",
    "cwd/.pgdba/steps/sql.query.ts": "throw new Error('never read');\n",
  });
  const ran = await cli(["lint"], p);
  expect(ran.exit).toBe(0);
  const said = found(ran).map(({ severity, rule, where, message }) => [
    severity,
    rule,
    where.file.split("/").at(-1),
    message,
  ]);
  expect(said.toSorted((a, b) => (a[2]! < b[2]! ? -1 : 1))).toEqual([
    ["warning", "built-in-type", "sql.query.ts", expect.any(String)],
    ["warning", "broken-type", "t.nothing.ts", expect.stringContaining("does not default-export")],
    ["warning", "broken-type", "t.syntax.ts", expect.stringContaining("Expected")],
    ["warning", "broken-type", "t.throws.ts", expect.stringContaining("no luck")],
  ]);
  const steps = (await cli(["help", "steps", "--full"], p)).envelope.data as {
    steps: { type: string; broken?: string }[];
  };
  expect(
    steps.steps
      .filter((one) => one.broken)
      .map((one) => one.type)
      .toSorted(),
  ).toEqual(["t.nothing", "t.syntax", "t.throws"]);
  expect((await cli(["schema"], p)).exit).toBe(0);
});

test("policies, clusters, configurations and tests are linted by file, and what they were taken for is said", async () => {
  const p = place({
    "cwd/narrow.yaml": "rules:\n  - match: {runbok: x}\n    action: refuze\n",
    "cwd/clusters/c1.yaml":
      "ownership: connected\npostgres: {host: a, user: b, password: hunter22}\npatroni: {endpoints: ['http://a:1'], password_file: /run/hunter23}\n",
    "cwd/clusters/c2.yaml":
      "ownership: connected\npostgres: {host: 'postgres://u:hunter24@h', user: b}\n",
    "cwd/clusters/c3.yaml": "hunter25: [\n",
    "cwd/config.yaml": "formt: table\n",
    "home/policy.yaml": "rulez: []\n",
    "cwd/a.test.yaml":
      "cases:\n  - name: n\n    fixtures: {x: {error: {code: tmeout}}}\n    expect: {error: {code: asertion_failed}}\n",
    "cwd/good.yaml": "ownership: connected\npostgres: {host: a, user: b, password_env: X}\n",
  });
  const lint = async (...files: string[]) => {
    const ran = await cli(["lint", ...files], p);
    const data = (ran.envelope.error?.data ?? ran.envelope.data) as {
      files: { kind: string; because: string }[];
    };
    const said = found(ran).map(
      ({ where, message, hint }) => `${where.line}:${where.column} ${message} ${hint ?? ""}`,
    );
    return { ran, said, taken: data.files.map(({ kind, because }) => `${kind}: ${because}`) };
  };
  const policy = await lint("narrow.yaml");
  expect([policy.ran.exit, policy.ran.envelope.error?.code]).toEqual([2, "invalid_config"]);
  expect(policy.said).toEqual([
    "2:13 unknown key `runbok` in `match` Did you mean runbook?",
    '3:13 `action` must be one of refuse, approve, confirm, got "refuze" Did you mean refuse?',
  ]);
  expect(policy.ran.stderr).toContain("narrow.yaml is taken for a policy: it has the key `rules`");

  const clusters = await lint("clusters/c1.yaml", "clusters/c2.yaml", "clusters/c3.yaml");
  expect(clusters.taken).toEqual([
    "cluster: it has the key `postgres`",
    "cluster: it has the key `postgres`",
    "cluster: it stands in a folder `clusters`",
  ]);
  expect(clusters.said).toEqual([
    expect.stringMatching(
      /^2:30 unknown key `password` in `postgres` Did you mean password_env\? .*only names of variables/,
    ),
    expect.stringMatching(
      /^3:38 unknown key `password_file` in `patroni` Did you mean password_file_env\? /,
    ),
    expect.stringMatching(/^2:\d+ `host` must be one host .*no URI/),
    expect.any(String),
  ]);
  // What stands there may be a password in the wrong place.
  expect(clusters.ran.stdout + clusters.ran.stderr).not.toContain("hunter2");

  const others = await lint("config.yaml", "../home/policy.yaml", "a.test.yaml", "good.yaml");
  expect(others.taken).toEqual([
    "config: it is called config.yaml",
    "policy: pgdba reads its policy from there",
    "test: it has the key `cases`",
    "cluster: it has the key `postgres`",
  ]);
  expect(others.said).toEqual([
    "1:1 unknown key `formt` in `config` Did you mean format?",
    "1:1 `policy` lacks `rules` ",
    "1:1 unknown key `rulez` in `policy` Did you mean rules?",
    expect.stringMatching(
      /^3:\d+ `code` must be one of the \d+ that there are, got "tmeout" Did you mean timeout\?/,
    ),
    expect.stringMatching(/^4:\d+ `code` .*got "asertion_failed" Did you mean assertion_failed\?/),
  ]);
  expect((await lint("good.yaml")).ran.exit).toBe(0);
});
