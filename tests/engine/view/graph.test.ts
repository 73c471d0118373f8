import { expect, test } from "bun:test";
import type { ActionStep, Step } from "../../../engine/types.ts";
import { mermaid, runbookGraph } from "../../../engine/view/graph.ts";

const action = (id: string, type: string, more: Partial<ActionStep> = {}): ActionStep => ({
  kind: "action",
  id,
  at: [],
  type,
  input: {},
  ...more,
});

const steps: Step[] = [
  action("before", "patroni.cluster", { timeout: "30s", undo: [action("back", "exec")] }),
  {
    kind: "block",
    id: "guarded",
    at: [],
    foreach: "params.nodes",
    as: "node",
    parallel: 2,
    block: [
      action("stop", "exec", { when: 'node.role == "standby"', undo: false }),
      action("check", "call", { input: { runbook: "health/check" }, retry: { attempts: 3 } }),
    ],
    rescue: [action("note", "set")],
    always: [action("heal", "exec", { ignore_error: true })],
  },
  action("settled", "wait", { until: "output.ok", every: "500ms", input: "health/check" }),
];

test("tree", () => {
  expect(runbookGraph(steps)).toBe(`├─ before  patroni.cluster  within 30s
│  └─ undo
│     └─ back  exec
├─ guarded  block  foreach node in params.nodes, 2 at once
│  ├─ stop  exec  when node.role == "standby"  not undone
│  ├─ check  call → health/check  up to 3 attempts
│  ├─ rescue
│  │  └─ note  set
│  └─ always
│     └─ heal  exec  errors ignored
└─ settled  wait → health/check  until output.ok, every 500ms`);
});

test("mermaid", () => {
  expect(mermaid(steps)).toBe(`flowchart TD
  n1["before<br>patroni.cluster<br>within 30s"]
    n2["back<br>exec"]
    n1 -. undo .-> n2
  n3["guarded<br>block<br>foreach node in params.nodes, 2 at once"]
  n1 --> n3
    n4["stop<br>exec<br>not undone"]
    n3 -->|"when node.role == #34;standby#34;"| n4
    n5["check<br>call → health/check<br>up to 3 attempts"]
    n4 --> n5
    n6["note<br>set"]
    n5 -. rescue .-> n6
    n7["heal<br>exec<br>errors ignored"]
    n5 -. always .-> n7
  n8["settled<br>wait → health/check<br>until output.ok, every 500ms"]
  n7 --> n8`);
});

test("no step makes an empty tree", () => {
  expect(runbookGraph([])).toBe("");
});
