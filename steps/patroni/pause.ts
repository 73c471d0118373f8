import { defineStep } from "../define.ts";
import { PAUSED, planPause, setPause, unsetPause } from "./pausing/set.ts";

export default defineStep({
  type: "patroni.pause",
  summary: "Stop Patroni from acting by itself: no failover, no restart",
  docs: `Done when each member that answers says that it is paused. While it lasts, nobody takes over when the primary dies, and a PostgreSQL that ends is not
started again. Taken back, the cluster is as it was before.`,
  example: `- patroni.pause: {}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "roles",
  needs: ["patroni"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: PAUSED,
  run: (ctx) => setPause(ctx, true),
  plan: (ctx) => planPause(ctx),
  undo: (ctx) => unsetPause(ctx, true),
});
