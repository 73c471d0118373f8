import type { GateInput } from "../gates/verdict.ts";
import { shellQuoted } from "../shared/shell-words.ts";
import type { JsonObject, Target, TargetFacts } from "../types.ts";
import type { RunRequest } from "./request.ts";

/** What the registry says of a target. */
type Known = Pick<GateInput["target"], "clusters" | "labels" | "ownership" | "unread">;

/** Merges the statements of all entries of the registry for this target. */
export function knownOf(
  { cluster, labels, ownership }: Target,
  { known = { as: [], unread: [], loose: false } }: TargetFacts,
): Known {
  const { as, unread } = known;
  return {
    clusters: [...(cluster === null ? [] : [cluster]), ...as.map((one) => one.cluster)],
    labels: [...new Set([...labels, ...as.flatMap((one) => one.labels)])],
    // To call it managed allows more, so that is for its own entry to say.
    ownership: as.some((one) => one.ownership === "connected") ? "connected" : ownership,
    unread,
  };
}

/** The reasons why the entries of the registry may not tell everything about the target. */
export function doubts({ name }: Target, { identity, known }: TargetFacts): string[] {
  const unread = (known?.unread ?? []).map(
    (why) => `An entry of the registry can't be read: ${why}`,
  );
  if (identity === null && known !== undefined && known.as.length > 0) {
    const names = known.as.map((one) => one.cluster).join(", ");
    return [
      ...unread,
      `${name} does not tell its system identifier, so it may be ${names}: what the registry says of these holds here too. Let its role read the identifier, and only its own holds.`,
    ];
  }
  if (!known?.loose || identity === null) return unread;
  return [
    ...unread,
    `The labels of ${name} hold by this name and address alone. Add \`system_identifier: "${identity}"\` to its file, and they hold however the server is reached.`,
  ];
}

/** The target as expressions and approvals see it. */
export function viewOf(
  target: Target,
  about: TargetFacts,
  { labels, ownership }: Known,
): JsonObject {
  return {
    can: {},
    ...about.facts,
    state: about.state,
    name: target.name,
    cluster: target.cluster,
    flags: (target.flags ?? []).map((word) => ` ${shellQuoted(word)}`).join(""),
    labels: [...labels],
    ownership,
    capabilities: about.capabilities,
    identity: about.identity,
  };
}

export function gateInput(
  { runbook, runbooks, target, plan, resume, asked }: RunRequest,
  { state, identity, capabilities, ways }: TargetFacts,
  { known, danger, backup }: { known: Known } & Pick<GateInput, "danger" | "backup">,
): GateInput {
  const { name, cluster, expectedIdentity } = target;
  const lineages = [runbook, ...runbooks.values()].flatMap(({ doc }) => doc.lineage);
  return {
    runbook: runbook.name,
    summary: runbook.summary,
    names: [...new Set(lineages)],
    danger,
    plan,
    resumed: resume !== undefined,
    target: { name, cluster, state, expectedIdentity, ...known, identity, capabilities, ways },
    flags: asked.flags,
    caller: asked.caller.name,
    users: asked.users,
    policy: asked.policy,
    backup,
  };
}
