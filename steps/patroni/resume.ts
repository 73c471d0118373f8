import { defineStep } from "../define.ts";
import { PAUSED, planPause, setPause, unsetPause } from "./pausing/set.ts";

export default defineStep({
  type: "patroni.resume",
  summary: "End a pause: Patroni acts by itself again",
  docs: `Done when each member that answers says that it is no longer paused. Patroni then does at once what it was kept from: a member that was stopped
by hand is started, and where nobody leads somebody takes over. Taken back, the cluster is as it was before.`,
  example: `- patroni.resume: {}
`,
  effect: "change",
  idempotent: true,
  risk: "disruptive",
  locks: "roles",
  needs: ["patroni"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: PAUSED,
  run: (ctx) => setPause(ctx, false),
  plan: (ctx) => planPause(ctx),
  undo: (ctx) => unsetPause(ctx, false),
});
