import { statSync } from "node:fs";
import { resolve } from "node:path";
import { uidOf } from "../approval/owned.ts";
import { approvalFor } from "../approval/trusted.ts";
import { differences, digestOfParts, partDigests, type Parts } from "../approval/digest.ts";
import { requestsIn, writeRequest } from "../approval/request.ts";
import { type Approval, REQUEST_ID } from "../approval/approval.ts";
import { PgdbaError } from "../errors.ts";
import { isMapping } from "../json.ts";
import { approvalsOf, sha256 } from "../journal/audit.ts";
import { guarded } from "../journal/database.ts";
import { keyedDigest } from "../journal/digest.ts";
import type { PolicyRule } from "../policy.ts";
import { otherKind, readIfThere, readText } from "../shared/read-file.ts";
import type { Json, JsonObject, Target } from "../types.ts";
import { saidToGates } from "./audited.ts";
import { questionOf } from "./question.ts";
import type { Host, RunRequest } from "./request.ts";

/** An approval by which a run begins, as the audit keeps it. */
export interface Approved {
  id: string;
  by: { by: string; how: string; at: string; digest: string }[];
}

/** What the gates saw that an approval covers. */
export interface Seen {
  rules: readonly PolicyRule[];
  view: JsonObject;
  others: readonly Target[];
}

/** True for a run that goes on as it was approved: nobody says anything new of it. */
export function goesOnApproved(host: Host, { resume }: RunRequest): boolean {
  if (!resume || resume.assumed.size > 0 || resume.row.status === "waiting") return false;
  return guarded(() => approvalsOf(host.journal.db, resume.row.id)).length > 0;
}

/**
 * Asks for an approval: writes the request, with what would be done as a plan tells it.
 * @throws PgdbaError approval_needed always, with the id; the failure of the plan when it would fail
 */
export async function askApproval(host: Host, request: RunRequest, seen: Seen): Promise<never> {
  const { rules } = seen;
  const now = host.clock.now();
  const parts = await partsOf(host, request, seen);
  const id = host.newRunId();
  const why = rules.map(
    ({ reason, file }) => `${reason ?? "The policy wants an approval"} (${file})`,
  );
  const approvers = approversOf(rules, request.asked.users ?? []);
  const failed = await writeRequest(
    host.stateDir,
    rules,
    { id, created_at: now.toISOString(), parts, why, approvers },
    now.getTime(),
  );
  const doc = request.runbook.name;
  throw new PgdbaError("approval_needed", `${doc} needs an approval: ${why.join("; ")}`, {
    hint: `${inWords(approvers)} sees what would be done, and approves it, with \`pgdba approve ${id}\`. Then run the same command again with --approval ${id}, within 15 minutes of that.`,
    data: {
      gate: "approval",
      request: id,
      digest: digestOfParts(id, partDigests(parts)),
      approvers,
      ...(failed.length === 0 ? {} : { not_written: failed }),
    },
  });
}

/**
 * Computes anew what was approved, and whether it is the same. Call it when the locks are held, so that nothing comes between.
 * @throws PgdbaError policy_refused when there is no such approval, it has expired, or anything differs: then with its name
 */
export async function checkApproval(
  host: Host,
  request: RunRequest,
  seen: Seen,
  id: string,
): Promise<Approved> {
  const again = "Run the command without --approval, and another one is asked for.";
  const refuse = (why: string, data?: JsonObject) =>
    new PgdbaError("policy_refused", `The approval ${id.slice(0, 100)} does not hold: ${why}`, {
      hint: again,
      data: { gate: "approval", ...data },
    });
  if (!REQUEST_ID.test(id)) throw refuse("this is no id of a request");
  const { users = [] } = request.asked;
  const by: Approved["by"] = [];
  const given: Approval[] = [];
  for (const rule of seen.rules) {
    const found = approvalFor(rule, {
      id,
      requests: requestsIn(host.stateDir),
      users,
      now: host.clock.now().getTime(),
    });
    if ("why" in found)
      throw new PgdbaError(
        "approval_needed",
        `${request.runbook.name} is not approved: ${found.why.join("; ") || "nobody has approved it yet"}`,
        {
          hint: `${inWords(approversOf([rule], users))} approves it with \`pgdba approve ${id}\`. ${again}`,
          data: { gate: "approval", request: id },
        },
      );
    const { approval } = found;
    by.push({ by: found.by, how: found.how, at: approval.at, digest: approval.digest });
    given.push(approval);
  }
  const now = partDigests(await partsOf(host, request, seen));
  const digest = digestOfParts(id, now);
  for (const one of given) {
    if (one.digest === digest) continue;
    const differ = differences(one.parts, now);
    const named = differ.length === 0 ? "what was signed" : differ.slice(0, 10).join(", ");
    throw refuse(`since it was asked for, this has changed: ${named}`, { differ });
  }
  return { id, by };
}

/** Who may approve: keys, and users but for those behind the run, who approve nothing that they ask for. */
export function approversOf(rules: readonly PolicyRule[], askers: readonly string[]): string[] {
  const asking = new Set<number | undefined>(askers.flatMap((user) => uidOf(user) ?? []));
  const names = rules.flatMap(({ by }) => [
    ...(by?.users ?? []).filter((user) => !asking.has(uidOf(user))),
    ...Object.keys(by?.keys ?? {}),
  ]);
  return [...new Set(names)];
}

function inWords(approvers: readonly string[]): string {
  return approvers.join(" or ") || "Somebody whom the policy names, and who does not ask for it,";
}

/** All that an approval covers. */
async function partsOf(host: Host, request: RunRequest, { view, others }: Seen): Promise<Parts> {
  const { runbook, runbooks, params, recordedParams, target, asked, resume, approvals } = request;
  const parts: Parts = {
    run: resume ? `resume ${resume.row.id}` : runbook.name,
    summary: runbook.summary,
    caller: { name: asked.caller.name, users: [...(asked.users ?? [])] },
    pgdba: approvals?.version ?? null,
    "flags and policy": saidToGates(asked, []),
    target: {
      name: target.name,
      flags: request.targetFlags,
      identity: view["identity"] ?? null,
      state: view["state"] ?? null,
      ownership: view["ownership"] ?? null,
      labels: view["labels"] ?? [],
    },
    leader: {
      member: view["member"] ?? null,
      host: view["host"] ?? null,
      port: view["port"] ?? null,
    },
    timeline: view["timeline"] ?? null,
  };
  for (const { doc } of runbooks.values())
    parts[`runbook ${doc.name}`] = {
      digest: doc.digest,
      layer: doc.layer,
      // Of what is not pgdba's own, a person has to read it all.
      ...(doc.layer === "builtin" ? {} : { file: doc.file, text: doc.data }),
    };
  for (const [type, file] of host.registry.own ?? [])
    parts[`step type ${type}`] = {
      file,
      text: readText(file, { maxBytes: 1024 * 1024, code: "invalid_config", hint: "Mend it." }),
    };
  for (const [name, value] of Object.entries(recordedParams)) parts[`parameter ${name}`] = value;
  Object.assign(parts, filesOf(host, request));
  // The value of a secret must be the same, too; nobody can tell it from this.
  const secret = Object.entries(params).filter(([name, value]) => recordedParams[name] !== value);
  if (secret.some(([, value]) => typeof value === "string"))
    parts["secrets"] = keyedDigest(host.stateDir, Object.fromEntries(secret));
  for (const other of others)
    parts[`cluster ${other.name}`] = { identity: (await other.facts()).identity };
  Object.assign(parts, resume ? resumed(host, request) : await planned(host, request));
  return host.secrets.redactRecord(parts);
}

/**
 * What a run takes from where it is started: the folder by which relative names are read, and what stands in the files that parameters name. Without
 * it, other files could be put there once a person has approved.
 */
function filesOf({ cwd }: Host, { runbook, recordedParams }: RunRequest): Parts {
  const parts: Parts = { folder: cwd };
  for (const [name, spec] of Object.entries(runbook.params)) {
    if (spec.format !== "file" && spec.items?.format !== "file") continue;
    for (const file of [recordedParams[name] ?? []].flat())
      if (typeof file === "string") parts[`file ${file}`] = contentOf(resolve(cwd, file));
  }
  return parts;
}

/** The digest of a file, or what else is there; null where there is nothing, as before a file that the run writes. */
function contentOf(file: string): Json {
  const at = statSync(file, { throwIfNoEntry: false });
  if (at !== undefined && !at.isFile()) return otherKind(at) ?? null;
  const expected = { maxBytes: 64 * 1024 * 1024, hint: "Name a file that can be read." };
  const bytes = readIfThere(file, expected);
  return bytes === undefined ? null : { sha256: sha256(bytes) };
}

/** What a plan says that would be done, step by step. @throws PgdbaError its failure */
async function planned({ registry }: Host, { approvals }: RunRequest): Promise<Parts> {
  if (approvals === undefined) return {};
  const { steps, more } = await approvals.preview();
  const parts: Parts = {};
  for (const { path, type, status, preview = null } of steps)
    parts[`step ${path}`] = { type, status, preview: await lasting(registry, type, preview) };
  if (more > 0) parts["steps that are not listed"] = more;
  return parts;
}

/** A preview without what changes by itself: with it, what a person approved would never be the same again. */
async function lasting(registry: Host["registry"], type: string, preview: Json): Promise<Json> {
  const varies = registry.has(type) ? (await registry.get(type)).varies : undefined;
  if (varies === undefined || !isMapping(preview)) return preview;
  return Object.fromEntries(Object.entries(preview).filter(([key]) => !varies.includes(key)));
}

/** A run that goes on has no plan: what it has done so far, and what is said of its open steps. */
function resumed(host: Host, { resume }: RunRequest): Parts {
  const parts: Parts = { answers: Object.fromEntries(resume!.assumed) as Json };
  // Whoever approves that it goes on answers this, with the flags that are covered as well.
  const question = questionOf(resume!.row);
  if (question !== null) parts["question"] = question;
  for (const { path, type, status } of host.journal.steps(resume!.row.id))
    parts[`step ${path}`] = { type, status };
  return parts;
}
