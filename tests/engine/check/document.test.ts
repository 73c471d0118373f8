import { expect, test } from "bun:test";

import { compileDocument } from "../../../engine/check/document.ts";
import type { DocumentKind, JsonObject } from "../../../engine/types.ts";
import { brief, loadDoc } from "./support.ts";

const KIND: DocumentKind = {
  kind: "check",
  schema: {
    type: "object",
    properties: {
      kind: { const: "check" },
      name: { type: "string" },
      title: { type: "string" },
      sql: { type: "string", "x-lang": "static" },
      warn: { type: "string", "x-lang": "cel", format: "condition" },
      value: { type: "string", "x-lang": "cel" },
      remedy: { type: "string", "x-lang": "text" },
      params: { type: "object" },
    },
    required: ["kind", "title", "sql"],
    additionalProperties: false,
  },
  variables: (doc) => ({
    row: { type: "object", properties: { age: { type: "integer" } }, additionalProperties: false },
    params: {
      type: "object",
      properties: Object.fromEntries(
        Object.keys(doc.data["params"] as JsonObject).map((name) => [name, {}]),
      ),
      additionalProperties: false,
    },
  }),
};

const faults = async (text: string): Promise<string[]> =>
  (await compileDocument(await loadDoc(text), KIND)).map(brief);

test("a good document has no faults", async () => {
  expect(
    await faults(`kind: check
title: "{{ is not a template here }}"
params: {limit: 5}
sql: select age from t where tags = '{{a,b}}' -- \${not} a template
warn: row.age > params.limit
value: row.age * 2
remedy: "Older than {{params.limit}}: {{row.age}}"
`),
  ).toEqual([]);
});

test("all its expressions are checked, each in its language", async () => {
  expect(
    await faults(`kind: check
name: other/name
title: x
params: {limit: 5}
sql: select {{row.age}}
warn: row.aeg > params.limit
value: "{{row.age}}"
remedy: "Older than {{params.limt}}"
`),
  ).toEqual([
    "2:7 wrong-name",
    "5:13 template-in-static",
    "6:11 unknown-key",
    "7:9 template-in-condition",
    "8:30 unknown-key",
  ]);
  expect(await faults("kind: check\ntitle: x\nparams: {}\nsql: select 1\nwarn: row.age\n")).toEqual(
    ["5:7 not-boolean"],
  );
});

test("a document of the wrong shape is not asked for its variables", async () => {
  expect(await faults("kind: check\ntitl: x\nsql: select 1\nwarn: nothing.here\n")).toEqual([
    "1:1 missing-key",
    "2:1 unknown-key",
  ]);
});
