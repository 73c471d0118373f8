import { describe, expect, test } from "bun:test";
import { Ajv, type ValidateFunction } from "ajv";
import { parse } from "yaml";

import { makeRegistry } from "../../../engine/cli/library.ts";
import { documentsSchema, FILE_SCHEMAS, fileSchema } from "../../../engine/schemas.ts";
import { loaders } from "../../../steps/_registry.ts";
import { registry } from "./support.ts";

async function validator(): Promise<ValidateFunction> {
  // With the meta-schema: what is published must be draft-07 itself.
  return new Ajv({ strict: false, allErrors: true, logger: false }).compile(
    await documentsSchema(registry),
  );
}

const HEAD = "summary: A test.\nrisk: read\n";

const GOOD = [
  `${HEAD}steps:\n  - patroni.cluster:\n  - {id: a, patroni.cluster: {}, until: output.leader == 'x', every: 1s}\n`,
  `${HEAD}steps:\n  - sql.query: {sql: select 1, max_rows: "\${params.n}", mode: "{{params.mode}}", values: [1, "\${x}"]}\n    undo: false\n`,
  `${HEAD}steps:\n  - sql.query: {sql: select 1, values: "\${params.list}"}\n    when: true\n    foreach: [1]\n    retry: {attempts: 2}\n`,
  `${HEAD}steps:\n  - block: [{set: {a: 1}}]\n    rescue: [{set: {a: "1"}, undo: [{set: {b: 1}}]}]\n    always: [{set: {a: 1}}]\n`,
  `${HEAD}params: {a: {type: object, properties: {b: {type: array, items: {type: string}}}, required: true}}\nsteps: [{set: {a: 1}}]\noutput: {x: params.a}\noutput_schema: {x: {type: object, required: [b]}}\n`,
  "extends: health/check\nparams: {limit: {default: 5}}\ndrop: [old]\nsteps:\n  - {id: new, after: first, set: {a: 1}}\n",
  "extends: health/check\n",
];

const CHECK = "kind: check\ntitle: T\ngroup: locks\nwhy: W\nsql: select 1\nmessage: M\n";
/** With every step type there is, so that checks are known. */
const DOCUMENTS: [text: string, good: boolean][] = [
  [`${CHECK}info: "true"\n`, true],
  [CHECK, false],
  [`${CHECK}info: "true"\ntittle: x\n`, false],
  ["extends: health/checks/connections-used\nparams: {warning: {default: 70}}\n", true],
  ["extends: health/checks/connections-used\nkind: check\nparms: {}\n", false],
  ["cases: [{name: a, expect: {error: {code: timeout}}}]\nfixtures: {a: {output: 1}}\n", true],
  ["cases: [{name: a, expect: {state: ok}}]\n", false],
  [`kind: runbook\n${HEAD}steps: [{set: {a: 1}}]\n`, true],
];

const BAD: [string, string][] = [
  ["no risk", "summary: x\nsteps: [{set: {a: 1}}]\n"],
  ["an unknown key", `${HEAD}stepz: []\nsteps: [{set: {a: 1}}]\n`],
  ["an unknown step type", `${HEAD}steps: [{sql.qury: {sql: x}}]\n`],
  ["two step types", `${HEAD}steps: [{set: {a: 1}, sql.query: {sql: x}}]\n`],
  ["no step type", `${HEAD}steps: [{id: a}]\n`],
  ["a missing input", `${HEAD}steps: [{sql.query: {}}]\n`],
  ["an empty input where one is needed", `${HEAD}steps: [{sql.query: }]\n`],
  ["a wrong type", `${HEAD}steps: [{sql.query: {sql: x, max_rows: many}}]\n`],
  ["an unknown input", `${HEAD}steps: [{sql.query: {sql: x, limt: 1}}]\n`],
  ["a bad value in an undo", `${HEAD}steps: [{set: {a: 1}, undo: [{sql.query: {sql: 5}}]}]\n`],
  ["a template where text is static", `${HEAD}steps: [{sql.query: {sql: [x]}}]\n`],
  ["a rescue without block", `${HEAD}steps: [{set: {a: 1}, rescue: [{set: {a: 1}}]}]\n`],
  ["a bad parameter", `${HEAD}params: {a: {type: strin}}\nsteps: [{set: {a: 1}}]\n`],
  ["a bad parameter name", `${HEAD}params: {A: {type: string}}\nsteps: [{set: {a: 1}}]\n`],
  ["a bad id", `${HEAD}steps: [{id: A, set: {a: 1}}]\n`],
];

describe("the schema for editors", () => {
  test("accepts good runbooks", async () => {
    const check = await validator();
    for (const text of GOOD)
      expect([text, check(parse(text)), check.errors ?? []]).toEqual([text, true, []]);
  });

  test.each(BAD)("refuses %s", async (_, text) => {
    expect((await validator())(parse(text))).toBe(false);
  });

  test("is the same for runbooks, their tests and checks", async () => {
    const schema = await documentsSchema(makeRegistry(loaders));
    const check = new Ajv({ strict: false, logger: false }).compile(schema);
    for (const [text, good] of DOCUMENTS) expect([text, check(parse(text))]).toEqual([text, good]);
  });

  test.each(Object.entries(FILE_SCHEMAS))("there is one of %s", (name, schema) => {
    const check = new Ajv({ strict: false, logger: false }).compile(fileSchema(name, schema));
    expect(check({ no_such_key: 1 })).toBe(false);
  });

  test("describes every step type, and leaks no keyword of the engine's own", async () => {
    const schema = JSON.stringify(await documentsSchema(registry));
    for (const name of registry.names()) expect(schema).toContain(`"The ${name} step"`);
    expect(schema).not.toContain("x-lang");
  });
});
