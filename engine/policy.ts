import { PgdbaError, toPgdbaError } from "./errors.ts";
import { readTextIfThere } from "./shared/read-file.ts";
import { HAZARDS, type JsonSchema, RISKS, TARGET_STATES } from "./types.ts";

/** Narrows what the gates allow; of the rules that match the strictest decides. It can't widen anything. */
export interface PolicyRule {
  match: {
    runbook?: string;
    step?: string;
    risk?: string | string[];
    hazard?: string | string[];
    state?: string | string[];
    label?: string;
    cluster?: string;
    caller?: string;
    user?: string;
  };
  action: "refuse" | "approve" | "confirm";
  /** Who may approve, for `approve`. */
  by?: Approvers;
  reason?: string;
  file: string;
  /** The folder of approvals that its file names; `DEFAULT_APPROVALS` without it. */
  approvals?: string | undefined;
}

export interface Approvers {
  /** Names of users of the operating system, or their numbers. */
  users?: string[];
  /** Public ed25519 keys by the name of whom they belong to: the base64 of their DER (SPKI). */
  keys?: Record<string, string>;
}

/** The folder of approvals where the policy names none. */
export const DEFAULT_APPROVALS = "/var/lib/pgdba/approvals";

const MAX_BYTES = 1024 * 1024;

function oneOrMore(words: readonly string[], description: string): JsonSchema {
  const word: JsonSchema = { type: "string", enum: [...words] };
  return { anyOf: [word, { type: "array", items: word }], description };
}

export const POLICY_SCHEMA: JsonSchema = {
  type: "object",
  additionalProperties: false,
  required: ["rules"],
  properties: {
    approvals: {
      type: "string",
      pattern: "^/",
      description: `The folder of approvals (${DEFAULT_APPROVALS}): see docs/approvals.md`,
    },
    rules: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["match", "action"],
        properties: {
          match: {
            type: "object",
            additionalProperties: false,
            minProperties: 1,
            properties: {
              runbook: {
                type: "string",
                description:
                  "Name, `*` for anything; a run matches also by the names of all that it calls, extends and replaces",
              },
              risk: oneOrMore(RISKS, "The worst that the run may do"),
              step: {
                type: "string",
                description: "Step type that the run would use, `*` for anything",
              },
              hazard: oneOrMore(HAZARDS, "What the run does beyond its risk"),
              state: oneOrMore(TARGET_STATES, "How the target is when the run begins"),
              label: { type: "string" },
              cluster: { type: "string", description: "Name, `*` for anything" },
              caller: {
                type: "string",
                description:
                  "The value of PGDBA_CALLER, or human (a terminal); `!human` for everybody else. An unknown caller matches every value",
              },
              user: {
                type: "string",
                description:
                  "The user of the operating system by whom pgdba runs, or who called it by sudo; `!alice` for everybody else",
              },
            },
          },
          action: {
            type: "string",
            enum: ["refuse", "approve", "confirm"],
            description:
              "`approve`: a person approves it with `pgdba approve`; `confirm`: it is confirmed by name",
          },
          by: {
            type: "object",
            additionalProperties: false,
            minProperties: 1,
            description: "Who may approve",
            properties: {
              users: {
                type: "array",
                minItems: 1,
                items: { type: "string", pattern: "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$" },
                description: "Users of the operating system, by name or number",
              },
              keys: {
                type: "object",
                minProperties: 1,
                additionalProperties: { type: "string", pattern: "^[A-Za-z0-9+/=]+$" },
                description:
                  "Public ed25519 keys by the name of their owner, as `pgdba approve --new-key FILE` prints them",
              },
            },
          },
          reason: { type: "string" },
        },
      },
    },
  },
};

/** Reads the policy files that exist; all their rules hold. @throws PgdbaError invalid_config: a policy that can't be read allows nothing */
export async function loadPolicy(files: readonly string[]): Promise<PolicyRule[]> {
  const rules: PolicyRule[] = [];
  for (const file of files) {
    try {
      rules.push(...(await readRules(file)));
    } catch (cause) {
      throw new PgdbaError(
        "invalid_config",
        `${file} is not a valid policy: ${toPgdbaError(cause).message}`,
        {
          cause,
          hint: "Nothing runs under a policy that can't be read. Mend the file.",
        },
      );
    }
  }
  return rules;
}

async function readRules(file: string): Promise<PolicyRule[]> {
  const text = readTextIfThere(file, { maxBytes: MAX_BYTES });
  if (text === undefined) return [];
  const { parseDocument } = await import("./load/parse.ts");
  const { validate } = await import("./check/validate.ts");
  const { data } = parseDocument(text, file);
  const problems = validate(POLICY_SCHEMA, data, "the policy").map((problem) => problem.message);
  if (problems.length > 0) throw new PgdbaError("invalid_config", problems.join("; "));
  const { rules, approvals } = data as unknown as {
    rules: Omit<PolicyRule, "file" | "approvals">[];
    approvals?: string;
  };
  for (const { action, by } of rules) {
    const names = Object.keys(by?.keys ?? {});
    if (!names.every((name) => /^[A-Za-z0-9_-]{1,64}$/.test(name)))
      throw new PgdbaError("invalid_config", "the name of a key has letters, digits, _ and -");
    if ((action === "approve") === (by !== undefined)) continue;
    throw new PgdbaError(
      "invalid_config",
      "`by` says who may approve: `action: approve` has it, and no other",
    );
  }
  return rules.map((rule) => ({ ...rule, file, approvals }));
}

/** True when every condition of the rule holds. */
export function matchesRule(
  rule: PolicyRule,
  run: {
    names: readonly string[];
    risk: string;
    hazards: readonly string[];
    /** Step types. */
    steps: readonly string[];
    caller: string | null;
    users?: readonly string[] | undefined;
    target: { state: string; clusters: readonly string[]; labels: readonly string[] };
  },
): boolean {
  const { match } = rule;
  return (
    (match.runbook === undefined || run.names.some((name) => glob(match.runbook!, name))) &&
    (match.step === undefined || run.steps.some((type) => glob(match.step!, type))) &&
    (match.risk === undefined || [match.risk].flat().includes(run.risk)) &&
    (match.hazard === undefined ||
      run.hazards.some((one) => [match.hazard].flat().includes(one))) &&
    (match.state === undefined || [match.state].flat().includes(run.target.state)) &&
    (match.label === undefined || hasLabel(run.target, match.label)) &&
    (match.cluster === undefined ||
      (run.target.clusters.length === 0 ? [""] : run.target.clusters).some((name) =>
        glob(match.cluster!, name),
      )) &&
    (match.caller === undefined || run.caller === null || isCaller(match.caller, run.caller)) &&
    (match.user === undefined || run.users === undefined || isUser(match.user, run.users))
  );
}

/** Labels are words for people: how they are written makes no difference. */
export function hasLabel({ labels }: { labels: readonly string[] }, wanted: string): boolean {
  return labels.some((label) => plain(label) === plain(wanted));
}

function isCaller(wanted: string, caller: string): boolean {
  const [, not, name] = /^\s*(!?)(.*)$/s.exec(wanted)!;
  return (plain(name!) === plain(caller)) !== (not === "!");
}

/** Of whoever goes through another user, both count. */
function isUser(wanted: string, users: readonly string[]): boolean {
  const [, not, name] = /^\s*(!?)(.*)$/s.exec(wanted)!;
  return users.includes(name!.trim()) !== (not === "!");
}

function plain(word: string): string {
  return word.trim().toLowerCase();
}

/** `*` stands for any run of characters; compared piece by piece, so that no pattern is slow. */
function glob(pattern: string, text: string): boolean {
  const pieces = pattern.split("*");
  const first = pieces.shift() ?? "";
  if (pieces.length === 0) return text === first;
  if (!text.startsWith(first)) return false;
  const last = pieces.pop() ?? "";
  let at = first.length;
  for (const piece of pieces) {
    const found = text.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}
