import { readdirSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { offMessage } from "../check/messages.ts";
import { typeFaults } from "../check/type-faults.ts";
import { ownType } from "../declared.ts";
import { PgdbaError, toPgdbaError } from "../errors.ts";
import { errnoOf, readHead } from "../shared/read-file.ts";
import type { Diagnostic, StepRegistry, StepType } from "../types.ts";
import { configFileOf, loadConfig, stateDirOf } from "./config.ts";
import type { Front } from "./front.ts";
import { usersOf } from "./users.ts";

/** The step types of this user: with those of their own, where the configuration allows them. @throws PgdbaError invalid_config */
export async function loadRegistry(front: Front): Promise<StepRegistry> {
  if ((await loadConfig(front)).user_steps !== true) return withoutOwn(front);
  // Whoever calls by sudo must not have their own code run as the other user.
  if (usersOf(front.env).length > 1)
    refuseForeign([configFileOf(front).file, ...filesOf(front).values()]);
  return withOwn(front);
}

/** @throws PgdbaError invalid_config for a file that another user than this one, or root, can have written */
function refuseForeign(files: readonly string[]): void {
  const foreign = files.find((file) => {
    const { uid, mode } = statSync(file);
    return (uid !== 0 && uid !== userInfo().uid) || (mode & 0o022) !== 0;
  });
  if (foreign === undefined) return;
  throw new PgdbaError(
    "invalid_config",
    `${foreign} is another user's, and by sudo pgdba runs no code of others`,
    {
      hint: "Call it from another folder and without --config, or let the user by whom it runs own the file.",
    },
  );
}

const HINT = "Mend the step type, or move it away; docs/authoring.md shows a whole one.";

/** The built-in step types, and those of `steps/` folders. A user's type can't replace a built-in one. */
function withOwn(front: Front): StepRegistry {
  const own = filesOf(front);
  const loaded = new Map<string, StepType>();
  const names = () => [...new Set([...front.registry.names(), ...own.keys()])];
  return {
    names,
    capabilities: front.registry.capabilities,
    own,
    has: (type) => front.registry.has(type) || own.has(type),
    async get(type) {
      const file = own.get(type);
      if (front.registry.has(type) || file === undefined) return front.registry.get(type);
      const known = loaded.get(type);
      if (known) return known;
      const exported = (await importType(file)).default;
      const checked = checkedType(exported, type, file, front.registry.capabilities);
      loaded.set(type, checked);
      return checked;
    },
  };
}

/** The built-in step types. What else there is in `steps/` folders is looked up only to explain that it does not count. */
function withoutOwn(front: Front): StepRegistry {
  const off = () => {
    const { file } = configFileOf(front);
    const hint = `Write \`user_steps: true\` into ${file} to allow them: pgdba then runs the code of these files as you.`;
    try {
      return { files: filesOf(front), hint };
    } catch {
      return { files: new Map<string, string>(), hint };
    }
  };
  return {
    ...front.registry,
    off,
    async get(type) {
      if (front.registry.has(type)) return front.registry.get(type);
      const { files, hint } = off();
      const file = files.get(type);
      if (file === undefined) return front.registry.get(type);
      throw new PgdbaError("invalid_runbook", offMessage(type, file), { hint });
    },
  };
}

/** The faults of the user's own types, used or not. */
export async function lintOwnTypes(front: Front, registry: StepRegistry): Promise<Diagnostic[]> {
  const found: Diagnostic[] = [];
  for (const [type, file] of registry.own ?? []) {
    if (front.registry.has(type)) {
      const message = `${type} is built in: this file does not count`;
      found.push(faultOf(file, "warning", "built-in-type", message, "Give the type another name."));
      continue;
    }
    await registry.get(type).catch((thrown: unknown) => {
      const { message, hint, data, where } = toPgdbaError(thrown);
      const said = `the step type \`${type}\` can't be loaded: ${message.replace(`${file}: `, "")}`;
      // A file that exports no step type may be a helper of those that do.
      const severity = data === undefined ? "warning" : "error";
      found.push({
        ...faultOf(file, severity, "broken-type", said, hint),
        ...(where && { where }),
      });
    });
  }
  return found;
}

function faultOf(
  file: string,
  severity: Diagnostic["severity"],
  rule: string,
  message: string,
  hint: string | undefined,
): Diagnostic {
  return {
    severity,
    rule,
    message,
    ...(hint === undefined ? {} : { hint }),
    where: { file, line: 1, column: 1 },
    frame: "",
  };
}

/** The files of step types by name; those of the current folder come before those of the state folder. */
function filesOf(front: Front): Map<string, string> {
  const files = new Map<string, string>();
  for (const dir of [join(stateDirOf(front), "steps"), join(front.cwd, ".pgdba", "steps")]) {
    for (const name of namesIn(dir)) {
      if (name.endsWith(".ts")) files.set(name.slice(0, -3), join(dir, name));
    }
  }
  return files;
}

/** @throws PgdbaError invalid_config for what is there and is no folder that may be read */
function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (cause) {
    const errno = errnoOf(cause);
    if (errno === "ENOENT") return [];
    throw new PgdbaError("invalid_config", `${dir} can't be read: ${errno}`, {
      cause,
      hint: "It is the folder of your own step types; mend it, or move it away.",
    });
  }
}

async function importType(file: string): Promise<{ default?: StepType }> {
  // An import of a FIFO would wait for a writer.
  readHead(file, 1);
  try {
    return (await import(file)) as { default?: StepType };
  } catch (cause) {
    // Bun gives one syntax error as such and several as an aggregate.
    const first = cause instanceof AggregateError ? (cause.errors[0] as unknown) : cause;
    const { message, position } = (first ?? {}) as {
      message?: string;
      position?: { line: number; column: number } | null;
    };
    throw new PgdbaError(
      "invalid_config",
      `${file}${position ? `:${position.line}:${position.column}` : ""}: ${message ?? String(first)}`,
      { cause, hint: HINT, where: position ? { file, ...placeOf(position) } : undefined },
    );
  }
}

function placeOf({ line, column }: { line: number; column: number }) {
  return { line: Math.max(1, line), column: Math.max(1, column) };
}

/** A type whose parts are wrong is an error of its file (`data.faults`); one that is none may be any other program text. */
function checkedType(
  loaded: StepType | undefined,
  type: string,
  file: string,
  capabilities: readonly string[] | undefined,
): StepType {
  const lacking = (["summary", "effect", "input", "output", "run"] as const).filter(
    (key) => loaded?.[key] === undefined,
  );
  if (loaded === undefined || lacking.length > 0)
    throw new PgdbaError(
      "invalid_config",
      `${file} does not default-export a step type: it lacks ${lacking.join(", ")}`,
      { hint: "docs/authoring.md shows a whole one." },
    );
  const faults = [
    ...(loaded.type === type
      ? []
      : [`it holds the step type ${loaded.type}, but its name says ${type}`]),
    ...(loaded.rollsBack ? ["`rollsBack` is for built-in types: declare `effect: change`"] : []),
    ...typeFaults(loaded, capabilities),
  ];
  if (faults.length === 0) return ownType(loaded);
  throw new PgdbaError("invalid_config", `${file}: ${faults.join("; ")}`, {
    hint: HINT,
    data: { faults },
  });
}
