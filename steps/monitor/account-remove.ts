import type { ClusterFile } from "../../providers/registry/schema.ts";
import { changeCluster } from "../../providers/registry/write.ts";
import { removeSecrets } from "../../providers/registry/secrets.ts";
import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { MONITOR_ACCOUNT, MONITOR_ROLE, roleIsThere } from "./account.ts";

export default defineStep({
  type: "monitor.account-remove",
  summary: "Remove the role for monitoring, its password, and what the entry says of monitoring",
  docs: `The other half of \`monitor.account\`. Sessions of the role are ended first. What is not there any more counts as removed.`,
  example: `- monitor.account-remove: {}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["postgres", "superuser"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["user", "removed"],
    properties: { user: { type: "string" }, removed: { type: "boolean" } },
  },
  async run(ctx) {
    const cluster = ctx.target.cluster!;
    const isThere = await roleIsThere(ctx);
    if (isThere) {
      const pg = await ctx.use("postgres");
      await pg.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1",
        [MONITOR_ROLE],
      );
      await pg.execute(`DROP ROLE ${MONITOR_ROLE}`);
    }
    let known = false;
    await changeCluster(ctx.run.stateDir, cluster, (before) => {
      const { monitoring, accounts, secrets, ...rest } = before!.data;
      known = monitoring !== undefined || accounts?.[MONITOR_ACCOUNT] !== undefined;
      const others = <T>(of: Record<string, T> | undefined) =>
        Object.fromEntries(Object.entries(of ?? {}).filter(([name]) => name !== MONITOR_ACCOUNT));
      return {
        ...rest,
        ...(accounts === undefined ? {} : { accounts: others(accounts) }),
        ...(secrets === undefined ? {} : { secrets: others(secrets) }),
      } as ClusterFile;
    });
    await removeSecrets(ctx.run.stateDir, cluster, [MONITOR_ACCOUNT]);
    const removed = isThere || known;
    if (!removed) ctx.unchanged();
    return { user: MONITOR_ROLE, removed };
  },
  async plan(ctx): Promise<Json> {
    return { user: MONITOR_ROLE, removed: await roleIsThere(ctx) };
  },
});
