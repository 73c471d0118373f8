// Feeds a fixed course of events to the terminal view, as the engine would; run in a pseudo terminal by tty.test.ts.
import { openTtyView } from "../../../engine/view/tty.ts";
import type { ErrorRecord, Event } from "../../../engine/types.ts";

type Body = Event extends infer E ? (E extends Event ? Omit<E, "at" | "run"> : never) : never;

const mode = process.argv[2] ?? "full";
const view = openTtyView(process.stderr, process.env["NO_COLOR"] === undefined);
const emit = (body: Body) =>
  view.listener({ at: "2026-02-22T10:00:00.000Z", run: "r1", ...body } as Event);
const started = (path: string, type: string, depth = 0) =>
  emit({ kind: "step.started", path, id: path.split("/").at(-1) ?? path, type, depth });
const finished = (
  path: string,
  type: string,
  status: "ok" | "failed" | "skipped",
  error: ErrorRecord | null = null,
) =>
  emit({
    kind: "step.finished",
    path,
    id: path.split("/").at(-1) ?? path,
    type,
    status,
    changed: false,
    duration_ms: 12,
    error,
  });
const error: ErrorRecord = {
  code: "timeout",
  message: "not reached after 30s",
  step: "switch",
  where: null,
  hint: "Look at the log of \u001b[2Jpg2.",
  retryable: true,
};

emit({ kind: "run.started", runbook: "failover/trigger", plan: false, target: "lab", steps: 4 });
started("before", "patroni.cluster");
if (mode === "slow") await Bun.sleep(350);
if (mode === "wait") await Bun.sleep(30_000);
finished("before", "patroni.cluster", "ok");
if (mode === "elapsed") {
  emit({ kind: "step.started", path: "e/0", id: "e", type: "wait", depth: 1, item: "orders" });
  await Bun.sleep(1_250);
  finished("e/0", "wait", "ok");
}
started("each", "block");
for (let n = 0; n < 40; n += 1) {
  started(`each/${n}`, "sql.query", 1);
  finished(`each/${n}`, "sql.query", n === 7 ? "failed" : "ok", n === 7 ? error : null);
}
finished("each", "block", "ok");
started("done", "block");
started("done/inner", "set", 1);
finished("done/inner", "set", "ok");
finished("done", "block", "ok");
started("maybe", "exec");
emit({ kind: "step.log", path: "maybe", level: "info", message: "when is false" });
finished("maybe", "exec", "skipped");
started("switch", "patroni.switchover");
emit({ kind: "step.retrying", path: "switch", attempt: 2, delay_ms: 200, error });
if (mode === "slow") await Bun.sleep(250);
finished("switch", "patroni.switchover", "failed", error);
emit({ kind: "undo.started", path: "before" });
emit({ kind: "undo.finished", path: "before", error: null });
if (mode === "close") await view.close();
else if (mode !== "leave") {
  emit({ kind: "run.finished", status: "undone", exit: 5, duration_ms: 1234 });
  await view.close();
  await view.close();
}
if (mode !== "leave") process.stdout.write("{}\n");
