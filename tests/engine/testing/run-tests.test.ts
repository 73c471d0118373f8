import { afterEach, beforeEach, expect, test } from "bun:test";
import { join } from "node:path";
import { mkdirSync, writeFileSync } from "node:fs";
import { type CaseResult, runTestFile, testFileOf } from "../../../engine/testing/run-tests.ts";
import { codeOf, Harness } from "../run/harness.ts";

let h: Harness;
beforeEach(() => {
  h = new Harness();
});
afterEach(() => h.close());

/** Runs the `cases` of a test file for the runbook demo/one. */
async function cases(runbook: string, text: string): Promise<CaseResult[]> {
  h.write(
    "demo/one",
    runbook.includes("risk:") ? runbook : `summary: A test.\nrisk: change\n${runbook}`,
  );
  const file = join(h.dir, "runbooks/demo/one.test.yaml");
  mkdirSync(join(h.dir, "runbooks/demo"), { recursive: true });
  writeFileSync(file, text);
  expect(testFileOf(join(h.dir, "runbooks/demo/one.yaml"))).toBe(file);
  return runTestFile(file, "demo/one", {
    library: h.library(),
    registry: h.registry,
    clock: h.clock,
  });
}

const problems = (found: CaseResult[]) =>
  found.map((one) => one.problems.map(({ message }) => message));

const SWITCH = `
params: {target: {type: string, required: true}}
needs: [patroni]
steps:
  - {id: before, fake.look: {}}
  - {id: sure, assert: {that: steps.before.output.leader != params.target, message: is the leader already}}
  - {id: switch, fake.act: {to: "{{params.target}}"}}
  - {id: settled, fake.look: {}, until: output.leader == params.target, timeout: 60s}
output: {old: steps.before.output.leader, new: steps.settled.output.leader}
`;

test("cases run on the real engine: no step type that touches anything is called, and nobody waits", async () => {
  const started = performance.now();
  const found = await cases(
    SWITCH,
    `
cases:
  - name: switches
    params: {target: pg2}
    fixtures:
      before: {output: {leader: pg1}}
      switch: {output: {}}
      settled: [{output: {leader: pg1}}, {error: {code: connection_failed, retryable: true}}, {output: {leader: pg2}}]
    expect: {status: ok, exit: 0, steps: {sure: ok, settled: ok}, output: {old: pg1, new: pg2}}
  - name: never settles
    params: {target: pg2}
    fixtures: {before: {output: {leader: pg1}}, switch: {output: {}}, settled: {output: {leader: pg1}}}
    expect: {status: undone, exit: 5, error: timeout, undone: [switch], steps: {settled: failed}}
  - name: asserts
    params: {target: pg1}
    fixtures: {before: {output: {leader: pg1}}}
    expect: {error: assertion_failed, steps: {switch: not reached}}
  - name: the switch fails
    params: {target: pg2}
    fixtures: {before: {output: {leader: pg1}}, switch: {error: {code: http_failed, message: no}}}
    expect: {error: http_failed, steps: {switch: failed}}
  - name: needs patroni
    params: {target: pg2}
    target: {capabilities: [postgres]}
    expect: {status: refused, error: capability_missing}
  - name: a parameter is missing
    expect: {error: invalid_param}
  - name: a plan
    params: {target: pg2}
    flags: {plan: true}
    fixtures: {before: {output: {leader: pg1}}, settled: {output: {leader: pg1}}}
    expect: {status: planned, steps: {switch: not_previewable, settled: undetermined}, output: {old: pg1}}
`,
  );
  expect(problems(found)).toEqual([[], [], [], [], [], [], []]);
  expect(found.map(({ passed, runbook }) => [passed, runbook])).toEqual(
    found.map(() => [true, "demo/one"]),
  );
  expect(h.calls).toEqual([]);
  expect(performance.now() - started).toBeLessThan(20_000);
});

test("what does not come out as expected is told, each difference in a line", async () => {
  const found = await cases(
    "steps: [{id: a, fake.act: {}}]\noutput: {n: steps.a.output.n, deep: steps.a.output}\n",
    `
cases:
  - name: wrong all over
    fixtures: {a: {output: {n: 1, list: [1, 2]}}}
    expect: {status: failed, exit: 1, error: timeout, undone: [a], steps: {a: failed, b: ok}, output: {n: 2, deep: {list: [1]}, more: 1}}
  - name: fails, and nothing was said of that
    fixtures: {a: {error: {}}}
    expect: {steps: {a: failed}}
  - name: an output of which more is there than is asked for
    fixtures: {a: {output: {n: 1, list: [1, 2]}}}
    expect: {output: {deep: {list: [1, 2]}}}
`,
  );
  expect(problems(found)).toEqual([
    [
      "steps: there is no step b",
      "status: expected failed, got ok",
      "exit: expected 1, got 0",
      "error: expected timeout, got null",
      "steps.a.status: expected failed, got ok",
      'undone: expected ["a"], got []',
      "output.n: expected 2, got 1",
      "output.deep.list: expected [1], got [1,2]",
      "output.more: expected 1, got null",
    ],
    ["error: expected none, got step_failed: a failed by its fixture"],
    [],
  ]);
  expect(found.map(({ passed }) => passed)).toEqual([false, false, true]);
});

test("parts of errors, of steps and of lists are matched, and a difference has its place", async () => {
  const found = await cases(
    "steps: [{id: look, fake.look: {}}, {id: act, fake.act: {}}]\noutput: {rows: steps.look.output.rows}\n",
    `fixtures:
  look: {output: {rows: [{id: 1, name: a}, {id: 2, name: b}]}}
  act: {error: {code: http_failed, message: the server said 503}}
cases:
  - name: fits
    expect:
      error: {code: http_failed, message: said 503, step: act}
      steps:
        look: {status: ok, changed: false, output: {rows: [{id: 1}, {name: b}]}}
        act: {error: http_failed}
  - name: own fixture wins
    fixtures: {act: {output: {}}}
    expect: {status: ok, output: {rows: [{}, {}]}}
  - name: differs
    expect:
      error:
        message: said 404
      steps:
        look:
          output: {rows: [{id: 1},
            {id: 3}]}
        act: {error: {code: timeout}}
`,
  );
  expect(problems(found)).toEqual([
    [],
    [],
    [
      "error.message: expected said 404, got the server said 503",
      "steps.look.output.rows.1.id: expected 3, got 2",
      "steps.act.error.code: expected timeout, got http_failed",
    ],
  ]);
  expect(found[2]!.problems.map(({ where }) => `${where.line}:${where.column}`)).toEqual([
    "17:9",
    "21:14",
    "22:23",
  ]);
});

test("a fixture that its step type can't give fails the case; one may hold only the parts that matter", async () => {
  const found = await cases(
    "steps: [{id: a, sql.query: {sql: select 1}}]\noutput: {n: steps.a.output.row_count}\n",
    `
cases:
  - {name: part, fixtures: {a: {output: {row_count: 2}}}, expect: {output: {n: 2}}}
  - {name: misspelt, fixtures: {a: {output: {row_count: 2, rowz: []}}}, expect: {status: ok}}
`,
  );
  expect(problems(found)).toEqual([
    [],
    ["sql.query can't give this: unknown key `rowz` in `fixture of a`"],
  ]);
});

test("a call without a fixture fails the case, though a rescue takes the failure; an unused or misspelt one is told", async () => {
  const found = await cases(
    "steps: [{id: g, block: [{id: a, fake.look: {}}], rescue: [{id: r, set: {n: 1}}]}]\n",
    `
cases:
  - {name: no fixture, expect: {status: ok}}
  - {name: misspelt, fixtures: {a: {output: 1}, aa: {output: 1}, nope/a: {output: 1}}, expect: {status: ok}}
`,
  );
  expect(problems(found)).toEqual([
    ["a was called, but has no fixture"],
    ["fixtures: there is no step aa", "fixtures: there is no step nope/a"],
  ]);
});

test("what names nothing that there is proves nothing: steps, undone steps, outputs", async () => {
  const found = await cases(
    "steps: [{id: switch, fake.act: {}}]\noutput: {n: steps.switch.output.n}\n",
    `
fixtures: {switch: {output: {n: null}}}
cases:
  - {name: steps, expect: {steps: {nope: not reached, switch: ok}}}
  - {name: undone, expect: {undone: [swich, zzz]}}
  - {name: output, expect: {output: {n: null, nope: null}}}
`,
  );
  expect(problems(found)).toEqual([
    ["steps: there is no step nope"],
    [
      "undone: there is no step swich; did you mean switch?",
      "undone: there is no step zzz",
      'undone: expected ["swich","zzz"], got []',
    ],
    ["output: there is no output nope"],
  ]);
  expect(found[0]!.problems[0]!.where).toMatchObject({ line: 4, column: 36 });
});

test("fixtures by path: items of loops, steps of called runbooks and of undos; a path wins over an id", async () => {
  h.write(
    "sub/one",
    "summary: S\nrisk: change\nsteps: [{id: inner, fake.act: {}}]\noutput: {n: steps.inner.output}\n",
  );
  const found = await cases(
    `
steps:
  - {id: each, foreach: [1, 2, 3], fake.look: {}}
  - {id: first, run: sub/one}
  - {id: second, run: sub/one}
  - {id: own, fake.act: {}, undo: [{id: back, fake.act: {}}]}
  - {id: boom, fake.look: {}, when: "size(steps.each.output) == 3"}
output: {each: steps.each.output, n: "[steps.first.output.n, steps.second.output.n]"}
`,
    `
cases:
  - name: by path
    fixtures:
      each: {output: 0}
      each/1: {output: 1}
      inner: {output: 5}
      second/inner: {output: 6}
      own: {output: null}
      own~undo/back: {output: null}
      boom: {error: {code: query_failed}}
    expect: {exit: 5, error: query_failed, undone: [own, second/inner, first/inner], steps: {first/inner: {output: 5}, second/inner: {output: 6}}, output: {each: [0, 1, 0], n: null}}
`,
  );
  expect(problems(found)).toEqual([[]]);
});

test("gates hold in tests too: flags and labels are the case's", async () => {
  h.write(
    "backup/create",
    "summary: B\nrisk: change\ngives: [verified_backup]\nsteps: [{id: copy, fake.act: {}}]\noutput: {verified: steps.copy.output.ok}\n",
  );
  const found = await cases(
    "summary: D\nrisk: destructive\nsteps: [{id: drop, fake.act: {}}]\n",
    `
cases:
  - {name: unconfirmed, expect: {status: refused, error: approval_needed}}
  - {name: production, flags: {confirm: test}, target: {labels: [production]}, expect: {error: gate_refused}}
  - name: confirmed
    flags: {confirm: test}
    fixtures: {backup_before/copy: {output: {ok: true}}, drop: {output: null}}
    expect: {status: ok, steps: {backup_before/copy: ok, drop: ok}}
  - name: without a verified backup
    flags: {confirm: test}
    fixtures: {copy: {output: {ok: false}}}
    expect: {error: gate_refused, steps: {drop: not reached}}
`,
  );
  expect(problems(found)).toEqual([[], [], [], []]);
});

test.each([
  ["cases: []", /case/],
  ["cases: [{name: x, expect: {}}]", /expect/],
  ["cases: [{name: x, expect: {status: ok}, fixtures: {a: {outptu: 1}}}]", /outptu|fixtures/],
  ["cases: [{name: x, expect: {state: ok}}]", /state/],
  ["case: []", /case/],
  ["cases: [{name: x, expect: {steps: {}}}]", /steps.*must not be empty/],
  ["cases: [{name: x, expect: {output: {}}}]", /output.*must not be empty/],
  ["cases: [{name: x, expect: {steps: {a: {output: {}}}}}]", /output.*must not be empty/],
  ["cases: [{name: x, expect: {status: okk}}]", /must be one of ok, .*Did you mean ok\?/s],
  ["cases: [{name: x, expect: {steps: {a: faild}}}]", /faild/],
  ["cases: [{name: x, expect: {exit: 0}}, {name: x, expect: {exit: 1}}]", /called "x" already/],
  ["# nothing yet", /It is empty; begin it with `cases:`/],
])("a test file that is not one is refused: %s", async (text, message) => {
  const error = await codeOf(cases("steps: [{id: a, fake.look: {}}]", text));
  expect(error.code).toBe("invalid_runbook");
  expect(`${error.message}\n${error.hint}`).toMatch(message);
});

test("a runbook has no test file until there is one", () => {
  expect(testFileOf(join(h.dir, "runbooks/none.yaml"))).toBeUndefined();
});

const MOVE = `
steps:
  - {id: before, fake.look: {}}
  - {id: move, fake.job: {}, timeout: 300ms}
  - {id: more, fake.probed: {}}
  - {id: boom, when: steps.before.output.fails == true, fake.look: {}}
output: {moved: steps.move.output.to}
`;

test("a case lets the process die in a step, and resumes: its probe answers, its inverse works or fails", async () => {
  const found = await cases(
    MOVE,
    `fixtures:
  before: {output: {leader: pg1, fails: false}}
  move: {output: {to: pg2}, note: {job: 7}, probe: {state: running, note: {job: 7}}}
  more: {output: {}, probe: {state: done, output: {}}}
cases:
  - name: the job is attached to
    crash_at: move
    expect: {status: ok, steps: {move: {status: ok, output: {to: pg2}}}, output: {moved: pg2}}
  - name: it had happened
    crash_at: more
    expect: {status: ok, steps: {more: {status: ok, changed: true}}}
  - name: it had not
    crash_at: more
    fixtures: {more: {output: {n: 2}, probe: {state: not_done}}}
    expect: {status: ok, steps: {more: {output: {n: 2}}}}
  - name: nobody can tell, and a person is asked
    crash_at: more
    fixtures: {more: {output: {}}}
    expect: {exit: 6, status: needs_operator, error: {code: needs_operator, step: more}}
  - name: a person has said it
    crash_at: more
    assume: {more: done}
    fixtures: {more: {output: {}}}
    expect: {status: ok}
  - name: it dies twice, the second time while it is taken back
    crash_at: [move, move~undo]
    fixtures: {boom: {error: {}}, before: {output: {fails: true}}}
    expect: {status: undone, exit: 5, undone: [move]}
  - name: the undo fails
    fixtures: {boom: {error: {}}, before: {output: {fails: true}}, move: {output: {}, undo: {error: {message: no way back}}}}
    expect: {exit: 6, status: needs_operator, undone: []}
  - name: the undo finds nothing to take back
    fixtures: {boom: {error: {}}, before: {output: {fails: true}}, move: {output: {}, undo: {unchanged: true}}}
    expect: {exit: 1, status: failed}
  - name: a job that failed is ended before it is taken back
    fixtures: {move: {error: {code: timeout}, probe: {state: running}}}
    expect: {exit: 5, status: undone, error: timeout, undone: [move]}
  - name: a job that failed while the process was dead is taken back
    crash_at: move
    fixtures: {move: {output: {}, probe: {state: failed, error: {code: command_failed, message: exit code 1}}}}
    expect: {exit: 5, error: {code: command_failed, step: move, message: exit code 1}, undone: [move]}
`,
  );
  expect(problems(found)).toEqual(found.map(() => []));
  expect(h.calls).toEqual([]);
});

test("a case shows what a point of no return has kept", async () => {
  const found = await cases(
    "steps: [{id: a, fake.act: {}}, {id: p, fake.keep: {}, keep: true}, {id: c, fake.act: {}}, {id: boom, fake.look: {}}]",
    `fixtures: {a: {output: {}}, p: {output: {}}, c: {output: {}}, boom: {error: {}}}
cases:
  - name: fails late
    crash_at: c
    assume: {c: done}
    expect: {exit: 1, status: failed, undone: [c], kept: [a, p]}
  - name: said wrongly
    expect: {status: failed, kept: [a]}
`,
  );
  expect(problems(found)).toEqual([[], ['kept: expected ["a"], got ["a","p"]']]);
});

test("crashes that never come, steps that do not exist and fixtures with two answers are told", async () => {
  const found = await cases(
    "steps: [{id: a, fake.act: {}}, {id: b, when: 1 == 2, fake.act: {}}]",
    `fixtures: {a: {output: {}}}
cases:
  - {name: not reached, crash_at: b, expect: {status: ok}}
  - {name: misspelt, crash_at: bb, assume: {c: done}, expect: {status: ok}}
`,
  );
  expect(problems(found)).toEqual([
    ["crash_at: the run did not come to b"],
    [
      "crash_at: the run did not come to bb",
      "crash_at: there is no step bb",
      "assume: there is no step c",
    ],
  ]);
  expect(
    await codeOf(
      cases(
        "steps: [{id: a, fake.act: {}}]",
        "cases: [{name: x, fixtures: {a: {output: {}, error: {}}}, expect: {status: ok}}]",
      ),
    ),
  ).toMatchObject({
    code: "invalid_runbook",
    message: expect.stringContaining("an output and an error"),
  });
});

test("a target has a state, a provider, an owner and verbs, and what steps give and take changes it", async () => {
  h.on = {};
  const text = `
summary: Make a cluster
risk: change
steps:
  - {id: refuse, when: "target.state == 'up'", assert: {that: 1 == 2, message: "{{target.name}} is there"}}
  - {id: can, assert: {that: "target.can.stop && !target.can.freeze && target.provider == 'embedded' && target.ownership == 'connected'", message: no}}
  - {id: make, fake.make: {}}
  - {id: ask, fake.needs: {}}
  - {id: take, fake.take: {}}
  - {id: again, when: params.again, fake.needs: {}}
params: {again: {type: boolean, default: false}}
output: {state: target.state}
`;
  const found = await cases(
    text,
    `fixtures: {make: {output: {}}, ask: {output: {}}, take: {output: {}}, again: {output: {}}}
cases:
  - name: from nothing
    target: {state: absent, provider: embedded, ownership: connected, can: {stop: true, freeze: false}}
    expect: {status: ok, output: {state: absent}}
  - name: what was taken away is missed
    params: {again: true}
    target: {state: absent, provider: embedded, ownership: connected, can: {stop: true, freeze: false}}
    expect: {error: {code: connection_failed, step: again}}
  - name: it is there already
    target: {state: up}
    expect: {error: {code: assertion_failed, message: test is there}}
  - name: what a crash left is known again
    crash_at: make
    target: {state: absent, provider: embedded, ownership: connected, can: {stop: true, freeze: false}}
    fixtures: {make: {output: {}, probe: {state: done, output: {}}}}
    expect: {status: ok, steps: {ask: ok}}
`,
  );
  expect(problems(found)).toEqual([[], [], [], []]);
});
