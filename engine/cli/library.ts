import { join } from "node:path";
import { PgdbaError } from "../errors.ts";
import { type Layer, openLibrary } from "../load/library.ts";
import { suggest } from "../shared/suggest.ts";
import type { Library, StepRegistry, StepType } from "../types.ts";
import { stateDirOf, systemDirsOf } from "./config.ts";
import type { Front } from "./front.ts";

/** All layers, in rising order of precedence (design: built in, /etc, the user's, the project's, --runbooks). */
export function libraryOf(front: Front, extraDirs: readonly string[]): Library {
  const layers: Layer[] = [
    {
      name: "builtin",
      dir: join(front.packageDir, "runbooks"),
      index: front.builtinIndex(),
      parsed: front.builtinParsed?.bind(front),
    },
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
