import { readdirSync } from "node:fs";
import { join } from "node:path";
import { PgdbaError } from "../errors.ts";
import { type Layer, openLibrary } from "../load/library.ts";
import { suggest } from "../load/suggest.ts";
import { errnoOf, readHead } from "../shared/read-file.ts";
import type { Library, StepRegistry, StepType } from "../types.ts";
import { loadConfig, stateDirOf, systemDirsOf } from "./config.ts";
import type { Front } from "./front.ts";

/** All layers, in rising order of precedence (design: built in, /etc, the user's, the project's, --runbooks). */
export function libraryOf(front: Front, extraDirs: readonly string[]): Library {
  const layers: Layer[] = [
    { name: "builtin", dir: join(front.packageDir, "runbooks"), index: front.builtinIndex() },
    ...systemDirsOf(front.env).map((dir): Layer => ({
      name: "system",
      dir: join(dir, "runbooks"),
    })),
    { name: "user", dir: join(stateDirOf(front), "runbooks") },
    { name: "project", dir: join(front.cwd, ".pgdba", "runbooks") },
    ...extraDirs.map((dir): Layer => ({ name: "extra", dir })),
  ];
  return openLibrary(layers);
}

/**
 * The built-in step types, and those of `steps/` folders when the operator's configuration allows them. A user's type can't
 * replace a built-in one.
 */
function registryOf(front: Front, allowUserSteps: boolean): StepRegistry {
  if (!allowUserSteps) return front.registry;
  const files = new Map<string, string>();
  for (const dir of [join(stateDirOf(front), "steps"), join(front.cwd, ".pgdba", "steps")]) {
    for (const name of namesIn(dir)) {
      if (name.endsWith(".ts")) files.set(name.slice(0, -3), join(dir, name));
    }
  }
  const names = () => [...new Set([...front.registry.names(), ...files.keys()])];
  return {
    names,
    capabilities: front.registry.capabilities,
    has: (type) => front.registry.has(type) || files.has(type),
    async get(type) {
      const file = files.get(type);
      if (front.registry.has(type) || file === undefined) return front.registry.get(type);
      const loaded = await importType(file);
      return checkedType(loaded.default, type, file);
    },
  };
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
  // An import waits for whoever writes into a FIFO.
  readHead(file, 1);
  try {
    return (await import(file)) as { default?: StepType };
  } catch (cause) {
    // Bun gives one syntax error as such and several as an aggregate.
    const first = cause instanceof AggregateError ? (cause.errors[0] as unknown) : cause;
    const { message, position } = first as {
      message?: string;
      position?: { line: number; column: number } | null;
    };
    throw new PgdbaError(
      "invalid_config",
      `${file}${position ? `:${position.line}:${position.column}` : ""}: ${message ?? String(first)}`,
      {
        cause,
        hint: "Mend the step type, or move it away; docs/authoring.md shows a whole one.",
      },
    );
  }
}

function checkedType(loaded: StepType | undefined, type: string, file: string): StepType {
  const lacking = (["summary", "effect", "input", "output", "run"] as const).filter(
    (key) => loaded?.[key] === undefined,
  );
  if (loaded && lacking.length === 0 && loaded.type === type) return loaded;
  throw new PgdbaError(
    "invalid_config",
    loaded && loaded.type !== type && lacking.length === 0
      ? `${file} holds the step type ${loaded.type}, but its name says ${type}`
      : `${file} does not default-export a step type: it lacks ${lacking.join(", ")}`,
    { hint: "docs/authoring.md shows a whole one." },
  );
}

/** The step types of this user: with those of their own, where the configuration allows them. @throws PgdbaError invalid_config */
export async function loadRegistry(front: Front): Promise<StepRegistry> {
  return registryOf(front, (await loadConfig(front)).user_steps === true);
}

/** A registry over loaders; see steps/_registry.ts. */
export function makeRegistry(
  loaders: Record<string, () => Promise<{ default: StepType }>>,
  capabilities?: readonly string[],
): StepRegistry {
  const loaded = new Map<string, StepType>();
  return {
    names: () => Object.keys(loaders),
    capabilities,
    has: (type) => Object.hasOwn(loaders, type),
    async get(type) {
      const known = loaded.get(type);
      if (known) return known;
      const load = Object.hasOwn(loaders, type) ? loaders[type] : undefined;
      if (!load) {
        const close = suggest(type, Object.keys(loaders));
        throw new PgdbaError("invalid_runbook", `There is no step type ${type}`, {
          hint: close ? `Did you mean ${close}?` : "`pgdba help steps` lists them.",
        });
      }
      const { default: found } = await load();
      loaded.set(type, found);
      return found;
    },
  };
}
