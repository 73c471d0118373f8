import { expect, test } from "bun:test";
import { TARGET_FLAGS } from "../../engine/cli/start-run.ts";
import index from "../../runbooks/_index.json" with { type: "json" };

/**
 * Runbooks with a parameter that has the name of a flag of the connection, where that has no connection to pick: the cluster is not there yet, or it is named,
 * and the flag is a host of it.
 */
const OWN: Record<string, string[]> = {
  "cluster/init": ["database"],
  // The host of a cluster to which the fault is done.
  "chaos/corrupt": ["host"],
  "chaos/disk-full": ["host"],
  "chaos/kill-node": ["host"],
  "chaos/slow-replica": ["host"],
};

test("a flag of the connection picks the server and its database, and never what a runbook does there", () => {
  const entries = Object.entries(index.documents) as [string, { runbook?: { specs?: object } }][];
  const own = entries.flatMap(([name, { runbook }]) => {
    const taken = TARGET_FLAGS.filter((flag) => Object.hasOwn(runbook?.specs ?? {}, flag));
    return taken.length > 0 ? [[name, taken]] : [];
  });
  expect(Object.fromEntries(own)).toEqual(OWN);
});
