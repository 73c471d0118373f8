import { describe, expect, test } from "bun:test";
import { compileText, runbook } from "./support.ts";

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
      kind: "action",
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
  nested: {description: What was counted}
shown:
  - nested
  - anything: [said, when]
`;
    const { runbook, diagnostics } = await compileText(text);
    expect(diagnostics).toEqual([]);
    expect(runbook?.steps[2]).toMatchObject({ when: "true", retry: { attempts: 2 } });
    expect(runbook?.shown).toEqual([
      { name: "nested" },
      { name: "anything", columns: ["said", "when"] },
    ]);
    const misspelt = await compileText(text.replace("  - nested", "  - nestd"));
    expect(misspelt.diagnostics).toMatchObject([
      { rule: "unknown-output", hint: expect.stringContaining("nested") },
    ]);
    expect(runbook?.outputSchema.properties).toMatchObject({
      // A description alone leaves the rest as it is inferred.
      nested: {
        description: "What was counted",
        properties: { count: { type: "integer" }, list: { type: "array" } },
      },
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
    expect(compiled?.steps[2]).toMatchObject({ kind: "block", block: [{ id: "sql_query_3" }] });
  });
});
