import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { PgdbaError } from "../errors.ts";
import { isMapping } from "../json.ts";
import { DEFAULT_APPROVALS, type PolicyRule } from "../policy.ts";
import { readTextIfThere } from "../shared/read-file.ts";
import { writeWhole } from "../shared/write-file.ts";
import { REQUEST_ID, WAITS_FOR_MS } from "./approval.ts";
import { digestOfParts, partDigests, type Parts } from "./digest.ts";

/** What a person is asked to approve. All of `parts` is covered by the approval; nothing else here is. */
export interface ApprovalRequest {
  id: string;
  /** ISO 8601. */
  created_at: string;
  parts: Parts;
  /** The reasons of the rules, and who may approve, for whoever looks for somebody. */
  why: string[];
  approvers: string[];
}

/** The folder of the requests of a state folder; what is approved with a key comes here, too. */
export function requestsIn(stateDir: string): string {
  return join(stateDir, "requests");
}

/** The folders of requests that other users can read, as the rules name them, where somebody has made them. */
export function sharedRequests(rules: readonly PolicyRule[]): string[] {
  const folders = rules.map(({ approvals }) => join(approvals ?? DEFAULT_APPROVALS, "requests"));
  return [...new Set(folders)].filter((dir) => existsSync(dir));
}

/** Writes a request where its approvers look for it, and removes those that nobody will approve any more. @returns the folders that could not be written */
export async function writeRequest(
  stateDir: string,
  rules: readonly PolicyRule[],
  request: ApprovalRequest,
  now: number,
): Promise<string[]> {
  const own = requestsIn(stateDir);
  mkdirSync(own, { recursive: true, mode: 0o700 });
  forgetOld(own, now);
  const text = `${JSON.stringify(request, null, 2)}\n`;
  await writeWhole(join(own, `${request.id}.json`), text);
  const failed: string[] = [];
  for (const dir of sharedRequests(rules))
    await writeWhole(join(dir, `${request.id}.json`), text, { mode: 0o640 }).catch(() =>
      failed.push(dir),
    );
  return failed;
}

function forgetOld(dir: string, now: number): void {
  for (const name of readdirSync(dir)) {
    const file = join(dir, name);
    // Another engine may remove it at the same moment.
    const at = lstatSync(file, { throwIfNoEntry: false })?.mtimeMs ?? now;
    if (name.endsWith(".json") && now - at > WAITS_FOR_MS) rmSync(file, { force: true });
  }
}

const REQUEST_FILE = {
  maxBytes: 8 * 1024 * 1024,
  code: "io_failed",
  hint: "Run the command again: a new request is made.",
} as const;

/** The request `id` in the first of the folders that has it. @throws PgdbaError unknown_run */
export function readRequest(id: string, folders: readonly string[]): ApprovalRequest {
  const found = !REQUEST_ID.test(id)
    ? undefined
    : folders.map((dir) => requestAt(join(dir, `${id}.json`))).find((one) => one !== undefined);
  if (found?.id === id) return found;
  throw new PgdbaError("unknown_run", `There is no request ${JSON.stringify(id.slice(0, 100))}`, {
    hint: `\`pgdba approve\` lists those that wait. Looked in ${folders.join(", ")}.`,
  });
}

/** All requests of the folders, the newest first. */
export function requestsAt(folders: readonly string[], now: number): ApprovalRequest[] {
  const found = new Map<string, ApprovalRequest>();
  for (const dir of folders) {
    for (const name of namesIn(dir)) {
      if (!name.endsWith(".json") || name.endsWith(".approval.json")) continue;
      const request = requestAt(join(dir, name));
      if (request && now - Date.parse(request.created_at) < WAITS_FOR_MS)
        found.set(request.id, request);
    }
  }
  return [...found.values()].toSorted((a, b) => (a.created_at < b.created_at ? 1 : -1));
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

function requestAt(file: string): ApprovalRequest | undefined {
  try {
    const text = readTextIfThere(file, REQUEST_FILE);
    const read = JSON.parse(text ?? "null") as unknown;
    return isRequest(read) ? read : undefined;
  } catch {
    return undefined;
  }
}

/** Requests lie where others write, too: what is none must not keep a person from the rest. */
function isRequest(read: unknown): read is ApprovalRequest {
  if (!isMapping(read) || !isMapping(read["parts"])) return false;
  const { id, created_at: at, parts, why, approvers } = read;
  return (
    typeof id === "string" &&
    REQUEST_ID.test(id) &&
    typeof at === "string" &&
    Number.isFinite(Date.parse(at)) &&
    (parts["target"] === undefined || isMapping(parts["target"])) &&
    (parts["caller"] === undefined || isCaller(parts["caller"])) &&
    isTexts(why) &&
    isTexts(approvers)
  );
}

function isCaller(read: unknown): boolean {
  return isMapping(read) && (read["users"] === undefined || isTexts(read["users"]));
}

function isTexts(read: unknown): read is string[] {
  return Array.isArray(read) && read.every((one) => typeof one === "string");
}

/** The digest that an approval of it has, computed from what it shows. */
export function digestOfRequest({ id, parts }: Pick<ApprovalRequest, "id" | "parts">): {
  digest: string;
  parts: Record<string, string>;
} {
  const digests = partDigests(parts);
  return { digest: digestOfParts(id, digests), parts: digests };
}
