import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { join, resolve } from "node:path";
import {
  type Approval,
  GOOD_FOR_MS,
  newPrivateKey,
  publicText,
  readPrivate,
  signApproval,
  WAITS_FOR_MS,
} from "../approval/approval.ts";
import {
  type ApprovalRequest,
  digestOfRequest,
  readRequest,
  requestsAt,
  requestsIn,
  sharedRequests,
} from "../approval/request.ts";
import { uidOf, userOf } from "../approval/owned.ts";
import { keyFile } from "../approval/trusted.ts";
import { errorRecord, failure } from "../envelope.ts";
import { EXIT_BY_CODE, PgdbaError } from "../errors.ts";
import { DEFAULT_APPROVALS, loadPolicy, type PolicyRule } from "../policy.ts";
import { readText } from "../shared/read-file.ts";
import { writeWhole } from "../shared/write-file.ts";
import type { Json, JsonObject } from "../types.ts";
import { printable, singleLine } from "../view/text.ts";
import { stateDirOf, systemDirsOf } from "./config.ts";
import type { Result } from "./command.ts";
import type { Front } from "./front.ts";
import { usersOf } from "./users.ts";

/** The rules by which people approve here, from the machine-wide policies and this user's own. */
async function rulesOf(front: Front): Promise<PolicyRule[]> {
  const files = [...systemDirsOf(front.env), stateDirOf(front)].map((dir) =>
    join(dir, "policy.yaml"),
  );
  return (await loadPolicy(files)).filter(({ action }) => action === "approve");
}

function foldersOf(front: Front, rules: readonly PolicyRule[]): string[] {
  return [requestsIn(stateDirOf(front)), ...sharedRequests(rules)];
}

/** The requests that wait, the newest first. */
export async function waiting(front: Front): Promise<Result> {
  const folders = foldersOf(front, await rulesOf(front));
  const requests = requestsAt(folders, front.clock.now().getTime()).map(brief);
  return {
    exit: 0,
    data: { requests: requests.slice(0, 50), left_out: Math.max(0, requests.length - 50) },
  };
}

function brief({ id, created_at, parts, approvers }: ApprovalRequest): JsonObject {
  const target = (parts["target"] ?? {}) as JsonObject;
  return {
    id,
    run: parts["run"] ?? null,
    target: target["name"] ?? null,
    caller: parts["caller"] ?? null,
    created_at,
    approvers,
  };
}

/** Shows a request, and approves it: by being another user, or with a key. @throws PgdbaError approval_needed when nobody said yes */
export async function approveRequest(
  front: Front,
  id: string,
  { key, yes, mayAsk }: { key: string | undefined; yes: boolean; mayAsk: boolean },
): Promise<Result> {
  const rules = await rulesOf(front);
  const request = readRequest(id, foldersOf(front, rules));
  const now = front.clock.now();
  if (now.getTime() - Date.parse(request.created_at) > WAITS_FOR_MS)
    throw new PgdbaError("usage", `The request ${id} is older than a day`, {
      hint: "Have the command run again: a new request is made.",
    });
  const { digest, parts } = digestOfRequest(request);
  const shown = { ...brief(request), digest, why: request.why, parts: request.parts };
  const refuse = (asked: boolean): Result => {
    const error = unsaid(id, asked);
    const envelope = failure("approve", now, errorRecord(error), shown as unknown as Json);
    return { exit: EXIT_BY_CODE[error.code], error, envelope };
  };
  if (!mayAsk && !(key !== undefined && yes)) return refuse(false);
  const give =
    key === undefined ? asUser(front, request, rules) : withKey(front, request, rules, key);
  if (!(key !== undefined && yes) && !(await asks(front, request, digest))) return refuse(true);
  const at = front.clock.now();
  const approval: Approval = {
    request: id,
    digest,
    parts,
    by: give.by,
    at: at.toISOString(),
    expires_at: new Date(at.getTime() + GOOD_FOR_MS).toISOString(),
  };
  const file = await give.write(approval);
  return {
    exit: 0,
    data: { ...brief(request), digest, by: give.by, file, expires_at: approval.expires_at },
  };
}

function unsaid(id: string, asked: boolean): PgdbaError {
  return new PgdbaError(
    "approval_needed",
    asked ? "It was not approved" : "A person approves on a terminal, or with a key",
    {
      hint: `Read it, then run \`pgdba approve ${id}\` on a terminal, or \`pgdba approve ${id} --key FILE --yes\`.`,
    },
  );
}

interface Giver {
  by: string;
  write(approval: Approval): Promise<string>;
}

/** What proves it is that the file belongs to this user, in a folder that nobody else can write. */
function asUser(front: Front, request: ApprovalRequest, rules: readonly PolicyRule[]): Giver {
  const { uid } = userInfo();
  const user = userOf(uid);
  const caller = (request.parts["caller"] ?? {}) as { users?: string[] };
  if (caller.users?.some((one) => usersOf(front.env).includes(one)))
    throw new PgdbaError(
      "policy_refused",
      `${user} asked for this, and nobody approves what they ask for`,
      {
        hint: `Let one of ${request.approvers.join(", ")} approve it as themselves: \`pgdba approve ${request.id}\`.`,
      },
    );
  const rule = rules.find(({ by }) => by?.users?.some((one) => uidOf(one) === uid));
  if (rules.length > 0 && rule === undefined)
    throw new PgdbaError("policy_refused", `No rule of the policy lets ${user} approve anything`, {
      hint: "Give the key that the policy names with --key FILE, or ask somebody whom it names.",
    });
  // As the rule names them, by name or by number.
  const named = rule?.by?.users?.find((one) => uidOf(one) === uid) ?? user;
  const folder = join(rule?.approvals ?? DEFAULT_APPROVALS, named);
  if (!existsSync(folder))
    throw new PgdbaError("io_failed", `There is no folder ${folder} for the approvals of ${user}`, {
      hint: `An administrator makes it once: \`install -d -o ${user} -m 755 ${folder}\`.`,
    });
  return {
    by: named,
    async write(approval) {
      const file = join(folder, `${request.id}.json`);
      await writeWhole(file, `${JSON.stringify(approval)}\n`, { mode: 0o644 });
      return file;
    },
  };
}

/** What proves it is the signature, wherever the file lies. */
function withKey(
  front: Front,
  request: ApprovalRequest,
  rules: readonly PolicyRule[],
  file: string,
): Giver {
  const path = resolve(front.cwd, file);
  const hint = "Name the file of the private key.";
  const key = readPrivate(readText(path, { maxBytes: 10_000, code: "usage", hint }), path);
  const text = publicText(key);
  const names = rules.flatMap(({ by }) => Object.entries(by?.keys ?? {}));
  const by = names.find(([, one]) => one === text)?.[0];
  if (by === undefined)
    throw new PgdbaError("policy_refused", `No rule of the policy names the key of ${path}`, {
      hint: `An administrator adds it to the policy, under \`by\`: keys: {NAME: "${text}"}.`,
    });
  return {
    by,
    async write(approval) {
      const own = requestsIn(stateDirOf(front));
      const dirs = [own, ...sharedRequests(rules)].filter((dir) =>
        existsSync(join(dir, `${request.id}.json`)),
      );
      const target = join(dirs[0]!, keyFile(request.id, by));
      await writeWhole(target, `${JSON.stringify(signApproval(approval, key))}\n`, { mode: 0o644 });
      return target;
    },
  };
}

/** Shows all that is covered, and asks for the name of the target. */
async function asks(front: Front, request: ApprovalRequest, digest: string): Promise<boolean> {
  const { confirm } = await import("../view/prompt.ts");
  const { name } = (request.parts["target"] ?? {}) as { name?: string };
  const lines = [
    `Request ${request.id} of ${singleLine(request.created_at)}`,
    ...request.why.map((why) => `Why: ${singleLine(why)}`),
    ...Object.entries(request.parts).map(
      ([part, value]) => `${singleLine(part)}: ${textOf(value)}`,
    ),
    `Digest: ${digest}`,
  ];
  front.stderr.write(`${printable(front.secrets.redact(lines.join("\n")))}\n`);
  return confirm({
    stdin: front.stdin,
    stderr: front.stderr,
    question: "Approve this",
    expect: name === undefined || name === "none" ? String(request.parts["run"]) : name,
  });
}

/** On one line: a value that holds line feeds could else add lines that look like another part, such as another target. */
function textOf(value: Json): string {
  return typeof value === "string" && !value.includes("\n") ? value : JSON.stringify(value);
}

/** A new key pair: the private one in `file`, for its owner alone. */
export async function makeKey(front: Front, file: string): Promise<Result> {
  const path = resolve(front.cwd, file);
  if (existsSync(path))
    throw new PgdbaError("usage", `${path} is there already`, { hint: "Name a new file." });
  const { pem, publicKey } = newPrivateKey();
  await writeWhole(path, pem, { mode: 0o600 });
  return {
    exit: 0,
    data: { file: path, public_key: publicKey, policy: `by: {keys: {NAME: "${publicKey}"}}` },
  };
}
