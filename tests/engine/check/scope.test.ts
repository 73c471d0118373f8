import { describe, expect, test } from "bun:test";
import { compileText, runbook } from "./support.ts";

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

  test("to the output of a step that may not have run", async () => {
    const look = "sql.query: {sql: select 1}";
    const text = runbook(`  - block:
      - {id: inner, ${look}}
      - {id: later, sql.query: {sql: select $1, values: ["\${steps.inner.output.rows}"]}}
    rescue:
      - {id: saved, ${look}}
      - {id: told, assert: [{that: steps.saved.output.row_count == 1}]}
      - {id: asked, assert: [{that: steps.inner.output.row_count == 1}]}
    output: {saved: steps.saved.output.rows, safe: "steps.saved.status == 'ok' ? steps.saved.output.rows : []"}
  - {id: perhaps, when: params.limit > 3, ${look}}
  - {id: tried, ignore_error: true, ${look}}
  - {when: params.limit > 3, assert: [{that: steps.perhaps.output.row_count == 1}]}
  - {when: steps.tried.output.row_count == 1, ${look}}
  - {assert: [{that: steps.perhaps.output != null && steps.perhaps.output.row_count == 1, message: "{{steps.saved.output.rows}} {{params.target}}"}]}
output: {a: steps.perhaps.output, b: steps.perhaps.output.row_count, c: steps.saved.output.row_count}
`);
    expect(await explained(text)).toEqual([
      "13:43 maybe-no-output: step `inner` may have no output here: its block may have failed",
      "14:27 no-output: step `saved` only runs when its block failed: it has no output otherwise",
      "18:18 maybe-no-output: step `tried` may have no output here: it may have failed",
      "19:109 no-output: step `saved` only runs when its block failed: it has no output otherwise",
      "20:44 maybe-no-output: step `perhaps` may have no output here: its `when` may be false",
      "20:79 no-output: step `saved` only runs when its block failed: it has no output otherwise",
    ]);
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
