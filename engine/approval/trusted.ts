import { join } from "node:path";
import { DEFAULT_APPROVALS, type PolicyRule } from "../policy.ts";
import { readTextIfThere } from "../shared/read-file.ts";
import { type Approval, isSignedBy, readApproval, whyNotNow } from "./approval.ts";
import { readOwned, uidOf } from "./owned.ts";

/** An approval that a rule takes, and what proves whose it is. */
export interface Trusted {
  approval: Approval;
  by: string;
  how: "user" | "key";
}

interface Where {
  id: string;
  /** The folder of this engine's own requests. */
  requests: string;
  /** The users behind the run, by name: none of them approves what they ask for. */
  users: readonly string[];
  /** ms since 1970. */
  now: number;
}

/** An approval of the request that one of the people whom the rule names has given, or why there is none, in words. */
export function approvalFor(rule: PolicyRule, where: Where): Trusted | { why: string[] } {
  const why: string[] = [];
  const askers = new Set(where.users.flatMap((user) => uidOf(user) ?? []));
  const { id, now } = where;
  const folder = rule.approvals ?? DEFAULT_APPROVALS;
  const judged = (text: string, by: string): Approval | undefined => {
    const approval = readApproval(text);
    const said =
      approval === undefined || approval.request !== id || approval.by !== by
        ? "it is no approval of this request"
        : whyNotNow(approval, now);
    if (said === null) return approval;
    why.push(`the approval by ${by}: ${said}`);
    return undefined;
  };
  for (const user of rule.by?.users ?? []) {
    const uid = uidOf(user);
    if (uid === undefined || askers.has(uid)) {
      why.push(uid === undefined ? `there is no user ${user} here` : `${user} is who asks`);
      continue;
    }
    const owned = readOwned(folder, user, `${id}.json`, uid);
    if (owned === undefined) continue;
    if ("why" in owned) why.push(owned.why);
    else {
      const approval = judged(owned.text, user);
      if (approval !== undefined) return { approval, by: user, how: "user" };
    }
  }
  for (const [name, key] of Object.entries(rule.by?.keys ?? {})) {
    for (const dir of [where.requests, join(folder, "requests")]) {
      const text = readTextIfThere(join(dir, keyFile(id, name)), KEY_FILE);
      const approval = text === undefined ? undefined : judged(text, name);
      if (approval === undefined) continue;
      if (isSignedBy(approval, key)) return { approval, by: name, how: "key" };
      why.push(`the approval by ${name}: its signature is not of that key`);
    }
  }
  return { why };
}

const KEY_FILE = {
  maxBytes: 1024 * 1024,
  code: "policy_refused",
  hint: "Move it away, and have it approved again.",
} as const;

/** The name of the file of an approval that was given with a key. */
export function keyFile(id: string, name: string): string {
  return `${id}.${name}.approval.json`;
}
