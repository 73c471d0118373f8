import { expect, test } from "bun:test";
import { compileText, faults, runbook } from "./support.ts";

test("all faults of one document are reported at once, each at its place", async () => {
  const { runbook, diagnostics } = await compileText(`summary: Many faults.
risk: change
params:
  target: {type: string, required: true}
  limit: {type: integer, default: 5}
steps:
  - id: before
    patroni.cluster: {}
  - when: steps.befor.output.leader == 'a'
    sql.query: {sql: select 1}
  - when: params.targt == 'a'
    sql.query: {sql: select 1}
  - assert:
      - that: steps.before.output.leadr == params.target
      - that: steps.before.output.leader > params.limit
  - sql.qury: {sql: select 1}
  - when: "{{params.target}} == 'a'"
    sql.query:
      sql: |
        select *
          from {{params.target}}
  - set: {x: "'\${params.target}'"}
output:
  leader: steps.after.output.leader
`);
  expect(runbook).toBeNull();
  expect(
    diagnostics.map(({ where, rule, hint }) => `${where.line}:${where.column} ${rule} | ${hint}`),
  ).toEqual([
    "9:17 unknown-step | Did you mean before?",
    "11:18 unknown-key | Did you mean target?",
    "14:35 unknown-key | Did you mean leader?",
    "15:15 type-mismatch | Convert one side: int(text), double(text), bytes(text), lsn(text), duration_ms(text) or string(number).",
    "16:5 unknown-type | Did you mean sql.query?",
    "17:12 template-in-condition | Write the name as it is: `params.x`, not `{{params.x}}` or `${params.x}`.",
    "21:16 template-in-static | Hand the value over beside the text: `values` for SQL, `env` for a script.",
    "22:16 template-in-condition | Write the name as it is: `params.x`, not `{{params.x}}` or `${params.x}`.",
    "24:17 unknown-step | There are: before, sql_query_1, sql_query_2, assert_1, sql_qury_1, sql_query_3, set_1.",
  ]);
  expect(diagnostics[0]?.frame).toContain("- when: steps.befor.output.leader == 'a'");
});

/** Each a runbook's steps (from line 7) or a whole runbook, and what is wrong with it. */
const CASES: [name: string, text: string, expected: string[]][] = [
  [
    "a step type and its input misspelt",
    runbook("  - sql.query: {sqll: select 1, values: ['${params}']}\n"),
    ["7:5 missing-key", "7:17 unknown-key"],
  ],
  [
    "a common key misspelt",
    runbook("  - {sql.query: {sql: 'select 1', values: ['${params}']}, tiemout: 5s}\n"),
    ["7:59 unknown-key"],
  ],
  [
    "a common key misspelt beside an unknown type",
    runbook("  - {tiemout: 5s, sql.qery: {values: ['${params}']}}\n"),
    ["7:6 unknown-key", "7:19 unknown-type"],
  ],
  [
    "two types",
    runbook("  - {sql.query: {sql: select 1, values: ['${params}']}, set: {a: 1}}\n"),
    ["7:57 two-types"],
  ],
  [
    "no type",
    runbook("  - {id: a, when: params.target == params.target && params.limit > 0}\n"),
    ["7:5 missing-type"],
  ],
  ["rescue without block", runbook("  - rescue: [{set: {a: params}}]\n"), ["7:5 unknown-key"]],
  [
    "undo of a block",
    runbook("  - block: [{set: {a: params}}]\n    undo: false\n"),
    ["8:5 unknown-key"],
  ],
  [
    "a wrong type in a common key",
    runbook("  - {set: {a: params}, foreach: [1], parallel: true}\n"),
    ["7:48 type-mismatch"],
  ],
  [
    "a number of items that is none",
    runbook("  - {set: {a: params}, foreach: [1], parallel: params.target}\n"),
    ["7:48 type-mismatch"],
  ],
  [
    "durations",
    runbook(
      "  - {set: {a: params}, timeout: 5 parsecs, until: 'true', every: '${params.limit}'}\n",
    ),
    ["7:33 bad-duration", "7:66 bad-duration"],
  ],
  ["an id", runbook("  - {id: Bad-Id, set: {a: params}}\n"), ["7:10 bad-value"]],
  [
    "names that can't be referred to",
    runbook("  - {id: in, set: {a: params}}\noutput: {run: '1'}\n"),
    ["7:10 reserved-name", "8:15 reserved-name"],
  ],
  [
    "a duplicate id",
    runbook("  - {id: a, set: {a: params}}\n  - block:\n      - {id: a, set: {b: 1}}\n"),
    ["9:14 duplicate-id"],
  ],
  [
    "a condition that is none",
    runbook(
      "  - {set: {a: params}, when: params.target}\n  - {set: {a: 1}, until: output.a + 1}\n",
    ),
    ["7:30 not-boolean", "8:26 not-boolean"],
  ],
  [
    "a declared condition that is none",
    runbook("  - assert: [{that: params.limit + 1, message: '{{params.target}}'}]\n"),
    ["7:21 not-boolean"],
  ],
  [
    "foreach over text",
    runbook("  - {set: {a: item}, foreach: params.target, when: params.limit > index}\n"),
    ["7:31 type-mismatch"],
  ],
  [
    "a loop variable that hides a root",
    runbook("  - {set: {a: params}, foreach: [1], as: steps}\n"),
    ["7:42 reserved-name"],
  ],
  [
    "a loop variable that is a word of CEL",
    runbook("  - {set: {a: params}, foreach: [1], as: package}\n"),
    ["7:42 reserved-name"],
  ],
  [
    "wrong type of a template",
    runbook(
      "  - {sql.query: {sql: select 1, max_rows: '${params.target}', values: ['${params.limit}']}}\n",
    ),
    ["7:46 type-mismatch"],
  ],
  [
    "text where a number must be",
    runbook(
      "  - {sql.query: {sql: select 1, max_rows: '{{params.limit}}', values: ['${params}']}}\n",
    ),
    ["7:43 type-mismatch"],
  ],
  [
    "templates stand for any value",
    runbook(
      "  - {sql.query: {sql: select 1, mode: '${params.target}', pause: '{{params.limit}}s'}}\n",
    ),
    [],
  ],
  [
    "a template as the whole of static text",
    runbook("  - shell: {script: '${params.target}', effect: read, env: {a: '${params.limit}'}}\n"),
    ["7:22 template-in-static"],
  ],
  [
    "a dollar inside a text, where a shell's own is none",
    runbook(
      "  - {shell: {script: a, env: {a: '${params.target}/x', b: '${params.limit}${HOME}', c: '${HOME}/x'}}}\n",
      "change",
    ),
    ["7:35 dollar-in-text", "7:60 dollar-in-text"],
  ],
  [
    "the risk is too low",
    runbook("  - {shell: {script: '', env: {a: '${params.target}', b: '${params.limit}'}}}\n"),
    ["7:6 risk-too-low", "7:22 empty-script"],
  ],
  [
    "retry of a step that may not be repeated",
    runbook(
      "  - {shell: {script: a, env: {a: '${params.target}', b: '${params.limit}'}}, retry: {attempts: 2}}\n",
      "change",
    ),
    ["7:78 retry-of-non-idempotent"],
  ],
  [
    "until of what may not be repeated, also in a block; not what may be, or is in an undo",
    runbook(
      `  - {shell: {script: a}, until: "true"}
  - {shell: {script: a, idempotent: true}, until: "true", undo: [{shell: {script: a}}]}
  - {shell: {script: a, effect: read}, until: "true"}
  - until: "true"
    block: [{set: {a: "1"}}]
    rescue: [{block: [{shell: {script: a}}]}]
    always: [{foreach: [1], patroni.switchover: {leader: a, candidate: b}}]
  - {set: {a: params}}
`,
      "change",
    ),
    ["7:6 until-of-change", "12:24 until-of-change", "13:29 until-of-change"],
  ],
  [
    "an undo that would never run",
    runbook(
      `  - {shell: {script: a, effect: read}, undo: [{shell: {script: b}}]}
  - {sql.query: {sql: select 1}, undo: false}
  - {shell: {script: a}, undo: [{shell: {script: b}, undo: [{shell: {script: c}}]}]}
  - {shell: {script: a}, undo: [{block: [{shell: {script: b}, undo: false}]}]}
  - {set: {a: params}}
`,
      "change",
    ),
    ["7:40 undo-of-read", "9:54 undo-of-undo"],
  ],
  [
    "a point of no return that would be none",
    runbook(
      `  - {shell: {script: a}, keep: true, undo: [{shell: {script: b}}]}
  - {shell: {script: a}, undo: [{shell: {script: b}, keep: true}]}
  - {block: [{shell: {script: a}, keep: true}], always: [{block: [{shell: {script: c}, keep: true}]}]}
  - {shell: {script: a}, keep: true, undo: false}
  - {block: [{shell: {script: a}}], foreach: [1, 2], keep: true}
  - {shell: {script: a}, keep: maybe}
  - {set: {a: params}}
`,
      "change",
    ),
    ["7:26 keep-and-undo", "8:54 keep-in-undo", "9:88 keep-in-always", "12:32 type-mismatch"],
  ],
  [
    "fresh of what is not asked again",
    runbook(
      `  - {shell: {script: a}, fresh: true}
  - {block: [{set: {a: 1}}], fresh: true}
  - {shell: {script: a}, undo: [{sql.query: {sql: select 1}, fresh: true}]}
  - {shell: {script: a, effect: read}, fresh: true}
  - {set: {a: params}, fresh: true}
`,
      "change",
    ),
    ["7:26 fresh-of-change", "8:30 fresh-of-change", "9:62 fresh-of-change"],
  ],
  [
    "retry given as a number",
    runbook("  - {sql.query: {sql: 'select 1', values: ['${params}']}, retry: 3}\n"),
    ["7:66 type-mismatch"],
  ],
  [
    "retry of one that may",
    runbook(
      "  - {shell: {script: a, idempotent: true, env: {a: '${params.target}', b: '${params.limit}'}}, retry: {attempts: 2}}\n",
      "change",
    ),
    [],
  ],
  [
    "variables that a step adds for its own text",
    runbook(`  - template.render: {template: "{{n}} {{m.a}} {{params.target}}", vars: {n: 1, m: "\${{'a': params.limit}}"}}
  - template.render: {template: "{{n}} {{m}}", vars: {n: 1}}
  - template.render: {template: "{{anything}}", vars: "\${steps.template_render_1.output}"}
`),
    ["8:42 unknown-variable"],
  ],
  ["params nothing reads", runbook("  - set: {a: 1}\n"), ["4:3 unused-param", "5:3 unused-param"]],
  [
    "params that name what is not there",
    `summary: A test.
risk: read
params:
  made: {type: string, format: cluster, target: {from: nobody, suffix: -new}}
  other: {type: boolean, runbook: team/nowhere}
  text: {type: integer, runbook: team/nowhere}
steps:
  - set: {a: 1}
`,
    [
      "4:56 unknown-param",
      "5:35 unknown-runbook",
      "6:34 runbook-param-type",
      "6:34 unknown-runbook",
    ],
  ],
  [
    "declarations",
    `summary: A test.
risk: high
params:
  cluster: {type: string}
  Bad: {type: string}
  password: {type: string, secret: true, default: hunter2}
  n: {type: integer, default: x}
  p: {type: string, pattern: "(a"}
  k: {type: string, requird: true}
  deep: {type: object, properties: {a: {type: strin}}}
  one: {type: string, positional: 1}
  two: {type: string, positional: 1}
  pin: {type: integer, secret: true}
  pins: {type: [string, array], secret: true}
  free: {secret: true}
stepz: []
steps:
  - set: {a: params}
output_schema: {x: {type: string}}
`,
    [
      "2:7 bad-value",
      "4:3 reserved-param",
      "5:3 bad-name",
      "6:51 secret-param-default",
      "7:31 type-mismatch",
      "8:30 bad-pattern",
      "9:21 unknown-key",
      "10:47 bad-value",
      "12:35 duplicate-positional",
      "13:15 secret-param-type",
      "14:16 secret-param-type",
      "16:1 unknown-key",
      "19:17 unknown-key",
    ],
  ],
  [
    "a name that isn't its path",
    `name: other/name\n${runbook("  - set: {a: params}\n")}`,
    ["1:7 wrong-name"],
  ],
  [
    "an output of another type than declared",
    `${runbook("  - set: {a: params}\n")}output: {x: params.limit}\noutput_schema: {x: {type: boolean}}\n`,
    ["8:13 type-mismatch"],
  ],
  [
    "steps that are no list",
    "summary: A test.\nrisk: read\nsteps: {a: 1}\n",
    ["3:8 type-mismatch"],
  ],
  ["hardly anything", "summary: 5\n", ["1:1 missing-key", "1:1 missing-key", "1:10 type-mismatch"]],
];

test.each(CASES)("%s", async (_, text, expected) => {
  expect(await faults(text)).toEqual(expected);
});

test("a need that no target can have is an error, with a suggestion", async () => {
  const { diagnostics } = await compileText(
    "summary: A test.\nrisk: read\nneeds: [postgress, patroni]\nsteps: [{sql.query: {sql: select 1}}]\n",
    {},
    ["postgres", "patroni"],
  );
  expect(
    diagnostics.map(({ where, rule, hint }) => [where.line, where.column, rule, hint]),
  ).toEqual([[3, 9, "unknown-capability", "Did you mean postgres?"]]);
});

test("a scalar where a mapping of one key is due says how to write it", async () => {
  const { diagnostics } = await compileText(
    runbook("  - {sql.query: {sql: 'select 1', values: ['${params}']}, retry: 3}\n"),
  );
  expect(diagnostics[0]!.hint).toBe("Write `{attempts: 3}`.");
});
