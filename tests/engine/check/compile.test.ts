import { describe, expect, test } from "bun:test";

import { compileText, faults, runbook } from "./support.ts";

const TRIGGER = `name: demo/one
summary: Hand the primary role to a chosen standby, without losing a transaction.
risk: disruptive
needs: [patroni]
params:
  target:  {type: string, required: true, description: Member to promote}
  max_lag: {type: string, format: bytes, default: 1MB, description: Refuse when the standby is further behind}
steps:
  - id: before
    patroni.cluster: {}
  - id: candidate
    assert:
      - that: steps.before.output.members.exists(m, m.name == params.target && m.state == 'streaming')
        message: "{{params.target}} is not a streaming standby of {{target.name}}"
  - id: lag
    replication.lag: {standby: "\${params.target}"}
  - assert:
      - that: steps.lag.output.bytes <= bytes(params.max_lag)
        message: "{{params.target}} is more than {{params.max_lag}} behind"
  - id: switch
    patroni.switchover: {leader: "\${steps.before.output.leader}", candidate: "\${params.target}"}
    timeout: 30s
  - id: settled
    patroni.cluster: {}
    until: output.leader == params.target && output.members.all(m, m.state in ['running', 'streaming'])
    every: 500ms
    timeout: 60s
output:
  old_primary: steps.before.output.leader
  new_primary: steps.settled.output.leader
  seconds: steps.switch.duration_ms / 1000.0
`;

describe("a good runbook", () => {
  test("is compiled without a word", async () => {
    const { runbook, diagnostics } = await compileText(TRIGGER);
    expect(diagnostics).toEqual([]);
    expect(runbook?.name).toBe("demo/one");
    expect(runbook?.risk).toBe("disruptive");
    expect(runbook?.needs).toEqual(["patroni"]);
    expect(runbook?.steps.map(({ id }) => id)).toEqual([
      "before",
      "candidate",
      "lag",
      "assert_1",
      "switch",
      "settled",
    ]);
    expect(runbook?.steps[2]).toMatchObject({
      node: "action",
      type: "replication.lag",
      input: { standby: "${params.target}" },
      at: ["steps", 2],
    });
    expect(runbook?.outputSchema).toMatchObject({
      properties: {
        old_primary: { type: "string" },
        new_primary: { type: "string" },
        seconds: { type: "number" },
      },
      required: ["old_primary", "new_primary", "seconds"],
      additionalProperties: false,
    });
  });

  test("may use every key of the language", async () => {
    const text = `summary: Everything.
risk: change
params:
  names: {type: array, items: {type: string}, default: []}
  ratio: {type: number}
  secret: {type: string, secret: true}
steps:
  - id: each
    foreach: params.names
    as: name
    parallel: 2
    when: name != 'skip' && index < 10
    block:
      - id: rows
        sql.query:
          sql: select '{{1,2}}'::int[], $1
          values: ["\${name}", "\${params.ratio}", "n{{index}}"]
          max_rows: "\${index + 1}"
      - when: steps.rows.output.row_count > 0
        shell: {script: 'echo "\${dir}" {{.Names}}', env: {dir: "{{name}}"}}
        undo:
          - shell: {script: echo back, env: {n: "\${steps.rows.output.row_count}"}}
    rescue:
      - shell: {script: echo, env: {why: "{{error.code}}", detail: "{{name}}"}}
    always:
      - shell: {script: echo}
        ignore_error: true
        sensitive: true
        undo: false
        retry: {attempts: 3, backoff: 200ms, on: error.retryable}
  - id: literal
    foreach: [{host: a, port: 1}, {host: "\${run.id}", port: 2}]
    set: {where: item.host + ':' + string(item.port), twice: item.port * 2}
  - id: free
    shell: {script: pg_dump, effect: change, env: {password: "\${params.secret}"}}
    retry: {attempts: 2, on: "error.code == 'connection_failed'"}
    when: true
  - assert:
      - that: steps.literal.output[0].twice > 1 && steps.each.status == 'ok' && target.labels.size() >= 0
      - that: steps.free.error == null || steps.free.error.code != 'timeout'
      - that: params.ratio == null || params.ratio < 0.5
output:
  nested: {count: size(steps.literal.output), list: "steps.literal.output.map(x, x.where)"}
  anything: steps.free.output
output_schema:
  anything: {type: string, description: What it said}
`;
    const { runbook, diagnostics } = await compileText(text);
    expect(diagnostics).toEqual([]);
    expect(runbook?.steps[2]).toMatchObject({ when: "true", retry: { attempts: 2 } });
    expect(runbook?.outputSchema.properties).toMatchObject({
      nested: { properties: { count: { type: "integer" }, list: { type: "array" } } },
      anything: { type: "string" },
    });
  });

  test("unnamed steps get ids that pass over taken ones", async () => {
    const { runbook: compiled } = await compileText(
      runbook(`  - {id: sql_query_1, sql.query: {sql: select 1, values: ["\${params}"]}}
  - sql.query: {sql: select 2}
  - block:
      - sql.query: {sql: select 3}
`),
    );
    expect(compiled?.steps.map(({ id }) => id)).toEqual(["sql_query_1", "sql_query_2", "block_1"]);
    expect(compiled?.steps[2]).toMatchObject({ node: "block", block: [{ id: "sql_query_3" }] });
  });
});

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

describe("references", () => {
  const explained = async (text: string): Promise<string[]> =>
    (await compileText(text)).diagnostics.map(
      ({ rule, message, where }) => `${where.line}:${where.column} ${rule}: ${message}`,
    );

  test("to a later step, and to the step itself", async () => {
    expect(
      await explained(
        runbook(`  - {id: a, when: steps.b.changed, sql.query: {sql: "select 1", values: ["\${params}", "\${steps.a.output}"]}}
  - {id: b, sql.query: {sql: select 1}}
`),
      ),
    ).toEqual([
      "7:25 unknown-step: step `b` has not run yet here",
      "7:96 unknown-step: step `a` has not run yet here",
    ]);
  });

  test("into a foreach block from outside it", async () => {
    expect(
      await explained(
        runbook(`  - id: each
    foreach: [1, 2]
    block:
      - {id: inner, sql.query: {sql: select 1, values: ["\${params}"]}}
  - when: steps.inner.changed && size(steps.each.output) == 2
    sql.query: {sql: select 1}
`),
      ),
    ).toEqual([
      "11:17 unknown-step: step `inner` stands inside a foreach block: it is seen only there, by later steps of the same item",
    ]);
  });

  test("from a block's rescue and from after the block to its steps are good", async () => {
    expect(
      await explained(
        runbook(`  - block:
      - {id: inner, sql.query: {sql: select 1, values: ["\${params}"]}}
    rescue:
      - {id: saved, when: steps.inner.status == 'failed' && error.code != '', sql.query: {sql: select 1}}
  - {when: steps.inner.changed || steps.saved.changed, sql.query: {sql: select 1}}
`),
      ),
    ).toEqual([]);
  });

  test("from an undo to the step it undoes", async () => {
    expect(
      await explained(
        runbook(
          `  - id: made
    shell: {script: mk, env: {a: "\${params.target}", b: "\${params.limit}"}}
    undo:
      - id: back
        shell: {script: rm, env: {x: "\${steps.made.output}"}}
  - {when: steps.back.changed, sql.query: {sql: select 1}}
`,
          "change",
        ),
      ),
    ).toEqual([
      "11:47 undo-refers-to-own-output: the undo of `made` is made up before `made` acts, so it can't use its result",
      "12:18 unknown-step: step `back` is part of an undo, and seen by nothing else",
    ]);
  });

  test("in text, and to loop variables where there is no loop", async () => {
    expect(
      await explained(
        runbook(`  - assert:
      - that: params.limit > 0
        message: "{{params.target}} {{steps.nope.output}}"
  - {sql.query: {sql: select 1, values: ["\${item}"]}}
`),
      ),
    ).toEqual([
      "9:45 unknown-step: there is no step `nope`",
      "10:45 unknown-variable: there is no variable item",
    ]);
  });
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
    runbook("  - {set: {a: params}, foreach: [1], parallel: x}\n"),
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
      "13:1 unknown-key",
      "16:17 unknown-key",
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

describe("calls of other runbooks", () => {
  const others = {
    "other/call": `summary: Called.
risk: read
params:
  name: {type: string, required: true}
  count: {type: integer, default: 1}
steps:
  - set: {a: params}
output: {total: steps.set_1.output.a}
output_schema: {total: {type: integer}}
`,
    "other/loud": "summary: Changes.\nrisk: change\nsteps:\n  - shell: {script: a}\n",
    "other/broken": "summary: [\n",
  };
  const calls: [string, string, string[]][] = [
    [
      "a good one",
      "  - {id: c, run: {runbook: other/call, params: {name: '${params.target}'}}}\n  - {when: steps.c.output.total > params.limit, set: {a: 1}}\n",
      [],
    ],
    [
      "what it yields",
      "  - {id: c, run: {runbook: other/call, params: {name: '${params}'}}}\n  - {when: steps.c.output.totl > 1, set: {a: 1}}\n  - {when: steps.c.output.total == 'x', set: {a: 1}}\n",
      ["8:27 unknown-key", "9:12 type-mismatch"],
    ],
    [
      "its parameters",
      "  - run: {runbook: other/call, params: {nam: '${params}', count: many}}\n",
      ["7:32 missing-key", "7:41 unknown-key", "7:66 type-mismatch"],
    ],
    [
      "its name",
      "  - {run: other/cal}\n  - {run: {runbook: ../../x}}\n  - {set: {a: params}}\n",
      ["7:11 unknown-runbook", "8:21 unknown-runbook"],
    ],
    ["its risk", "  - {run: other/loud}\n  - {set: {a: params}}\n", ["7:11 risk-too-low"]],
    ["itself broken", "  - {run: other/broken}\n  - {set: {a: params}}\n", ["7:11 invalid-call"]],
    [
      "its name from a template",
      "  - {run: '${params.target}', when: params.limit > 1}\n",
      ["7:12 template-in-static"],
    ],
  ];
  test.each(calls)("%s", async (_, steps, expected) => {
    expect(await faults(runbook(steps), others)).toEqual(expected);
  });
});
